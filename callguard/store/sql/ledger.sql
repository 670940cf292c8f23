-- name: ledger_size()$
SELECT COALESCE(MAX(seq) + 1, 0) AS size FROM ledger;

-- name: add_entry*!
INSERT INTO ledger (seq, noted_at, leaf, body) VALUES (:seq, :noted_at, :leaf, :body);

-- name: add_node*!
INSERT INTO ledger_nodes (level, number, hash) VALUES (:level, :number, :hash);

-- name: drop_ready()!
DROP TABLE IF EXISTS temp.ready;

-- name: create_ready()!
-- The entries of a list with the rows beside them, in the order in which they will be added.
CREATE TEMPORARY TABLE ready (
    place INTEGER NOT NULL PRIMARY KEY,
    noted_at BIGINT NOT NULL,
    leaf BLOB NOT NULL,
    body TEXT NOT NULL,
    controller TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- name: make_ready*!
INSERT INTO temp.ready (noted_at, leaf, body, controller, subject_id, kind, at)
VALUES (:noted_at, :leaf, :body, :controller, :subject_id, :kind, :at);

-- name: add_ready_entries(size)!
-- Places begin with 1.
INSERT INTO ledger (seq, noted_at, leaf, body)
SELECT place - 1 + :size, noted_at, leaf, body FROM temp.ready ORDER BY place;

-- name: add_ready_subject_evidence(size)!
INSERT INTO subject_evidence (seq, controller, subject_id, kind, at)
SELECT place - 1 + :size, controller, subject_id, kind, at FROM temp.ready ORDER BY place;

-- name: ledger_leaves(first, end)
-- A tile of level 0.
SELECT leaf FROM ledger WHERE seq >= :first AND seq < :end ORDER BY seq;

-- name: ledger_tile(level, first, end)
SELECT hash FROM ledger_nodes WHERE level = :level AND number >= :first AND number < :end ORDER BY number;

-- name: latest_checkpoint()^
SELECT size, signed_at, note FROM checkpoints ORDER BY size DESC LIMIT 1;

-- name: checkpoint_of(size)^
SELECT note FROM checkpoints WHERE size = :size;

-- name: add_checkpoint(size, signed_at, note)!
INSERT INTO checkpoints (size, signed_at, note) VALUES (:size, :signed_at, :note);

-- name: add_store_evidence*!
INSERT INTO store_evidence (seq, kind, at) VALUES (:seq, :kind, :at);

-- name: entries_of_call(call_id)
-- All that the ledger has of a call: of its legs, their incidents, and the dial decision.
SELECT seq, noted_at, body FROM ledger WHERE seq IN (
    SELECT e.seq FROM legs AS l JOIN evidence AS e ON e.leg_id = l.leg_id WHERE l.call_id = :call_id
    UNION ALL SELECT i.seq FROM legs AS l JOIN incidents AS i ON i.leg_id = l.leg_id WHERE l.call_id = :call_id
    UNION ALL SELECT s.seq FROM subject_evidence AS s WHERE s.call_id = :call_id
)
ORDER BY seq;

-- name: brought_in(first, end)
-- A page of what was there before the ledger was.
SELECT
    b.whose, e.leg_id, COALESCE(e.controller, s.controller, i.controller) AS controller, s.subject_id, a.agent_id,
    COALESCE(e.kind, s.kind, a.kind, i.kind) AS kind, COALESCE(e.at, s.at, a.at, i.at) AS at,
    COALESCE(e.body, s.body, a.body) AS body, i.incident_id, i.leg_id AS incident_leg, l.call_id, i.detail
FROM brought_in AS b
LEFT JOIN evidence_before AS e ON b.whose = 'leg' AND e.evidence_id = b.id
LEFT JOIN subject_evidence_before AS s ON b.whose = 'subject' AND s.evidence_id = b.id
LEFT JOIN agent_evidence_before AS a ON b.whose = 'agent' AND a.evidence_id = b.id
LEFT JOIN incidents_before AS i ON b.whose = 'incident' AND i.rowid = b.id
LEFT JOIN legs AS l ON l.leg_id = i.leg_id
WHERE b.place > :first AND b.place <= :end
ORDER BY b.place;

-- name: count_brought_in()$
SELECT COUNT(*) AS entries FROM brought_in;

-- name: drop_evidence_before()!
DROP TABLE evidence_before;

-- name: drop_subject_evidence_before()!
DROP TABLE subject_evidence_before;

-- name: drop_agent_evidence_before()!
DROP TABLE agent_evidence_before;

-- name: drop_incidents_before()!
DROP TABLE incidents_before;

-- name: drop_brought_in()!
DROP TABLE brought_in;

-- name: ledger_entries(first, end)
-- The body as bytes, as it was hashed.
SELECT seq, CAST(body AS BLOB) AS body FROM ledger WHERE seq >= :first AND seq < :end ORDER BY seq;

-- name: ledger_page(first, end)
SELECT noted_at, leaf, CAST(body AS BLOB) AS body FROM ledger WHERE seq >= :first AND seq < :end ORDER BY seq;

-- name: ledger_numbers(first, end)
SELECT seq FROM ledger WHERE seq >= :first AND seq < :end ORDER BY seq;

-- name: ledger_next(first)$
SELECT MIN(seq) AS seq FROM ledger WHERE seq >= :first;

-- name: ledger_named(first, end)
-- What names the entries, in any order; of some of a leg's it is known which.
SELECT seq, kind, at, leg_id FROM evidence WHERE seq >= :first AND seq < :end
UNION ALL SELECT seq, kind, at, NULL FROM subject_evidence WHERE seq >= :first AND seq < :end
UNION ALL SELECT seq, kind, at, NULL FROM agent_evidence WHERE seq >= :first AND seq < :end
UNION ALL SELECT seq, kind, at, NULL FROM store_evidence WHERE seq >= :first AND seq < :end
UNION ALL SELECT seq, 'incident', at, leg_id FROM incidents WHERE seq >= :first AND seq < :end;

-- name: ledger_named_count(first, end)$
SELECT COUNT(*) AS entries FROM evidence WHERE seq >= :first AND seq < :end;

-- name: ledger_named_elsewhere(first, end)
-- By what is no leg's.
SELECT s.seq FROM subject_evidence AS s
WHERE s.seq >= :first AND s.seq < :end AND NOT EXISTS (SELECT 1 FROM evidence AS e WHERE e.seq = s.seq)
UNION SELECT s.seq FROM agent_evidence AS s
WHERE s.seq >= :first AND s.seq < :end AND NOT EXISTS (SELECT 1 FROM evidence AS e WHERE e.seq = s.seq)
UNION SELECT s.seq FROM store_evidence AS s
WHERE s.seq >= :first AND s.seq < :end AND NOT EXISTS (SELECT 1 FROM evidence AS e WHERE e.seq = s.seq)
UNION SELECT s.seq FROM incidents AS s
WHERE s.seq >= :first AND s.seq < :end AND NOT EXISTS (SELECT 1 FROM evidence AS e WHERE e.seq = s.seq);

-- name: ledger_named_numbers(first, end)
SELECT seq FROM evidence WHERE seq >= :first AND seq < :end
UNION SELECT seq FROM subject_evidence WHERE seq >= :first AND seq < :end
UNION SELECT seq FROM agent_evidence WHERE seq >= :first AND seq < :end
UNION SELECT seq FROM store_evidence WHERE seq >= :first AND seq < :end
UNION SELECT seq FROM incidents WHERE seq >= :first AND seq < :end;

-- name: ledger_tile_numbered(level, first, end)
SELECT number, hash FROM ledger_nodes WHERE level = :level AND number >= :first AND number < :end;

-- name: ledger_named_last()$
SELECT MAX(seq) AS seq FROM (
    SELECT MAX(seq) AS seq FROM evidence
    UNION ALL SELECT MAX(seq) FROM subject_evidence
    UNION ALL SELECT MAX(seq) FROM agent_evidence
    UNION ALL SELECT MAX(seq) FROM store_evidence
    UNION ALL SELECT MAX(seq) FROM incidents
) AS last_of_each;

-- name: all_checkpoints()
SELECT size, note FROM checkpoints ORDER BY size;

-- name: ledger_top()$
SELECT COALESCE(MAX(level), 0) AS level FROM ledger_nodes;

-- name: ledger_node_count(level)$
SELECT COUNT(*) AS nodes FROM ledger_nodes WHERE level = :level;
