"""A recording that was interrupted, part by part. Each action runs within a transaction, and again adds nothing."""

from __future__ import annotations

from collections.abc import Collection

from callguard.core.conversation import Why
from callguard.core.evidence import Kind
from callguard.store.actions import leg_of, prove
from callguard.store.queries import Transaction


def begin(transaction: Transaction, leg_id: str, number: int, at: int, why: Why) -> None:
    """See `Store.segment_begun`."""
    leg = leg_of(transaction, leg_id)
    transaction.fetch("begin_segment", leg_id=leg_id, number=number, at=at, why=why.value)
    prove(transaction, leg, Kind.RECORDING_RESUMED, at, segment=number, why=why)


def heard_beside(transaction: Transaction, leg_id: str, others: Collection[str], at: int) -> None:
    """See `Store.heard_beside`. Whose voices they are is nothing that the recording's evidence needs."""
    leg_of(transaction, leg_id)
    transaction.add("add_company", [{"leg_id": leg_id, "other": other, "at": at} for other in sorted(others)])


def end(
    transaction: Transaction, leg_id: str, number: int, began_at: int | None, at: int, why: Why, cut_ms: int
) -> None:
    """See `Store.segment_ended`."""
    leg = leg_of(transaction, leg_id)
    # All of it, where nobody knows since when it should not have been: no more than there has been of the leg.
    cut_ms = min(cut_ms, max(0, at - leg["started_at"]))
    transaction.fetch(
        "end_segment", leg_id=leg_id, number=number, began_at=began_at, at=at, why=why.value, cut_ms=cut_ms
    )
    prove(transaction, leg, Kind.RECORDING_PAUSED, at, segment=number, why=why, cut_ms=cut_ms)
