"""How a store is asked: by named queries, over a connection that cannot write."""

from __future__ import annotations

import sqlite3

import aiosqlite

from callguard.errors import StoreError
from callguard.store.at_once import AtOnce
from callguard.store.queries import fetch


class Questions:
    """Asks one store.

    Args:
        at_once: answers what is asked before each dial, where that should not wait for another thread.
    """

    def __init__(self, reading: aiosqlite.Connection, at_once: AtOnce | None = None) -> None:
        self._reading = reading
        self._at_once = at_once

    async def _fetch_at_once(self, name: str, **parameters: str | int | None) -> list[sqlite3.Row]:
        """As `_fetch`, without a visit to the connection's thread where it can be done without waiting."""
        try:
            rows = None if self._at_once is None else self._at_once.fetch(name, **parameters)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        return await self._fetch(name, **parameters) if rows is None else rows

    async def _fetch(self, name: str, /, **parameters: str | int | None) -> list[sqlite3.Row]:
        try:
            return await fetch(self._reading, name, **parameters)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
