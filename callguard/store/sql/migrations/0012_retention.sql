-- What keeps a recording whatever else is said of it, what says that it should never have been made, and what has been
-- begun to be destroyed. Holds and marks are histories; only somebody's own words in them can be erased.

CREATE TABLE recording_holds (
    hold_id TEXT NOT NULL PRIMARY KEY,
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    reason TEXT,
    since BIGINT NOT NULL,
    until BIGINT,
    CHECK (until IS NULL OR until > since)
);
CREATE INDEX recording_holds_by_leg ON recording_holds (leg_id);

CREATE TRIGGER recording_holds_no_update
BEFORE UPDATE OF hold_id, leg_id, controller, since, until ON recording_holds
BEGIN
    SELECT RAISE(ABORT, 'holds are a history: add a row');
END;

CREATE TRIGGER recording_holds_no_delete BEFORE DELETE ON recording_holds
BEGIN
    SELECT RAISE(ABORT, 'holds are a history: add a row');
END;

CREATE TABLE recording_releases (
    hold_id TEXT NOT NULL PRIMARY KEY REFERENCES recording_holds (hold_id),
    reason TEXT,
    at BIGINT NOT NULL
);

CREATE TRIGGER recording_releases_no_update BEFORE UPDATE OF hold_id, at ON recording_releases
BEGIN
    SELECT RAISE(ABORT, 'what ends holds is a history: add a row');
END;

CREATE TRIGGER recording_releases_no_delete BEFORE DELETE ON recording_releases
BEGIN
    SELECT RAISE(ABORT, 'what ends holds is a history: add a row');
END;

CREATE TABLE unlawful_recordings (
    mark_id TEXT NOT NULL PRIMARY KEY,
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    controller TEXT NOT NULL REFERENCES controllers (controller),
    reason TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX unlawful_recordings_by_leg ON unlawful_recordings (leg_id);

CREATE TRIGGER unlawful_recordings_no_update
BEFORE UPDATE OF mark_id, leg_id, controller, at ON unlawful_recordings
BEGIN
    SELECT RAISE(ABORT, 'marks are a history: add a row');
END;

CREATE TRIGGER unlawful_recordings_no_delete BEFORE DELETE ON unlawful_recordings
BEGIN
    SELECT RAISE(ABORT, 'marks are a history: add a row');
END;

-- From then on its files are being removed, and no hold can keep them any more; `destroying_for` says why, in JSON.
ALTER TABLE recordings ADD COLUMN destroying_at BIGINT;
ALTER TABLE recordings ADD COLUMN destroying_for TEXT;
CREATE INDEX recordings_kept ON recordings (leg_id) WHERE state = 'kept';
