-- Evidence becomes a ledger: one numbered row for each entry, whatever it proves, hashed into a Merkle tree (RFC 9162). Who
-- an entry is of stands in the tables of evidence, and no more in the entry itself.

-- `leaf` is the hash of entry and time. The body is NULL where the entry's content was destroyed; its hash stays.
CREATE TABLE ledger (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 0),
    noted_at BIGINT NOT NULL,
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    body TEXT
);

CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- The roots of full subtrees: of 256 entries (level 1), of 256 of those (level 2), and on.
CREATE TABLE ledger_nodes (
    level INTEGER NOT NULL CHECK (level > 0),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, number)
) WITHOUT ROWID;

CREATE TRIGGER ledger_nodes_no_update BEFORE UPDATE ON ledger_nodes
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_nodes_no_delete BEFORE DELETE ON ledger_nodes
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- Signed notes about the first `size` entries.
CREATE TABLE checkpoints (
    size BIGINT NOT NULL PRIMARY KEY,
    signed_at BIGINT NOT NULL,
    note TEXT NOT NULL
);

CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are append-only');
END;

CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are append-only');
END;

-- What was there goes aside, and comes into the ledger in order of time.
DROP TRIGGER evidence_no_update;
DROP TRIGGER evidence_no_delete;
DROP INDEX evidence_by_leg;
ALTER TABLE evidence RENAME TO evidence_before;
DROP TRIGGER subject_evidence_no_update;
DROP TRIGGER subject_evidence_no_delete;
DROP INDEX subject_evidence_by_subject;
ALTER TABLE subject_evidence RENAME TO subject_evidence_before;
DROP TRIGGER agent_evidence_no_update;
DROP TRIGGER agent_evidence_no_delete;
DROP INDEX agent_evidence_by_agent;
ALTER TABLE agent_evidence RENAME TO agent_evidence_before;
DROP TRIGGER incidents_no_update;
DROP TRIGGER incidents_no_delete;
DROP INDEX incidents_by_leg;
DROP INDEX incidents_by_time;
ALTER TABLE incidents RENAME TO incidents_before;

-- Each entry is named by one row: of one of these tables, or of incidents.
CREATE TABLE evidence (
    seq INTEGER NOT NULL PRIMARY KEY REFERENCES ledger (seq),
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
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

-- The subject is NULL where what was dialled is no number, and where an erasure has taken the entry's person away.
CREATE TABLE subject_evidence (
    seq INTEGER NOT NULL PRIMARY KEY REFERENCES ledger (seq),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT REFERENCES subjects (subject_id),
    call_id TEXT,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX subject_evidence_by_subject ON subject_evidence (subject_id);
CREATE INDEX subject_evidence_by_call ON subject_evidence (call_id) WHERE call_id IS NOT NULL;

CREATE TRIGGER subject_evidence_no_update BEFORE UPDATE ON subject_evidence
WHEN NEW.subject_id IS NOT NULL OR NEW.seq <> OLD.seq OR NEW.controller <> OLD.controller
    OR NEW.call_id IS NOT OLD.call_id OR NEW.kind <> OLD.kind OR NEW.at <> OLD.at
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER subject_evidence_no_delete BEFORE DELETE ON subject_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TABLE agent_evidence (
    seq INTEGER NOT NULL PRIMARY KEY REFERENCES ledger (seq),
    agent_id TEXT REFERENCES agents (agent_id),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX agent_evidence_by_agent ON agent_evidence (agent_id);

CREATE TRIGGER agent_evidence_no_update BEFORE UPDATE ON agent_evidence
WHEN NEW.agent_id IS NOT NULL OR NEW.seq <> OLD.seq OR NEW.kind <> OLD.kind OR NEW.at <> OLD.at
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER agent_evidence_no_delete BEFORE DELETE ON agent_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

-- Of the store itself: nobody's.
CREATE TABLE store_evidence (
    seq INTEGER NOT NULL PRIMARY KEY REFERENCES ledger (seq),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TRIGGER store_evidence_no_update BEFORE UPDATE ON store_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER store_evidence_no_delete BEFORE DELETE ON store_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TABLE incidents (
    incident_id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE REFERENCES ledger (seq),
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

-- The order in which it comes in; what needs Python follows this file (store/brought_in.py).
CREATE TABLE brought_in (
    place INTEGER NOT NULL PRIMARY KEY,
    whose TEXT NOT NULL,
    id INTEGER NOT NULL
);
INSERT INTO brought_in (whose, id)
SELECT whose, id FROM (
    SELECT 'leg' AS whose, evidence_id AS id, at FROM evidence_before
    UNION ALL SELECT 'subject', evidence_id, at FROM subject_evidence_before
    UNION ALL SELECT 'agent', evidence_id, at FROM agent_evidence_before
    UNION ALL SELECT 'incident', rowid, at FROM incidents_before
)
ORDER BY at, whose, id;
