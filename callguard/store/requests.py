"""What people ask for by right, step by step. Actions within a transaction, as in `actions`."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from hashlib import sha256

from uuid_utils import uuid7

from callguard.core.evidence import Kind, Value
from callguard.core.requests import Impossible, Proof, Right, State, Step, Via, after, proved
from callguard.core.roles import Actor
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.access import by
from callguard.store.queries import Transaction
from callguard.store.right_records import Correction
from callguard.store.rows import subject_evidence_row
from callguard.store.subjects import subject

_KINDS = {
    Step.NOTE: Kind.REQUEST_NOTED,
    Step.IDENTIFY: Kind.REQUEST_IDENTIFIED,
    Step.EXTEND: Kind.REQUEST_EXTENDED,
    Step.APPROVE: Kind.REQUEST_APPROVED,
    Step.RUN: Kind.REQUEST_DONE,
    Step.REFUSE: Kind.REQUEST_REFUSED,
    Step.EXPIRE: Kind.REQUEST_EXPIRED,
}


def open_(
    transaction: Transaction,
    controller: str,
    number: str,
    right: Right,
    via: Via,
    at: int,
    due_at: int,
    call_id: str | None,
    reason: str | None,
    corrections: Sequence[Correction],
    actor: Actor | None,
) -> tuple[str, bool]:
    """See `RightsStore.open_request`."""
    subject_id = subject(transaction, controller, number)
    if not corrections:  # of which each may be another
        for one in transaction.fetch("pending_of_subject", subject_id=subject_id, kind=right.value):
            return str(one["request_id"]), False
    request_id = str(uuid7())
    transaction.fetch(
        "add_request", request_id=request_id, controller=controller, subject_id=subject_id, call_id=call_id,
        kind=right.value, channel=via.value, received_at=at, due_at=due_at,
    )  # fmt: skip
    transaction.add(
        "add_correction",
        [
            {
                "correction_id": str(uuid7()), "request_id": request_id, "subject_id": subject_id,
                "call_id": one.call_id, "what": one.what, "value": one.value,
            }
            for one in corrections
        ],
    )  # fmt: skip
    transaction.fetch("add_request_step", request_id=request_id, step="open", at=at, reason=reason)
    said = _hashed(request_id, reason)
    _prove(
        transaction, Kind.REQUEST_OPENED, at, controller, subject_id,
        request=request_id, right=right, via=via, due_at=due_at, **({"call": call_id} if call_id else {}), **said,
        **by(transaction, actor, at),
    )  # fmt: skip
    return request_id, True


def move(
    transaction: Transaction,
    request_id: str,
    step: Step,
    at: int,
    reason: str | None,
    proofs: Collection[Proof],
    due_at: int | None,
    actor: Actor | None,
) -> State:
    """See `RightsStore.move_request`."""
    for row in transaction.fetch("request", request_id=request_id):
        right = Right(row["kind"])
        known = {Proof(one) for one in row["identity"].split(",") if one} | set(proofs)
        if step is Step.IDENTIFY and not proved(right, known):
            step = Step.NOTE
        try:
            state = after(right, State(row["state"]), step)
        except Impossible as error:
            raise StoreError(str(error)) from error
        if step is Step.EXTEND and row["extended_at"] is not None:
            raise StoreError("its deadline was extended already, and may be once (GDPR Art. 12(3))")
        ended = state in (State.DONE, State.REFUSED, State.EXPIRED)
        transaction.fetch(
            "set_request",
            request_id=request_id,
            state=state.value,
            identity=",".join(sorted(known)),
            due_at=row["due_at"] if due_at is None else due_at,
            extended_at=at if step is Step.EXTEND else row["extended_at"],
            ended_at=at if ended else None,
        )
        transaction.fetch("add_request_step", request_id=request_id, step=step.value, at=at, reason=reason)
        fields: dict[str, Value] = {"request": request_id, "right": right, **by(transaction, actor, at)}
        if step in (Step.IDENTIFY, Step.NOTE):
            fields["identity"] = sorted(known)
        if due_at is not None:
            fields["due_at"] = due_at
        _prove(transaction, _KINDS[step], at, row["controller"], _whose(row), **fields, **_hashed(request_id, reason))
        return state
    raise StoreError("there is no such request")


def correct(transaction: Transaction, request_id: str, at: int) -> int:
    """See `RightsStore.correct`."""
    made = 0
    for row in transaction.fetch("request", request_id=request_id):
        for one in transaction.fetch("corrections_of_request", request_id=request_id):
            if one["at"] is not None or one["value"] is None:
                continue
            transaction.fetch("set_corrected", correction_id=one["correction_id"], at=at)
            if one["what"] == "name":
                transaction.fetch("set_name", subject_id=row["subject_id"], name=one["value"])
            _prove(
                transaction, Kind.SUBJECT_CORRECTED, at, row["controller"], _whose(row), request=request_id,
                what=one["what"], **({"call": one["call_id"]} if one["call_id"] else {}),
                value_sha256=sha256(f"{one['correction_id']} {one['value']}".encode()).hexdigest(),
            )  # fmt: skip
            made += 1
    return made


def _whose(row: sqlite3.Row) -> str | None:
    """Whose the entry is; of who was erased that is not said any more."""
    return None if row["erased_at"] is not None else str(row["subject_id"])


def _hashed(request_id: str, reason: str | None) -> dict[str, Value]:
    """Somebody's own words may be about a person: they stand in their row, which can be erased."""
    return {} if reason is None else {"reason_sha256": sha256(f"{request_id} {reason}".encode()).hexdigest()}


def _prove(
    transaction: Transaction, kind: Kind, at: int, controller: str, subject_id: str | None, **fields: Value
) -> None:
    row = subject_evidence_row(kind, at, controller=controller, subject_id=subject_id, **fields)
    ledger.record(transaction, "add_subject_evidence", [row])
