"""Consents that turn out to be defective: a notice that said what was wrong, a list that should not have been kept.

They are invalidated, all of them or none, and never mended: the next call asks anew (GDPR Art. 4(11) and 6(1)(a)).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from uuid_utils import uuid7

from callguard.core.evidence import Kind
from callguard.core.model import Basis, GrantState, Purpose
from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.actions import prove
from callguard.store.dial_records import GrantSource
from callguard.store.queries import Transaction
from callguard.store.retention import hashed, mark
from callguard.store.rows import grant_row, subject_evidence_row
from callguard.store.times import to_ms


@dataclass(frozen=True, slots=True)
class DefectiveNotice:
    """A version of a notice, as evidence names it: what was consented to after it, in calls."""

    version: str

    query = "defective_answers"

    @property
    def asked(self) -> dict[str, Any]:
        """What the query needs to find them."""
        return {"version": self.version}


@dataclass(frozen=True, slots=True)
class DefectiveGrants:
    """Consents beside any call that were kept in one way, given in a time and for a purpose, or any.

    Attributes:
        evidence: what the reference to their proof begins with.
    """

    source: GrantSource
    since: datetime
    until: datetime
    purpose: str | None = None
    evidence: str | None = None

    query = "defective_grants"

    @property
    def asked(self) -> dict[str, Any]:
        """What the query needs to find them."""
        span = {"since": to_ms(self.since), "until": to_ms(self.until)}
        return {"source": self.source, "purpose": self.purpose, "evidence": self.evidence, **span}


@dataclass(frozen=True, slots=True)
class Defective:
    """How many there are, or were invalidated: answers in calls, grants beside calls, recordings that rest on them."""

    answers: int
    grants: int
    recordings: int


def count(rows: Iterable[sqlite3.Row], what: DefectiveNotice | DefectiveGrants) -> Defective:
    """How many a query has found."""
    found = list(rows)
    if isinstance(what, DefectiveGrants):
        return Defective(0, len(found), 0)
    return Defective(len(found), 0, len({row["leg_id"] for row in found if _is_recorded(row)}))


def invalidate(
    transaction: Transaction,
    controller: str,
    what: DefectiveNotice | DefectiveGrants,
    reason: str,
    at: int,
    basis: Basis | None,
) -> Defective:
    """See `Store.invalidate`."""
    if basis is Basis.CONSENT:
        raise StoreError("what is kept on another basis is not kept on consent")
    rows = transaction.fetch(what.query, controller=controller, **what.asked)
    version = what.version if isinstance(what, DefectiveNotice) else None
    known = version is not None and transaction.fetch("invalidated_notices", controller=controller, version=version)
    invalidation_id = str(uuid7())
    if rows or (version is not None and not known):
        transaction.fetch(
            "add_invalidation", invalidation_id=invalidation_id, controller=controller, notice_version=version,
            reason=reason, at=at,
        )  # fmt: skip
    if isinstance(what, DefectiveNotice):
        for _, of_leg in groupby(rows, itemgetter("leg_id")):
            _invalidate_answers(transaction, list(of_leg), invalidation_id, reason, at, basis)
        return count(rows, what)
    transaction.add(
        "add_invalidated_grant",
        [{"subject_grant_id": row["subject_grant_id"], "invalidation_id": invalidation_id} for row in rows],
    )
    ledger.record(
        transaction,
        "add_subject_evidence",
        (
            subject_evidence_row(
                Kind.GRANT_INVALIDATED, at, controller=controller, subject_id=row["subject_id"],
                grant=row["subject_grant_id"], purpose=row["purpose"], invalidation=invalidation_id,
                reason_sha256=hashed(invalidation_id, reason),
            )
            for row in rows
        ),
    )  # fmt: skip
    return count(rows, what)


def _invalidate_answers(
    transaction: Transaction, rows: list[sqlite3.Row], invalidation_id: str, reason: str, at: int, basis: Basis | None
) -> None:
    """What one leg's answers come to, and its recording: of one that serves another purpose too, that one is left."""
    leg = rows[0]
    purposes = tuple(row["purpose"] for row in rows)
    transaction.add(
        "add_grant",
        [
            grant_row(leg["leg_id"], Purpose(one, Basis.CONSENT), GrantState.INVALIDATED, at, reason="notice")
            for one in purposes
        ],
    )
    said = hashed(invalidation_id, reason)
    about: dict[str, Any] = {"purposes": purposes, "invalidation": invalidation_id}
    prove(transaction, leg, Kind.CONSENT_INVALIDATED, at, **about, reason_sha256=said)
    if not _is_recorded(leg):
        return
    if basis is not None:
        transaction.add(
            "add_grant",
            [grant_row(leg["leg_id"], Purpose(one, basis), GrantState.GIVEN, at, reason="officer") for one in purposes],
        )
        prove(transaction, leg, Kind.BASIS_CHANGED, at, **about, basis=basis)
    elif not transaction.fetch("standing_grants", leg_id=leg["leg_id"]):
        mark(transaction, leg, reason, at)


def _is_recorded(row: sqlite3.Row) -> bool:
    """Whether there is a recording, or one is being made."""
    running = row["recording"] and row["recording_ended_at"] is None
    kept = row["state"] in ("kept", "quarantined") and row["destroying_at"] is None
    return bool(running or kept)
