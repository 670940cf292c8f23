"""What subjects have granted beside any call: lists of grants, and of what ends them, added all of it or none.

As lists of opt-outs are (`lists`): made ready beside whoever writes, then added in one short transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from uuid_utils import uuid7

from callguard.core.evidence import Kind
from callguard.errors import StoreError
from callguard.store.dial_records import GrantSource, NewEnding, NewGrant
from callguard.store.lists import Overtaken
from callguard.store.queries import Row, Transaction
from callguard.store.rows import new_subject, subject_evidence_row
from callguard.store.times import to_ms
from callguard.store.writer import Writer

TOGETHER = 1000
"""So many of a list are made ready at once."""

ATTEMPTS = 3
"""So often a list is made ready before others who write about the same numbers are too many."""


@dataclass(frozen=True, slots=True)
class Added:
    """Who adds a list, when, and for whom; `at` in milliseconds since 1970."""

    controller: str
    source: GrantSource
    at: int


async def add(
    writer: Writer, listed: Sequence[NewGrant] | Sequence[NewEnding], by: Added, tell: Callable[[int], None]
) -> int:
    """Add a list, all of it or nothing; how many of it are new. See `Store.grant_all`."""
    attempt = 1
    while True:
        await writer.prepare(_begin)
        made: dict[str, str] = {}
        new = 0
        for first in range(0, len(listed), TOGETHER):
            some = listed[first : first + TOGETHER]
            new += await writer.prepare(partial(_stage, listed=some, by=by, subjects=made))
            tell(first + len(some))
        try:
            if new:
                await writer.run(_add)
            return new
        except Overtaken:
            if attempt == ATTEMPTS:
                raise
            attempt += 1


def _begin(transaction: Transaction) -> None:
    transaction.fetch("drop_staged_grants")
    transaction.fetch("create_staged_grants")
    transaction.fetch("keep_many_pages")


def _stage(
    transaction: Transaction,
    listed: Sequence[NewGrant] | Sequence[NewEnding],
    by: Added,
    subjects: dict[str, str],
) -> int:
    """Make a part of a list ready, without a lock; how many of it are new.

    Args:
        subjects: the new ones of this list so far, by number; those of this part are added.
    """
    grants: list[Row] = []
    endings: list[Row] = []
    for one in listed:
        try:
            subject = new_subject(by.controller, one.number)
        except ValueError as error:
            raise StoreError(str(error)) from error
        new_number = None
        if found := transaction.fetch("subject_of", controller=by.controller, number=one.number):
            subject_id = str(found[0]["subject_id"])
        else:
            if one.number not in subjects:
                subjects[one.number], new_number = str(subject["subject_id"]), one.number
            subject_id = subjects[one.number]
        about: Row = {"subject_id": subject_id, "new_number": new_number, "controller": by.controller}
        if isinstance(one, NewGrant):
            row = _grant(transaction, one, by, subject_id)
            grants += [{**about, **row}] if row else []
        else:
            row = _ending(transaction, one, by, subject_id)
            endings += [{**about, **row}] if row else []
    transaction.add("stage_grant", grants)
    transaction.add("stage_grant_ending", endings)
    return len(grants) + len(endings)


def _grant(transaction: Transaction, one: NewGrant, by: Added, subject_id: str) -> Row | None:
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


def _ending(transaction: Transaction, one: NewEnding, by: Added, subject_id: str) -> Row | None:
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


def _add(transaction: Transaction) -> None:
    try:
        transaction.fetch("add_staged_grant_subjects")
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise Overtaken("others write about the same numbers: try it again") from error
    transaction.fetch("add_staged_grants")
    transaction.fetch("add_staged_grant_endings")
    transaction.fetch("add_staged_grant_evidence")
