"""Long lists: made ready beside whoever writes, then added in one short transaction, all of them or none.

Adding them one by one would lock the database eight times as long, and a call whose yes waits for a lock for more than
1 s goes on unrecorded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from callguard.errors import StoreError
from callguard.store.queries import Row, Transaction
from callguard.store.rows import new_subject
from callguard.store.writer import Writer

TOGETHER = 1000
"""So many of a list are made ready at once."""

ATTEMPTS = 3
"""So often a list is made ready before others who write about the same numbers are too many."""

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


class Overtaken(StoreError):
    """Somebody else made one of the subjects meanwhile, so what was made ready is about another."""


class Subjects:
    """The subjects of one list. Of a number that the store does not know one is made, once for all of its lines."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._made: dict[str, str] = {}

    def of(
        self, transaction: Transaction, number: str, make: Callable[[str, str], Row] = new_subject
    ) -> tuple[str, str | None]:
        """The subject's id; and the number, where this is the line that makes them.

        Args:
            make: the row of one who may be new.

        Raises:
            StoreError: the number is not E.164.
        """
        try:
            subject = make(self._controller, number)
        except ValueError as error:
            raise StoreError(str(error)) from error
        if found := transaction.fetch("subject_of", controller=self._controller, number=number):
            return str(found[0]["subject_id"]), None
        if number in self._made:
            return self._made[number], None
        self._made[number] = str(subject["subject_id"])
        return self._made[number], number


class Steps(Protocol[A_contra]):
    """How lists of one kind are added."""

    def begin(self, transaction: Transaction) -> None:
        """Make room for a list, without a lock."""

    def stage(self, transaction: Transaction, some: Sequence[A_contra], subjects: Subjects) -> int:
        """Make a part of the list ready, without a lock. Returns: how many of it are new."""

    def seal(self, transaction: Transaction) -> None:
        """Make ready what needs all of it, after the last part: its evidence (`ledger.make_ready`)."""

    def add(self, transaction: Transaction) -> None:
        """Add what is ready, subjects first: with `add_subjects`."""


async def add(
    writer: Writer, controller: str, listed: Sequence[A], steps: Steps[A], tell: Callable[[int], None]
) -> int:
    """Add a list.

    Args:
        tell: called with how many are ready to be added, as the work goes on.

    Returns:
        How many of it are new.

    Raises:
        StoreError: none of it is kept.
    """
    attempt = 1
    while True:
        await writer.prepare(steps.begin)
        subjects, new = Subjects(controller), 0
        for first in range(0, len(listed), TOGETHER):
            some = listed[first : first + TOGETHER]
            new += await writer.prepare(partial(steps.stage, some=some, subjects=subjects))
            tell(first + len(some))
        try:
            if new:
                await writer.prepare(steps.seal)
                await writer.run(steps.add)
            return new
        except Overtaken:
            if attempt == ATTEMPTS:
                raise
            attempt += 1


def add_subjects(transaction: Transaction, query: str) -> None:
    """Add the subjects that a list makes.

    Raises:
        Overtaken: others have made one of them meanwhile.
    """
    try:
        transaction.fetch(query)
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise Overtaken("others write about the same numbers: try it again") from error
