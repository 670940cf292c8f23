-- The parts of a recording that was interrupted. One that never was has no rows here.

-- Of segment 0 it may not be known when it began: Asterisk started it, and nobody was there to see. What was captured in
-- its last `cut_ms` is no part of the recording.
CREATE TABLE segments (
    leg_id TEXT NOT NULL REFERENCES legs (leg_id),
    number INTEGER NOT NULL CHECK (number >= 0),
    began_at BIGINT,
    began_why TEXT,
    ended_at BIGINT,
    ended_why TEXT,
    cut_ms BIGINT NOT NULL DEFAULT 0 CHECK (cut_ms >= 0),
    PRIMARY KEY (leg_id, number),
    CHECK (number = 0 OR began_at IS NOT NULL)
);
