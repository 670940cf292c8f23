-- name: take_gate(app)^
-- From here on every process that took this gate before is fenced off.
INSERT INTO gates (app, epoch) VALUES (:app, 1)
ON CONFLICT (app) DO UPDATE SET epoch = gates.epoch + 1
RETURNING epoch;

-- name: gate_epoch(app)$
SELECT epoch FROM gates WHERE app = :app;

-- name: move_epochs(by)!
UPDATE gates SET epoch = epoch + :by;

-- name: set_controller(controller, name)!
-- Each command says it: where the name is the same, nothing is written.
INSERT INTO controllers (controller, name) VALUES (:controller, :name)
ON CONFLICT (controller) DO UPDATE SET name = excluded.name WHERE controllers.name <> excluded.name;
