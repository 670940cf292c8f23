-- What callguard acts upon stands in rows beside the ledger, and was added in the order of its entries: so both are gone
-- through side by side, without looking anything up. Each `…_rows` has a row's number, how its entry names it, how its entry
-- begins, what of it alone stands at the entry's end, and what many entries say.

-- name: opt_out_rows(after, most)
SELECT
    rowid, CAST('"opt_out":"' || opt_out_id || '"' AS BLOB), x'', x'',
    scope, source, since, until, campaign, purpose, undone
FROM opt_outs WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: leg_rows(after, most)
SELECT
    rowid, CAST('"leg":"' || leg_id || '"' AS BLOB), x'', CAST('"leg":"' || leg_id || '"' AS BLOB),
    outcome, granted, recording, profile
FROM legs WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: decision_rows(after, most)
SELECT
    rowid, CAST('"decision":"' || decision_id || '"' AS BLOB),
    CAST(
        '{"allow":' || CASE allow WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE '' END || ',"at":' || at || ',"call":"' || call_id
        || '","controller":"' || controller || '","decision":"' || decision_id || '",' AS BLOB
    ), x'', rules, profile
FROM decisions WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: subject_grant_rows(after, most)
SELECT
    rowid, CAST('"grant":"' || subject_grant_id || '"' AS BLOB), x'', x'',
    basis, channel, purpose, since, source, until
FROM subject_grants WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: grant_ending_rows(after, most)
SELECT
    rowid, CAST('"ending":"' || grant_ending_id || '"' AS BLOB), x'', x'', at, purpose, reason, source, state
FROM grant_endings WHERE rowid > :after ORDER BY rowid LIMIT :most;

-- name: recording_rows(after, most)
-- Where there are no files, what no entry says.
SELECT r.rowid, CAST('"leg":"' || r.leg_id || '"' AS BLOB), x'', (
    SELECT CAST(
        '"files":['
        || COALESCE(group_concat('{"name":"' || name || '","sha256":"' || sha256 || '","size":' || size || '}'), 'none')
        || '],"format":1,"kind":"recording.kept","leg":"' || r.leg_id || '"' AS BLOB
    )
    FROM recording_files WHERE leg_id = r.leg_id
)
FROM recordings AS r WHERE r.rowid > :after ORDER BY r.rowid LIMIT :most;

-- name: happened_beside(first, end)
-- What happened to legs and their recordings, with what has become of it.
SELECT e.seq, e.kind, CAST('"leg":"' || e.leg_id || '"' AS BLOB), r.state
FROM evidence AS e LEFT JOIN recordings AS r ON r.leg_id = e.leg_id
WHERE e.seq >= :first AND e.seq < :end AND e.kind IN (
    'consent.given', 'withdrawn', 'recording.destroyed', 'recording.paused', 'recording.resumed'
);

-- name: segments_beside(first, end)
-- How the entries that ended and began a part begin and end, if they are as the rows of their legs say.
SELECT e.seq, CAST('{"at":' || s.ended_at || ',"call":' AS BLOB), CAST('"segment":' || s.number || ',"why":"' || s.ended_why || '"}' AS BLOB),
    CAST('"cut_ms":' || s.cut_ms || ',"format":' AS BLOB), CAST('"leg":"' || e.leg_id || '"' AS BLOB)
FROM evidence AS e JOIN segments AS s ON s.leg_id = e.leg_id
WHERE e.seq >= :first AND e.seq < :end AND e.kind = 'recording.paused'
UNION ALL
SELECT e.seq, CAST('{"at":' || s.began_at || ',"call":' AS BLOB), CAST('"segment":' || s.number || ',"why":"' || s.began_why || '"}' AS BLOB),
    x'', CAST('"leg":"' || e.leg_id || '"' AS BLOB)
FROM evidence AS e JOIN segments AS s ON s.leg_id = e.leg_id
WHERE e.seq >= :first AND e.seq < :end AND e.kind = 'recording.resumed';

-- name: entries_of_kind(first, end, kind)
SELECT seq FROM evidence WHERE seq >= :first AND seq < :end AND kind = :kind ORDER BY seq;

-- name: subject_entries_beside(first, end)
SELECT seq, kind FROM subject_evidence
WHERE seq >= :first AND seq < :end AND kind IN (
    'dial.decided', 'optout.added', 'optout.ended', 'grant.given', 'grant.ended'
);

-- name: segment_beside(id, number)^
SELECT began_at, began_why, ended_at, ended_why, cut_ms FROM segments WHERE leg_id = :id AND number = :number;

-- name: segment_entries(leg_id, before)
-- The leg's entries before that one, of its segments and of what began them anew.
SELECT CAST(entry.body AS BLOB) AS body
FROM evidence AS e JOIN ledger AS entry ON entry.seq = e.seq
WHERE e.leg_id = :leg_id AND e.seq < :before
    AND e.kind IN ('consent.given', 'recording.paused', 'recording.resumed')
ORDER BY e.seq;

-- name: segments_without_entry()
SELECT s.leg_id FROM segments AS s
WHERE NOT EXISTS (
    SELECT 1 FROM evidence AS e
    WHERE e.leg_id = s.leg_id AND e.kind IN ('recording.paused', 'recording.resumed')
);

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
