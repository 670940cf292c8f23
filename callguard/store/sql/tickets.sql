-- name: add_ticket(call_id, reference, at)
INSERT INTO call_tickets (call_id, reference, at) VALUES (:call_id, :reference, :at)
ON CONFLICT (call_id, reference) DO NOTHING
RETURNING 1;

-- name: tickets_of_call(call_id)
SELECT reference, at FROM call_tickets WHERE call_id = :call_id ORDER BY at, reference;

-- name: calls_of_ticket(reference)
SELECT call_id, at FROM call_tickets WHERE reference = :reference ORDER BY at, call_id;

-- name: erase_tickets(subject_id)
DELETE FROM call_tickets WHERE call_id IN (SELECT call_id FROM legs WHERE subject_id = :subject_id)
RETURNING 1;
