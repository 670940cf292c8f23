-- name: subjects_of_number(controller, number)
-- One for each controller that knows the number; of all controllers where controller is NULL. There are few controllers, and
-- for each the index of (controller, number) is asked: SQLite never turns the order of a CROSS JOIN.
SELECT s.subject_id, s.controller, open_text(s.number) AS number, open_text(s.name) AS name
FROM controllers AS c CROSS JOIN subjects AS s
WHERE s.controller = c.controller AND s.number IN (seal_number(:number), :number)
    AND (CAST(:controller AS TEXT) IS NULL OR c.controller = :controller)
ORDER BY s.controller;

-- name: legs_of_subject(subject_id)
SELECT
    leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction,
    started_at, saved_at, outcome, granted, recording, file, files, withdrawn_at, recording_ended_at, folder,
    (SELECT r.state FROM recordings AS r WHERE r.leg_id = legs.leg_id) AS recording_state
FROM legs WHERE subject_id = :subject_id ORDER BY started_at, leg_id;

-- name: grants_of_subject(subject_id)
SELECT leg_id, purpose, basis, state, valid_from, valid_until, reason, notice_version
FROM grants WHERE subject_id = :subject_id ORDER BY grant_id;

-- name: evidence_of_subjects_legs(subject_id)
SELECT e.leg_id, e.kind, e.at, entry.body
FROM legs AS l
JOIN evidence AS e ON e.leg_id = l.leg_id
JOIN ledger AS entry ON entry.seq = e.seq
WHERE l.subject_id = :subject_id ORDER BY e.seq;

-- name: recordings_of_subject(subject_id)
SELECT
    r.leg_id, l.call_id, r.controller, r.state, r.ended_at, r.duration_ms, r.destroy_at, r.destroyed_at,
    r.quarantined_at, r.reason, f.name, f.size, f.sha256, f.sealed_with
FROM legs AS l
JOIN recordings AS r ON r.leg_id = l.leg_id
LEFT JOIN recording_files AS f ON f.leg_id = r.leg_id
WHERE l.subject_id = :subject_id
ORDER BY r.leg_id, f.name;

-- name: segments_of_subject(subject_id)
SELECT s.leg_id, s.number, s.began_at, s.began_why, s.ended_at, s.ended_why, s.cut_ms
FROM legs AS l JOIN segments AS s ON s.leg_id = l.leg_id
WHERE l.subject_id = :subject_id ORDER BY s.leg_id, s.number;

-- name: incidents_of_subject(subject_id)
SELECT i.incident_id, i.controller, i.leg_id, l.call_id, i.kind, i.at, i.detail
FROM legs AS l JOIN incidents AS i ON i.leg_id = l.leg_id
WHERE l.subject_id = :subject_id ORDER BY i.at, i.incident_id;

-- name: decisions_of_subject(subject_id)
SELECT decision_id, call_id, controller, subject_id, profile, at, allow, rules, open_json(facts) AS facts
FROM decisions WHERE subject_id = :subject_id ORDER BY at, decision_id;

-- name: evidence_of_subject(subject_id)
-- Of what is no leg's.
SELECT e.kind, e.at, entry.body
FROM subject_evidence AS e JOIN ledger AS entry ON entry.seq = e.seq
WHERE e.subject_id = :subject_id ORDER BY e.seq;

-- name: others_in_call(leg_id, since, until)
-- Legs of other people in the same call, by its id or by what Asterisk groups calls by, among those of that time; and whoever
-- may be heard in the leg's recording, such as in a conference.
SELECT o.leg_id
FROM legs AS l JOIN legs AS o ON o.call_id = l.call_id
WHERE l.leg_id = :leg_id AND o.subject_id <> l.subject_id
UNION
SELECT o.leg_id
FROM legs AS l JOIN legs AS o ON o.started_at BETWEEN :since AND :until AND o.linkedid = l.linkedid
WHERE l.leg_id = :leg_id AND o.subject_id <> l.subject_id
UNION
SELECT c.other
FROM recorded_company AS c JOIN legs AS l ON l.leg_id = c.leg_id
LEFT JOIN legs AS o ON o.leg_id = c.other
WHERE c.leg_id = :leg_id AND o.subject_id IS NOT l.subject_id;

-- name: incidents_between(since, until)
-- Each with whose leg it concerns, and how many files of a recording there are.
SELECT
    i.incident_id, i.controller, i.leg_id, l.call_id, i.kind, i.at, i.detail, l.subject_id, r.state AS recording_state,
    (SELECT COUNT(*) FROM recording_files AS f WHERE f.leg_id = i.leg_id) AS files
FROM incidents AS i
LEFT JOIN legs AS l ON l.leg_id = i.leg_id
LEFT JOIN recordings AS r ON r.leg_id = i.leg_id
WHERE i.at >= :since AND i.at < :until
ORDER BY i.at, i.incident_id;

-- name: legs_between(since, until)
-- How many calls of each profile came to what.
SELECT controller, profile, direction, outcome, COUNT(*) AS legs, SUM(recording) AS recorded
FROM legs WHERE started_at >= :since AND started_at < :until
GROUP BY controller, profile, direction, outcome
ORDER BY controller, profile, direction, outcome;

-- name: answers_between(since, until)
-- What became of each purpose in those calls, and for what reason.
SELECT l.controller, l.profile, g.purpose, g.basis, g.state, g.reason, COUNT(*) AS answers
FROM legs AS l JOIN grants AS g ON g.leg_id = l.leg_id
WHERE l.started_at >= :since AND l.started_at < :until
GROUP BY l.controller, l.profile, g.purpose, g.basis, g.state, g.reason
ORDER BY l.controller, l.profile, g.purpose, g.basis, g.state, g.reason;

-- name: kept_between(since, until, now)
-- What is there of the recordings of those calls; overdue is what should be destroyed by now.
SELECT
    r.controller, r.state, COUNT(*) AS recordings, COALESCE(SUM(r.duration_ms), 0) AS duration_ms,
    SUM(CASE WHEN r.state = 'kept' AND r.destroy_at IS NULL THEN 1 ELSE 0 END) AS without_end,
    SUM(CASE WHEN r.state = 'kept' AND r.destroy_at <= :now THEN 1 ELSE 0 END) AS overdue
FROM legs AS l JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE l.started_at >= :since AND l.started_at < :until
GROUP BY r.controller, r.state
ORDER BY r.controller, r.state;

-- name: decisions_between(since, until)
SELECT controller, profile, allow, COUNT(*) AS decisions
FROM decisions WHERE at >= :since AND at < :until
GROUP BY controller, profile, allow
ORDER BY controller, profile, allow;
