-- name: add_subject*!
-- Numbers that are NULL never conflict: each such call is a subject of its own.
INSERT INTO subjects (subject_id, controller, number)
SELECT :subject_id, :controller, seal_number(:number)
WHERE NOT EXISTS (SELECT 1 FROM subjects WHERE controller = :controller AND number = :number)
ON CONFLICT (controller, number) DO NOTHING;

-- name: add_leg*!
INSERT INTO legs (
    leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction,
    started_at, saved_at, outcome, granted, recording, file, files, folder, language_chosen
) VALUES (
    :leg_id, :call_id, :channel, :linkedid, :controller,
    COALESCE(
        (
            SELECT subject_id FROM subjects
            WHERE controller = :controller AND number IN (seal_number(:number), :number)
        ),
        :subject_id
    ),
    :profile, :language, :direction,
    :started_at, :saved_at, :outcome, :granted, :recording, :file, :files, :folder, :language_chosen
);

-- name: add_grant*!
INSERT INTO grants (leg_id, subject_id, controller, purpose, basis, state, valid_from, reason, notice_version)
SELECT leg_id, subject_id, controller, :purpose, :basis, :state, :valid_from, :reason, :notice_version
FROM legs WHERE leg_id = :leg_id;

-- name: add_informed*!
INSERT INTO informed (
    leg_id, subject_id, controller, profile, language, form, version, sha256, length_ms, heard_ms, whole, continues, knows,
    at
)
SELECT leg_id, subject_id, controller, profile, :language, :form, :version, :sha256, :length_ms, :heard_ms, :whole,
    :continues, :knows, :at
FROM legs WHERE leg_id = :leg_id;

-- name: add_evidence*!
INSERT INTO evidence (seq, leg_id, controller, kind, at) VALUES (:seq, :leg_id, :controller, :kind, :at);

-- name: standing_grants(leg_id)
-- The purposes whose last state on the leg is given.
SELECT purpose, basis FROM grants AS g
WHERE leg_id = :leg_id AND state = 'given' AND NOT EXISTS (
    SELECT 1 FROM grants AS later
    WHERE later.leg_id = g.leg_id AND later.purpose = g.purpose AND later.grant_id > g.grant_id
)
ORDER BY grant_id;

-- name: leg_purposes(leg_id)
-- All that the leg was asked for, whatever became of it.
SELECT DISTINCT purpose FROM grants WHERE leg_id = :leg_id;

-- name: start_recording(leg_id, at, outcome, granted, file, folder)!
-- A no that was said before, and a recording that it ended, are the leg's history then.
UPDATE legs SET
    recording = 1, agreed_at = :at, outcome = :outcome, granted = :granted, file = :file,
    folder = :folder, withdrawn_at = NULL, recording_ended_at = NULL
WHERE leg_id = :leg_id;

-- name: forget_files(leg_id)!
-- Of a recording that is destroyed, where another takes its place; evidence keeps their hashes.
DELETE FROM recording_files WHERE leg_id = :leg_id;

-- name: forget_segments(leg_id)!
DELETE FROM segments WHERE leg_id = :leg_id;

-- name: forget_recording(leg_id)!
DELETE FROM recordings WHERE leg_id = :leg_id AND state = 'destroyed';

-- name: latest_evidence(leg_id, kind)
SELECT at FROM evidence WHERE leg_id = :leg_id AND kind = :kind ORDER BY seq DESC LIMIT 1;

-- name: mark_withdrawn(leg_id, at)!
UPDATE legs SET withdrawn_at = :at WHERE leg_id = :leg_id;

-- name: leg_status(leg_id)^
-- `state` is NULL where there is no row of a recording.
SELECT
    l.leg_id, l.call_id, l.controller, l.started_at, l.recording, l.agreed_at, l.withdrawn_at, l.recording_ended_at,
    r.state, s.erased_at
FROM legs AS l
JOIN subjects AS s ON s.subject_id = l.subject_id
LEFT JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE l.leg_id = :leg_id;

-- name: mark_ended(leg_id, at)!
UPDATE legs SET recording_ended_at = :at WHERE leg_id = :leg_id AND recording_ended_at IS NULL;

-- name: add_kept(leg_id, controller, ended_at, duration_ms, destroy_at)!
INSERT INTO recordings (leg_id, controller, state, ended_at, duration_ms, destroy_at)
VALUES (:leg_id, :controller, 'kept', :ended_at, :duration_ms, :destroy_at);

-- name: add_file(leg_id, name, size, sha256)!
INSERT INTO recording_files (leg_id, name, size, sha256) VALUES (:leg_id, :name, :size, :sha256);

-- name: set_destroyed(leg_id, controller, at, reason)!
INSERT INTO recordings (leg_id, controller, state, ended_at, destroyed_at, reason)
VALUES (:leg_id, :controller, 'destroyed', :at, :at, :reason)
ON CONFLICT (leg_id) DO UPDATE SET state = 'destroyed', destroyed_at = :at, reason = :reason;

-- name: hasten_destruction(leg_id, destroy_at)!
-- Only ever to an earlier time.
UPDATE recordings SET destroy_at = :destroy_at
WHERE leg_id = :leg_id AND state = 'kept' AND (destroy_at IS NULL OR destroy_at > :destroy_at);
