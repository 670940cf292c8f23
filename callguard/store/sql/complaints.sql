-- name: decisions_of_number(controller, number)
-- Oldest first; of all controllers where controller is NULL, as in the others here.
SELECT d.decision_id, d.call_id, d.controller, d.subject_id, d.profile, d.at, d.allow, d.rules,
    open_json(d.facts) AS facts
FROM subjects AS s JOIN decisions AS d ON d.subject_id = s.subject_id
WHERE s.number IN (seal_number(:number), :number)
    AND (CAST(:controller AS TEXT) IS NULL OR s.controller = :controller)
ORDER BY d.at, d.decision_id;

-- name: legs_of_number(controller, number)
SELECT
    l.leg_id, l.call_id, l.channel, l.linkedid, l.controller, l.subject_id, l.profile, l.language, l.direction,
    l.started_at, l.saved_at, l.outcome, l.granted, l.recording, l.file, l.files, l.withdrawn_at, l.recording_ended_at,
    (SELECT r.state FROM recordings AS r WHERE r.leg_id = l.leg_id) AS recording_state
FROM subjects AS s JOIN legs AS l ON l.subject_id = s.subject_id
WHERE s.number IN (seal_number(:number), :number)
    AND (CAST(:controller AS TEXT) IS NULL OR s.controller = :controller)
ORDER BY l.started_at, l.leg_id;

-- name: opt_outs_of_number_ever(controller, number)
-- Those too that have ended, and those of blocks that it is in.
SELECT o.controller, open_text(s.number) AS number, o.scope, o.purpose, o.campaign, o.source,
    open_text(o.reason) AS reason, o.since, o.until
FROM subjects AS s JOIN opt_outs AS o ON o.subject_id = s.subject_id
WHERE s.subject_id IN (
    SELECT of.subject_id FROM controllers AS c CROSS JOIN subjects AS of
    WHERE of.controller = c.controller AND of.number IN (seal_number(:number), :number)
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
) AND (CAST(:controller AS TEXT) IS NULL OR s.controller = :controller)
ORDER BY o.since, o.opt_out_id;

-- name: first_kept(controller)
-- Since when all that there was is kept: since the first dial decision or call, and since somebody was erased last, as
-- nobody knows any more whom that was about. NULL where there is none.
SELECT MAX(MIN(first), COALESCE((
    SELECT MAX(erased_at) FROM subjects
    WHERE erased_at IS NOT NULL AND (CAST(:controller AS TEXT) IS NULL OR controller = :controller)
), 0)) AS first FROM (
    SELECT MIN(at) AS first FROM decisions WHERE CAST(:controller AS TEXT) IS NULL OR controller = :controller
    UNION ALL
    SELECT MIN(started_at) FROM legs WHERE CAST(:controller AS TEXT) IS NULL OR controller = :controller
) AS both_of_them;
