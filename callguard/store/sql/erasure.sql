-- name: subject_to_erase(subject_id)^
SELECT subject_id, controller, open_text(number) AS number, open_text(name) AS name, erased_at
FROM subjects WHERE subject_id = :subject_id;

-- name: not_erased(ids)
-- `ids` is a JSON array.
SELECT subject_id FROM subjects
WHERE erased_at IS NULL AND subject_id IN (SELECT value FROM json_each(:ids)) ORDER BY subject_id;

-- name: legs_to_erase(subject_id, now)
-- `recording_state` is NULL where nothing was captured; `held` while it may not be destroyed.
SELECT
    l.leg_id, l.call_id, l.channel, l.linkedid, l.started_at, l.recording, l.recording_ended_at,
    r.state AS recording_state, r.reason,
    EXISTS (
        SELECT 1 FROM recording_holds AS h
        WHERE h.leg_id = l.leg_id AND (h.until IS NULL OR h.until > :now)
            AND NOT EXISTS (SELECT 1 FROM recording_releases AS x WHERE x.hold_id = h.hold_id)
    ) AS held
FROM legs AS l LEFT JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE l.subject_id = :subject_id ORDER BY l.started_at, l.leg_id;

-- name: set_erased(subject_id, at)!
UPDATE subjects SET number = NULL, name = NULL, erased_at = COALESCE(erased_at, :at) WHERE subject_id = :subject_id;

-- name: erase_channel(leg_id)
-- Of the call record (CDR), which has the number, by the name of the channel.
UPDATE legs SET channel = :leg_id WHERE leg_id = :leg_id AND channel <> :leg_id
RETURNING 1;

-- name: erase_linkedid(linkedid, another, since, until)!
-- Of all legs of the call alike: who was in one call is known by it.
UPDATE legs SET linkedid = :another
WHERE started_at BETWEEN :since AND :until AND linkedid = :linkedid;

-- name: erase_facts(subject_id, number)
UPDATE decisions SET facts = json_set(facts, '$.caller_id.number', NULL)
WHERE subject_id = :subject_id AND open_text(json_extract(facts, '$.caller_id.number')) = :number
RETURNING 1;

-- name: erase_evidence_of_grants(subject_id)
UPDATE subject_grants SET evidence = NULL WHERE subject_id = :subject_id AND evidence IS NOT NULL
RETURNING subject_grant_id;

-- name: erase_words_of_opt_outs(subject_id)
UPDATE opt_outs SET reason = NULL WHERE subject_id = :subject_id AND reason IS NOT NULL
RETURNING 1;

-- name: erase_words_of_holds(subject_id)
UPDATE recording_holds SET reason = NULL
WHERE leg_id IN (SELECT leg_id FROM legs WHERE subject_id = :subject_id) AND reason IS NOT NULL
RETURNING 1;

-- name: erase_words_of_releases(subject_id)
UPDATE recording_releases SET reason = NULL
WHERE reason IS NOT NULL AND hold_id IN (
    SELECT h.hold_id FROM legs AS l JOIN recording_holds AS h ON h.leg_id = l.leg_id WHERE l.subject_id = :subject_id
)
RETURNING 1;

-- name: erase_words_of_marks(subject_id)
UPDATE unlawful_recordings SET reason = NULL
WHERE leg_id IN (SELECT leg_id FROM legs WHERE subject_id = :subject_id) AND reason IS NOT NULL
RETURNING 1;

-- name: erase_words_of_requests(subject_id)
UPDATE request_steps SET reason = NULL
WHERE reason IS NOT NULL AND request_id IN (SELECT request_id FROM requests WHERE subject_id = :subject_id)
RETURNING 1;

-- name: erase_corrections(subject_id)
UPDATE corrections SET value = NULL WHERE subject_id = :subject_id AND value IS NOT NULL
RETURNING 1;

-- name: erase_links_to_evidence(subject_id)
-- The entries stay, and with them all proofs; whose they were is not known any more.
UPDATE subject_evidence SET subject_id = NULL WHERE subject_id = :subject_id RETURNING seq;

-- name: forget_content_key(subject_id)
DELETE FROM content_keys WHERE subject_id = :subject_id RETURNING content_key_id;

