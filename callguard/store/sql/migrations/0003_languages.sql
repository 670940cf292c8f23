-- Where the next call of the same number begins.

-- Whether the subject chose the leg's language by key, and went through the gate in it.
ALTER TABLE legs ADD COLUMN language_chosen INTEGER NOT NULL DEFAULT 0 CHECK (language_chosen IN (0, 1));
CREATE INDEX legs_language_chosen ON legs (subject_id, language, saved_at) WHERE language_chosen = 1;
