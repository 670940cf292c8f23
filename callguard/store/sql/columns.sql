-- name: data_keys()
SELECT data_key_id, kind, master, wrapped FROM data_keys ORDER BY kind;

-- name: add_data_key*!
INSERT INTO data_keys (data_key_id, kind, master, wrapped) VALUES (:data_key_id, :kind, :master, :wrapped);

-- name: rewrap_data_key*!
UPDATE data_keys SET master = :master, wrapped = :wrapped WHERE data_key_id = :data_key_id;

-- name: add_columns_to_seal()!
-- All that is there; what comes later is encrypted when it is written.
INSERT INTO columns_to_seal (what, done, last)
SELECT 'subjects', 0, MAX(rowid) FROM subjects HAVING MAX(rowid) > 0
UNION ALL SELECT 'agents', 0, MAX(rowid) FROM agents HAVING MAX(rowid) > 0
UNION ALL SELECT 'callbacks', 0, MAX(rowid) FROM callbacks HAVING MAX(rowid) > 0
UNION ALL SELECT 'opt_outs', 0, MAX(rowid) FROM opt_outs HAVING MAX(rowid) > 0
UNION ALL SELECT 'subject_grants', 0, MAX(rowid) FROM subject_grants HAVING MAX(rowid) > 0
UNION ALL SELECT 'decisions', 0, MAX(rowid) FROM decisions HAVING MAX(rowid) > 0
UNION ALL SELECT 'recording_holds', 0, MAX(rowid) FROM recording_holds HAVING MAX(rowid) > 0
UNION ALL SELECT 'recording_releases', 0, MAX(rowid) FROM recording_releases HAVING MAX(rowid) > 0
UNION ALL SELECT 'unlawful_recordings', 0, MAX(rowid) FROM unlawful_recordings HAVING MAX(rowid) > 0
UNION ALL SELECT 'block_prefixes', 0, MAX(rowid) FROM block_prefixes HAVING MAX(rowid) > 0
UNION ALL SELECT 'restricted_subjects', 0, MAX(rowid) FROM restricted_subjects HAVING MAX(rowid) > 0
UNION ALL SELECT 'restricted_grants', 0, MAX(rowid) FROM restricted_grants HAVING MAX(rowid) > 0
UNION ALL SELECT 'actors', 0, MAX(rowid) FROM actors HAVING MAX(rowid) > 0
UNION ALL SELECT 'request_steps', 0, MAX(rowid) FROM request_steps HAVING MAX(rowid) > 0
UNION ALL SELECT 'corrections', 0, MAX(rowid) FROM corrections HAVING MAX(rowid) > 0
UNION ALL SELECT 'invalidations', 0, MAX(rowid) FROM invalidations HAVING MAX(rowid) > 0
UNION ALL SELECT 'pages', 0, 1 WHERE TRUE
ON CONFLICT (what) DO NOTHING;

-- name: columns_to_seal()
SELECT what, done, last FROM columns_to_seal ORDER BY what = 'pages', what;

-- name: columns_sealed_to(what, done)!
UPDATE columns_to_seal SET done = :done WHERE what = :what;

-- name: columns_sealed(what)!
DELETE FROM columns_to_seal WHERE what = :what;

-- name: seal_subjects(first, last)!
UPDATE subjects SET
    number = CASE WHEN substr(number, 1, 2) = '+~' THEN number ELSE seal_number(number) END,
    name = CASE WHEN substr(name, 1, 2) = '+~' THEN name ELSE seal_content(name) END
WHERE rowid >= :first AND rowid <= :last
    AND (substr(number, 1, 2) <> '+~' OR substr(name, 1, 2) <> '+~');

-- name: seal_agents(first, last)!
UPDATE agents SET name = seal_agent(name)
WHERE rowid >= :first AND rowid <= :last AND substr(name, 1, 2) <> '+~';

-- name: seal_actors(first, last)!
UPDATE actors SET name = seal_agent(name)
WHERE rowid >= :first AND rowid <= :last AND substr(name, 1, 2) <> '+~';

-- name: seal_callbacks(first, last)!
-- Somebody may have called it since.
INSERT INTO callbacks (number, called_at)
SELECT seal_number(number), called_at FROM callbacks
WHERE rowid >= :first AND rowid <= :last AND substr(number, 1, 2) <> '+~'
ON CONFLICT (number) DO UPDATE SET called_at = MAX(called_at, excluded.called_at);

