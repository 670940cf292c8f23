-- What a subject's recordings are read by, wrapped by a master key that is not in here: `wrapped` is its hex. Where the
-- row is deleted, nothing reads them any more.
CREATE TABLE content_keys (
    content_key_id TEXT NOT NULL PRIMARY KEY,
    subject_id TEXT NOT NULL UNIQUE REFERENCES subjects (subject_id),
    master TEXT NOT NULL,
    wrapped TEXT NOT NULL
);

-- The content key that a file is encrypted by; NULL while it lies in the clear. Name, size and hash are the clear file's.
ALTER TABLE recording_files ADD COLUMN sealed_with TEXT;
CREATE INDEX recording_files_clear ON recording_files (leg_id) WHERE sealed_with IS NULL;
