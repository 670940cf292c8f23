"""Incidents that could not be kept yet, as the store was locked or full: they are kept here until they can be."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime

import structlog

from callguard.core.evidence import Value
from callguard.core.incidents import Incident
from callguard.errors import StoreError
from callguard.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Unsaved:
    kind: Incident
    at: datetime
    detail: dict[str, Value]
    leg_id: str | None


class Incidents:
    """Keeps incidents in their order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: deque[_Unsaved] = deque()
        self._saving = asyncio.Lock()

    async def add(self, kind: Incident, at: datetime, detail: dict[str, Value], leg_id: str | None = None) -> None:
        """Keep one, now or with a later `save`.

        Args:
            detail: as `Store.incident` takes it.
            leg_id: the leg that it concerns; one that the store does not know is left out.
        """
        self._unsaved.append(_Unsaved(kind, at, detail, leg_id))
        await self.save()

    async def save(self) -> None:
        """Keep those that could not be kept yet."""
        async with self._saving:
            while self._unsaved:
                one = self._unsaved[0]
                try:
                    known = one.leg_id is not None and await self._store.subject_of_leg(one.leg_id) is not None
                    await self._store.incident(one.kind, one.at, one.detail, one.leg_id if known else None)
                except StoreError as error:
                    log.error("an incident is not saved yet, trying again", problem=str(error))
                    return
                self._unsaved.popleft()
