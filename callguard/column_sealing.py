"""Personal columns from before there were keys are encrypted while calls go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from callguard.errors import CallguardError
from callguard.store.column_sealing import PAGES
from callguard.store.store import Store

log = structlog.get_logger()

LOOK_EVERY_S = 60.0
# So many rows are one transaction, for which a call's may have to wait: a few milliseconds.
TOGETHER = 100


async def at_once() -> None:
    """Of who has no calls to wait for."""


class ColumnSealing:
    """Goes on where it was broken off, until nothing is left in the clear.

    Args:
        nobody_calls: waits until nobody is in the gate. To make the database anew keeps commits waiting for as long as
            it takes; who calls meanwhile hears the notice first.
    """

    def __init__(self, store: Store, nobody_calls: Callable[[], Awaitable[None]] = at_once) -> None:
        self._store = store
        self._nobody_calls = nobody_calls
        self._look_now = asyncio.Event()
        self._told = False

    def look_soon(self) -> None:
        """There may be keys now."""
        self._look_now.set()

    async def keep_sealing(self) -> NoReturn:
        """For as long as the service runs."""
        while True:
            try:
                await self.look()
            except CallguardError as error:
                log.error("numbers and names are not all encrypted yet, trying again", problem=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look_now.wait()
            self._look_now.clear()

    async def look(self) -> None:
        """Encrypt what is left. Raises: CallguardError."""
        left = await self._store.columns_to_seal()
        if not left or (left == (PAGES,) and self._told):
            return
        log.info("numbers and names from before there were keys are being encrypted")
        while await self._store.seal_columns(TOGETHER):
            pass
        await self._nobody_calls()
        if await self._store.columns_sealed():
            log.info("numbers and names are encrypted, all of them")
        elif await self._store.columns_to_seal() == (PAGES,):
            self._told = True
            log.warning(
                "numbers and names are encrypted, but a few from before may lie in pages of the database still",
                do="callguard keys clean, when nobody calls",
            )
