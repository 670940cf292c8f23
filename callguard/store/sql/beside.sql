-- What callguard acts upon stands in rows beside the ledger, and was added in the order of its entries: so both are gone
-- through side by side, without looking anything up. Each `…_rows` has a row's number, its id, and what its entry says too.

-- name: opt_out_rows(after, most)
SELECT rowid, opt_out_id, since, scope, source, until, campaign, purpose
FROM opt_outs WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: leg_rows(after, most)
SELECT rowid, leg_id, outcome, granted, recording, profile FROM legs WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: decision_rows(after, most)
SELECT rowid, decision_id, allow, rules, profile FROM decisions WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: subject_grant_rows(after, most)
SELECT rowid, subject_grant_id, basis, channel, purpose, since, source, until
FROM subject_grants WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: grant_ending_rows(after, most)
SELECT rowid, grant_ending_id, at, purpose, reason, source, state
FROM grant_endings WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: opt_out_beside(id)^
SELECT scope, purpose, campaign, source, since, until, undone FROM opt_outs WHERE opt_out_id = :id;

-- name: leg_beside(id)^
SELECT outcome, granted, recording, withdrawn_at FROM legs WHERE leg_id = :id;

-- name: decision_beside(id)^
SELECT allow, rules, profile, call_id AS "call", at FROM decisions WHERE decision_id = :id;

-- name: subject_grant_beside(id)^
SELECT purpose, basis, channel, source, since, until FROM subject_grants WHERE subject_grant_id = :id;

-- name: grant_ending_beside(id)^
SELECT state, purpose, reason, source, at AS ended_at FROM grant_endings WHERE grant_ending_id = :id;

-- name: recording_beside(id)^
SELECT
    r.state, (
        SELECT json_group_array(json_object('name', f.name, 'sha256', f.sha256, 'size', f.size))
        FROM recording_files AS f WHERE f.leg_id = r.leg_id
    ) AS files
FROM recordings AS r WHERE r.leg_id = :id;
