"""What keeps recordings, and what ends them. Actions within a transaction, as in `actions`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256

from uuid_utils import uuid7

from callguard.core.evidence import Kind, Value, canonical
from callguard.core.roles import Actor
from callguard.errors import StoreError
from callguard.store.access import by
from callguard.store.actions import leg_of, prove
from callguard.store.queries import Transaction


def hold(
    transaction: Transaction, call_id: str, leg_id: str | None, reason: str, at: int, until: int | None,
    actor: Actor | None,
) -> tuple[str, ...]:  # fmt: skip
    """A call's recordings are held; see `RetentionStore.hold`."""
    if until is not None and until <= at:
        raise StoreError("a hold ends after it begins")
    legs = _to_mark(transaction, call_id, leg_id)
    for leg in legs:
        standing = transaction.fetch("holds_in_force", leg_id=leg["leg_id"], now=at)
        if any((one["reason"], one["until"]) == (reason, until) for one in standing):
            continue
        hold_id = str(uuid7())
        transaction.fetch(
            "add_hold", hold_id=hold_id, leg_id=leg["leg_id"], controller=leg["controller"], reason=reason, since=at,
            until=until,
        )  # fmt: skip
        said = hashed(hold_id, reason)
        prove(
            transaction, leg, Kind.RECORDING_HELD, at, hold=hold_id, until=until, reason_sha256=said,
            **by(transaction, actor, at),
        )  # fmt: skip
    return tuple(str(leg["leg_id"]) for leg in legs)


def release(
    transaction: Transaction, call_id: str, leg_id: str | None, hold_id: str | None, reason: str, at: int,
    actor: Actor | None,
) -> tuple[str, ...]:  # fmt: skip
    """A hold ends; see `RetentionStore.release`."""
    in_force = [
        (leg, one["hold_id"])
        for leg in transaction.fetch("recordings_to_mark", call_id=call_id)
        if leg_id in (None, leg["leg_id"])
        for one in transaction.fetch("holds_in_force", leg_id=leg["leg_id"], now=at)
        if hold_id in (None, one["hold_id"])
    ]
    for leg, which in in_force:
        transaction.fetch("add_release", hold_id=which, reason=reason, at=at)
        prove(
            transaction, leg, Kind.RECORDING_RELEASED, at, hold=which, reason_sha256=hashed(which, reason),
            **by(transaction, actor, at),
        )  # fmt: skip
    return tuple(which for _, which in in_force)


def mark_unlawful(
    transaction: Transaction, call_id: str, leg_id: str | None, reason: str, at: int, actor: Actor | None
) -> tuple[str, ...]:
    """A call's recordings should not be; see `RetentionStore.mark_unlawful`."""
    legs = _to_mark(transaction, call_id, leg_id)
    for leg in legs:
        mark(transaction, leg, reason, at, actor)
    return tuple(str(leg["leg_id"]) for leg in legs)


def mark(transaction: Transaction, leg: sqlite3.Row, reason: str, at: int, actor: Actor | None = None) -> None:
    """What is recorded of a leg, or being recorded, should not be: it is destroyed as soon as nothing holds it."""
    transaction.fetch("hasten_destruction", leg_id=leg["leg_id"], destroy_at=at)
    if transaction.fetch("unlawful_marks", leg_id=leg["leg_id"]):
        return
    mark_id = str(uuid7())
    transaction.fetch(
        "add_unlawful_mark", mark_id=mark_id, leg_id=leg["leg_id"], controller=leg["controller"], reason=reason, at=at
    )
    prove(
        transaction, leg, Kind.RECORDING_UNLAWFUL, at, mark=mark_id, reason_sha256=hashed(mark_id, reason),
        **by(transaction, actor, at),
    )  # fmt: skip


def begin_destroying(
    transaction: Transaction, leg_id: str, at: int, reason: str, ends: Sequence[Mapping[str, Value]]
) -> bool:
    """A recording's files are about to be removed; see `RetentionStore.begin_destroying`."""
    if leg_of(transaction, leg_id)["state"] != "kept":
        return False
    ((begun, _),) = transaction.fetch("begun_destroying", leg_id=leg_id)
    if begun is None:
        if transaction.fetch("holds_in_force", leg_id=leg_id, now=at):
            return False
        why = canonical({"reason": reason, **({"ends": ends} if ends else {})}).decode()
        transaction.fetch("begin_destroying", leg_id=leg_id, at=at, destroying_for=why)
    return True


def _to_mark(transaction: Transaction, call_id: str, leg_id: str | None) -> list[sqlite3.Row]:
    """The legs of a call that a recording is there of, or is being made; one of them where it is named."""
    return [
        leg for leg in transaction.fetch("recordings_to_mark", call_id=call_id)
        if leg_id in (None, leg["leg_id"]) and leg["state"] != "destroyed" and leg["destroying_at"] is None
    ]  # fmt: skip


def hashed(of: str, reason: str) -> str:
    """Somebody's own words may be about a person: they stand in their row, which can be erased."""
    return sha256(f"{of} {reason}".encode()).hexdigest()