-- name: drop_clear_callbacks(first, last)!
DELETE FROM callbacks WHERE rowid >= :first AND rowid <= :last AND substr(number, 1, 2) <> '+~';

-- name: seal_opt_outs(first, last)!
UPDATE opt_outs SET reason = seal_content(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: seal_subject_grants(first, last)!
UPDATE subject_grants SET evidence = seal_proof(evidence)
WHERE rowid >= :first AND rowid <= :last AND substr(evidence, 1, 2) <> '+~';

-- name: seal_decisions(first, last)!
UPDATE decisions SET
    facts = json_set(facts, '$.caller_id.number', seal_proof(json_extract(facts, '$.caller_id.number')))
WHERE rowid >= :first AND rowid <= :last AND substr(json_extract(facts, '$.caller_id.number'), 1, 2) <> '+~';

-- name: seal_recording_holds(first, last)!
UPDATE recording_holds SET reason = seal_proof(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: seal_recording_releases(first, last)!
UPDATE recording_releases SET reason = seal_proof(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: seal_unlawful_recordings(first, last)!
UPDATE unlawful_recordings SET reason = seal_proof(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: seal_block_prefixes(first, last)!
-- The same block may have been named again since.
UPDATE OR REPLACE block_prefixes SET prefix = seal_number(prefix)
WHERE rowid >= :first AND rowid <= :last AND substr(prefix, 1, 2) <> '+~';

-- name: seal_restricted_subjects(first, last)!
UPDATE restricted_subjects SET number = seal_number(number)
WHERE rowid >= :first AND rowid <= :last AND substr(number, 1, 2) <> '+~';

-- name: seal_restricted_grants(first, last)!
UPDATE restricted_grants SET evidence = seal_proof(evidence)
WHERE rowid >= :first AND rowid <= :last AND substr(evidence, 1, 2) <> '+~';

-- name: seal_request_steps(first, last)!
UPDATE request_steps SET reason = seal_content(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: seal_corrections(first, last)!
UPDATE corrections SET value = seal_content(value)
WHERE rowid >= :first AND rowid <= :last AND substr(value, 1, 2) <> '+~';

-- name: seal_invalidations(first, last)!
UPDATE invalidations SET reason = seal_proof(reason)
WHERE rowid >= :first AND rowid <= :last AND substr(reason, 1, 2) <> '+~';

-- name: clear_columns()
-- How many rows of each hold something in the clear, of all rows that there are.
SELECT 'subjects' AS what, COUNT(*) AS clear FROM subjects
WHERE substr(number, 1, 2) <> '+~' OR substr(name, 1, 2) <> '+~'
UNION ALL SELECT 'agents', COUNT(*) FROM agents WHERE substr(name, 1, 2) <> '+~'
UNION ALL SELECT 'actors', COUNT(*) FROM actors WHERE substr(name, 1, 2) <> '+~'
UNION ALL SELECT 'callbacks', COUNT(*) FROM callbacks WHERE substr(number, 1, 2) <> '+~'
UNION ALL SELECT 'opt_outs', COUNT(*) FROM opt_outs WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'subject_grants', COUNT(*) FROM subject_grants WHERE substr(evidence, 1, 2) <> '+~'
UNION ALL SELECT 'decisions', COUNT(*) FROM decisions
WHERE substr(json_extract(facts, '$.caller_id.number'), 1, 2) <> '+~'
UNION ALL SELECT 'recording_holds', COUNT(*) FROM recording_holds WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'recording_releases', COUNT(*) FROM recording_releases WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'unlawful_recordings', COUNT(*) FROM unlawful_recordings WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'block_prefixes', COUNT(*) FROM block_prefixes WHERE substr(prefix, 1, 2) <> '+~'
UNION ALL SELECT 'restricted_subjects', COUNT(*) FROM restricted_subjects WHERE substr(number, 1, 2) <> '+~'
UNION ALL SELECT 'request_steps', COUNT(*) FROM request_steps WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'corrections', COUNT(*) FROM corrections WHERE substr(value, 1, 2) <> '+~'
UNION ALL SELECT 'invalidations', COUNT(*) FROM invalidations WHERE substr(reason, 1, 2) <> '+~'
UNION ALL SELECT 'restricted_grants', COUNT(*) FROM restricted_grants WHERE substr(evidence, 1, 2) <> '+~';
