-- The agents' own side: what each has granted and taken back. Who an agent is stands in `agents` and nowhere else.

CREATE TABLE agents (
    agent_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- A row for each grant; until is set once, when it is revoked.
CREATE TABLE agent_grants (
    agent_grant_id TEXT NOT NULL PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (agent_id),
    agreement TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    CHECK (until IS NULL OR until >= since)
);
CREATE UNIQUE INDEX agent_grants_in_force ON agent_grants (agent_id) WHERE until IS NULL;

CREATE TABLE agent_evidence (
    evidence_id INTEGER NOT NULL PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (agent_id),
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX agent_evidence_by_agent ON agent_evidence (agent_id);

CREATE TRIGGER agent_evidence_no_update BEFORE UPDATE ON agent_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER agent_evidence_no_delete BEFORE DELETE ON agent_evidence
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;
