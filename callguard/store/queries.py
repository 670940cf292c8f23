"""The named queries of ``sql/*.sql``, as aiosql reads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import aiosql
import aiosqlite

SQL = Path(__file__).with_name("sql")

Row: TypeAlias = Mapping[str, str | int | bytes | None]
"""A statement's parameters by name."""


@cache
def sql(name: str) -> str:
    """The text of a named query, as its driver wants it."""
    return str(getattr(_queries(), name).sql)


async def fetch(connection: aiosqlite.Connection, name: str, /, **parameters: str | int | None) -> list[sqlite3.Row]:
    """Run a named query outside of a transaction and return all its rows.

    In one visit to the connection's thread; aiosql's own functions make three (execute, fetch, close).
    """
    return list(await connection.execute_fetchall(sql(name), parameters))


class Transaction:
    """Named queries within the transaction that is open, in the thread of its connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def fetch(self, name: str, /, **parameters: str | int | bytes | None) -> list[sqlite3.Row]:
        """Run a named query and return all its rows."""
        return self._connection.execute(sql(name), parameters).fetchall()

    def plain(self, name: str, /, **parameters: str | int | bytes | None) -> list[Any]:
        """As `fetch`, for many rows of a few columns each: plain tuples, which cost less."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(sql(name), parameters).fetchall()

    def each(self, name: str, /) -> Iterator[sqlite3.Row]:
        """Run a named query and return its rows one by one, while others are written to other tables."""
        return iter(self._connection.execute(sql(name)))

    def add(self, name: str, rows: Iterable[Row]) -> None:
        """Run a named query once for each row."""
        self._connection.executemany(sql(name), rows)

    def execute(self, statement: str) -> None:
        """Run a statement of a migration."""
        self._connection.execute(statement)


@cache
def _queries() -> aiosql.queries.Queries:
    queries: aiosql.queries.Queries = aiosql.from_path(SQL, "aiosqlite")
    return queries
