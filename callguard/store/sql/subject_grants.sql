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
    :subject_id, :new_number, :controller, :subject_grant_id, :purpose, :basis, :channel, :evidence, :source, :since,
    :until, :kind, :at, :body
);

-- name: stage_grant_ending*!
INSERT INTO temp.staged_grants (
    subject_id, new_number, controller, grant_ending_id, state, purpose, reason, source, since, kind, at, body
) VALUES (
    :subject_id, :new_number, :controller, :grant_ending_id, :state, :purpose, :reason, :source, :since, :kind, :at,
    :body
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
    AND evidence = :evidence AND since = :since AND COALESCE(until, 0) = COALESCE(:until, 0);

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
SELECT s.subject_id, g.controller, s.number, g.purpose, g.basis, g.channel, g.evidence, g.source, g.since, g.until
FROM subjects AS s JOIN subject_grants AS g ON g.subject_id = s.subject_id
WHERE s.controller = :controller AND s.number = :number
ORDER BY g.since DESC, g.subject_grant_id DESC;

-- name: subject_grants_listed(controller, number)
-- Of all controllers where controller is NULL, of all numbers where number is NULL.
SELECT s.subject_id, g.controller, s.number, g.purpose, g.basis, g.channel, g.evidence, g.source, g.since, g.until
FROM subject_grants AS g JOIN subjects AS s ON s.subject_id = g.subject_id
WHERE (CAST(:controller AS TEXT) IS NULL OR g.controller = :controller)
    AND (CAST(:number AS TEXT) IS NULL OR s.number = :number)
ORDER BY g.since DESC, g.subject_grant_id DESC;

-- name: endings_of_number(controller, number)
-- What ends grants of their own, and opt-outs that were meant, whether they are in force or not. An opt-out that anybody
-- may have typed denies while it is in force and takes nothing back.
SELECT state, purpose, at, NULL AS scope FROM grant_endings
WHERE subject_id IN (SELECT subject_id FROM subjects WHERE controller = :controller AND number = :number)
UNION ALL
SELECT NULL, purpose, since, scope FROM opt_outs
WHERE undone = 0 AND source <> 'typed_unverified' AND subject_id IN (
    SELECT subject_id FROM subjects WHERE controller = :controller AND number = :number
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller
        AND l.length <= length(:number) AND b.prefix = substr(:number, 1, l.length)
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
CROSS JOIN block_prefixes AS b ON b.controller = l.controller AND l.length <= length(s.number)
    AND b.prefix = substr(s.number, 1, l.length)
    AND (b.number_length IS NULL OR b.number_length = length(s.number))
JOIN opt_outs AS o ON o.subject_id = b.subject_id
WHERE o.undone = 0 AND o.source <> 'typed_unverified'
    AND s.subject_id IN (SELECT g.subject_id FROM subject_grants AS g);
