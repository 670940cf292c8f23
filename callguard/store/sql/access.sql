-- name: add_actor(actor_id, name)!
-- Each time anew, without a name, where the store is locked.
INSERT INTO actors (actor_id, name)
SELECT :actor_id, seal_actor(:name) WHERE NOT EXISTS (SELECT 1 FROM actors WHERE name = :name)
ON CONFLICT (name) DO NOTHING;

-- name: actor_of(name)^
SELECT actor_id FROM actors WHERE name IN (seal_actor(:name), :name);

-- name: actors()
SELECT actor_id, open_text(name) AS name FROM actors;

-- name: govern(since)!
INSERT INTO governed (since) SELECT :since WHERE NOT EXISTS (SELECT 1 FROM governed);

-- name: governed()
SELECT since FROM governed;

-- name: accesses(since, until, denied, limit)
-- Newest first; those that were denied alone where `denied` is 1. The kinds are those of the indexes.
SELECT e.seq, e.kind, e.at, e.controller, e.call_id, e.leg_id, e.subject_id, entry.body FROM (
    SELECT e.seq, e.kind, e.at, e.controller, l.call_id, e.leg_id, l.subject_id
    FROM evidence AS e JOIN legs AS l ON l.leg_id = e.leg_id
    WHERE e.kind IN ('recording.played', 'recording.exported') AND e.at >= :since AND e.at < :until AND :denied = 0
    UNION ALL
    -- What somebody has said of recordings; there are few. What callguard said by itself is nobody's.
    SELECT e.seq, e.kind, e.at, e.controller, l.call_id, e.leg_id, l.subject_id
    FROM (SELECT leg_id FROM recording_holds UNION SELECT leg_id FROM unlawful_recordings) AS said
    CROSS JOIN evidence AS e ON e.leg_id = said.leg_id
    JOIN legs AS l ON l.leg_id = e.leg_id
    JOIN ledger AS entry ON entry.seq = e.seq AND json_extract(entry.body, '$.actor') IS NOT NULL
    WHERE e.kind IN ('recording.held', 'recording.released', 'recording.unlawful')
        AND e.at >= :since AND e.at < :until AND :denied = 0
    UNION ALL
    SELECT e.seq, e.kind, e.at, e.controller, e.call_id, NULL, e.subject_id
    FROM subject_evidence AS e
    WHERE e.kind IN ('access', 'subject.exported') AND e.at >= :since AND e.at < :until AND :denied = 0
    UNION ALL
    SELECT e.seq, e.kind, e.at, NULL, NULL, NULL, NULL
    FROM store_evidence AS e
    WHERE e.kind IN ('access', 'access.denied') AND e.at >= :since AND e.at < :until
        AND (:denied = 0 OR e.kind = 'access.denied')
) AS e
JOIN ledger AS entry ON entry.seq = e.seq
ORDER BY e.seq DESC LIMIT :limit;
