-- name: set_called(number, at)!
INSERT INTO callbacks (number, called_at) SELECT seal_number(:number), :at WHERE TRUE
ON CONFLICT (number) DO UPDATE SET called_at = MAX(called_at, excluded.called_at);

-- name: called(number)^
SELECT called_at FROM callbacks WHERE number IN (seal_number(:number), :number)
ORDER BY called_at DESC LIMIT 1;
