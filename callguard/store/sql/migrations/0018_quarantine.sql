-- What files in quarantine are encrypted by: one key, wrapped by a master key that is not in here; `wrapped` is its hex.
-- They are often nobody's whom we know, so it is no subject's.
CREATE TABLE quarantine_key (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    content_key_id TEXT NOT NULL,
    master TEXT NOT NULL,
    wrapped TEXT NOT NULL
);
