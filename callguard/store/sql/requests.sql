-- name: pending_of_subject(subject_id, kind)
SELECT request_id FROM requests
WHERE subject_id = :subject_id AND kind = :kind AND state IN ('open', 'identified', 'approved')
ORDER BY received_at, request_id;

-- name: add_request(request_id, controller, subject_id, call_id, kind, channel, received_at, due_at)!
INSERT INTO requests (request_id, controller, subject_id, call_id, kind, channel, state, received_at, due_at)
VALUES (:request_id, :controller, :subject_id, :call_id, :kind, :channel, 'open', :received_at, :due_at);

-- name: add_correction*!
INSERT INTO corrections (correction_id, request_id, subject_id, call_id, what, value)
VALUES (:correction_id, :request_id, :subject_id, :call_id, :what, seal_content(:value));

-- name: add_request_step(request_id, step, at, reason)!
INSERT INTO request_steps (request_id, number, step, at, reason)
SELECT :request_id, COALESCE(MAX(number), 0) + 1, :step, :at, seal_content(:reason) FROM request_steps
WHERE request_id = :request_id;

-- name: set_request(request_id, state, identity, due_at, extended_at, ended_at)!
UPDATE requests SET
    state = :state, identity = :identity, due_at = :due_at, extended_at = :extended_at, ended_at = :ended_at
WHERE request_id = :request_id;

-- name: request(request_id)
SELECT
    q.request_id, q.controller, q.subject_id, open_text(s.number) AS number, s.erased_at, q.call_id, q.kind, q.channel,
    q.state, q.identity, q.received_at, q.due_at, q.extended_at, q.ended_at
FROM requests AS q JOIN subjects AS s ON s.subject_id = q.subject_id
WHERE q.request_id = :request_id;

-- name: requests_listed(controller, number, pending)
-- The pending ones first, the one that is due first before all; of all controllers, or numbers, where that is NULL.
SELECT
    q.request_id, q.controller, q.subject_id, open_text(s.number) AS number, s.erased_at, q.call_id, q.kind, q.channel,
    q.state, q.identity, q.received_at, q.due_at, q.extended_at, q.ended_at
FROM requests AS q JOIN subjects AS s ON s.subject_id = q.subject_id
WHERE (CAST(:controller AS TEXT) IS NULL OR q.controller = :controller)
    AND (CAST(:number AS TEXT) IS NULL OR s.number IN (seal_number(:number), :number))
    AND (:pending = 0 OR q.state IN ('open', 'identified', 'approved'))
ORDER BY q.state NOT IN ('open', 'identified', 'approved'), q.due_at, q.request_id;

-- name: requests_of_subject(subject_id)
SELECT
    q.request_id, q.controller, q.subject_id, open_text(s.number) AS number, s.erased_at, q.call_id, q.kind, q.channel,
    q.state, q.identity, q.received_at, q.due_at, q.extended_at, q.ended_at
FROM requests AS q JOIN subjects AS s ON s.subject_id = q.subject_id
WHERE q.subject_id = :subject_id ORDER BY q.received_at, q.request_id;

-- name: due_requests(by)$
SELECT COUNT(*) AS requests FROM requests
WHERE state IN ('open', 'identified', 'approved') AND due_at <= :by;

-- name: steps_of_request(request_id)
-- Who took each is said by its entry alone.
SELECT s.step, s.at, open_text(s.reason) AS reason, (
    SELECT COALESCE(open_text(a.name), a.actor_id)
    FROM requests AS q
    JOIN subject_evidence AS e ON e.subject_id = q.subject_id AND e.at = s.at AND e.kind LIKE 'request.%'
    JOIN ledger AS entry ON entry.seq = e.seq AND json_extract(entry.body, '$.request') = s.request_id
    JOIN actors AS a ON a.actor_id = json_extract(entry.body, '$.actor')
    WHERE q.request_id = s.request_id LIMIT 1
) AS who
FROM request_steps AS s WHERE s.request_id = :request_id ORDER BY s.number;

-- name: corrections_of_request(request_id)
SELECT correction_id, what, open_text(value) AS value, call_id, at FROM corrections WHERE request_id = :request_id ORDER BY rowid;

-- name: corrections_of_subject(subject_id)
SELECT what, open_text(value) AS value, call_id, at FROM corrections
WHERE subject_id = :subject_id AND at IS NOT NULL ORDER BY at, rowid;

-- name: set_corrected(correction_id, at)!
UPDATE corrections SET at = :at WHERE correction_id = :correction_id AND at IS NULL;

-- name: set_name(subject_id, name)!
UPDATE subjects SET name = seal_content(:name) WHERE subject_id = :subject_id AND erased_at IS NULL;

-- name: recordings_to_restrict(subject_id)
-- Kept ones that are not being destroyed.
SELECT l.call_id, l.leg_id FROM legs AS l JOIN recordings AS r ON r.leg_id = l.leg_id
WHERE l.subject_id = :subject_id AND r.state = 'kept' AND r.destroying_at IS NULL
ORDER BY l.started_at, l.leg_id;
