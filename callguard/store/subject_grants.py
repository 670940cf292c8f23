"""What subjects have granted beside any call: lists of grants, and of what ends them, added as `staged` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from uuid_utils import uuid7

from callguard.core.evidence import Kind
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.dial_records import GrantSource, NewEnding, NewGrant
from callguard.store.queries import Row, Transaction
from callguard.store.rows import subject_evidence_row
from callguard.store.staged import Subjects, add_subjects
from callguard.store.times import to_ms


@dataclass(frozen=True, slots=True)
class Grants:
    """The steps of a list of grants, or of what ends them: for whom, when and how they are added.

    `at` is in milliseconds since 1970.
    """

    controller: str
    source: GrantSource
    at: int

    def begin(self, transaction: Transaction) -> None:
        """Make room for a list that is to be added over this connection."""
        transaction.fetch("drop_staged_grants")
        transaction.fetch("create_staged_grants")
        transaction.fetch("keep_many_pages")

    def stage(self, transaction: Transaction, some: Sequence[NewGrant | NewEnding], subjects: Subjects) -> int:
        """Make a part of the list ready, without a lock; how many of it are new."""
        grants: list[Row] = []
        endings: list[Row] = []
        for one in some:
            subject_id, new_number = subjects.of(transaction, one.number)
            about: Row = {"subject_id": subject_id, "new_number": new_number, "controller": self.controller}
            if isinstance(one, NewGrant):
                row = _grant(transaction, one, self, subject_id)
                grants += [{**about, **row}] if row else []
            else:
                row = _ending(transaction, one, self, subject_id)
                endings += [{**about, **row}] if row else []
        transaction.add("stage_grant", grants)
        transaction.add("stage_grant_ending", endings)
        return len(grants) + len(endings)

    def seal(self, transaction: Transaction) -> None:
        """Hash the evidence, without a lock."""
        ledger.make_ready(transaction, "staged_grant_evidence")

    def add(self, transaction: Transaction) -> None:
        """Add what is ready. Raises: Overtaken."""
        add_subjects(transaction, "add_staged_grant_subjects")
        transaction.fetch("add_staged_grants")
        transaction.fetch("add_staged_grant_endings")
        ledger.add_ready(transaction)


def _grant(transaction: Transaction, one: NewGrant, by: Grants, subject_id: str) -> Row | None:
    """The rows of a grant, or None where it is there already, whatever has become of it since."""
    since, until = to_ms(one.since), None if one.until is None else to_ms(one.until)
    if since > by.at or (until is not None and until <= since):
        raise StoreError("a grant has begun, and ends after it begins")
    if not (one.purpose and one.evidence):
        raise StoreError("a grant is for a purpose, and has its evidence somewhere")
    what: Row = {
        "purpose": one.purpose, "basis": one.basis.value, "channel": one.channel.value, "since": since, "until": until,
    }  # fmt: skip
    if transaction.fetch("same_grants", subject_id=subject_id, evidence=one.evidence, **what):
        return None
    grant_id = str(uuid7())
    # The reference may be a person's own (a contract's number): it stands in the row, which can be erased.
    referred = sha256(f"{grant_id} {one.evidence}".encode()).hexdigest()
    proof = subject_evidence_row(
        Kind.GRANT_GIVEN,
        by.at,
        controller=by.controller,
        subject_id=subject_id,
        grant=grant_id,
        source=by.source,
        evidence_sha256=referred,
        **what,
    )
    return {"subject_grant_id": grant_id, "evidence": one.evidence, "source": by.source, **what, **proof}


def _ending(transaction: Transaction, one: NewEnding, by: Grants, subject_id: str) -> Row | None:
    """The rows of what ends grants, or None where it is there already."""
    at = by.at if one.at is None else to_ms(one.at)
    if at > by.at:
        raise StoreError("what ends grants has happened")
    if one.at is None:
        ((youngest,),) = transaction.fetch("youngest_grant", subject_id=subject_id, purpose=one.purpose)
        # Of a clock that was set back: what is said now ends what was said before.
        at = max(at, youngest or at)
    what: Row = {"state": one.state.value, "purpose": one.purpose, "reason": one.reason}
    if transaction.fetch("same_grant_endings", subject_id=subject_id, at=at, **what):
        return None
    ending_id = str(uuid7())
    proof = subject_evidence_row(
        Kind.GRANT_ENDED,
        by.at,
        controller=by.controller,
        subject_id=subject_id,
        ending=ending_id,
        source=by.source,
        ended_at=at,
        **what,
    )
    return {"grant_ending_id": ending_id, "source": by.source, "since": at, **what, **proof}
