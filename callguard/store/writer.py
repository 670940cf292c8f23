"""The one writer of a process: groups what waits into one transaction, and writes only while the gate is its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.columns import Columns, Locked
from callguard.store.database import Database
from callguard.store.queries import Row, Transaction

COMMIT_EVERY_S = 0.05
"""The least time between the starts of two groups, in seconds. A call that comes alone does not wait. Under load more
calls share a commit, which halves what a call costs; nobody hears 50 ms, and a slow disk gets 20 commits a second."""

OVERWRITE_TRIES = 3
"""So often SQLite's log is tried to be emptied; each try waits `database.BUSY_S` for those who read."""

Rows: TypeAlias = Mapping[str, Sequence[Row]]
"""Rows to add, by the name of the statement that adds them."""

ADDING_ORDER = ("add_subject", "add_leg", "add_grant", "add_informed")
"""Foreign keys' order. The evidence follows."""

T = TypeVar("T")
Action: TypeAlias = Callable[[Transaction], T]
"""Reads and writes within a transaction, in the connection's thread."""


class Fenced(StoreError):
    """Another process has taken this gate since; this one may write nothing any more."""


class Removed(StoreError):
    """The database's file is gone, or another is in its place."""


class Damaged(StoreError):
    """The database's file is not what SQLite wrote. Nothing more is written to it: that could only harm it more."""


_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TO_MEND = "stop callguard, put a backup in its place or mend it with sqlite3's .recover, and start callguard again"


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """What stands or falls together, for one caller. The rows of all units come before the actions."""

    rows: Rows
    action: Action[Any] | None
    done: asyncio.Future[Any]


class Writer:
    """Takes units of work from many tasks and commits them in groups.

    The owner enters it as a context manager; on leaving it, what waits is written first. A caller that is cancelled
    leaves its unit whole: written, or not at all.

    Args:
        gate: what it writes for, while `epoch` is its own; None for no gate, whose writer nothing replaces.
        columns: what the database's connection seals by.
    """

    def __init__(self, database: Database, gate: str | None, epoch: int, columns: Columns | None = None) -> None:
        self._database = database
        self._gate = gate
        self._epoch = epoch
        self._columns = columns or Columns()
        self._waiting: asyncio.Queue[_Unit | None] = asyncio.Queue()
        self._closed = False
        self._damaged: Damaged | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="store writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._waiting.put_nowait(None)
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # Writing what waits is bounded by the wait for a lock; only who cancels twice does without it.
            await self._task
            raise

    async def add(self, rows: Rows) -> None:
        """Add rows; return when they are on the disk.

        Raises:
            Fenced: another process has taken the gate.
            Locked: another process has encrypted the store's columns.
            Damaged: from the first time on that the file was found to be.
            StoreError: nothing of it is kept.
        """
        await self._submit(rows, None)

    async def run(self, action: Action[T]) -> T:
        """Run an action in a transaction; return its result when what it wrote is on the disk.

        It may be run more than once, each time with nothing of the last attempt left. Raises as `add` does.
        """
        result: T = await self._submit({}, action)
        return result

    async def prepare(self, action: Action[T]) -> T:
        """Run an action that reads, or writes to temporary tables, at once and without a lock: others write meanwhile.

        Raises:
            StoreError: it failed.
        """
        try:
            return await self._database.transact(action, lock=False)
        except sqlite3.Error as error:
            raise StoreError(f"the store does not take this: {error}") from error

    async def overwrite_log(self) -> bool:
        """Bring what SQLite's log (the ``-wal`` file) holds into the database and empty it.

        Returns:
            Whether it is empty. Not while somebody reads an older state.
        """
        for _ in range(OVERWRITE_TRIES):
            if await self._database.empty_log():
                return True
        return False

    async def _submit(self, rows: Rows, action: Action[Any] | None) -> Any:
        if self._closed:
            raise StoreError("the store is closed")
        unit = _Unit(rows, action, asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(unit)
        return await unit.done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        group: list[_Unit] = []
        not_before = loop.time()
        try:
            while not self._closed or not self._waiting.empty():
                group = self._take(await self._waiting.get())
                if (wait := not_before - loop.time()) > 0:
                    await asyncio.sleep(wait)
                not_before = loop.time() + COMMIT_EVERY_S
                while not self._waiting.empty():
                    group += self._take(self._waiting.get_nowait())
                await self._write([unit for unit in group if not unit.done.done()])
        finally:
            self._closed = True
            while not self._waiting.empty():
                group += self._take(self._waiting.get_nowait())
            # Whether a transaction in progress was committed is not known: they are not told that it was not.
            for unit in group:
                unit.done.cancel()

    @staticmethod
    def _take(item: _Unit | None) -> list[_Unit]:
        return [] if item is None else [item]

    async def _write(self, units: list[_Unit]) -> None:
        """Write a group and answer its callers; where one unit spoils it, halve it until that one is alone."""
        if not units:
            return
        if self._damaged is not None:
            for unit in units:
                _refuse(unit, self._damaged)
            return
        try:
            results = await self._database.transact(partial(self._work, units))
        except (Fenced, Locked, Removed, sqlite3.OperationalError) as error:
            # The lock, the disk, the file, the keys or the gate: no unit's own fault; to try each only takes longer.
            for unit in units:
                _refuse(unit, error)
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                self._damaged = Damaged(f"the database is damaged ({error}): {_TO_MEND}")
                await self._write(units)
            elif len(units) == 1:
                _refuse(units[0], error)
            else:
                half = len(units) // 2
                await self._write(units[:half])
                await self._write(units[half:])
        else:
            for unit, result in zip(units, results, strict=True):
                if not unit.done.done():
                    unit.done.set_result(result)

    def _work(self, units: list[_Unit], transaction: Transaction) -> list[Any]:
        if not self._database.still_there():
            raise Removed("the database file was removed or replaced: start callguard again")
        if self._gate is not None:
            ((epoch,),) = transaction.fetch("gate_epoch", app=self._gate)
            if epoch != self._epoch:
                raise Fenced("another process has taken this gate since: this one writes nothing any more")
        self._columns.check(transaction)
        for name in ADDING_ORDER:
            transaction.add(name, chain.from_iterable(unit.rows.get(name, ()) for unit in units))
        evidence = chain.from_iterable(unit.rows.get("add_evidence", ()) for unit in units)
        ledger.record(transaction, "add_evidence", evidence)
        return [unit.action and unit.action(transaction) for unit in units]


def _refuse(unit: _Unit, error: Exception) -> None:
    """Give the caller an error of its own: one that several tasks raised would carry all their tracebacks."""
    if unit.done.done():
        return
    if isinstance(error, StoreError):
        refusal = type(error)(str(error))
    elif isinstance(error, sqlite3.OperationalError):
        refusal = StoreError(f"the store cannot be written: {error}")
    else:
        refusal = StoreError(f"the store does not take this: {error}")
    refusal.__cause__ = error
    unit.done.set_exception(refusal)
