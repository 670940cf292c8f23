"""What concerns a subject and no leg: opt-outs and dial decisions. Actions within a transaction, as in `actions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from uuid_utils import uuid7

from callguard.core.decide import Scope
from callguard.core.evidence import Kind, Value, canonical
from callguard.core.roles import Actor
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.access import said_of
from callguard.store.actions import leg_of, prove
from callguard.store.dial_records import DialRecord, OptOutSource
from callguard.store.queries import Row, Transaction
from callguard.store.rows import block_rows, new_opted_out, new_subject, subject_evidence_row, without_numbers
from callguard.store.times import to_ms

T = TypeVar("T", int, datetime)

UNVERIFIED: OptOutSource = "typed_unverified"
"""Anybody can type anybody's number: such an opt-out protects, but neither stands in for the subject's own nor may
end one."""


def opt_out(
    transaction: Transaction,
    controller: str,
    number: str,
    scope: Scope,
    at: int,
    source: OptOutSource,
    *,
    purpose: str | None,
    campaign: str | None,
    reason: str | None,
    until: int | None,
) -> bool:
    """A subject opts out; see `Store.opt_out`."""
    if until is not None and until <= at:
        raise StoreError("an opt-out ends after it begins")
    subject_id = subject(transaction, controller, number, new_opted_out)
    transaction.add("add_block", block_rows(controller, subject_id, number))
    what: Row = {"scope": scope.value, "purpose": purpose, "campaign": campaign}
    if stands(transaction, subject_id, at, source, until, what):
        return False
    row, proof = opt_out_rows(controller, subject_id, at, source, until, what, since=at, reason=reason)
    transaction.fetch("add_opt_out", **row)
    ledger.record(transaction, "add_subject_evidence", [proof])
    return True


def stands(
    transaction: Transaction, subject_id: str, at: int, source: OptOutSource, until: int | None, what: Row
) -> bool:
    """Whether an opt-out of this scope, purpose and campaign would add nothing to what is in force."""
    return any(
        covers(standing["source"], standing["until"], source, until)
        for standing in transaction.fetch("same_opt_outs", subject_id=subject_id, at=at, **what)
    )


def covers(standing_source: str, standing_until: T | None, source: OptOutSource, until: T | None) -> bool:
    """Whether an opt-out in force lasts as long as another one, and is as much the subject's own."""
    lasts = standing_until is None or (until is not None and until <= standing_until)
    return lasts and (source == UNVERIFIED or standing_source != UNVERIFIED)


def opt_out_rows(
    controller: str,
    subject_id: str,
    at: int,
    source: OptOutSource,
    until: int | None,
    what: Row,
    *,
    since: int,
    reason: str | None,
) -> tuple[Row, Row]:
    """An opt-out that is kept at a moment, and its evidence."""
    opt_out_id = str(uuid7())
    row: Row = {
        "opt_out_id": opt_out_id,
        "controller": controller,
        "subject_id": subject_id,
        "source": source,
        "reason": reason,
        "since": since,
        "until": until,
        **what,
    }
    # The reason is somebody's own words, which may name a person: it stands in the row, which can be erased.
    proved = {"opt_out": opt_out_id, "source": source, "until": until, **what}
    if since != at:
        proved["since"] = since
    return row, subject_evidence_row(Kind.OPTOUT_ADDED, at, controller=controller, subject_id=subject_id, **proved)


def opt_in(
    transaction: Transaction,
    controller: str,
    number: str,
    scope: Scope,
    at: int,
    source: OptOutSource,
    *,
    purpose: str | None,
    campaign: str | None,
    undone: bool,
) -> bool:
    """A subject's opt-outs of a scope end; see `Store.opt_in`."""
    what = {"scope": scope.value, "purpose": purpose, "campaign": campaign}
    ended = False
    for subject in transaction.fetch("subject_of", controller=controller, number=number):
        subject_id = subject["subject_id"]
        for standing in transaction.fetch("same_opt_outs", subject_id=subject_id, at=at, **what):
            if source == UNVERIFIED and standing["source"] != UNVERIFIED:
                continue
            opt_out_id = standing["opt_out_id"]
            transaction.fetch("end_opt_out", opt_out_id=opt_out_id, at=at, undone=int(undone))
            proved = {"opt_out": opt_out_id, "source": source, **what}
            if undone:
                proved["undone"] = True
            _prove(transaction, Kind.OPTOUT_ENDED, at, controller, subject_id, **proved)
            ended = True
    return ended


def decided(transaction: Transaction, record: DialRecord) -> None:
    """Somebody was to be called; see `Store.decided`."""
    if transaction.fetch("decision_of_call", call_id=record.call_id):
        return
    at, decision_id = to_ms(record.at), str(uuid7())
    subject_id = None if record.number is None else subject(transaction, record.controller, record.number)
    transaction.fetch(
        "add_decision",
        decision_id=decision_id,
        call_id=record.call_id,
        controller=record.controller,
        subject_id=subject_id,
        profile=record.profile,
        at=at,
        allow=int(record.allow),
        rules=",".join(record.rules),
        facts=canonical(record.facts).decode(),
    )
    _prove(
        transaction,
        Kind.DIAL_DECIDED,
        at,
        record.controller,
        subject_id,
        decision=decision_id,
        call=record.call_id,
        profile=record.profile,
        allow=record.allow,
        rules=record.rules,
        facts=without_numbers(record.facts),
    )


def exported(
    transaction: Transaction,
    controller: str,
    subject_id: str,
    at: int,
    manifest: str,
    recordings: int,
    actor: Actor,
    purpose: str | None,
    legs: Sequence[str],
) -> None:
    """A subject's data are handed out; see `Store.exported`."""
    said = said_of(transaction, actor, at, "subject export", purpose)
    _prove(
        transaction,
        Kind.SUBJECT_EXPORTED,
        at,
        controller,
        subject_id,
        manifest=manifest,
        recordings=recordings,
        **said,
    )
    for leg_id in legs:
        prove(transaction, leg_of(transaction, leg_id), Kind.RECORDING_EXPORTED, at, **said)


def subject(
    transaction: Transaction, controller: str, number: str, make: Callable[[str, str], Row] = new_subject
) -> str:
    """The subject of a number, who is made where the number is new."""
    for found in transaction.fetch("subject_of", controller=controller, number=number):
        return str(found["subject_id"])
    try:
        new = make(controller, number)
    except ValueError as error:
        raise StoreError(str(error)) from error
    transaction.fetch("add_subject", **new)
    return str(new["subject_id"])


def _prove(
    transaction: Transaction, kind: Kind, at: int, controller: str, subject_id: str | None, **fields: Value
) -> None:
    row = subject_evidence_row(kind, at, controller=controller, subject_id=subject_id, **fields)
    ledger.record(transaction, "add_subject_evidence", [row])
