-- name: drop_staged()!
DROP TABLE IF EXISTS temp.staged;

-- name: create_staged()!
-- A list of opt-outs as it will be added: in the order of the subjects' random ids, in which four indexes take it fastest.
CREATE TEMPORARY TABLE staged (
    subject_id TEXT NOT NULL,
    opt_out_id TEXT NOT NULL,
    new_number TEXT,
    controller TEXT NOT NULL,
    scope TEXT NOT NULL,
    purpose TEXT,
    campaign TEXT,
    source TEXT NOT NULL,
    reason TEXT,
    since BIGINT NOT NULL,
    until BIGINT,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (subject_id, opt_out_id)
) WITHOUT ROWID;

-- name: stage_opt_out*!
INSERT INTO temp.staged (
    subject_id, opt_out_id, new_number, controller, scope, purpose, campaign, source, reason, since, until,
    kind, at, body
) VALUES (
    :subject_id, :opt_out_id, seal_number(:new_number), :controller, :scope, :purpose, :campaign, :source,
    seal_content(:reason), :since, :until,
    :kind, :at, :body
);

-- name: drop_staged_blocks()!
DROP TABLE IF EXISTS temp.staged_blocks;

-- name: create_staged_blocks()!
CREATE TEMPORARY TABLE staged_blocks (
    controller TEXT NOT NULL,
    prefix TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    prefix_length INTEGER NOT NULL,
    number_length INTEGER
);

-- name: stage_block*!
INSERT INTO temp.staged_blocks (controller, prefix, subject_id, prefix_length, number_length)
VALUES (:controller, seal_number(:prefix), :subject_id, :prefix_length, :number_length);

-- name: add_staged_blocks()!
INSERT INTO block_prefixes (controller, prefix, subject_id, prefix_length, number_length)
SELECT controller, prefix, subject_id, prefix_length, number_length FROM temp.staged_blocks
ORDER BY controller, prefix;

-- name: add_block*!
-- A block is the same for good.
INSERT INTO block_prefixes (controller, prefix, subject_id, prefix_length, number_length)
VALUES (:controller, seal_number(:prefix), :subject_id, :prefix_length, :number_length)
ON CONFLICT (controller, prefix, subject_id) DO NOTHING;

-- name: keep_many_pages()!
-- 256 MB: a list touches pages all over the indexes, and each that has to leave the memory would be written twice.
PRAGMA cache_size = -256000;

-- name: add_staged_subjects()!
INSERT INTO subjects (subject_id, controller, number)
SELECT subject_id, controller, new_number FROM temp.staged WHERE new_number IS NOT NULL ORDER BY subject_id;

-- name: add_staged_opt_outs()!
INSERT INTO opt_outs (opt_out_id, controller, subject_id, scope, purpose, campaign, source, reason, since, until)
SELECT opt_out_id, controller, subject_id, scope, purpose, campaign, source, reason, since, until
FROM temp.staged ORDER BY subject_id;

-- name: staged_evidence()
SELECT controller, subject_id, kind, at, body FROM temp.staged ORDER BY subject_id;
