"""The database file: how it is created, opened and written, and what is said when it cannot be used."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from callguard.errors import CallguardError, InputError, StoreError
from callguard.store.queries import Transaction

BUSY_S = 1.0
"""How long a statement waits for another program that has locked the database, in seconds."""

FILE_MODE = 0o640

_WRITING = (
    "PRAGMA foreign_keys = ON",
    # FULL: in WAL mode, only then is a commit on the disk when it returns.
    "PRAGMA synchronous = FULL",
    # Without it INSERT OR REPLACE deletes rows past the triggers that guard the append-only tables.
    "PRAGMA recursive_triggers = ON",
    # What is erased is overwritten, not merely unlinked.
    "PRAGMA secure_delete = ON",
    # A list that waits to be added holds numbers: they go into no other file than the store's.
    "PRAGMA temp_store = MEMORY",
)

T = TypeVar("T")
_Agenda: TypeAlias = "deque[tuple[str, Callable[[Transaction], object]]]"


class Database:
    """A database open for writing."""

    def __init__(self, connection: aiosqlite.Connection, agenda: _Agenda, path: Path) -> None:
        self.connection = connection
        self._agenda = agenda
        self._path = path
        self._inode = path.stat().st_ino

    def still_there(self) -> bool:
        """Whether its file is. SQLite goes on with one that was removed, and what it keeps then is lost."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    async def empty_log(self) -> bool:
        """Write what stands in the log to the database and cut the log to nothing. Returns: whether that was done.

        Its pages keep what was in them until others take their place, and so also what is erased.
        """
        ((busy, _, _),) = await self.connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy

    async def transact(self, work: Callable[[Transaction], T], *, lock: bool = True) -> T:
        """Do some work in a transaction of its own and commit it; whoever is cancelled meanwhile leaves it whole.

        Args:
            work: runs in the connection's thread; what it raises undoes the transaction.
            lock: whether it writes to the database. What only reads, or writes to temporary tables, needs no lock.
        """
        results: list[T] = []
        begin = "BEGIN IMMEDIATE" if lock else "BEGIN DEFERRED"
        self._agenda.append((begin, lambda transaction: results.append(work(transaction))))
        await self.connection.commit()
        return results[0]


class _Flushing(sqlite3.Connection):
    """Does a transaction's work within commit(), as the sessions of object mappers flush there.

    Each call through aiosqlite is a visit to the connection's thread. The visits of a small transaction, one for each
    statement, cost three times the CPU of the transaction itself.
    """

    def __init__(self, agenda: _Agenda, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._agenda = agenda

    def commit(self) -> None:
        begin, work = self._agenda.popleft()
        self.execute(begin)
        try:
            work(Transaction(self))
            super().commit()
        except BaseException:
            self.rollback()
            raise


def prepare(path: Path) -> None:
    """Create the file, readable by owner and group, unless it is there.

    What root creates belongs to the folder's owner: a command may come before the service's first start.

    Raises:
        InputError: its folder is missing, or it cannot be created or written.
    """
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: create it, or name another", file=path)
    try:
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE)
            try:
                os.fchmod(descriptor, FILE_MODE)
                if os.geteuid() == 0:
                    folder = path.parent.stat()
                    os.fchown(descriptor, folder.st_uid, folder.st_gid)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise InputError(f"cannot be created: {error.strerror}", file=path) from error
    # Asked, not tried: closing a second descriptor of an open database drops this process's locks on it
    # (sqlite.org/howtocorrupt.html, 2.2).
    for what in (path, path.parent):
        if not os.access(what, os.W_OK, effective_ids=True):
            raise InputError(f"{what} may not be written by this user", file=path)


@asynccontextmanager
async def open_to_write(path: Path) -> AsyncIterator[Database]:
    """A connection that writes.

    Raises:
        InputError: the file is not there, may not be written, or is not a database.
        StoreError: another program has locked it.
    """
    agenda: _Agenda = deque()
    async with _connect(path, "rw", factory=partial(_Flushing, agenda)) as connection:
        with usable(path):
            for pragma in _WRITING:
                await connection.execute_fetchall(pragma)
            ((mode,),) = await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise InputError("its file system has no shared memory, which WAL needs: use a local disk", file=path)
        yield Database(connection, agenda, path)


@asynccontextmanager
async def open_to_read(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """A connection that cannot write; each query sees all that is committed.

    Raises:
        InputError: the file is not there, or may not be read.
        StoreError: another program has locked it.
    """
    async with _connect(path, "ro") as connection:
        yield connection


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Say plainly why a database cannot be used, in place of SQLite's error."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreError(f"{path}: another program has locked it") from error
        if is_missing(path):
            raise InputError("there is no store yet: `callguard run` makes it", file=path) from error
        raise InputError(f"cannot be used as the store: {error}", file=path) from error


@asynccontextmanager
async def _connect(
    path: Path, mode: str, factory: Callable[..., sqlite3.Connection] = sqlite3.Connection
) -> AsyncIterator[aiosqlite.Connection]:
    threads: list[threading.Thread] = []

    def opened(*arguments: Any, **named: Any) -> sqlite3.Connection:
        threads.append(threading.current_thread())
        return factory(*arguments, **named)

    # At DEBUG aiosqlite logs every statement with its parameters, and these hold phone numbers.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    try:
        with usable(path):
            connection = await aiosqlite.connect(
                uri(path, mode), uri=True, timeout=BUSY_S, isolation_level=None, factory=opened
            )
    except CallguardError:
        # Its thread has yet to tell the loop that it ends. A command's loop would be closed by then, and the thread
        # would print a traceback.
        for thread in threads:
            await asyncio.to_thread(thread.join)
        raise
    try:
        connection.row_factory = sqlite3.Row
        yield connection
    finally:
        await connection.close()


def is_missing(path: Path) -> bool:
    """Whether it is known that there is no such file: in a folder that may not be entered it is not."""
    try:
        return not path.exists()
    except OSError:
        return False


def uri(path: Path, mode: str) -> str:
    """How SQLite is told which file to open, and in which mode (https://sqlite.org/uri.html): ``rw`` or ``ro``."""
    return f"{path.absolute().as_uri()}?mode={mode}"
