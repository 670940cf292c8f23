"""What stood in personal columns before there were keys is encrypted beside the calls, a few rows in each transaction.

How far it has come stands in the store, so that it goes on there after a crash. Rows are taken in the order in which
they lie in their table. What SQLite frees it overwrites (``secure_delete``), but not the room between a page's entries
and their list, where a few may be left of a page that was put together anew: so the database is rewritten at the end.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Final

from callguard.errors import StoreError
from callguard.store.database import BUSY_S, uri, usable
from callguard.store.queries import Transaction

PAGES: Final = "pages"
"""What is left to do once all rows are encrypted."""

AT_ONCE_BYTES: Final = 16 << 20
"""A database of this size is rewritten in about a second, in which nothing is committed; a larger one by whoever knows
when nobody calls."""

_MORE = {"callbacks": "drop_clear_callbacks"}


def some(transaction: Transaction, most: int) -> bool:
    """Encrypt the next rows. Returns: whether there were any."""
    for what, done, last in transaction.plain("columns_to_seal"):
        if what == PAGES:
            continue
        end = min(done + most, last)
        for query in (f"seal_{what}", _MORE.get(what)):
            if query is not None:
                transaction.fetch(query, first=done + 1, last=end)
        if end < last:
            transaction.fetch("columns_sealed_to", what=what, done=end)
        else:
            transaction.fetch("columns_sealed", what=what)
        return True
    return False


def again(transaction: Transaction) -> None:
    """From the beginning: rows were moved meanwhile, by VACUUM."""
    transaction.fetch("add_columns_to_seal")


def finished(transaction: Transaction) -> None:
    """Nothing is left in the clear, nor in the log."""
    transaction.fetch("columns_sealed", what=PAGES)


def cut_log(path: Path) -> None:
    """Overwrite the pages that the write-ahead log has anew, and cut it, where that can be done without waiting.

    Raises:
        InputError: the database cannot be used.
    """
    with usable(path), closing(connect(uri(path, "rw"), uri=True, timeout=0, isolation_level=None)) as connection:
        # Most of it while others write; only the rest keeps them waiting.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def rewrite(path: Path) -> None:
    """Make the database anew from its rows, and cut the write-ahead log.

    Raises:
        StoreError: others use it just now.
        InputError: it cannot be used.
    """
    with usable(path), closing(connect(uri(path, "rw"), uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise StoreError(f"{path}: another program reads it just now")
