-- What calls in both directions need: remembered refusals, consent given in the call, opt-outs proved, dial decisions.

-- The version of the notice that was heard when the answer was given.
ALTER TABLE grants ADD COLUMN notice_version TEXT;
CREATE INDEX grants_by_subject ON grants (subject_id, purpose);

-- When a key in the call gave what the gate had not: the recording is no older.
ALTER TABLE legs ADD COLUMN agreed_at BIGINT;

-- Evidence of what is no leg's. The subject is NULL where what was dialled is no number: that is nobody.
CREATE TABLE subject_evidence (
    evidence_id INTEGER NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT REFERENCES subjects (subject_id),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX subject_evidence_by_subject ON subject_evidence (subject_id);

CREATE TRIGGER subject_evidence_no_update BEFORE UPDATE ON subject_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER subject_evidence_no_delete BEFORE DELETE ON subject_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TABLE decisions (
    decision_id TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL UNIQUE,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT REFERENCES subjects (subject_id),
    profile TEXT NOT NULL,
    at BIGINT NOT NULL,
    allow INTEGER NOT NULL CHECK (allow IN (0, 1)),
    rules TEXT NOT NULL,
    facts TEXT NOT NULL,
    CHECK (allow = 1 OR rules <> '')
);
CREATE INDEX decisions_by_subject ON decisions (subject_id);
CREATE INDEX decisions_by_time ON decisions (at);
