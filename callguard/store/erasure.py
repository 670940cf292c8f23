"""A subject is erased: who they are is removed, that they want no marketing stays. Actions, as in `actions`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from callguard.core.decide import Scope
from callguard.core.evidence import Kind
from callguard.core.retention import Trigger
from callguard.errors import StoreError
from callguard.store import actions, ledger
from callguard.store.about import SAME_CALL
from callguard.store.queries import Transaction
from callguard.store.right_records import Erased, ProofKept
from callguard.store.rows import new_subject, subject_evidence_row
from callguard.store.subjects import covers, opt_out_rows
from callguard.store.times import from_ms, to_ms

RUNNING = (
    "a call of this person is being recorded, or its recording is not finished yet, so nothing is erased: end the "
    "recording, or wait for the call's end, and try it again"
)
_SAME_CALL_MS = SAME_CALL // timedelta(milliseconds=1)
# What a linkedid is replaced by begins so, so that it is replaced once.
_NO_LINKEDID = "erased-"


def erase(
    transaction: Transaction,
    subject_id: str,
    at: int,
    proof: ProofKept | None,
    request_id: str | None,
    *,
    only_if_quiet: bool,
) -> Erased | None:
    """See `RightsStore.erase`."""
    for subject in transaction.fetch("subject_to_erase", subject_id=subject_id):
        legs = transaction.fetch("legs_to_erase", subject_id=subject_id, now=at)
        running = [leg for leg in legs if _is_running(leg)]
        if running and only_if_quiet:
            raise StoreError(RUNNING)
        for leg in running:
            actions.withdraw(transaction, leg["leg_id"], at, "request")
        if proof is not None and subject["number"] is not None:
            _restrict(transaction, subject, proof)
        removed, held = _remove(transaction, subject, legs, at)
        suppressed, kept = _suppress(transaction, subject, at)
        if any(removed.values()) or subject["erased_at"] is None:
            _prove(transaction, subject["controller"], at, request_id, removed, held, kept, proof)
        return Erased(
            subject_id,
            subject["controller"],
            from_ms(subject["erased_at"] or at),
            removed,
            suppressed,
            kept,
            tuple(leg["call_id"] for leg in held),
        )
    return None


def forget_proofs(transaction: Transaction, now: int) -> int:
    """See `RightsStore.forget_proofs`."""
    transaction.fetch("forget_restricted_grants", now=now)
    over = transaction.fetch("forget_restricted_subjects", now=now)
    for one in over:
        row = subject_evidence_row(Kind.PROOF_DELETED, now, controller=one["controller"], subject_id=None)
        ledger.record(transaction, "add_subject_evidence", [row])
    return len(over)


def is_called_again(opt_outs: Sequence[sqlite3.Row]) -> bool:
    """Whether these opt-outs in force let somebody be called for marketing, now or once one is over."""
    lasting = (Scope.MARKETING.value, Scope.ALL.value)
    return not any(one["scope"] in lasting and covers(one["source"], one["until"], "erasure", None) for one in opt_outs)


def _is_running(leg: sqlite3.Row) -> bool:
    return bool(leg["recording"]) and leg["recording_ended_at"] is None and leg["recording_state"] is None


def _restrict(transaction: Transaction, subject: sqlite3.Row, proof: ProofKept) -> None:
    transaction.fetch(
        "restrict_subject",
        subject_id=subject["subject_id"],
        controller=subject["controller"],
        number=subject["number"],
        why=proof.why,
        until=to_ms(proof.until),
    )
    transaction.fetch("restrict_grants", subject_id=subject["subject_id"])


def _remove(
    transaction: Transaction, subject: sqlite3.Row, legs: Sequence[sqlite3.Row], at: int
) -> tuple[dict[str, int], list[sqlite3.Row]]:
    """Empty what says who it is. Returns: how much of what, and the legs whose recordings are held."""
    subject_id, number = subject["subject_id"], subject["number"]
    kept = [leg for leg in legs if leg["recording_state"] == "kept"]
    held = [leg for leg in kept if leg["held"]]
    for leg in kept:  # a running callguard destroys what is not held, and the rest when its hold ends
        transaction.fetch("hasten_destruction", leg_id=leg["leg_id"], destroy_at=at)
    whose = {"subject_id": subject_id}
    removed = {
        "number": int(number is not None),
        "name": int(subject["name"] is not None),
        "words": sum(
            len(transaction.fetch(f"erase_words_of_{what}", **whose))
            for what in ("opt_outs", "holds", "releases", "marks", "requests")
        ),
        "corrections": len(transaction.fetch("erase_corrections", **whose)),
        "references": sum(
            len(transaction.fetch(query, **whose)) for query in ("erase_evidence_of_grants", "erase_tickets")
        ),
        "shown_numbers": len(transaction.fetch("erase_facts", **whose, number=number)),
        "channels": _erase_channels(transaction, legs),
        "links": len(transaction.fetch("erase_links_to_evidence", **whose)),
        # What is held is read by it.
        "content_keys": 0 if held else len(transaction.fetch("forget_content_key", **whose)),
        "recordings": 0 if subject["erased_at"] else sum(map(_goes, legs)),
    }
    transaction.fetch("set_erased", **whose, at=at)
    return removed, held


def _goes(leg: sqlite3.Row) -> bool:
    """Whether its recording goes, or has gone, because of the erasure."""
    gone = leg["recording_state"] == "destroyed" and leg["reason"] == Trigger.ERASURE
    return gone or (leg["recording_state"] == "kept" and not leg["held"])


def _erase_channels(transaction: Transaction, legs: Sequence[sqlite3.Row]) -> int:
    """How Asterisk's own records, which have the number, name these legs. What still runs is found by it."""
    erased = 0
    over = [leg for leg in legs if not _is_running(leg)]
    for leg in over:
        erased += len(transaction.fetch("erase_channel", leg_id=leg["leg_id"]))
    for linkedid in dict.fromkeys(leg["linkedid"] for leg in over):
        if linkedid.startswith(_NO_LINKEDID) or any(leg["linkedid"] == linkedid for leg in legs if _is_running(leg)):
            continue
        times = [leg["started_at"] for leg in over if leg["linkedid"] == linkedid]
        transaction.fetch(
            "erase_linkedid",
            linkedid=linkedid,
            another=f"{_NO_LINKEDID}{uuid4()}",
            since=min(times) - _SAME_CALL_MS,
            until=max(times) + _SAME_CALL_MS,
        )
    return erased


