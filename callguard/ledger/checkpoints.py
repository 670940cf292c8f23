"""Checkpoints on a timer and at the service's end: signed, kept, sent. Nothing here makes a call wait."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from callguard.config import Config
from callguard.core.evidence import Value
from callguard.core.incidents import Incident
from callguard.current import Current
from callguard.errors import CallguardError, StoreError
from callguard.ledger.keys import signer
from callguard.ledger.send import PLACES, send
from callguard.store.store import Store

log = structlog.get_logger()


async def make(store: Store, config: Config) -> tuple[str, bool]:
    """Sign what the ledger holds: the note, and whether it is new.

    Raises: InputError, StoreError.
    """
    # Reading a key, and the library that signs, take their time.
    ready = await asyncio.to_thread(signer, config.ledger_key_file, config.ledger.origin)
    return await store.checkpoint(datetime.now(UTC), ready)


class Checkpoints:
    """Signs and sends for one store. What fails is told once, and tried again with each round."""

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._store = store
        # Of the process before nobody knows: a checkpoint that arrives twice does no harm.
        self._unsent: Collection[str] = PLACES
        self._failing: set[str] = set()
        self._round = asyncio.Lock()

    async def keep_signing(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._current.config.ledger.checkpoint_every_s)
            await self.round()

    async def round(self) -> None:
        """Sign what is new, and send what was not sent."""
        async with self._round:
            await self._sign_and_send()

    async def _sign_and_send(self) -> None:
        config = self._current.config
        try:
            note, new = await make(self._store, config)
        except CallguardError as error:
            log.error("the ledger cannot be signed, trying again", problem=str(error))
            await self._tell("sign", Incident.LEDGER_UNSIGNED, {})
            return
        self._failing.discard("sign")
        if new:
            self._unsent = PLACES
            log.info("checkpoint signed", entries=int(note.split("\n")[1]))
        problems = await send(note, config.ledger, self._unsent)
        self._unsent = problems.keys()
        self._failing &= {"sign", *problems}
        for name, problem in problems.items():
            log.error("a checkpoint is not sent yet, trying again", setting=f"ledger.{name}", problem=problem)
            await self._tell(name, Incident.CHECKPOINT_UNSENT, {"setting": name})

    async def _tell(self, what: str, kind: Incident, detail: dict[str, Value]) -> None:
        """An incident for each failure, and not for each attempt."""
        if what in self._failing:
            return
        self._failing.add(what)
        try:
            await self._store.incident(kind, datetime.now(UTC), detail)
        except StoreError as error:
            log.error("an incident is not saved", problem=str(error))
