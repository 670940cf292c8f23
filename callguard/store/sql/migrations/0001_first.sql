-- Everything belongs to a controller. Who a subject is stands in `subjects` and nowhere else. Times are milliseconds
-- since 1970-01-01T00:00:00Z. Ids are random or UUIDv7.

CREATE TABLE controllers (
    controller TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
);

-- One row for each service that writes here. A process may write while the epoch is the one it took.
CREATE TABLE gates (
    app TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL
);

-- A withheld number is nobody: each such call has a subject of its own, with no number.
CREATE TABLE subjects (
    subject_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    number TEXT CHECK (number LIKE '+%'),
    name TEXT,
    UNIQUE (controller, number)
);

CREATE TABLE legs (
    leg_id TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    linkedid TEXT NOT NULL,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    profile TEXT NOT NULL,
    language TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    started_at BIGINT NOT NULL,
    saved_at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    granted TEXT NOT NULL,
    recording INTEGER NOT NULL CHECK (recording IN (0, 1)),
    file TEXT,
    files TEXT NOT NULL CHECK (files IN ('mixed', 'two')),
    withdrawn_at BIGINT,
    recording_ended_at BIGINT,
    UNIQUE (channel, linkedid),
    CHECK (recording = 0 OR (file IS NOT NULL AND granted <> ''))
);
CREATE INDEX legs_by_call ON legs (call_id);
CREATE INDEX legs_by_subject ON legs (subject_id);
CREATE INDEX legs_by_start ON legs (started_at);
CREATE INDEX legs_recording ON legs (leg_id) WHERE recording = 1 AND recording_ended_at IS NULL;

-- A history: a change of state is a new row.
CREATE TABLE grants (
    grant_id INTEGER NOT NULL PRIMARY KEY,
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    purpose TEXT NOT NULL,
    basis TEXT NOT NULL,
    state TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT,
    reason TEXT NOT NULL
);
CREATE INDEX grants_by_leg ON grants (leg_id, purpose);

CREATE TRIGGER grants_no_update BEFORE UPDATE ON grants
BEGIN
    SELECT RAISE(ABORT, 'grants are a history: add a row');
END;

CREATE TRIGGER grants_no_delete BEFORE DELETE ON grants
BEGIN
    SELECT RAISE(ABORT, 'grants are a history: add a row');
END;

CREATE TABLE evidence (
    evidence_id INTEGER NOT NULL PRIMARY KEY,
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX evidence_by_leg ON evidence (leg_id);

CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TABLE opt_outs (
    opt_out_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    scope TEXT NOT NULL,
    purpose TEXT,
    campaign TEXT,
    source TEXT NOT NULL,
    reason TEXT,
    since BIGINT NOT NULL,
    until BIGINT,
    CHECK ((scope = 'purpose') = (purpose IS NOT NULL)),
    CHECK ((scope = 'campaign') = (campaign IS NOT NULL))
);
CREATE INDEX opt_outs_by_subject ON opt_outs (subject_id);

CREATE TABLE recordings (
    leg_id TEXT NOT NULL PRIMARY KEY REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    state TEXT NOT NULL CHECK (state IN ('kept', 'destroyed')),
    ended_at BIGINT NOT NULL,
    duration_ms BIGINT,
    destroy_at BIGINT,
    destroyed_at BIGINT,
    reason TEXT,
    CHECK ((state = 'destroyed') = (destroyed_at IS NOT NULL))
);
CREATE INDEX recordings_by_end ON recordings (ended_at);
CREATE INDEX recordings_due ON recordings (destroy_at) WHERE state = 'kept' AND destroy_at IS NOT NULL;

CREATE TABLE recording_files (
    leg_id TEXT NOT NULL REFERENCES recordings (leg_id),
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (leg_id, name)
);
