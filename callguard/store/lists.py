"""Many opt-outs at once: made ready beside whoever writes, then added in one short transaction, all of them or none.

Adding them one by one would lock the database eight times as long, and a call whose yes waits for a lock for more than
1 s goes on unrecorded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from callguard.errors import StoreError
from callguard.store.dial_records import NewOptOut, OptOutSource
from callguard.store.queries import Row, Transaction
from callguard.store.rows import new_subject
from callguard.store.subjects import opt_out_rows, stands
from callguard.store.times import to_ms


class Overtaken(StoreError):
    """Somebody else made one of the subjects meanwhile, so what was made ready is about another."""


def begin(transaction: Transaction) -> None:
    """Make room for a list that is to be added over this connection."""
    transaction.fetch("drop_staged")
    transaction.fetch("create_staged")
    transaction.fetch("keep_many_pages")


def stage(
    transaction: Transaction,
    controller: str,
    opt_outs: Sequence[NewOptOut],
    at: int,
    source: OptOutSource,
    subjects: dict[str, str],
) -> int:
    """Make a part of a list ready. It takes no lock.

    Args:
        subjects: the new ones of this list so far, by number; those of this part are added.

    Returns:
        How many of them are new.
    """
    rows: list[Row] = []
    for one in opt_outs:
        since, until = at if one.since is None else to_ms(one.since), None if one.until is None else to_ms(one.until)
        if since > at or (until is not None and until <= max(since, at)):
            raise StoreError("an opt-out has begun, ends after it begins, and is not over")
        try:
            subject = new_subject(controller, one.number)
        except ValueError as error:
            raise StoreError(str(error)) from error
        what: Row = {"scope": one.scope.value, "purpose": one.purpose, "campaign": one.campaign}
        new_number = None
        if found := transaction.fetch("subject_of", controller=controller, number=one.number):
            subject_id = str(found[0]["subject_id"])
            if stands(transaction, subject_id, at, source, until, what):
                continue
        else:
            if one.number not in subjects:
                subjects[one.number], new_number = str(subject["subject_id"]), one.number
            subject_id = subjects[one.number]
        row, proof = opt_out_rows(controller, subject_id, at, source, until, what, since=since, reason=one.reason)
        rows.append({**row, **proof, "new_number": new_number})
    transaction.add("stage_opt_out", rows)
    return len(rows)


def add(transaction: Transaction) -> None:
    """Add what is ready.

    Raises:
        Overtaken: make it ready anew.
    """
    try:
        transaction.fetch("add_staged_subjects")
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise Overtaken("others write about the same numbers: try it again") from error
    transaction.fetch("add_staged_opt_outs")
    transaction.fetch("add_staged_evidence")
