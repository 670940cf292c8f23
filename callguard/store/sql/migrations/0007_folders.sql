-- Two callguards with one store may record into different folders: which one a leg's files are in, as Asterisk names it.
-- NULL where nobody noted it: every callguard takes such a leg for its own.
ALTER TABLE legs ADD COLUMN folder TEXT;
