-- What personal columns are encrypted by: one key of each kind, wrapped by a master key that is not in here; `wrapped` is
-- its hex. While there is none, all columns are in the clear.
CREATE TABLE data_keys (
    data_key_id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL UNIQUE CHECK (kind IN ('content', 'suppression', 'proof', 'index')),
    master TEXT NOT NULL,
    wrapped TEXT NOT NULL
);

-- The columns with values from before there were keys: all rows up to `done` are encrypted, and none after `last` were
-- there then. `what` is 'pages' until what SQLite itself has left of them is gone, too.
CREATE TABLE columns_to_seal (
    what TEXT NOT NULL PRIMARY KEY,
    done BIGINT NOT NULL,
    last BIGINT NOT NULL
);
