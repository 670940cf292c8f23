-- name: kept_legs(after, limit)
-- The legs of the recordings that are kept, a page of them.
SELECT leg_id FROM recordings WHERE state = 'kept' AND leg_id > :after ORDER BY leg_id LIMIT :limit;

-- name: count_kept()
SELECT COUNT(*) AS kept FROM recordings WHERE state = 'kept';

-- name: kept_facts(legs)
-- One row for each purpose given, as it was given last and unless that was invalidated, one without where there is none;
-- `legs` is a JSON array.
SELECT
    r.leg_id, l.call_id, r.controller, l.folder, r.ended_at, COALESCE(l.agreed_at, l.saved_at) AS began_at,
    l.withdrawn_at, r.destroy_at, g.purpose, g.basis,
    (SELECT json_group_array(f.name) FROM recording_files AS f WHERE f.leg_id = r.leg_id) AS files,
    (
        SELECT MIN(e.at) FROM evidence AS e
        WHERE e.leg_id = r.leg_id AND e.kind = 'objected' AND e.at >= COALESCE(l.agreed_at, l.saved_at)
    ) AS objected_at,
    (
        SELECT MIN(u.at) FROM unlawful_recordings AS u
        WHERE u.leg_id = r.leg_id AND u.at >= COALESCE(l.agreed_at, l.saved_at)
    ) AS unlawful_at,
    (SELECT s.erased_at FROM subjects AS s WHERE s.subject_id = l.subject_id) AS erased_at
FROM json_each(:legs) AS asked
JOIN recordings AS r ON r.leg_id = asked.value
JOIN legs AS l ON l.leg_id = r.leg_id
LEFT JOIN grants AS g ON g.leg_id = l.leg_id AND g.state = 'given'
    AND ',' || l.granted || ',' LIKE '%,' || g.purpose || ',%'
    AND NOT EXISTS (
        SELECT 1 FROM grants AS again
        WHERE again.leg_id = g.leg_id AND again.purpose = g.purpose AND again.state IN ('given', 'invalidated')
            AND again.grant_id > g.grant_id
    )
WHERE r.state = 'kept'
ORDER BY asked.key, g.grant_id;

-- name: holds_of_legs(legs)
SELECT h.leg_id, h.hold_id, open_text(h.reason) AS reason, h.since, h.until, x.at AS released_at
FROM json_each(:legs) AS asked
JOIN recording_holds AS h ON h.leg_id = asked.value
LEFT JOIN recording_releases AS x ON x.hold_id = h.hold_id
ORDER BY h.since, h.hold_id;

-- name: contracts_of_legs(legs)
-- What the legs' subjects have granted on the basis of a contract; a subject is one controller's.
SELECT l.leg_id, g.purpose, g.since, g.until
FROM json_each(:legs) AS asked
JOIN legs AS l ON l.leg_id = asked.value
JOIN subject_grants AS g ON g.subject_id = l.subject_id
WHERE g.basis = 'contract';

-- name: endings_of_legs(legs)
-- As endings_of_number, of the legs' subjects.
SELECT l.leg_id, e.state, e.purpose, e.at, NULL AS scope
FROM json_each(:legs) AS asked
JOIN legs AS l ON l.leg_id = asked.value
JOIN grant_endings AS e ON e.subject_id = l.subject_id
UNION ALL
SELECT l.leg_id, NULL, o.purpose, o.since, o.scope
FROM json_each(:legs) AS asked
JOIN legs AS l ON l.leg_id = asked.value
JOIN opt_outs AS o ON o.subject_id = l.subject_id
WHERE o.undone = 0 AND o.source <> 'typed_unverified'
UNION ALL
SELECT l.leg_id, NULL, o.purpose, o.since, o.scope
FROM json_each(:legs) AS asked
JOIN legs AS l ON l.leg_id = asked.value
JOIN subjects AS s ON s.subject_id = l.subject_id
JOIN block_prefix_lengths AS p ON p.controller = s.controller
CROSS JOIN block_prefixes AS b ON b.controller = p.controller AND p.length <= length(open_text(s.number))
    AND b.prefix IN (seal_number(substr(open_text(s.number), 1, p.length)), substr(open_text(s.number), 1, p.length))
    AND (b.number_length IS NULL OR b.number_length = length(open_text(s.number)))
JOIN opt_outs AS o ON o.subject_id = b.subject_id
WHERE o.undone = 0 AND o.source <> 'typed_unverified';

