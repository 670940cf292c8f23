"""Wiring: configuration, adapters, one task group; what the service is told from outside, and tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from callguard import turns, web
from callguard.after import After
from callguard.agents import Agents
from callguard.agi_calls import AgiCalls
from callguard.ari_calls import AriCalls
from callguard.column_sealing import ColumnSealing
from callguard.config import Config, secret
from callguard.core.profile import Flow
from callguard.current import Current
from callguard.dial import Dial
from callguard.dialplan import Dialplan
from callguard.errors import CallguardError, Disconnected, Refused, Replaced, StoreError, TelephonyError
from callguard.keys import master
from callguard.ledger.checkpoints import Checkpoints
from callguard.metrics import Metrics
from callguard.notify import Notify
from callguard.pages import Pages
from callguard.policies.load import load as load_law
from callguard.registry.lists import Lists
from callguard.reload import Reload
from callguard.retention import Retention
from callguard.rights.clock import Clock
from callguard.room import Room
from callguard.sealing import Sealing
from callguard.store.store import Store
from callguard.talks import Talks
from callguard.telephony import agi, ami, ari
from callguard.telephony.holds import Holds
from callguard.telephony.recording import Recordings
from callguard.telephony.withdrawal import Withdrawals
from callguard.unasked import Unasked
from callguard.watchdog import Watchdog

log = structlog.get_logger()

AMI_RETRY_S = 1.0
TELL_EVERY_S = 15.0
# An agent who takes their grant back is recorded for so much longer at most; what was captured meanwhile is cut off.
AGENTS_EVERY_S = 2.0
# Another gate on the same PBX has so long to finish what is its own before we look at it a second time.
OTHERS_END_WITHIN_S = 3.0
# How long calls may go on asking when the service is told to stop.
STOP_WITHIN_S = 30.0
# The last checkpoint is signed and sent in this time, while the service manager still hears of us.
SIGN_WITHIN_S = 5.0
# The service manager waits so long for Asterisk; then the service counts as started, and says what it waits for.
READY_WITHIN_S = 5.0
# AGI connections that are here and have no place in the gate yet.
AGI_HEADROOM = 100
WAITING = "waiting for Asterisk: calls go on unrecorded"


class Service:
    """callguard at work. `stop` and `reload` may be called from a signal handler.

    Args:
        path: of the configuration, for `reload`.
        notify: tells the service manager.
        masters: what recordings are encrypted by; None to keep them in the clear.
    """

    def __init__(
        self, config: Config, flows: Mapping[str, Flow], store: Store, path: Path, notify: Notify,
        masters: master.Masters | None = None,
    ) -> None:  # fmt: skip
        self._notify = notify
        self._metrics = Metrics()
        store.on_incident = lambda kind: self._metrics.incidents.labels(kind.value).inc()
        self._current = Current(config, flows, load_law(config))
        self._room = Room(lambda: self._current.config.limits.calls_in_gate, self._metrics)
        self._recordings = Recordings(config.recording, store)
        self._sealing = Sealing(config.recording, store, self._recordings, masters)
        self._columns = ColumnSealing(store, self._room.empty)
        self._retention = Retention(lambda: self._current.config, store, self._recordings)
        self._clock = Clock(store)
        self._withdrawals = Withdrawals()
        holds = Holds()
        self._watchdog = Watchdog(self._current, store)
        self._dialplan = Dialplan(self._current)
        self._agents = Agents(self._current, store)
        self._talks = Talks(self._current, store, self._watchdog, self._agents, lambda: self._dialplan.alone)
        self._watchdog.on_set_aside = self._talks.set_aside
        self._unasked = Unasked(self._current, store)
        self._after = After(
            self._current, store, self._recordings, self._withdrawals, holds, self._watchdog, self._talks, self._unasked
        )
        self._lists = Lists(lambda problem: log.error("a registry's list cannot be used", problem=problem))
        self._checkpoints = Checkpoints(self._current, store)
        dial = Dial(self._current, store, self._metrics, self._lists, self._checkpoints.continued)
        self._ari = AriCalls(
            self._current, store, dial, self._dialplan, self._room, self._metrics, self._withdrawals, self._watchdog,
            self._talks,
        )  # fmt: skip
        self._talks.all_told = self._ari.all_told
        self._agi = AgiCalls(self._current, store, dial, holds, self._ari, self._room, self._metrics)
        self._reloading = Reload(
            path, self._current, store, self._dialplan, self._ari, self._lists, self._recordings, self._sealing,
            self._columns,
        )  # fmt: skip
        self._pages = Pages(
            self._current, store, self._ari, self._room, self._recordings, self._lists, self._clock, self._metrics
        )
        self._presence: asyncio.Task[None] | None = None
        self._replaced: Replaced | None = None
        self._stopping = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._ready = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()
        self._pages.stopping = True

    def reload(self) -> None:
        self._reload_asked.set()

    async def run(self) -> None:
        """Serve until told to stop; calls that are asking then may finish, `STOP_WITHIN_S` at most.

        Raises:
            Replaced: another process has taken over. This one touches nothing any more.
        """
        turns.keep_short()
        async with self._lists:
            await self._serve_until_stopped()
        if self._replaced is not None:
            raise self._replaced

    async def _serve_until_stopped(self) -> None:
        async with asyncio.TaskGroup() as group, self._agi_open():
            beside = [
                group.create_task(self._notify.keep_pinging()),
                group.create_task(self._say_ready()),
                group.create_task(self._recordings.keep_sweeping()),
                group.create_task(self._sealing.keep_sealing()),
                group.create_task(self._columns.keep_sealing()),
                group.create_task(self._retention.keep_looking()),
                group.create_task(self._clock.keep_looking()),
                group.create_task(self._talks.keep_working()),
                group.create_task(self._keep_asking_for_agents()),
                group.create_task(self._keep_reloading()),
                group.create_task(self._keep_serving()),
                group.create_task(self._lists.open(self._current.config)),
                group.create_task(self._learn()),
                group.create_task(self._checkpoints.keep_signing()),
            ]
            http = self._current.config.http
            if http.port is not None:
                pages = {"/health": self._pages.health, "/metrics": self._pages.metrics}
                beside.append(group.create_task(web.keep_serving(http.host, http.port, pages)))
            await self._stopping.wait()
            if self._replaced is None:
                await self._let_finish()
                await self._sealing.finish()
                with suppress(TimeoutError):  # what is not signed now is with the next start
                    async with asyncio.timeout(SIGN_WITHIN_S):
                        await self._checkpoints.round()
            for task in beside:
                task.cancel()

    async def _let_finish(self) -> None:
        """Nobody is taken on any more; who is being asked may answer."""
        self._ari.stopping = True
        self._pages.serving_since = None
        log.info("stopping: who is being asked may answer, others go on unrecorded", calls=self._room.held)
        self._notify.stopping(f"stopping: {self._room.held} calls may finish")
        if self._presence is not None:
            self._presence.cancel()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._room.empty()
        except TimeoutError:
            log.warning("stopping with calls still in the gate: their lease takes them on", calls=self._room.held)

    @asynccontextmanager
    async def _agi_open(self) -> AsyncIterator[None]:
        settings, limits = self._current.config.asterisk, self._current.config.limits
        if settings.agi_port is None:
            yield
            return
        most = limits.calls_in_gate + AGI_HEADROOM
        async with agi.serve(settings.agi_host, settings.agi_port, self._agi.serve, most=most):
            yield

    async def _keep_serving(self) -> None:
        settings = self._current.config.asterisk
        key = secret(self._current.config, "ari")
        async for client in ari.connections(settings.ari_url, settings.ari_user, key, settings.app):
            try:
                await self._serve(client)
            except* Replaced as errors:
                self._replaced = Replaced(str(errors.exceptions[0]))
                self.stop()
            except* (Disconnected, Refused) as errors:
                log.warning("ARI lost; calls go on unrecorded until it is back", problem=str(errors.exceptions[0]))
            finally:
                self._ari.lost()
                self._pages.serving_since = None
                self._tell(WAITING)
            if self._replaced is not None:
                return

    async def _serve(self, client: ari.Client) -> None:
        """One connection's life. When it breaks, every leg on it is left to its lease, or to the next connection."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ari.pump(client, group))
            with client.hurrying():  # calls may be waiting
                await client.applications.filter()
                self._ari.client = client
                await self._dialplan.tell(client)
                await self._dialplan.warn_of_no_diversion(client)
                await client.applications.watch_bridges()
                await self._ari.take_orphans(client, group)
            self._presence = group.create_task(self._keep_present(client))
            if self._stopping.is_set():
                self._presence.cancel()
            while True:
                await asyncio.sleep(TELL_EVERY_S)
                asked = time.time()
                await self._dialplan.tell(client)
                self._talks.heard_until(asked)
                if (session := self._ari.session) is not None:
                    with suppress(TelephonyError):  # that session's own task is told of it as well
                        await self._finish_recordings(session)

    async def _keep_asking_for_agents(self) -> None:
        while True:
            try:
                if (since := await self._agents.changed(datetime.now(UTC))) is not None:
                    self._talks.ask_again(since)
            except StoreError as error:
                log.error("what agents have granted cannot be read, trying again", problem=str(error))
            await asyncio.sleep(AGENTS_EVERY_S)

    async def _finish_recordings(self, session: ami.Session) -> None:
        """What could not be finished when its call ended, or ended unheard of."""
        try:
            live = {one.channel for one in await session.live()}
            self._withdrawals.keep_only(live)
            unsaved = await self._talks.keep_only(live)
            self._watchdog.keep_only(live)
            await self._watchdog.save()
            await self._unasked.save()
            watched = self._talks.watched()
            await self._recordings.reconcile(live, unsaved, alone=self._dialplan.alone, watched=watched)
        except (StoreError, OSError) as error:
            log.error("a recording is not finished yet, trying again", problem=str(error))

    async def _finish_what_was_left(self, session: ami.Session) -> None:
        with suppress(TelephonyError):  # who serves this connection is told of it as well
            await self._ari.lift_leases_left(session)  # before they end
            await self._finish_recordings(session)
            if not self._dialplan.alone:
                await asyncio.sleep(OTHERS_END_WITHIN_S)
                await self._finish_recordings(session)

    async def _keep_present(self, client: ari.Client) -> None:
        """Hold a manager session for as long as calls can be taken: it is how the dialplan knows."""
        settings = self._current.config.asterisk
        while True:
            try:
                async with ami.connected(
                    settings.ami_host, settings.ami_port, settings.ami_user, secret(self._current.config, "ami")
                ) as session:
                    await self._talks.catch_up(session)
                    self._ari.session = session
                    self._pages.serving_since = datetime.now(UTC)
                    log.info("serving", app=client.app)
                    self._ready.set()
                    self._tell("serving: calls are gated")
                    # What a dead process left may be much, and keeps no new call waiting.
                    finishing = asyncio.create_task(self._finish_what_was_left(session))
                    try:
                        await self._after.listen(session)
                    finally:
                        finishing.cancel()
            except TelephonyError as error:
                log.warning("no manager session: calls go on unrecorded until there is one", problem=str(error))
            except StoreError as error:
                log.error("what happened meanwhile cannot be caught up with, trying again", problem=str(error))
            finally:
                self._ari.session = None
                self._talks.session_lost()
                self._pages.serving_since = None
            self._tell(WAITING)
            await asyncio.sleep(AMI_RETRY_S)

    def _tell(self, status: str) -> None:
        """Say what it does now, but at its end, which is told of already."""
        if not self._stopping.is_set():
            self._notify.status(status)

    async def _say_ready(self) -> None:
        """An Asterisk that is absent when the machine starts must not make the service fail: it waits for it."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._ready.wait()
        except TimeoutError:
            log.warning(f"started, and {WAITING}")
        self._notify.ready(self._status)

    async def _learn(self) -> None:
        """When the calls that a dead process left are answered for: they wait for a processor."""
        await self._ready.wait()
        await asyncio.to_thread(self._current.book.learn)
        turns.settle()

    @property
    def _status(self) -> str:
        return WAITING if self._pages.serving_since is None else "serving: calls are gated"

    async def _keep_reloading(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            if self._stopping.is_set():
                return
            self._notify.reloading()
            try:
                await self._reloading.take()
                self._metrics.reloads.labels("taken").inc()
            except CallguardError as error:
                self._metrics.reloads.labels("refused").inc()
                log.error("the new configuration is not taken; the old one stays in force", problem=str(error))
            self._notify.ready(self._status)
