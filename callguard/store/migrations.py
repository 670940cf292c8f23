"""Numbered migrations: ``sql/migrations/0001_….sql`` and on, each applied once, in order, in a transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiosqlite

from callguard.errors import InputError
from callguard.store.brought_in import bring_in
from callguard.store.database import Database
from callguard.store.queries import SQL, Transaction, fetch
from callguard.store.times import to_ms

MIGRATIONS = SQL / "migrations"
_THEN = {"0010_ledger": bring_in}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a schema to the next: its statements, and then what SQL alone cannot do."""

    number: int
    name: str
    statements: tuple[str, ...]
    then: Callable[[Transaction], None] | None = None


def known(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """The migrations of a folder, in order.

    Raises:
        ValueError: their numbers are not 1, 2, 3 and on.
    """
    found = []
    for number, file in enumerate(sorted(folder.glob("*.sql")), 1):
        if not re.fullmatch(rf"{number:04d}_\w+", file.stem):
            raise ValueError(f"{file}: migration {number} is missing, or its name is not {number:04d}_what_it_does.sql")
        statements = tuple(_statements(file.read_text(encoding="utf-8")))
        found.append(Migration(number, file.stem, statements, _THEN.get(file.stem)))
    return tuple(found)


def newest() -> int:
    """The number of the newest schema that is known, without reading any of them."""
    return sum(1 for _ in MIGRATIONS.glob("*.sql"))


async def migrate(database: Database, path: Path, migrations: tuple[Migration, ...], *, older_too: bool = True) -> None:
    """Bring a database to the schema of these migrations: a new one in one transaction, an older one step by step.

    Args:
        older_too: whether an older one may be changed, beside which an older service may still run.

    Raises:
        InputError: the database is newer than they are, or older where that may not be changed, or not callguard's.
    """
    applied = await database.transact(partial(_begin, path=path))
    _refuse_newer(applied, path, migrations)
    if applied and not older_too:
        _refuse_older(applied, path, migrations)
    # Whoever else opens a new one meanwhile must not find half of it.
    steps = [(one,) for one in migrations[applied:]] if applied else [migrations]
    for step in steps:
        await database.transact(partial(_apply, migrations=step))


async def check(connection: aiosqlite.Connection, path: Path, migrations: tuple[Migration, ...]) -> None:
    """Refuse to read a database of another schema.

    Raises:
        InputError: it is older or newer than these migrations, or is not callguard's.
    """
    if not _has_migrations(await fetch(connection, "tables")):
        raise InputError("is not a store of callguard", file=path)
    ((applied,),) = await fetch(connection, "schema_number")
    _refuse_newer(applied, path, migrations)
    _refuse_older(applied, path, migrations)


def _begin(transaction: Transaction, path: Path) -> int:
    tables = transaction.fetch("tables")
    if not tables:
        transaction.fetch("create_migrations")
    elif not _has_migrations(tables):
        raise InputError("is a database of another program", file=path)
    return _number(transaction)


def _apply(transaction: Transaction, migrations: tuple[Migration, ...]) -> None:
    # Two processes may start at once: what the other one did while this one waited for the lock is not done again.
    applied = _number(transaction)
    for migration in migrations:
        if applied >= migration.number:
            continue
        for statement in migration.statements:
            transaction.execute(statement)
        if migration.then is not None:
            migration.then(transaction)
        applied_at = to_ms(datetime.now(UTC))
        transaction.fetch("add_migration", number=migration.number, name=migration.name, applied_at=applied_at)


def _number(transaction: Transaction) -> int:
    ((number,),) = transaction.fetch("schema_number")
    return int(number)


def _has_migrations(tables: list[sqlite3.Row]) -> bool:
    return "migrations" in [table["name"] for table in tables]


def _refuse_newer(applied: int, path: Path, migrations: tuple[Migration, ...]) -> None:
    if applied > len(migrations):
        raise InputError(
            f"has schema {applied}, and this callguard knows none above {len(migrations)}: install the newer callguard",
            file=path,
        )


def _refuse_older(applied: int, path: Path, migrations: tuple[Migration, ...]) -> None:
    if applied < len(migrations):
        raise InputError(
            f"has schema {applied}, older than {len(migrations)}: start the service to update it", file=path
        )


def _statements(script: str) -> Iterator[str]:
    """Split a script, because executescript() would end the transaction that it runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        raise ValueError(f"a statement without its end: {statement.strip().splitlines()[0]}")
