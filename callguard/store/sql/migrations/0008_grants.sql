-- What subjects have granted beside any call, and what ends it. Both are histories: what a grant is worth now is found by
-- looking at both, and at the opt-outs.

CREATE TABLE subject_grants (
    subject_grant_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    purpose TEXT NOT NULL CHECK (purpose <> ''),
    basis TEXT NOT NULL,
    channel TEXT NOT NULL,
    -- Where the proof is. It may be erased with the subject; subject_evidence keeps its hash.
    evidence TEXT,
    source TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    CHECK (until IS NULL OR until > since)
);
CREATE INDEX subject_grants_by_subject ON subject_grants (subject_id, purpose);

CREATE TRIGGER subject_grants_no_update
BEFORE UPDATE OF
    subject_grant_id, controller, subject_id, purpose, basis, channel, source, since, until ON subject_grants
BEGIN
    SELECT RAISE(ABORT, 'grants are a history: add a row');
END;

CREATE TRIGGER subject_grants_no_delete BEFORE DELETE ON subject_grants
BEGIN
    SELECT RAISE(ABORT, 'grants are a history: add a row');
END;

-- Ends the subject's grants that are not younger; of all purposes where purpose is NULL.
CREATE TABLE grant_endings (
    grant_ending_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    state TEXT NOT NULL CHECK (state IN ('withdrawn', 'revoked', 'invalidated', 'suspended')),
    purpose TEXT,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX grant_endings_by_subject ON grant_endings (subject_id);

CREATE TRIGGER grant_endings_no_update BEFORE UPDATE ON grant_endings
BEGIN
    SELECT RAISE(ABORT, 'what ends grants is a history: add a row');
END;

CREATE TRIGGER grant_endings_no_delete BEFORE DELETE ON grant_endings
BEGIN
    SELECT RAISE(ABORT, 'what ends grants is a history: add a row');
END;

-- Undone is an opt-out that its subject took back in the same call, or that was kept by mistake: it ends no grant.
ALTER TABLE opt_outs ADD COLUMN undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1));
