-- name: add_agent(agent_id, name)!
INSERT INTO agents (agent_id, name) SELECT :agent_id, seal_agent(:name)
WHERE NOT EXISTS (SELECT 1 FROM agents WHERE name = :name)
ON CONFLICT (name) DO NOTHING;

-- name: agent_of(name)^
SELECT agent_id FROM agents WHERE name IN (seal_agent(:name), :name);

-- name: agent_grant_in_force(name)^
SELECT g.agent_grant_id, g.agent_id, g.agreement
FROM agents AS a JOIN agent_grants AS g ON g.agent_id = a.agent_id
WHERE a.name IN (seal_agent(:name), :name) AND g.until IS NULL;

-- name: add_agent_grant(agent_grant_id, agent_id, agreement, since)!
INSERT INTO agent_grants (agent_grant_id, agent_id, agreement, since)
VALUES (:agent_grant_id, :agent_id, :agreement, :since);

-- name: end_agent_grant(agent_grant_id, at)!
-- Never before it began, whatever a clock did meanwhile.
UPDATE agent_grants SET until = MAX(since, :at) WHERE agent_grant_id = :agent_grant_id;

-- name: add_agent_evidence*!
INSERT INTO agent_evidence (seq, agent_id, kind, at) VALUES (:seq, :agent_id, :kind, :at);

-- name: agent_grants()
-- Each agent's last one.
SELECT open_text(a.name) AS name, g.agreement, g.since, g.until
FROM agents AS a JOIN agent_grants AS g ON g.agent_id = a.agent_id
WHERE NOT EXISTS (
    SELECT 1 FROM agent_grants AS later
    WHERE later.agent_id = g.agent_id AND (later.since, later.agent_grant_id) > (g.since, g.agent_grant_id)
)
ORDER BY 1;
