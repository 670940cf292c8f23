"""What happens to a leg after its gate. Each action runs within a transaction, and a second time adds nothing."""

from __future__ import annotations

import json
import sqlite3

from callguard.core.evidence import Kind, Value
from callguard.core.model import Basis, Form, GrantState, Heard, Outcome, Purpose, Told
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.from_rows import opened
from callguard.store.queries import Transaction
from callguard.store.records import Kept, OpenRecording
from callguard.store.rows import evidence_row, grant_row, heard_value, informed_rows, told_value
from callguard.store.times import to_ms

# One key is told of by the dialplan, in whole seconds, and by AMI.
SAME_WITHIN_MS = 3_000


def withdraw(transaction: Transaction, leg_id: str, at: int, source: str) -> OpenRecording | None:
    """Take back what was given on consent, note the objection to the rest; see `Store.withdraw`."""
    for leg in transaction.fetch("leg_status", leg_id=leg_id):
        if at < (leg["agreed_at"] or 0):  # said before a yes in the call, and heard of only now
            return None
        if leg["withdrawn_at"] is None:
            _withdraw_once(transaction, leg, at, source)
    recordings = opened(transaction.fetch("standing_recording", leg_id=leg_id))
    return recordings[0] if recordings else None


def object_to(transaction: Transaction, leg_id: str, at: int, source: str) -> None:
    """Note an objection that stops nothing; see `Store.object_to`."""
    for leg in transaction.fetch("leg_status", leg_id=leg_id):
        last = transaction.fetch("latest_evidence", leg_id=leg_id, kind=Kind.OBJECTED.value)
        if any(abs(at - entry["at"]) <= SAME_WITHIN_MS for entry in last):
            continue
        objected = tuple(grant["purpose"] for grant in transaction.fetch("standing_grants", leg_id=leg_id))
        prove(transaction, leg, Kind.OBJECTED, at, source=source, objected=objected)


def agree(
    transaction: Transaction,
    leg_id: str,
    at: int,
    purposes: tuple[Purpose, ...],
    key: str,
    file: str,
    folder: str | None,
    heard: tuple[Heard, ...],
    knows: str | None,
) -> bool:
    """A key in the call gives what the gate had not; see `Store.agree`."""
    if not (purposes and file and all(purpose.basis is Basis.CONSENT for purpose in purposes)):
        raise StoreError("a key in the call gives purposes that rest on consent, one at least, into a file")
    for leg in transaction.fetch("leg_status", leg_id=leg_id):
        running = leg["recording"] and leg["recording_ended_at"] is None
        # One that has ended, or whose files were destroyed, is no longer expected, so a second would go unseen.
        ended = leg["recording_ended_at"] is not None or leg["state"] is not None
        said_no = leg["withdrawn_at"] is not None
        # Who has heard the notice again may think better of a no; what it stopped has to be gone by then.
        anew = heard and said_no and leg["state"] != "kept"
        # Who was erased is nobody whom anything can be kept of.
        if leg["erased_at"] is None and not running and (anew or not (ended or said_no)):
            if leg["state"] is not None:
                transaction.fetch("forget_files", leg_id=leg_id)
                transaction.fetch("forget_recording", leg_id=leg_id)
            transaction.fetch("forget_segments", leg_id=leg_id)
            _agree_once(transaction, leg, at, purposes, key, file, folder, heard, knows)
            return True
    return False


def keep(transaction: Transaction, leg_id: str, kept: Kept, destroy_at: int | None) -> None:
    """A recording ended and is kept; see `Store.recording_kept`."""
    leg = leg_of(transaction, leg_id)
    if leg["state"] is not None:
        return
    if not leg["recording"]:
        raise StoreError("a leg that nobody allowed to record has a recording: it cannot be kept")
    ended_at = to_ms(kept.ended_at)
    transaction.fetch("mark_ended", leg_id=leg_id, at=ended_at)
    transaction.fetch(
        "add_kept",
        leg_id=leg_id,
        controller=leg["controller"],
        ended_at=ended_at,
        duration_ms=kept.duration_ms,
        destroy_at=destroy_at,
    )
    files: list[dict[str, str | int]] = [
        {"name": file.name, "size": file.size, "sha256": file.sha256} for file in kept.files
    ]
    transaction.add("add_file", [{"leg_id": leg_id, **file} for file in files])
    prove(
        transaction,
        leg,
        Kind.RECORDING_KEPT,
        ended_at,
        files=files,
        duration_ms=kept.duration_ms,
        destroy_at=destroy_at,
        withdrawn=leg["withdrawn_at"] is not None,
    )


def miss(transaction: Transaction, leg_id: str, at: int) -> None:
    """A recording never began; see `Store.recording_absent`."""
    leg = leg_of(transaction, leg_id)
    if leg["recording"] and leg["recording_ended_at"] is None:
        transaction.fetch("mark_ended", leg_id=leg_id, at=at)
        prove(transaction, leg, Kind.RECORDING_ABSENT, at)