-- name: forget_content_key_of_erased(leg_id)!
-- Once nothing of an erased subject is kept any more, not for a hold either.
DELETE FROM content_keys WHERE subject_id = (
    SELECT s.subject_id FROM legs AS l JOIN subjects AS s ON s.subject_id = l.subject_id
    WHERE l.leg_id = :leg_id AND s.erased_at IS NOT NULL
) AND NOT EXISTS (
    SELECT 1 FROM legs AS o JOIN recordings AS r ON r.leg_id = o.leg_id
    WHERE o.subject_id = content_keys.subject_id AND r.state = 'kept'
);

-- name: opt_outs_in_force(subject_id, at)
SELECT opt_out_id, scope, source, until FROM opt_outs
WHERE subject_id = :subject_id AND (until IS NULL OR until > :at);

-- name: move_opt_out(opt_out_id, subject_id)!
UPDATE opt_outs SET subject_id = :subject_id, reason = NULL WHERE opt_out_id = :opt_out_id;

-- name: restrict_subject(subject_id, controller, number, why, until)!
INSERT INTO restricted_subjects (subject_id, controller, number, why, until)
VALUES (:subject_id, :controller, seal_number(:number), :why, :until) ON CONFLICT (subject_id) DO NOTHING;

-- name: restrict_grants(subject_id)!
INSERT INTO restricted_grants (subject_grant_id, subject_id, evidence, seq)
SELECT g.subject_grant_id, g.subject_id, g.evidence, (
    SELECT e.seq FROM subject_evidence AS e JOIN ledger AS entry ON entry.seq = e.seq
    WHERE e.subject_id = g.subject_id AND e.kind = 'grant.given'
        AND json_extract(entry.body, '$.grant') = g.subject_grant_id
)
FROM subject_grants AS g WHERE g.subject_id = :subject_id AND g.basis = 'consent'
ON CONFLICT (subject_grant_id) DO NOTHING;

-- name: proofs_over(now)
SELECT 1 FROM restricted_subjects WHERE until <= :now LIMIT 1;

-- name: forget_restricted_grants(now)!
DELETE FROM restricted_grants
WHERE subject_id IN (SELECT subject_id FROM restricted_subjects WHERE until <= :now);

-- name: forget_restricted_subjects(now)
DELETE FROM restricted_subjects WHERE until <= :now RETURNING subject_id, controller;

-- name: restricted_of_number(controller, number)
-- Of all controllers where controller is NULL; there are few.
SELECT r.subject_id, r.controller, open_text(r.number) AS number, r.why, r.until
FROM controllers AS c CROSS JOIN restricted_subjects AS r
WHERE r.controller = c.controller AND r.number IN (seal_number(:number), :number)
    AND (CAST(:controller AS TEXT) IS NULL OR c.controller = :controller)
ORDER BY r.controller, r.until;

-- name: restricted_grants_of(subject_id)
-- What was granted, where its proof is, and the entry that proves it.
SELECT g.subject_id, g.controller, g.purpose, g.basis, g.channel, open_text(r.evidence) AS evidence, g.source, g.since,
    g.until, open_text(s.number) AS number, r.seq, (
        SELECT i.at FROM invalidated_grants AS x JOIN invalidations AS i ON i.invalidation_id = x.invalidation_id
        WHERE x.subject_grant_id = g.subject_grant_id
    ) AS at
FROM restricted_grants AS r
JOIN restricted_subjects AS s ON s.subject_id = r.subject_id
JOIN subject_grants AS g ON g.subject_grant_id = r.subject_grant_id
WHERE r.subject_id = :subject_id ORDER BY g.since, g.subject_grant_id;

-- name: last_marketing_consent(subject_id)
-- When a consent to marketing was given last, and when a call was allowed last that may have rested on it.
SELECT MAX(given) AS given, (
    SELECT MAX(d.at) FROM decisions AS d
    WHERE d.subject_id = :subject_id AND d.allow = 1 AND json_extract(d.facts, '$.calls') = 'marketing'
) AS used FROM (
    SELECT since AS given FROM subject_grants
    WHERE subject_id = :subject_id AND basis = 'consent' AND purpose LIKE 'marketing.%'
    UNION ALL
    SELECT valid_from FROM grants
    WHERE subject_id = :subject_id AND basis = 'consent' AND state = 'given' AND purpose LIKE 'marketing.%'
);
