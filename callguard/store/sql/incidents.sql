-- name: add_incident*!
INSERT INTO incidents (incident_id, seq, controller, leg_id, kind, at, detail)
VALUES (:incident_id, :seq, :controller, :leg_id, :kind, :at, :detail);

-- name: same_incident(controller, leg_id, kind, at, detail)^
SELECT incident_id FROM incidents
WHERE at = :at AND kind = :kind AND detail = :detail
    AND COALESCE(controller, '') = COALESCE(:controller, '') AND COALESCE(leg_id, '') = COALESCE(:leg_id, '');

-- name: latest_incidents(limit)
SELECT i.incident_id, i.controller, i.leg_id, l.call_id, i.kind, i.at, i.detail
FROM incidents AS i LEFT JOIN legs AS l ON l.leg_id = i.leg_id
ORDER BY i.at DESC, i.incident_id DESC LIMIT :limit;

-- name: incidents_of_call(call_id)
SELECT i.incident_id, i.controller, i.leg_id, l.call_id, i.kind, i.at, i.detail
FROM incidents AS i JOIN legs AS l ON l.leg_id = i.leg_id
WHERE l.call_id = :call_id ORDER BY i.at, i.incident_id;

-- name: set_quarantined(leg_id, controller, at, reason)!
-- What is destroyed cannot be set aside any more.
INSERT INTO recordings (leg_id, controller, state, ended_at, quarantined_at, reason)
VALUES (:leg_id, :controller, 'quarantined', :at, :at, :reason)
ON CONFLICT (leg_id) DO UPDATE SET state = 'quarantined', quarantined_at = :at, reason = :reason
WHERE recordings.state = 'kept';
