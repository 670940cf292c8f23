"""Questions that are answered in the event loop's own thread: what is asked before each dial.

To wake the thread that reads, and to be woken by it, takes several times as long as such an answer. Nothing is kept
from one question to the next: each sees all that is committed, whoever committed it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from callguard.store.columns import Columns
from callguard.store.database import uri, usable
from callguard.store.queries import sql

STEPS: Final = 10_000
"""So many steps of SQLite's machine (https://sqlite.org/opcode.html) may hold the loop up, twice as many now and then:
about a millisecond, and two. A dial's question takes 130 to 600, and 75 for each earlier call that the law counts."""

_FOR_THE_OTHER_THREAD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})


class AtOnce:
    """A connection for one thread, that cannot write and waits for nobody."""

    def __init__(self, connection: sqlite3.Connection, steps: int = STEPS) -> None:
        self._connection = connection
        self._rounds = 0
        connection.row_factory = sqlite3.Row
        connection.set_progress_handler(self._is_too_long, steps)

    def fetch(self, name: str, /, **parameters: str | int | None) -> list[sqlite3.Row] | None:
        """All rows of a named query; None where they are to be asked of who may wait: a lock is held, or they are many.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        self._rounds = 0
        try:
            return self._connection.execute(sql(name), parameters).fetchall()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FOR_THE_OTHER_THREAD:
                return None
            raise

    def _is_too_long(self) -> bool:
        # SQLite counts a statement's steps on from the last time that it was run: the first round may be a short one.
        self._rounds += 1
        return self._rounds > 1


@contextmanager
def open_at_once(path: Path, columns: Columns | None = None) -> Iterator[AtOnce]:
    """Raises: InputError, the file is not there or may not be read; StoreError, another program has locked it."""
    with usable(path):
        connection = sqlite3.connect(uri(path, "ro"), uri=True, timeout=0, isolation_level=None)
    (columns or Columns()).register(connection)
    with closing(connection):
        yield AtOnce(connection)
