"""What the service tells a monitor: `/health` and `/metrics`."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime

from callguard import web
from callguard.ari_calls import AriCalls
from callguard.current import Current
from callguard.errors import StoreError
from callguard.health import Health
from callguard.metrics import CONTENT_TYPE, GateState, Metrics
from callguard.registry.lists import Lists
from callguard.rights.clock import Clock
from callguard.room import Room
from callguard.store.store import Store
from callguard.telephony.recording import Recordings

# A health that is asked for more often is not looked into again.
HEALTH_HOLDS_S = 1.0
LEAST_SPACE = 16 << 20


class Pages:
    """Both pages.

    Attributes:
        serving_since: when calls began to be gated; None while they are not.
        stopping: whether nobody is taken on any more.
    """

    def __init__(
        self,
        current: Current,
        store: Store,
        ari: AriCalls,
        room: Room,
        recordings: Recordings,
        lists: Lists,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._current = current
        self._store = store
        self._ari = ari
        self._room = room
        self._recordings = recordings
        self._lists = lists
        self._clock = clock
        self._metrics = metrics
        self._started = datetime.now(UTC)
        self._store_fault: str | None = None
        self._store_seen = 0.0
        self.serving_since: datetime | None = None
        self.stopping = False

    async def health(self) -> web.Page:
        """Whether calls are gated."""
        await self._look_at_the_store()
        return web.Page(*_json(self._seen()))

    async def metrics(self) -> web.Page:
        """What has been counted."""
        health = self._seen()
        state = GateState(
            calls_in_gate=health.calls_in_gate,
            calls_limit=health.calls_limit,
            ari_connected=health.ari_connected,
            ami_connected=health.ami_connected,
            serving=health.fault is None,
            recordings_expected=self._recordings.expected,
            recordings_overdue=self._recordings.overdue,
            requests_overdue=self._clock.due.overdue,
            requests_due_soon=self._clock.due.soon,
            list_ages=await self._lists.ages(self._current.config, datetime.now(UTC)),
        )
        return web.Page(200, CONTENT_TYPE, self._metrics.text(state))

    def _seen(self) -> Health:
        config = self._current.config
        return Health(
            app=config.asterisk.app,
            started=self._started,
            serving_since=self.serving_since,
            ari_connected=self._ari.client is not None,
            ami_connected=self._ari.session is not None,
            store=self._store_fault,
            stopping=self.stopping,
            calls_in_gate=self._room.held,
            calls_limit=config.limits.calls_in_gate,
        )

    async def _look_at_the_store(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._store_seen and now < self._store_seen + HEALTH_HOLDS_S:
            return
        self._store_seen = now
        try:
            await self._store.writable()
            free = shutil.disk_usage(self._current.config.store.path.parent).free
            self._store_fault = None if free >= LEAST_SPACE else f"{free >> 20} MiB are free on its disk"
        except (StoreError, OSError) as error:
            self._store_fault = str(error)


def _json(health: Health) -> tuple[int, str, bytes]:
    status, body = health.answer()
    return status, "application/json", body
