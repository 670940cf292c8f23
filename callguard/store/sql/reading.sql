-- name: leg_of_channel(channel, linkedid)^
SELECT
    leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction,
    started_at, saved_at, outcome, granted, recording, file, files, withdrawn_at, recording_ended_at,
    (SELECT r.state FROM recordings AS r WHERE r.leg_id = legs.leg_id) AS recording_state
FROM legs WHERE channel = :channel AND linkedid = :linkedid;

-- name: legs_of_call(call_id)
SELECT
    leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction,
    started_at, saved_at, outcome, granted, recording, file, files, withdrawn_at, recording_ended_at,
    (SELECT r.state FROM recordings AS r WHERE r.leg_id = legs.leg_id) AS recording_state
FROM legs WHERE call_id = :call_id ORDER BY started_at, leg_id;

-- name: latest_legs(limit)
SELECT
    leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction,
    started_at, saved_at, outcome, granted, recording, file, files, withdrawn_at, recording_ended_at,
    (SELECT r.state FROM recordings AS r WHERE r.leg_id = legs.leg_id) AS recording_state
FROM legs ORDER BY started_at DESC, leg_id DESC LIMIT :limit;

-- name: open_recordings(leg_id)
-- One row for each purpose given, as it was given last; of all legs where leg_id is NULL.
SELECT
    l.leg_id, l.call_id, l.channel, l.controller, l.file, l.files, l.folder, l.withdrawn_at, l.recording_ended_at,
    COALESCE(l.agreed_at, l.saved_at) AS started_at, g.purpose, g.basis,
    EXISTS (SELECT 1 FROM segments AS s WHERE s.leg_id = l.leg_id) AS interrupted
FROM legs AS l JOIN grants AS g ON g.leg_id = l.leg_id AND g.state = 'given'
    AND ',' || l.granted || ',' LIKE '%,' || g.purpose || ',%'
    AND NOT EXISTS (
        SELECT 1 FROM grants AS again
        WHERE again.leg_id = g.leg_id AND again.purpose = g.purpose AND again.state = 'given'
            AND again.grant_id > g.grant_id
    )
WHERE l.recording = 1 AND l.recording_ended_at IS NULL
    AND (CAST(:leg_id AS TEXT) IS NULL OR l.leg_id = :leg_id)
ORDER BY COALESCE(l.agreed_at, l.saved_at), l.leg_id, g.grant_id;

-- name: standing_recording(leg_id)
-- As open_recordings, also where the end is known and the file is kept.
SELECT
    l.leg_id, l.call_id, l.channel, l.controller, l.file, l.files, l.folder, l.withdrawn_at, l.recording_ended_at,
    COALESCE(l.agreed_at, l.saved_at) AS started_at, g.purpose, g.basis,
    EXISTS (SELECT 1 FROM segments AS s WHERE s.leg_id = l.leg_id) AS interrupted
FROM legs AS l JOIN grants AS g ON g.leg_id = l.leg_id AND g.state = 'given'
    AND ',' || l.granted || ',' LIKE '%,' || g.purpose || ',%'
    AND NOT EXISTS (
        SELECT 1 FROM grants AS again
        WHERE again.leg_id = g.leg_id AND again.purpose = g.purpose AND again.state = 'given'
            AND again.grant_id > g.grant_id
    )
WHERE l.leg_id = :leg_id AND l.recording = 1 AND (
    l.recording_ended_at IS NULL
    OR EXISTS (SELECT 1 FROM recordings AS r WHERE r.leg_id = l.leg_id AND r.state = 'kept')
)
ORDER BY g.grant_id;

-- name: due_recordings(now)
-- What has been begun to be destroyed, and what is due and not held.
SELECT r.leg_id, f.name, l.folder, COALESCE(
    json_extract(r.destroying_for, '$.reason'),
    CASE
        WHEN EXISTS (SELECT 1 FROM unlawful_recordings AS u WHERE u.leg_id = r.leg_id) THEN 'unlawful'
        WHEN EXISTS (
            SELECT 1 FROM subjects AS s WHERE s.subject_id = l.subject_id AND s.erased_at IS NOT NULL
        ) THEN 'erased'
        ELSE 'withdrawn'
    END
) AS reason
FROM recordings AS r
JOIN recording_files AS f ON f.leg_id = r.leg_id
JOIN legs AS l ON l.leg_id = r.leg_id
WHERE r.state = 'kept' AND r.destroy_at IS NOT NULL AND r.destroy_at <= :now
    AND (r.destroying_at IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM recording_holds AS h
        WHERE h.leg_id = r.leg_id AND (h.until IS NULL OR h.until > :now)
            AND NOT EXISTS (SELECT 1 FROM recording_releases AS x WHERE x.hold_id = h.hold_id)
    ))
ORDER BY r.destroy_at, r.leg_id, f.name;

-- name: recordings_of_call(call_id)
SELECT
    r.leg_id, l.call_id, r.controller, r.state, r.ended_at, r.duration_ms, r.destroy_at, r.destroyed_at,
    r.quarantined_at, r.reason, f.name, f.size, f.sha256, f.sealed_with
FROM recordings AS r
JOIN legs AS l ON l.leg_id = r.leg_id
LEFT JOIN recording_files AS f ON f.leg_id = r.leg_id
WHERE l.call_id = :call_id
ORDER BY r.leg_id, f.name;

-- name: latest_recordings(limit)
SELECT
    r.leg_id, l.call_id, r.controller, r.state, r.ended_at, r.duration_ms, r.destroy_at, r.destroyed_at,
    r.quarantined_at, r.reason, f.name, f.size, f.sha256, f.sealed_with
FROM (SELECT * FROM recordings ORDER BY ended_at DESC, leg_id DESC LIMIT :limit) AS r
JOIN legs AS l ON l.leg_id = r.leg_id
LEFT JOIN recording_files AS f ON f.leg_id = r.leg_id
ORDER BY r.ended_at DESC, r.leg_id DESC, f.name;

-- name: kept_recordings()
SELECT
    r.leg_id, l.call_id, r.controller, r.state, r.ended_at, r.duration_ms, r.destroy_at, r.destroyed_at,
    r.quarantined_at, r.reason, f.name, f.size, f.sha256, f.sealed_with
FROM recordings AS r
JOIN legs AS l ON l.leg_id = r.leg_id
LEFT JOIN recording_files AS f ON f.leg_id = r.leg_id
WHERE r.state = 'kept'
ORDER BY r.ended_at, r.leg_id, f.name;

-- name: grants_of_call(call_id)
SELECT g.leg_id, g.purpose, g.basis, g.state, g.valid_from, g.valid_until, g.reason, g.notice_version
FROM grants AS g JOIN legs AS l ON l.leg_id = g.leg_id
WHERE l.call_id = :call_id ORDER BY g.grant_id;

-- name: evidence_of_call(call_id)
SELECT e.leg_id, e.kind, e.at, entry.body
FROM evidence AS e
JOIN legs AS l ON l.leg_id = e.leg_id
JOIN ledger AS entry ON entry.seq = e.seq
WHERE l.call_id = :call_id ORDER BY e.seq;

-- name: subject_of_leg(leg_id)^
SELECT l.controller, l.profile, s.number
FROM legs AS l JOIN subjects AS s ON s.subject_id = l.subject_id
WHERE l.leg_id = :leg_id;
