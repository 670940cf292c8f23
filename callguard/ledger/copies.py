"""A store that is only read: the one in use or a copy of it, also from where nothing can be written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from callguard.errors import InputError
from callguard.store.database import BUSY_S, usable
from callguard.store.migrations import newest
from callguard.store.queries import Transaction

FIRST_SCHEMA = 10
"""The first one that has a ledger."""


@contextmanager
def opened(path: Path) -> Iterator[Transaction]:
    """One view of a store, unchanged by whoever writes meanwhile.

    Raises:
        InputError: there is none, or of an older or newer schema.
        StoreError: another program has locked it.
    """
    if path.is_dir():
        raise InputError("is a folder: the store's file is needed", file=path)
    with usable(path), closing(_connected(path)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        transaction = Transaction(connection)
        if "migrations" not in [table["name"] for table in transaction.fetch("tables")]:
            raise InputError("is not a store of callguard", file=path)
        ((schema,),) = transaction.fetch("schema_number")
        if schema < FIRST_SCHEMA:
            raise InputError(f"has schema {schema}, and no ledger: start the service to update it", file=path)
        if schema > newest():
            raise InputError(f"has schema {schema}: install the newer callguard that wrote it", file=path)
        yield transaction


def _connected(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    # To read a database in WAL mode is to write its -shm file, unless nobody changes it.
    if path.exists() and not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK):
        uri += "&immutable=1"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
