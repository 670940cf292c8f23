-- What people ask for by right, and erasure (GDPR Art. 12 to 21).

-- When a subject was erased: their number and name are gone, and what was known of them is nobody's any more.
ALTER TABLE subjects ADD COLUMN erased_at BIGINT;
CREATE INDEX subjects_erased ON subjects (controller, erased_at) WHERE erased_at IS NOT NULL;

-- A list that was made ready before an erasure would be lost on somebody without a number.
CREATE TRIGGER opt_outs_not_of_erased BEFORE INSERT ON opt_outs
WHEN EXISTS (SELECT 1 FROM subjects AS s WHERE s.subject_id = NEW.subject_id AND s.erased_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'somebody was erased meanwhile: try it again');
END;

CREATE TRIGGER subject_grants_not_of_erased BEFORE INSERT ON subject_grants
WHEN EXISTS (SELECT 1 FROM subjects AS s WHERE s.subject_id = NEW.subject_id AND s.erased_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'somebody was erased meanwhile: try it again');
END;

CREATE TRIGGER grant_endings_not_of_erased BEFORE INSERT ON grant_endings
WHEN EXISTS (SELECT 1 FROM subjects AS s WHERE s.subject_id = NEW.subject_id AND s.erased_at IS NOT NULL)
BEGIN
    SELECT RAISE(ABORT, 'somebody was erased meanwhile: try it again');
END;

-- Whose proof of consent has to be kept by law though they are erased (Art. 17(3)(b)): read by what proves and by nothing
-- else, and deleted after `until`.
CREATE TABLE restricted_subjects (
    subject_id TEXT NOT NULL PRIMARY KEY REFERENCES subjects (subject_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    number TEXT NOT NULL,
    why TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX restricted_subjects_by_number ON restricted_subjects (controller, number);
CREATE INDEX restricted_subjects_by_end ON restricted_subjects (until);

-- Where the proof of each of their grants is, and which entry of the ledger is its.
CREATE TABLE restricted_grants (
    subject_grant_id TEXT NOT NULL PRIMARY KEY REFERENCES subject_grants (subject_grant_id),
    subject_id TEXT NOT NULL REFERENCES restricted_subjects (subject_id),
    evidence TEXT,
    seq INTEGER REFERENCES ledger (seq)
);
CREATE INDEX restricted_grants_by_subject ON restricted_grants (subject_id);

-- What was asked for. `identity`: what kinds of proof there were of who asks, comma-separated; never what they were.
CREATE TABLE requests (
    request_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    call_id TEXT,
    kind TEXT NOT NULL CHECK (kind IN (
        'access', 'portability', 'rectification', 'erasure', 'restriction', 'objection', 'withdrawal'
    )),
    channel TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'identified', 'approved', 'done', 'refused', 'expired')),
    identity TEXT NOT NULL DEFAULT '',
    received_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    extended_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX requests_by_subject ON requests (subject_id);
CREATE INDEX requests_pending ON requests (due_at) WHERE state IN ('open', 'identified', 'approved');

CREATE TRIGGER requests_no_delete BEFORE DELETE ON requests
BEGIN
    SELECT RAISE(ABORT, 'requests are a history');
END;

-- A history: only somebody's own words in it can be erased.
CREATE TABLE request_steps (
    request_id TEXT NOT NULL REFERENCES requests (request_id),
    number INTEGER NOT NULL,
    step TEXT NOT NULL,
    at BIGINT NOT NULL,
    reason TEXT,
    PRIMARY KEY (request_id, number)
);

CREATE TRIGGER request_steps_no_update BEFORE UPDATE OF request_id, number, step, at ON request_steps
BEGIN
    SELECT RAISE(ABORT, 'the steps of a request are a history: add a row');
END;

CREATE TRIGGER request_steps_no_delete BEFORE DELETE ON request_steps
BEGIN
    SELECT RAISE(ABORT, 'the steps of a request are a history: add a row');
END;

-- What a rectification says (Art. 16): beside what it corrects, which stays. `at` is set once, when it is made.
CREATE TABLE corrections (
    correction_id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES requests (request_id),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    call_id TEXT,
    what TEXT NOT NULL CHECK (what IN ('name', 'note')),
    value TEXT,
    at BIGINT
);
CREATE INDEX corrections_by_subject ON corrections (subject_id);
CREATE INDEX corrections_by_request ON corrections (request_id);

CREATE TRIGGER corrections_no_update
BEFORE UPDATE ON corrections
WHEN NEW.correction_id <> OLD.correction_id OR NEW.request_id <> OLD.request_id OR NEW.subject_id <> OLD.subject_id
    OR NEW.call_id IS NOT OLD.call_id OR NEW.what <> OLD.what
    OR (NEW.value IS NOT NULL AND NEW.value IS NOT OLD.value AND substr(NEW.value, 1, 2) <> '+~') OR (OLD.at IS NOT NULL AND NEW.at IS NOT OLD.at)
BEGIN
    SELECT RAISE(ABORT, 'corrections are a history: add a row');
END;

CREATE TRIGGER corrections_no_delete BEFORE DELETE ON corrections
BEGIN
    SELECT RAISE(ABORT, 'corrections are a history: add a row');
END;
