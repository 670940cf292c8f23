-- name: set_called(number, at)!
INSERT INTO callbacks (number, called_at) VALUES (:number, :at)
ON CONFLICT (number) DO UPDATE SET called_at = MAX(called_at, excluded.called_at);

-- name: called(number)^
SELECT called_at FROM callbacks WHERE number = :number;
