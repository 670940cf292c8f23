-- name: create_migrations()!
-- Which numbered migrations this database has had.
CREATE TABLE migrations (
    number INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- name: schema_number()$
SELECT COALESCE(MAX(number), 0) AS number FROM migrations;

-- name: add_migration(number, name, applied_at)!
INSERT INTO migrations (number, name, applied_at) VALUES (:number, :name, :applied_at);

-- name: tables()
-- SQLite's own catalogue.
SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name;
