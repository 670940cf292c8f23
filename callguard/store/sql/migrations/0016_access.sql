-- Who has looked at what. What an entry says of its actor is a random id; whose it is stands here, and can be erased.
CREATE TABLE actors (
    actor_id TEXT NOT NULL PRIMARY KEY,
    name TEXT UNIQUE
);

CREATE TRIGGER actors_no_delete BEFORE DELETE ON actors
BEGIN
    SELECT RAISE(ABORT, 'entries name their actors');
END;

-- Since when roles are in force here: from then on no configuration but the machine's own may say that there are none.
CREATE TABLE governed (
    since BIGINT NOT NULL
);

CREATE INDEX evidence_of_access ON evidence (at)
WHERE kind IN ('recording.played', 'recording.exported');

CREATE INDEX subject_evidence_of_access ON subject_evidence (at)
WHERE kind IN ('access', 'subject.exported');
