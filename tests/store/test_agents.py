"""What agents grant and take back, with its evidence, and without a name where it stays."""

from __future__ import annotations

import json
from datetime import timedelta
from sqlite3 import Connection, IntegrityError

import pytest

from callguard.core.agents import AgentGrant
from callguard.store import Store

from .legs import START

LATER = START + timedelta(hours=1)


async def test_a_grant_is_given_once_and_taken_back_once(store: Store, database: Connection) -> None:
    assert await store.agent_grants_it("anne", "agreement 7", START)
    assert not await store.agent_grants_it("anne", "agreement 7", LATER)
    assert await store.agent_grants() == (AgentGrant("anne", "agreement 7", START),)
    assert await store.agent_revokes_it("anne", LATER)
    assert not await store.agent_revokes_it("anne", LATER)
    assert not await store.agent_revokes_it("nobody", LATER)
    assert await store.agent_grants() == (AgentGrant("anne", "agreement 7", START, LATER),)
    rows = database.execute("SELECT agent_id, body FROM agent_evidence JOIN ledger USING (seq) ORDER BY seq").fetchall()
    proofs = [json.loads(body) for _, body in rows]
    assert [proof["kind"] for proof in proofs] == ["agent.granted", "agent.revoked"]
    assert proofs[0]["grant"] == proofs[1]["grant"]
    assert "anne" not in str(proofs) and rows[0][0] not in str(proofs)
    for change in ("UPDATE agent_evidence SET at = 0", "DELETE FROM agent_evidence"):
        with pytest.raises(IntegrityError, match="append-only"):
            database.execute(change)


async def test_another_agreement_takes_the_place_of_the_one_before(store: Store) -> None:
    await store.agent_grants_it("anne", "agreement 7", START)
    assert await store.agent_grants_it("anne", "agreement 8", LATER)
    assert await store.agent_grants() == (AgentGrant("anne", "agreement 8", LATER),)
    # A clock that went back meanwhile ends nothing before it began.
    assert await store.agent_revokes_it("anne", START)
    assert await store.agent_grants() == (AgentGrant("anne", "agreement 8", LATER, LATER),)
