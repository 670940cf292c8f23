-- name: drop_staged_grants()!
DROP TABLE IF EXISTS temp.staged_grants;

-- name: create_staged_grants()!
-- A list of grants, or of what ends them, as it will be added. The evidence of either is called proof here.
CREATE TEMPORARY TABLE staged_grants (
    subject_id TEXT NOT NULL,
    new_number TEXT,
    controller TEXT NOT NULL,
    subject_grant_id TEXT,
    grant_ending_id TEXT,
    purpose TEXT,
    basis TEXT,
    channel TEXT,
    evidence TEXT,
    state TEXT,
    reason TEXT,
    source TEXT NOT NULL,
    since BIGINT,
    until BIGINT,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- name: stage_grant*!
INSERT INTO temp.staged_grants (
    subject_id, new_number, controller, subject_grant_id, purpose, basis, channel, evidence, source, since, until,
    kind, at, body
) VALUES (
    :subject_id, seal_number(:new_number), :controller, :subject_grant_id, :purpose, :basis, :channel,
    seal_proof(:evidence), :source, :since, :until, :kind, :at, :body
);

-- name: stage_grant_ending*!
INSERT INTO temp.staged_grants (
    subject_id, new_number, controller, grant_ending_id, state, purpose, reason, source, since, kind, at, body
) VALUES (
    :subject_id, seal_number(:new_number), :controller, :grant_ending_id, :state, :purpose, :reason, :source, :since,
    :kind, :at, :body
);

-- name: add_staged_grant_subjects()!
INSERT INTO subjects (subject_id, controller, number)
SELECT subject_id, controller, new_number FROM temp.staged_grants WHERE new_number IS NOT NULL ORDER BY subject_id;

-- name: add_staged_grants()!
INSERT INTO subject_grants (
    subject_grant_id, controller, subject_id, purpose, basis, channel, evidence, source, since, until
)
SELECT subject_grant_id, controller, subject_id, purpose, basis, channel, evidence, source, since, until
FROM temp.staged_grants WHERE subject_grant_id IS NOT NULL ORDER BY subject_id;

-- name: add_staged_grant_endings()!
INSERT INTO grant_endings (grant_ending_id, controller, subject_id, state, purpose, reason, source, at)
SELECT grant_ending_id, controller, subject_id, state, purpose, reason, source, since
FROM temp.staged_grants WHERE grant_ending_id IS NOT NULL ORDER BY subject_id;

-- name: staged_grant_evidence()
SELECT controller, subject_id, kind, at, body FROM temp.staged_grants ORDER BY subject_id;

-- name: same_grants(subject_id, purpose, basis, channel, evidence, since, until)
SELECT subject_grant_id FROM subject_grants
WHERE subject_id = :subject_id AND purpose = :purpose AND basis = :basis AND channel = :channel
    AND open_text(evidence) = :evidence AND since = :since AND COALESCE(until, 0) = COALESCE(:until, 0);

-- name: same_grant_endings(subject_id, state, purpose, reason, at)
SELECT grant_ending_id FROM grant_endings
WHERE subject_id = :subject_id AND state = :state AND COALESCE(purpose, '') = COALESCE(:purpose, '')
    AND reason = :reason AND at = :at;

-- name: youngest_grant(subject_id, purpose)$
-- Of all purposes where purpose is NULL.
SELECT MAX(since) AS since FROM subject_grants
WHERE subject_id = :subject_id AND (CAST(:purpose AS TEXT) IS NULL OR purpose = :purpose);

-- name: subject_grants_of_number(controller, number)
-- Asked before each marketing dial.
SELECT s.subject_id, g.controller, open_text(s.number) AS number, g.purpose, g.basis, g.channel,
    open_text(g.evidence) AS evidence, g.source, g.since, g.until,
    (
        SELECT i.at FROM invalidated_grants AS x JOIN invalidations AS i ON i.invalidation_id = x.invalidation_id
        WHERE x.subject_grant_id = g.subject_grant_id
    ) AS at
FROM subjects AS s JOIN subject_grants AS g ON g.subject_id = s.subject_id
WHERE s.controller = :controller AND s.number IN (seal_number(:number), :number)
ORDER BY g.since DESC, g.subject_grant_id DESC;

-- name: subject_grants_listed(controller, number)
-- Of all controllers where controller is NULL, of all numbers where number is NULL; of nobody who is erased.
SELECT s.subject_id, g.controller, open_text(s.number) AS number, g.purpose, g.basis, g.channel,
    open_text(g.evidence) AS evidence, g.source, g.since, g.until,
    (
        SELECT i.at FROM invalidated_grants AS x JOIN invalidations AS i ON i.invalidation_id = x.invalidation_id
        WHERE x.subject_grant_id = g.subject_grant_id
    ) AS at
FROM subject_grants AS g JOIN subjects AS s ON s.subject_id = g.subject_id
WHERE s.number IS NOT NULL AND (CAST(:controller AS TEXT) IS NULL OR g.controller = :controller)
    AND (CAST(:number AS TEXT) IS NULL OR s.number IN (seal_number(:number), :number))
ORDER BY g.since DESC, g.subject_grant_id DESC;

-- name: defective_grants(controller, source, purpose, evidence, since, until)
-- The consents that were kept in one way, and not invalidated yet; `evidence` is what theirs begins with.
SELECT g.subject_grant_id, g.controller, g.subject_id, g.purpose
FROM subject_grants AS g
WHERE g.controller = :controller AND g.source = :source AND g.basis = 'consent'
    AND (CAST(:purpose AS TEXT) IS NULL OR g.purpose = :purpose)
    AND (CAST(:evidence AS TEXT) IS NULL OR substr(open_text(g.evidence), 1, length(:evidence)) = :evidence)
    AND g.since >= :since AND g.since < :until
    AND NOT EXISTS (SELECT 1 FROM invalidated_grants AS x WHERE x.subject_grant_id = g.subject_grant_id)
ORDER BY g.subject_grant_id;

-- name: defective_answers(controller, version)
-- The consents that were given in calls after this version of the notice, and stand; and whether there is a recording.
SELECT g.leg_id, l.call_id, g.controller, g.purpose, r.state, r.destroying_at, l.recording, l.recording_ended_at
FROM grants AS g
JOIN legs AS l ON l.leg_id = g.leg_id
LEFT JOIN recordings AS r ON r.leg_id = g.leg_id
WHERE g.controller = :controller AND g.notice_version = :version AND g.basis = 'consent' AND g.state = 'given'
    AND NOT EXISTS (
        SELECT 1 FROM grants AS later
        WHERE later.leg_id = g.leg_id AND later.purpose = g.purpose AND later.grant_id > g.grant_id
    )
ORDER BY g.leg_id, g.grant_id;

-- name: add_invalidation(invalidation_id, controller, notice_version, reason, at)!
INSERT INTO invalidations (invalidation_id, controller, notice_version, reason, at)
VALUES (:invalidation_id, :controller, :notice_version, seal_proof(:reason), :at);

-- name: add_invalidated_grant*!
INSERT INTO invalidated_grants (subject_grant_id, invalidation_id) VALUES (:subject_grant_id, :invalidation_id);

-- name: invalidated_notices(controller, version)
SELECT invalidation_id FROM invalidations WHERE controller = :controller AND notice_version = :version;

-- name: last_notices(controller)
-- What each subject of a number knows of the controller's notice, by the last one that they heard whole.
SELECT open_text(s.number) AS number, (
    SELECT i.knows FROM informed AS i
    WHERE i.subject_id = s.subject_id AND i.whole = 1 AND i.form <> 'change'
        AND NOT EXISTS (
            SELECT 1 FROM invalidations AS x WHERE x.controller = i.controller AND x.notice_version = i.version
        )
    ORDER BY i.at DESC, i.informed_id DESC LIMIT 1
) AS knows
FROM subjects AS s WHERE s.controller = :controller AND s.number IS NOT NULL;

-- name: last_notice_of_leg(leg_id)
-- As last_notices, of the leg's subject, whose number may be withheld.
SELECT i.knows
FROM legs AS l JOIN informed AS i ON i.subject_id = l.subject_id
WHERE l.leg_id = :leg_id AND i.whole = 1 AND i.form <> 'change'
    AND NOT EXISTS (
        SELECT 1 FROM invalidations AS x WHERE x.controller = i.controller AND x.notice_version = i.version
    )
ORDER BY i.at DESC, i.informed_id DESC LIMIT 1;

-- name: endings_of_number(controller, number)
-- What ends grants of their own, and opt-outs that were meant, whether they are in force or not. An opt-out that anybody
-- may have typed denies while it is in force and takes nothing back.
SELECT state, purpose, at, NULL AS scope FROM grant_endings
WHERE subject_id IN (
    SELECT subject_id FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number)
)
UNION ALL
SELECT NULL, purpose, since, scope FROM opt_outs
WHERE undone = 0 AND source <> 'typed_unverified' AND subject_id IN (
    SELECT subject_id FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number)
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
    WHERE l.controller = :controller
);

-- name: endings_listed()
-- As endings_of_number, of everybody who has grants.
SELECT subject_id, state, purpose, at, NULL AS scope FROM grant_endings
UNION ALL
SELECT subject_id, NULL, purpose, since, scope FROM opt_outs
WHERE undone = 0 AND source <> 'typed_unverified'
    AND subject_id IN (SELECT g.subject_id FROM subject_grants AS g)
UNION ALL
SELECT s.subject_id, NULL, o.purpose, o.since, o.scope
FROM subjects AS s
JOIN block_prefix_lengths AS l ON l.controller = s.controller
CROSS JOIN block_prefixes AS b ON b.controller = l.controller AND l.length <= length(open_text(s.number))
    AND b.prefix IN (seal_number(substr(open_text(s.number), 1, l.length)), substr(open_text(s.number), 1, l.length))
    AND (b.number_length IS NULL OR b.number_length = length(open_text(s.number)))
JOIN opt_outs AS o ON o.subject_id = b.subject_id
WHERE o.undone = 0 AND o.source <> 'typed_unverified'
    AND s.subject_id IN (SELECT g.subject_id FROM subject_grants AS g);
