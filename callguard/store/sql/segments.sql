-- name: begin_segment(leg_id, number, at, why)!
INSERT INTO segments (leg_id, number, began_at, began_why) VALUES (:leg_id, :number, :at, :why)
ON CONFLICT (leg_id, number) DO NOTHING;

-- name: end_segment(leg_id, number, began_at, at, why, cut_ms)!
-- The first end holds: a segment that a key has ended is not ended once more by the hang-up.
INSERT INTO segments (leg_id, number, began_at, ended_at, ended_why, cut_ms)
VALUES (:leg_id, :number, :began_at, :at, :why, :cut_ms)
ON CONFLICT (leg_id, number) DO UPDATE SET ended_at = :at, ended_why = :why, cut_ms = :cut_ms
WHERE ended_at IS NULL;

-- name: add_company*!
INSERT INTO recorded_company (leg_id, other, at) VALUES (:leg_id, :other, :at) ON CONFLICT (leg_id, other) DO NOTHING;

-- name: segments_of_leg(leg_id)
SELECT number, began_at, began_why, ended_at, ended_why, cut_ms FROM segments WHERE leg_id = :leg_id ORDER BY number;
