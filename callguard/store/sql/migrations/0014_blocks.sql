-- Blocks of numbers, as opt-outs name them. A block is a row of `subjects` as a number is: it may be one person's, so it stands
-- there and here, and nowhere else. It is looked up by what its numbers begin with: a range has a row for each of the
-- few prefixes that it comes to.

CREATE TABLE block_prefixes (
    controller TEXT NOT NULL REFERENCES controllers (controller),
    prefix TEXT NOT NULL CHECK (prefix LIKE '+%'),
    subject_id TEXT NOT NULL REFERENCES subjects (subject_id),
    -- Of the prefix and of the block's numbers, with the plus; of these NULL for any.
    prefix_length INTEGER NOT NULL,
    number_length INTEGER,
    PRIMARY KEY (controller, prefix, subject_id)
);

-- Which lengths of prefixes there are to look up, 15 at most: without blocks none.
CREATE TABLE block_prefix_lengths (
    controller TEXT NOT NULL REFERENCES controllers (controller),
    length INTEGER NOT NULL,
    PRIMARY KEY (controller, length)
) WITHOUT ROWID;

CREATE TRIGGER block_prefixes_lengths AFTER INSERT ON block_prefixes
BEGIN
    INSERT OR IGNORE INTO block_prefix_lengths (controller, length) VALUES (NEW.controller, NEW.prefix_length);
END;
