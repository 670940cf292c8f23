-- name: subject_of(controller, number)^
SELECT subject_id FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number);

-- name: add_subject_evidence*!
INSERT INTO subject_evidence (seq, controller, subject_id, call_id, kind, at)
VALUES (:seq, :controller, :subject_id, :call_id, :kind, :at);

-- name: add_opt_out(opt_out_id, controller, subject_id, scope, purpose, campaign, source, reason, since, until)!
INSERT INTO opt_outs (opt_out_id, controller, subject_id, scope, purpose, campaign, source, reason, since, until)
VALUES (:opt_out_id, :controller, :subject_id, :scope, :purpose, :campaign, :source, seal_content(:reason),
    :since, :until);

-- name: same_opt_outs(subject_id, scope, purpose, campaign, at)
-- The active ones of exactly this scope.
SELECT opt_out_id, source, until FROM opt_outs
WHERE subject_id = :subject_id AND scope = :scope
    AND COALESCE(purpose, '') = COALESCE(:purpose, '') AND COALESCE(campaign, '') = COALESCE(:campaign, '')
    AND since <= :at AND (until IS NULL OR until > :at)
ORDER BY opt_out_id;

-- name: end_opt_out(opt_out_id, at, undone)!
UPDATE opt_outs SET until = :at, undone = :undone WHERE opt_out_id = :opt_out_id;

-- name: opt_outs_of_number(controller, number, at)
-- Those of blocks too that it is in, as in all that are asked by number.
SELECT o.controller, open_text(s.number) AS number, o.scope, o.purpose, o.campaign, o.source,
    open_text(o.reason) AS reason, o.since, o.until
FROM subjects AS s JOIN opt_outs AS o ON o.subject_id = s.subject_id
WHERE o.subject_id IN (
    SELECT subject_id FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number)
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
    WHERE l.controller = :controller
)
    AND o.since <= :at AND (o.until IS NULL OR o.until > :at)
ORDER BY o.since DESC, o.opt_out_id DESC;

-- name: may_be_known(controller, number)
-- Asked first: of most numbers that are dialled nothing is known, and then nothing else has to be asked.
SELECT 1 FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number)
UNION ALL
SELECT 1 FROM block_prefix_lengths WHERE controller = :controller
LIMIT 1;

-- name: known_of_number(controller, number, at, since)
-- Asked before each dial, in one: the opt-outs that have not ended, also what has begun by a clock that was set back since,
-- grants, and what ends them, and as looked_back. Without `since` nothing is looked for in the time before.
-- A block's opt-outs are those of each number in it; a block is found by the few prefixes that there are of its numbers.
-- In no order: to sort here costs more than all of it, and mostly there is one row of a kind.
WITH one AS MATERIALIZED (
    SELECT subject_id, controller, :number AS number FROM subjects
    WHERE controller = :controller AND number IN (seal_number(:number), :number)
),
whose AS MATERIALIZED (
    SELECT subject_id FROM one
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
    WHERE l.controller = :controller
)
SELECT 'opt_out' AS what, s.controller, open_text(s.number) AS number, o.scope, o.purpose, o.campaign, o.source,
    open_text(o.reason) AS reason, o.since, o.until, NULL AS basis, NULL AS channel, NULL AS evidence, NULL AS state,
    NULL AS at, o.opt_out_id AS id
FROM whose JOIN opt_outs AS o ON o.subject_id = whose.subject_id JOIN subjects AS s ON s.subject_id = o.subject_id
WHERE o.until IS NULL OR o.until > :at
UNION ALL
SELECT 'grant', one.controller, one.number, NULL, g.purpose, NULL, g.source, NULL, g.since,
    g.until, g.basis, g.channel, open_text(g.evidence), NULL,
    (
        SELECT i.at FROM invalidated_grants AS x JOIN invalidations AS i ON i.invalidation_id = x.invalidation_id
        WHERE x.subject_grant_id = g.subject_grant_id
    ), g.subject_grant_id
FROM one JOIN subject_grants AS g ON g.subject_id = one.subject_id
UNION ALL
SELECT 'ending', NULL, NULL, NULL, e.purpose, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, e.state, e.at, NULL
FROM one JOIN grant_endings AS e ON e.subject_id = one.subject_id
UNION ALL
SELECT 'ending', NULL, NULL, o.scope, o.purpose, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, o.since, NULL
FROM whose JOIN opt_outs AS o ON o.subject_id = whose.subject_id
WHERE o.undone = 0 AND o.source <> 'typed_unverified'
UNION ALL
SELECT 'attempt', NULL, NULL, NULL, NULL, NULL, NULL, NULL, d.at, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM one JOIN decisions AS d ON d.subject_id = one.subject_id
WHERE :since IS NOT NULL AND d.at > :since AND d.allow = 1 AND json_extract(d.facts, '$.calls') = 'marketing'
UNION ALL
SELECT 'refusal', NULL, NULL, NULL, NULL, NULL, NULL, NULL, o.since, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM whose JOIN opt_outs AS o ON o.subject_id = whose.subject_id
WHERE :since IS NOT NULL AND o.since > :since AND o.undone = 0;

-- name: opt_outs_listed(controller, number, at)
-- Of all controllers where controller is NULL, of all numbers where number is NULL; of nobody who is erased.
SELECT o.controller, open_text(s.number) AS number, o.scope, o.purpose, o.campaign, o.source,
    open_text(o.reason) AS reason, o.since, o.until
