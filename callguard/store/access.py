"""Who has read what, and for what. Actions within a transaction, as in `actions`, and what is read of it."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from callguard.core.access import Read
from callguard.core.evidence import SALT_BYTES, Kind, Value, entry
from callguard.core.roles import Actor
from callguard.store import ledger
from callguard.store.about import Fetch
from callguard.store.actions import leg_of, prove
from callguard.store.queries import Row, Transaction
from callguard.store.rows import subject_evidence_row
from callguard.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class Access:
    """An entry about somebody's reading, or that it was denied.

    Attributes:
        actor: their name; their random id where that was erased.
        why: what denied it; None where it was not.
        to: who else was to have it.
    """

    at: datetime
    kind: str
    actor: str
    roles: tuple[str, ...] | None
    action: str
    purpose: str | None
    why: str | None
    controller: str | None
    call_id: str | None
    leg_id: str | None
    subject_id: str | None
    to: str | None


def accessed(transaction: Transaction, actor: Actor, at: int, action: str, purpose: str | None, read: Read) -> None:
    """Somebody reads personal data; see `AccessStore.accessed`."""
    said = said_of(transaction, actor, at, action, purpose) | _to(read.to)
    if read.proofs:
        said["proofs"] = tuple(read.proofs)
    if read.number is not None:
        whose: list[Row] = [
            subject_evidence_row(
                Kind.ACCESS, at, controller=row["controller"], subject_id=row["subject_id"], **said
            )
            for row in transaction.fetch("subjects_of_number", controller=read.controller, number=read.number)
        ]  # fmt: skip
        if whose:
            ledger.record(transaction, "add_subject_evidence", whose)
        else:
            _of_the_store(transaction, Kind.ACCESS, at, {**said, "of": "an unknown number"})
    else:
        # Of a call it is no evidence of the call: a proof of it is the same whoever has looked at it.
        whose_else = {"of": "everybody"} if read.call_id is None else {"of": "a call", "call": read.call_id}
        _of_the_store(transaction, Kind.ACCESS, at, {**said, **whose_else, "controller": read.controller})


def heard(
    transaction: Transaction,
    kind: Kind,
    leg_id: str,
    actor: Actor,
    at: int,
    action: str,
    purpose: str | None,
    though_held: bool,
    to: str | None,
) -> bool:
    """Somebody hears a recording, or takes it with them; see `AccessStore.heard`."""
    if not though_held and transaction.fetch("holds_in_force", leg_id=leg_id, now=at):
        return False
    said = said_of(transaction, actor, at, action, purpose) | _to(to)
    prove(transaction, leg_of(transaction, leg_id), kind, at, **said)
    return True


def denied(
    transaction: Transaction, actor: Actor, at: int, action: str, purpose: str | None, why: str, leg_id: str | None
) -> None:
    """Somebody may not; see `AccessStore.denied`."""
    said = {**said_of(transaction, actor, at, action, purpose), "why": why}
    if leg_id is not None:
        said |= {"leg": leg_id, "call": leg_of(transaction, leg_id)["call_id"]}
    _of_the_store(transaction, Kind.ACCESS_DENIED, at, said)


def _to(recipient: str | None) -> dict[str, Value]:
    return {} if recipient is None else {"to": recipient}


def said_of(transaction: Transaction, actor: Actor, at: int, action: str, purpose: str | None) -> dict[str, Value]:
    """What an entry says of who does what, and for what: the actor by a random id. Roles that there are stay known."""
    return {**by(transaction, actor, at), "action": action, "purpose": purpose}


def by(transaction: Transaction, actor: Actor | None, at: int) -> dict[str, Value]:
    """Who, and in which roles; nothing of what callguard does by itself.

    Of a locked store the id is new each time: it has no name then, and the roles tell.
    """
    if actor is None:
        return {}
    new = str(uuid4())
    transaction.fetch("add_actor", actor_id=new, name=actor.name)
    known = transaction.fetch("actor_of", name=actor.name)
    if actor.roles is not None:
        transaction.fetch("govern", since=at)
    roles = None if actor.roles is None else tuple(sorted(actor.roles))
    return {"actor": known[0]["actor_id"] if known else new, "roles": roles}


async def accesses(
    fetch: Fetch, since: datetime, until: datetime, limit: int, *, denied_only: bool
) -> tuple[Access, ...]:
    """See `Reader.accesses`."""
    names = {row["actor_id"]: row["name"] for row in await fetch("actors")}
    rows = await fetch(
        "accesses", since=to_ms(since), until=to_ms(until), denied=int(denied_only), limit=limit
    )  # fmt: skip
    return tuple(_accesses(rows, names))


def _accesses(rows: list[sqlite3.Row], names: dict[str, str | None]) -> Iterator[Access]:
    for row in rows:
        said = json.loads(row["body"] or "{}")
        # An export of an older callguard does not say who made it.
        actor = said.get("actor")
        roles = said.get("roles")
        yield Access(
            from_ms(row["at"]), row["kind"], names.get(actor) or actor or "not known",
            None if roles is None else tuple(roles), said.get("action", row["kind"]), said.get("purpose"),
            said.get("why"), row["controller"] or said.get("controller"), row["call_id"] or said.get("call"),
            row["leg_id"] or said.get("leg"), row["subject_id"], said.get("to"),
        )  # fmt: skip


def _of_the_store(transaction: Transaction, kind: Kind, at: int, said: dict[str, Value]) -> None:
    body = entry(kind, at, salt=secrets.token_bytes(SALT_BYTES), **said).decode()
    ledger.record(transaction, "add_store_evidence", [{"kind": kind.value, "at": at, "body": body}])
