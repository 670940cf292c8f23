-- What went wrong with a recording and has to be looked into, and recordings that are set aside until it was.

-- The leg is NULL where it concerns none of ours, the controller where it is nobody's whom we know.
CREATE TABLE incidents (
    incident_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT REFERENCES controllers (controller),
    leg_id TEXT REFERENCES legs (leg_id),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX incidents_by_leg ON incidents (leg_id) WHERE leg_id IS NOT NULL;
CREATE INDEX incidents_by_time ON incidents (at);

CREATE TRIGGER incidents_no_update BEFORE UPDATE ON incidents
BEGIN
    SELECT RAISE(ABORT, 'incidents are append-only');
END;

CREATE TRIGGER incidents_no_delete BEFORE DELETE ON incidents
BEGIN
    SELECT RAISE(ABORT, 'incidents are append-only');
END;

-- A CHECK is changed by making the table anew. Its files' table refers to it, so it goes first and comes back last.
CREATE TABLE recording_files_before AS SELECT leg_id, name, size, sha256 FROM recording_files;
DROP TABLE recording_files;

CREATE TABLE recordings_after (
    leg_id TEXT NOT NULL PRIMARY KEY REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    state TEXT NOT NULL CHECK (state IN ('kept', 'destroyed', 'quarantined')),
    ended_at BIGINT NOT NULL,
    duration_ms BIGINT,
    destroy_at BIGINT,
    destroyed_at BIGINT,
    quarantined_at BIGINT,
    reason TEXT,
    CHECK ((state = 'destroyed') = (destroyed_at IS NOT NULL)),
    CHECK (state <> 'quarantined' OR quarantined_at IS NOT NULL)
);
INSERT INTO recordings_after (
    leg_id, controller, state, ended_at, duration_ms, destroy_at, destroyed_at, reason
) SELECT leg_id, controller, state, ended_at, duration_ms, destroy_at, destroyed_at, reason FROM recordings;
DROP TABLE recordings;
ALTER TABLE recordings_after RENAME TO recordings;
CREATE INDEX recordings_by_end ON recordings (ended_at);
CREATE INDEX recordings_due ON recordings (destroy_at) WHERE state = 'kept' AND destroy_at IS NOT NULL;

CREATE TABLE recording_files (
    leg_id TEXT NOT NULL REFERENCES recordings (leg_id),
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (leg_id, name)
);
INSERT INTO recording_files (leg_id, name, size, sha256)
SELECT leg_id, name, size, sha256 FROM recording_files_before;
DROP TABLE recording_files_before;
