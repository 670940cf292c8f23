"""What a call is known by elsewhere: one id joins consent, recording and ticket. Actions within a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from callguard.core.evidence import Kind
from callguard.store.actions import leg_of, prove
from callguard.store.queries import Transaction
from callguard.store.retention import hashed


@dataclass(frozen=True, slots=True)
class Ticket:
    """A reference to another system, and since when the call is known by it."""

    call_id: str
    reference: str
    at: datetime


def add(transaction: Transaction, call_id: str, reference: str, at: int) -> bool | None:
    """See `RightsStore.add_ticket`."""
    legs = transaction.fetch("legs_of_call", call_id=call_id)
    if not legs:
        return None
    if not transaction.fetch("add_ticket", call_id=call_id, reference=reference, at=at):
        return False
    leg = leg_of(transaction, legs[0]["leg_id"])
    prove(transaction, leg, Kind.CALL_TICKET, at, reference_sha256=hashed(call_id, reference))
    return True