FROM opt_outs AS o JOIN subjects AS s ON s.subject_id = o.subject_id
WHERE s.number IS NOT NULL AND (CAST(:controller AS TEXT) IS NULL OR o.controller = :controller)
    AND (CAST(:number AS TEXT) IS NULL OR s.number IN (seal_number(:number), :number) OR s.subject_id IN (
        SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
    ))
    AND o.since <= :at AND (o.until IS NULL OR o.until > :at)
ORDER BY o.since DESC, o.opt_out_id DESC;

-- name: remembered(controller, number, since)
-- Asked once in every call. A subject's last answer by key, where it is a no: nothing else is an answer, no silence, no
-- withdrawal. And the languages that were chosen by key, the latest first.
SELECT g.purpose, g.notice_version, NULL AS language, g.valid_from AS at
FROM subjects AS s JOIN grants AS g ON g.subject_id = s.subject_id
WHERE s.controller = :controller AND s.number IN (seal_number(:number), :number)
    AND g.state = 'refused' AND g.reason = 'key' AND g.valid_from >= :since
    AND NOT EXISTS (
        SELECT 1 FROM grants AS later
        WHERE later.subject_id = g.subject_id AND later.purpose = g.purpose
            AND later.reason = 'key' AND later.state IN ('given', 'refused')
            AND (later.valid_from > g.valid_from
                OR (later.valid_from = g.valid_from AND later.grant_id > g.grant_id))
    )
UNION ALL
SELECT NULL, NULL, l.language, MAX(l.saved_at)
FROM subjects AS s JOIN legs AS l ON l.subject_id = s.subject_id
WHERE s.controller = :controller AND s.number IN (seal_number(:number), :number)
    AND l.language_chosen = 1 AND l.saved_at >= :since
GROUP BY l.language
ORDER BY at DESC;

-- name: informed_before(controller, number, profile)
-- What was heard whole of a profile's notice (of any, without one) in earlier calls, the latest first; nothing of a version that was found to be
-- wrong. Asked where it matters: of so many that who calls often costs no more.
SELECT l.call_id, i.form, i.version, i.sha256, i.knows, i.at
FROM subjects AS s
JOIN informed AS i ON i.subject_id = s.subject_id
JOIN legs AS l ON l.leg_id = i.leg_id
WHERE s.controller = :controller AND s.number IN (seal_number(:number), :number) AND (:profile IS NULL OR i.profile = :profile)
    AND i.whole = 1 AND i.form <> 'change'
    AND NOT EXISTS (
        SELECT 1 FROM invalidations AS x WHERE x.controller = i.controller AND x.notice_version = i.version
    )
ORDER BY i.at DESC, i.informed_id DESC
LIMIT 100;

-- name: decision_of_call(call_id)^
SELECT decision_id FROM decisions WHERE call_id = :call_id;

-- name: add_decision(decision_id, call_id, controller, subject_id, profile, at, allow, rules, facts)!
INSERT INTO decisions (decision_id, call_id, controller, subject_id, profile, at, allow, rules, facts)
VALUES (:decision_id, :call_id, :controller, :subject_id, :profile, :at, :allow, :rules, CASE
    WHEN json_extract(:facts, '$.caller_id.number') IS NULL THEN :facts
    ELSE json_set(:facts, '$.caller_id.number', seal_proof(json_extract(:facts, '$.caller_id.number')))
END);

-- name: decision_of_call(call_id)
SELECT decision_id, call_id, controller, subject_id, profile, at, allow, rules, open_json(facts) AS facts
FROM decisions WHERE call_id = :call_id;

-- name: looked_back(controller, number, since)
-- When the number was allowed to be called for marketing, and when it was opted out, whether or not that has ended. What
-- was undone was no refusal.
SELECT d.at AS attempt, NULL AS refusal
FROM subjects AS s JOIN decisions AS d ON d.subject_id = s.subject_id
WHERE s.controller = :controller AND s.number IN (seal_number(:number), :number)
    AND d.allow = 1 AND d.at > :since AND json_extract(d.facts, '$.calls') = 'marketing'
UNION ALL
SELECT NULL, o.since
FROM opt_outs AS o
WHERE o.subject_id IN (
    SELECT subject_id FROM subjects WHERE controller = :controller AND number IN (seal_number(:number), :number)
    UNION ALL
    SELECT b.subject_id FROM block_prefix_lengths AS l CROSS JOIN block_prefixes AS b
        ON b.controller = l.controller AND l.length <= length(:number)
            AND b.prefix IN (seal_number(substr(:number, 1, l.length)), substr(:number, 1, l.length))
        AND (b.number_length IS NULL OR b.number_length = length(:number))
    WHERE l.controller = :controller
) AND o.since > :since AND o.undone = 0;

-- name: was_allowed(number, since, until)^
SELECT d.decision_id FROM decisions AS d JOIN subjects AS s ON s.subject_id = d.subject_id
WHERE s.number IN (seal_number(:number), :number) AND d.allow = 1 AND d.at BETWEEN :since AND :until LIMIT 1;

-- name: latest_decisions(limit)
SELECT decision_id, call_id, controller, subject_id, profile, at, allow, rules, open_json(facts) AS facts
FROM decisions ORDER BY at DESC, decision_id DESC LIMIT :limit;

-- name: decisions_since(since)
-- Oldest first, each with its subject's number.
SELECT d.decision_id, d.call_id, d.controller, d.subject_id, d.profile, d.at, d.allow, d.rules,
    open_json(d.facts) AS facts, open_text(s.number) AS number
FROM decisions AS d LEFT JOIN subjects AS s ON s.subject_id = d.subject_id
WHERE d.at >= :since ORDER BY d.at, d.decision_id;

-- name: count_decisions(since)
SELECT COUNT(*) AS decisions FROM decisions WHERE at >= :since;