-- name: recordings_to_mark(call_id)
-- The legs of a call of which something is recorded, or was.
SELECT l.leg_id, l.call_id, l.controller, r.state, r.destroying_at
FROM legs AS l LEFT JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE l.call_id = :call_id AND (r.state IS NOT NULL OR (l.recording = 1 AND l.recording_ended_at IS NULL))
ORDER BY l.leg_id;

-- name: add_hold(hold_id, leg_id, controller, reason, since, until)!
INSERT INTO recording_holds (hold_id, leg_id, controller, reason, since, until)
VALUES (:hold_id, :leg_id, :controller, seal_proof(:reason), :since, :until);

-- name: holds_in_force(leg_id, now)
SELECT h.hold_id, open_text(h.reason) AS reason, h.until FROM recording_holds AS h
WHERE h.leg_id = :leg_id AND (h.until IS NULL OR h.until > :now)
    AND NOT EXISTS (SELECT 1 FROM recording_releases AS x WHERE x.hold_id = h.hold_id)
ORDER BY h.since, h.hold_id;

-- name: add_release(hold_id, reason, at)!
INSERT INTO recording_releases (hold_id, reason, at) VALUES (:hold_id, seal_proof(:reason), :at);

-- name: unlawful_marks(leg_id)
SELECT mark_id FROM unlawful_recordings WHERE leg_id = :leg_id;

-- name: add_unlawful_mark(mark_id, leg_id, controller, reason, at)!
INSERT INTO unlawful_recordings (mark_id, leg_id, controller, reason, at)
VALUES (:mark_id, :leg_id, :controller, seal_proof(:reason), :at);

-- name: begin_destroying(leg_id, at, destroying_for)!
UPDATE recordings SET
    destroying_at = :at, destroying_for = :destroying_for,
    destroy_at = CASE WHEN destroy_at < :at THEN destroy_at ELSE :at END
WHERE leg_id = :leg_id AND destroying_at IS NULL;

-- name: begun_destroying(leg_id)
SELECT destroying_at, destroying_for FROM recordings WHERE leg_id = :leg_id;

-- name: restorable_files()
-- Of recordings that are kept, and of nobody who was erased.
SELECT f.name
FROM recordings AS r
JOIN legs AS l ON l.leg_id = r.leg_id
JOIN subjects AS s ON s.subject_id = l.subject_id
JOIN recording_files AS f ON f.leg_id = r.leg_id
WHERE r.state = 'kept' AND s.erased_at IS NULL;

-- name: recorded_files()
-- Every file that a recording has or had, and what has become of the recording.
SELECT r.leg_id, l.call_id, r.state, f.name, f.size, f.sha256
FROM recordings AS r
JOIN legs AS l ON l.leg_id = r.leg_id
JOIN recording_files AS f ON f.leg_id = r.leg_id
ORDER BY r.leg_id, f.name;

-- name: audit_grants()
-- What a subject gave, in a call or beside it, of which nothing proves it.
SELECT 'call' AS what, g.controller, l.call_id, g.leg_id, NULL AS subject_id, g.purpose, g.basis, g.valid_from AS at
FROM grants AS g JOIN legs AS l ON l.leg_id = g.leg_id
WHERE g.state = 'given' AND NOT EXISTS (
    SELECT 1 FROM evidence AS e WHERE e.leg_id = g.leg_id AND e.kind IN ('gate', 'consent.given')
)
UNION ALL
SELECT 'beside', g.controller, NULL, NULL, g.subject_id, g.purpose, g.basis, g.since
FROM subject_grants AS g JOIN subjects AS s ON s.subject_id = g.subject_id
-- Of an erased subject the references and links are gone; the entries are in the ledger still.
WHERE s.erased_at IS NULL AND (COALESCE(g.evidence, '') = '' OR NOT EXISTS (
    SELECT 1 FROM subject_evidence AS e WHERE e.subject_id = g.subject_id AND e.kind = 'grant.given'
))
ORDER BY 8, 4;

-- name: audit_legs()
-- Legs that were recorded, or are, for a purpose that no grant of theirs was committed for, or for none.
SELECT l.leg_id, l.call_id, l.controller, l.started_at AS at, l.granted, l.recording
FROM legs AS l LEFT JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE (l.recording = 1 OR COALESCE(r.state, 'destroyed') <> 'destroyed')
    AND (l.recording = 0 OR NOT EXISTS (
        SELECT 1 FROM grants AS g
        WHERE g.leg_id = l.leg_id AND g.state = 'given' AND ',' || l.granted || ',' LIKE '%,' || g.purpose || ',%'
    ))
ORDER BY l.started_at, l.leg_id;
