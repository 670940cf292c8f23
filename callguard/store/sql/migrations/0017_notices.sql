-- That somebody was informed is a record of its own, whatever they answered. And what turns out to be wrong: a version of
-- a notice, or what was kept as given by a list.

-- `knows` is the version of the controller's notice that the subject knows from then on, NULL where none. `continues` is
-- the earlier call whose notice a short one stands for.
CREATE TABLE informed (
    informed_id INTEGER NOT NULL PRIMARY KEY,
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    profile TEXT NOT NULL,
    language TEXT NOT NULL,
    form TEXT NOT NULL CHECK (form IN ('whole', 'short', 'change')),
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length_ms BIGINT NOT NULL,
    heard_ms BIGINT NOT NULL,
    whole INTEGER NOT NULL CHECK (whole IN (0, 1)),
    continues TEXT,
    knows TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX informed_by_subject ON informed (subject_id, at);
CREATE INDEX informed_by_leg ON informed (leg_id);

CREATE TRIGGER informed_no_update BEFORE UPDATE ON informed
BEGIN
    SELECT RAISE(ABORT, 'who was informed is a history: add a row');
END;

CREATE TRIGGER informed_no_delete BEFORE DELETE ON informed
BEGIN
    SELECT RAISE(ABORT, 'who was informed is a history: add a row');
END;

-- Of a notice: whoever heard that version is informed anew. The reason is somebody's own words, which may be erased.
CREATE TABLE invalidations (
    invalidation_id TEXT NOT NULL PRIMARY KEY,
    controller TEXT NOT NULL REFERENCES controllers (controller),
    notice_version TEXT,
    reason TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX invalidations_by_version ON invalidations (controller, notice_version) WHERE notice_version IS NOT NULL;

CREATE TRIGGER invalidations_no_update
BEFORE UPDATE OF invalidation_id, controller, notice_version, at ON invalidations
BEGIN
    SELECT RAISE(ABORT, 'invalidations are a history: add a row');
END;

CREATE TRIGGER invalidations_no_delete BEFORE DELETE ON invalidations
BEGIN
    SELECT RAISE(ABORT, 'invalidations are a history: add a row');
END;

-- Ends this very grant, and no other one of the subject's.
CREATE TABLE invalidated_grants (
    subject_grant_id TEXT NOT NULL PRIMARY KEY REFERENCES subject_grants (subject_grant_id),
    invalidation_id TEXT NOT NULL REFERENCES invalidations (invalidation_id)
);

CREATE TRIGGER invalidated_grants_no_update BEFORE UPDATE ON invalidated_grants
BEGIN
    SELECT RAISE(ABORT, 'invalidations are a history: add a row');
END;

CREATE TRIGGER invalidated_grants_no_delete BEFORE DELETE ON invalidated_grants
BEGIN
    SELECT RAISE(ABORT, 'invalidations are a history: add a row');
END;

CREATE INDEX grants_by_notice ON grants (controller, notice_version) WHERE notice_version IS NOT NULL;

-- Whom the subject met while their leg was recorded, and who may be heard in it: persons, and not those of the house.
-- `other` is their leg's id, or Asterisk's id of their channel where another gate has asked them.
CREATE TABLE recorded_company (
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    other TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (leg_id, other)
) WITHOUT ROWID;