def _suppress(transaction: Transaction, subject: sqlite3.Row, at: int) -> tuple[bool, int]:
    """What the person does not want stays, with the number and nothing else, and so that they are not called again.

    Returns:
        Whether an opt-out was added, and how many were kept.
    """
    if subject["number"] is None:
        return False, 0
    controller, another = subject["controller"], new_subject(subject["controller"], subject["number"])
    in_force = transaction.fetch("opt_outs_in_force", subject_id=subject["subject_id"], at=at)
    transaction.fetch("add_subject", **another)
    for one in in_force:
        transaction.fetch("move_opt_out", opt_out_id=one["opt_out_id"], subject_id=another["subject_id"])
    if not is_called_again(in_force):
        return False, len(in_force)
    what = {"scope": Scope.MARKETING.value, "purpose": None, "campaign": None}
    row, proof = opt_out_rows(
        controller, str(another["subject_id"]), at, "erasure", None, what, since=at, reason=None
    )  # fmt: skip
    transaction.fetch("add_opt_out", **row)
    ledger.record(transaction, "add_subject_evidence", [proof])
    return True, len(in_force)


def _prove(
    transaction: Transaction,
    controller: str,
    at: int,
    request_id: str | None,
    removed: dict[str, int],
    held: Sequence[sqlite3.Row],
    kept: int,
    proof: ProofKept | None,
) -> None:
    # Whose it was stands nowhere beside it: that is what was removed.
    row = subject_evidence_row(
        Kind.SUBJECT_ERASED,
        at,
        controller=controller,
        subject_id=None,
        request=request_id,
        removed=removed,
        held=len(held),
        opt_outs_kept=kept,
        proof_until=None if proof is None else to_ms(proof.until),
    )
    ledger.record(transaction, "add_subject_evidence", [row])
