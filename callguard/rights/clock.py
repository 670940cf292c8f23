"""What of rights goes by the clock: requests that are overdue are told of, proof whose time is over is deleted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from callguard.errors import StoreError
from callguard.store.right_records import Due
from callguard.store.rights_store import RightsStore

log = structlog.get_logger()

LOOK_EVERY_S = 3_600.0
TELL_EVERY = timedelta(days=1)


class Clock:
    """Looks at what is due.

    Attributes:
        due: requests, when it looked last.
    """

    def __init__(self, store: RightsStore) -> None:
        self._store = store
        self._told: datetime | None = None
        self.due = Due()

    async def keep_looking(self) -> None:
        """Look now and every hour, for as long as the service runs."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except StoreError as error:
                log.error("people's requests cannot be looked at, trying again", problem=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, now: datetime) -> None:
        """Delete what was kept to prove consents and is over; say once a day that requests are overdue.

        Raises: StoreError.
        """
        if await self._store.has_proofs_over(now) and (count := await self._store.forget_proofs(now)):
            log.info("proof that the law had kept of who was erased is deleted", people=count)
        self.due = await self._store.due_requests(now)
        if not self.due.overdue:
            self._told = None
        elif self._told is None or now - self._told >= TELL_EVERY:
            self._told = now
            log.warning(
                "requests of people are overdue: the law has given a month", count=self.due.overdue,
                do="callguard request list",
            )  # fmt: skip
