"""What an agent grants and takes back. Actions within a transaction, as in `actions`."""

from __future__ import annotations

import secrets
from uuid import uuid4

from uuid_utils import uuid7

from callguard.core.evidence import SALT_BYTES, Kind, Value, entry
from callguard.store import ledger
from callguard.store.queries import Row, Transaction


def grant(transaction: Transaction, name: str, agreement: str, at: int) -> bool:
    """An agent agrees to be recorded; see `Store.agent_grants_it`."""
    standing = transaction.fetch("agent_grant_in_force", name=name)
    if standing and standing[0]["agreement"] == agreement:
        return False
    if standing:
        _end(transaction, standing[0]["agent_id"], standing[0]["agent_grant_id"], at)
    transaction.fetch("add_agent", agent_id=str(uuid4()), name=name)
    ((agent_id,),) = transaction.fetch("agent_of", name=name)
    grant_id = str(uuid7())
    transaction.fetch("add_agent_grant", agent_grant_id=grant_id, agent_id=agent_id, agreement=agreement, since=at)
    _prove(transaction, Kind.AGENT_GRANTED, agent_id, at, grant=grant_id, agreement=agreement)
    return True


def revoke(transaction: Transaction, name: str, at: int) -> bool:
    """An agent takes it back; see `Store.agent_revokes_it`."""
    for standing in transaction.fetch("agent_grant_in_force", name=name):
        _end(transaction, standing["agent_id"], standing["agent_grant_id"], at)
        return True
    return False


def _end(transaction: Transaction, agent_id: str, grant_id: str, at: int) -> None:
    transaction.fetch("end_agent_grant", agent_grant_id=grant_id, at=at)
    _prove(transaction, Kind.AGENT_REVOKED, agent_id, at, grant=grant_id)


def _prove(transaction: Transaction, kind: Kind, agent_id: str, at: int, **fields: Value) -> None:
    # The entry does not say whose it is: its row does.
    body = entry(kind, at, salt=secrets.token_bytes(SALT_BYTES), **fields)
    row: Row = {"agent_id": agent_id, "kind": kind.value, "at": at, "body": body.decode()}
    ledger.record(transaction, "add_agent_evidence", [row])
