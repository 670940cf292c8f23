"""Incidents, and recordings that are set aside. Actions within a transaction, as in `actions`."""

from __future__ import annotations

from collections.abc import Mapping

from uuid_utils import uuid7

from callguard.core.evidence import Kind, Value, canonical
from callguard.core.incidents import Incident
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.actions import leg_of, prove
from callguard.store.queries import Transaction
from callguard.store.rows import incident_body


def incident(
    transaction: Transaction,
    kind: Incident,
    at: int,
    detail: Mapping[str, Value],
    leg_id: str | None,
    controller: str | None,
) -> tuple[str, bool]:
    """Something has to be looked into; see `Store.incident`. Also whether it is new."""
    call_id = None
    if leg_id is not None:
        leg = leg_of(transaction, leg_id)
        controller, call_id = leg["controller"], leg["call_id"]
    try:
        text = canonical(detail).decode()
    except ValueError as error:
        raise StoreError(str(error)) from error
    row = {"controller": controller, "leg_id": leg_id, "kind": kind.value, "at": at, "detail": text}
    for same in transaction.fetch("same_incident", **row):
        return str(same["incident_id"]), False
    incident_id = str(uuid7())
    body = incident_body(incident_id, kind.value, at, detail, leg_id, call_id, controller).decode()
    ledger.record(transaction, "add_incident", [{**row, "incident_id": incident_id, "body": body}])
    return incident_id, True


def quarantine(transaction: Transaction, leg_id: str, at: int, reason: str) -> None:
    """A leg's recording is set aside; see `Store.quarantine`."""
    leg = leg_of(transaction, leg_id)
    if leg["state"] in (None, "kept"):
        transaction.fetch("mark_ended", leg_id=leg_id, at=at)
        transaction.fetch("set_quarantined", leg_id=leg_id, controller=leg["controller"], at=at, reason=reason)
        prove(transaction, leg, Kind.RECORDING_QUARANTINED, at, reason=reason)
