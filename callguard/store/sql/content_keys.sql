-- name: add_content_key(content_key_id, subject_id, master, wrapped)*!
-- Whoever comes second takes the key of who came first.
INSERT INTO content_keys (content_key_id, subject_id, master, wrapped)
VALUES (:content_key_id, :subject_id, :master, :wrapped)
ON CONFLICT (subject_id) DO NOTHING;

-- name: content_key_of_subject(subject_id)^
SELECT content_key_id, subject_id, master, wrapped FROM content_keys WHERE subject_id = :subject_id;

-- name: content_key(content_key_id)^
SELECT content_key_id, subject_id, master, wrapped FROM content_keys WHERE content_key_id = :content_key_id;

-- name: content_keys_of_others(master, most)
-- Wrapped by another master key than this one.
SELECT content_key_id, subject_id, master, wrapped FROM content_keys WHERE master <> :master LIMIT :most;

-- name: content_keys_by_master()
SELECT master, COUNT(*) AS count FROM content_keys GROUP BY master ORDER BY master;

-- name: rewrap_content_key(content_key_id, master, wrapped)*!
UPDATE content_keys SET master = :master, wrapped = :wrapped WHERE content_key_id = :content_key_id;

-- name: quarantine_key()^
-- As a content key is, of nobody.
SELECT content_key_id, '' AS subject_id, master, wrapped FROM quarantine_key;

-- name: add_quarantine_key(content_key_id, master, wrapped)!
-- Whoever comes second takes the key of who came first.
INSERT INTO quarantine_key (one, content_key_id, master, wrapped) VALUES (1, :content_key_id, :master, :wrapped)
ON CONFLICT (one) DO NOTHING;

-- name: rewrap_quarantine_key(content_key_id, master, wrapped)!
UPDATE quarantine_key SET master = :master, wrapped = :wrapped WHERE content_key_id = :content_key_id;

-- name: destroy_content_key(subject_id)!
DELETE FROM content_keys WHERE subject_id = :subject_id;

-- name: clear_legs(after, most)
-- Legs of which a file lies in the clear that is kept.
SELECT DISTINCT f.leg_id FROM recording_files AS f JOIN recordings AS r ON r.leg_id = f.leg_id
WHERE f.sealed_with IS NULL AND r.state = 'kept' AND f.leg_id > :after ORDER BY f.leg_id LIMIT :most;

-- name: files_to_seal(legs)
-- `legs` is a JSON array. Each file with its subject's content key, or NULLs.
SELECT f.leg_id, l.subject_id, f.name, f.size, f.sha256, f.sealed_with, l.folder, k.content_key_id, k.master, k.wrapped
FROM recording_files AS f
JOIN recordings AS r ON r.leg_id = f.leg_id
JOIN legs AS l ON l.leg_id = f.leg_id
LEFT JOIN content_keys AS k ON k.subject_id = l.subject_id
WHERE f.leg_id IN (SELECT value FROM json_each(:legs)) AND r.state = 'kept' ORDER BY f.leg_id, f.name;

-- name: count_clear()$
SELECT COUNT(*) AS count FROM recording_files AS f JOIN recordings AS r ON r.leg_id = f.leg_id
WHERE f.sealed_with IS NULL AND r.state = 'kept';

-- name: set_sealed(leg_id, name, content_key_id)
-- A row where the recording is kept still.
UPDATE recording_files SET sealed_with = :content_key_id
WHERE leg_id = :leg_id AND name = :name
    AND EXISTS (SELECT 1 FROM recordings AS r WHERE r.leg_id = :leg_id AND r.state = 'kept')
RETURNING leg_id;