def destroy(transaction: Transaction, leg_id: str, at: int, reason: str) -> None:
    """A recording's files are gone; see `Store.recording_destroyed`."""
    leg = leg_of(transaction, leg_id)
    if leg["state"] != "destroyed":
        transaction.fetch("mark_ended", leg_id=leg_id, at=at)
        begun = transaction.fetch("begun_destroying", leg_id=leg_id)
        transaction.fetch("set_destroyed", leg_id=leg_id, controller=leg["controller"], at=at, reason=reason)
        why = json.loads(begun[0]["destroying_for"]) if begun and begun[0]["destroying_for"] else {}
        prove(transaction, leg, Kind.RECORDING_DESTROYED, at, **{"reason": reason, **why})
        transaction.fetch("forget_content_key_of_erased", leg_id=leg_id)


def hasten(transaction: Transaction, leg_id: str, destroy_at: int) -> None:
    """A kept recording is to be destroyed; see `Store.destroy_by`."""
    leg_of(transaction, leg_id)
    transaction.fetch("hasten_destruction", leg_id=leg_id, destroy_at=destroy_at)


def _agree_once(
    transaction: Transaction,
    leg: sqlite3.Row,
    at: int,
    purposes: tuple[Purpose, ...],
    key: str,
    file: str,
    folder: str | None,
    heard: tuple[Heard, ...],
    knows: str | None,
) -> None:
    leg_id = leg["leg_id"]
    standing = [grant["purpose"] for grant in transaction.fetch("standing_grants", leg_id=leg_id)]
    new = {purpose.id: purpose for purpose in purposes if purpose.id not in standing}
    version = heard[0].prompt.version if heard else None
    transaction.add(
        "add_grant",
        [
            grant_row(leg_id, purpose, GrantState.GIVEN, at, reason="key", notice_version=version)
            for purpose in new.values()
        ],
    )
    told = tuple(Told(one, Form.CHANGE if n else Form.WHOLE, whole=True) for n, one in enumerate(heard))
    transaction.add("add_informed", informed_rows(leg_id, told, knows, at))
    granted = (*standing, *new)
    asked = {row["purpose"] for row in transaction.fetch("leg_purposes", leg_id=leg_id)}
    outcome = Outcome.GIVEN if asked == set(granted) else Outcome.PARTIAL
    transaction.fetch(
        "start_recording",
        leg_id=leg_id,
        at=at,
        outcome=outcome.value,
        granted=",".join(granted),
        file=file,
        folder=folder,
    )
    proof: dict[str, Value] = {"given": tuple(new), "key": key, "outcome": outcome, "granted": granted}
    if heard:
        proof["heard"] = tuple(map(heard_value, heard))
    if told:
        prove(transaction, leg, Kind.INFORMED, at, knows=knows, told=tuple(map(told_value, told)))
    prove(transaction, leg, Kind.CONSENT_GIVEN, at, **proof)


def _withdraw_once(transaction: Transaction, leg: sqlite3.Row, at: int, source: str) -> None:
    standing = transaction.fetch("standing_grants", leg_id=leg["leg_id"])
    # Also where nothing stands: who has said no in the call is not recorded for a yes that comes in late.
    withdrawn = tuple(Purpose(grant["purpose"], Basis.CONSENT) for grant in standing if grant["basis"] == Basis.CONSENT)
    objected = tuple(grant["purpose"] for grant in standing if grant["basis"] != Basis.CONSENT)
    transaction.fetch("mark_withdrawn", leg_id=leg["leg_id"], at=at)
    transaction.add(
        "add_grant",
        [grant_row(leg["leg_id"], purpose, GrantState.WITHDRAWN, at, reason=source) for purpose in withdrawn],
    )
    taken_back = tuple(purpose.id for purpose in withdrawn)
    prove(transaction, leg, Kind.WITHDRAWN, at, source=source, withdrawn=taken_back, objected=objected)


def prove(transaction: Transaction, leg: sqlite3.Row, kind: Kind, at: int, **fields: Value) -> None:
    """Add evidence of a leg's, whose row is one of ``leg_status``."""
    row = evidence_row(kind, at, leg_id=leg["leg_id"], call_id=leg["call_id"], controller=leg["controller"], **fields)
    ledger.record(transaction, "add_evidence", [row])


def leg_of(transaction: Transaction, leg_id: str) -> sqlite3.Row:
    """A leg's row of ``leg_status``. Raises: StoreError, where there is no such leg."""
    for leg in transaction.fetch("leg_status", leg_id=leg_id):
        return leg
    raise StoreError(f"there is no leg {leg_id}")
