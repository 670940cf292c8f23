"""Wiring: configuration, adapters, one task group."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from callguard.after import After
from callguard.agi_calls import AgiCalls
from callguard.config import Config, secret
from callguard.core.model import Purpose
from callguard.core.profile import Aside, Flow, compile_profile
from callguard.dial import Dial
from callguard.errors import Disconnected, InputError, Refused, Replaced, StoreError, TelephonyError
from callguard.leg import Leg, Subject, subject_of
from callguard.speech.catalogue import Catalogue
from callguard.store.store import Store
from callguard.telephony import agi, ami, ari
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari_door import AriDoor, PeerGone, first_lease_ms
from callguard.telephony.holds import Holds
from callguard.telephony.orphans import Orphan, find_orphans
from callguard.telephony.recording import Recordings
from callguard.telephony.withdrawal import Withdrawals

log = structlog.get_logger()

AMI_RETRY_S = 1.0
TELL_EVERY_S = 15.0
# How long calls may go on asking when the service is told to stop.
STOP_WITHIN_S = 30.0


def compile_flows(config: Config, catalogue: Catalogue) -> dict[str, Flow]:
    """Every profile, compiled. Raises InputError for a prompt that is missing."""

    def compiled(name: str) -> Flow:
        profile = config.profiles[name]
        return compile_profile(
            name,
            tuple(Purpose(purpose.id, purpose.basis, purpose.required) for purpose in profile.purposes),
            profile.languages,
            lambda language, part: catalogue.prompt(name, language, part),
            lambda language: catalogue.details(name, language),
            round(profile.answer_wait_s * 1000),
            agent_first=profile.agent_first,
            gate_required=profile.gate_required,
        )

    return {name: compiled(name) for name in config.profiles}


def check_agi_address(config: Config) -> None:
    """Raises: InputError, where FastAGI is wanted on an address that another program has."""
    settings = config.asterisk
    if settings.agi_port is None:
        return
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((settings.agi_host, settings.agi_port))
        except OSError as error:
            problem = f"{settings.agi_port} on {settings.agi_host} cannot be listened on: {error.strerror}"
            raise InputError(problem, field="asterisk.agi_port") from error


class Service:
    """callguard at work. `stop` may be called from a signal handler."""

    def __init__(self, config: Config, flows: dict[str, Flow], store: Store) -> None:
        self._config = config
        self._flows = flows
        self._store = store
        self._recordings = Recordings(config.recording, store)
        self._withdrawals = Withdrawals()
        holds = Holds()
        self._after = After(config, flows, store, self._recordings, self._withdrawals, holds)
        self._dial = Dial(config, store)
        self._doors: dict[str, AriDoor] = {}
        self._walks: dict[str, asyncio.Task[None]] = {}
        # The callees in the gate, by the channel of the agent who waits for them.
        self._callees: dict[str, set[str]] = {}
        self._session: ami.Session | None = None
        self._client: ari.Client | None = None
        self._agi_calls = AgiCalls(
            config, flows, store, self._dial, holds, self._follow, self._watch_agent, self._unwatch_agent
        )
        self._presence: asyncio.Task[None] | None = None
        self._replaced: Replaced | None = None
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Serve until told to stop; calls that are asking then may finish, `STOP_WITHIN_S` at most.

        Raises:
            Replaced: another process has taken over. This one touches nothing any more.
        """
        settings = self._config.asterisk
        async with asyncio.TaskGroup() as group, self._agi_open():
            sweeper = group.create_task(self._recordings.keep_sweeping())
            serving = group.create_task(self._keep_serving(settings.ari_url, settings.ari_user))
            await self._stopping.wait()
            if self._presence is not None:
                self._presence.cancel()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    while self._doors:
                        self._idle.clear()
                        await self._idle.wait()
            except TimeoutError:
                log.warning("stopping with calls still in the gate: their lease takes them on", calls=len(self._doors))
            sweeper.cancel()
            serving.cancel()
        if self._replaced is not None:
            raise self._replaced

    @asynccontextmanager
    async def _agi_open(self) -> AsyncIterator[None]:
        settings = self._config.asterisk
        if settings.agi_port is None:
            yield
            return
        async with agi.serve(settings.agi_host, settings.agi_port, self._agi_calls.serve):
            yield

    async def _keep_serving(self, url: str, user: str) -> None:
        app = self._config.asterisk.app
        async for client in ari.connections(url, user, secret(self._config, "ari"), app):
            try:
                await self._serve(client)
            except* Replaced as errors:
                self._replaced = Replaced(str(errors.exceptions[0]))
                self._stopping.set()
            except* (Disconnected, Refused) as errors:
                log.warning("ARI lost; calls go on unrecorded until it is back", problem=str(errors.exceptions[0]))
            finally:
                self._client = None
                self._doors.clear()
            if self._replaced is not None:
                return

    async def _serve(self, client: ari.Client) -> None:
        """One connection's life. When it breaks, every leg on it is left to its lease, or to the next connection."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(client, group))
            await client.applications.filter()
            self._client = client
            await self._tell_dialplan(client)
            await self._warn_of_no_diversion(client)
            for orphan in await find_orphans(client):
                self._take(client, group, orphan)
            self._presence = group.create_task(self._keep_present(client))
            while True:
                await asyncio.sleep(TELL_EVERY_S)
                await self._tell_dialplan(client)
                await self._finish_recordings(client)

    async def _tell_dialplan(self, client: ari.Client) -> None:
        """What the dialplan has to know beforehand, in globals; again and again, as a reload may clear them."""
        app = client.app
        told = {
            f"CALLGUARD_FOLDER_{app}": str(self._config.recording.folder.in_asterisk),
            f"CALLGUARD_FILES_{app}": self._config.recording.files,
            "CALLGUARD_MANAGER": self._config.asterisk.ami_user,
        }
        if self._config.asterisk.agi_port is not None:
            told["CALLGUARD_AGI_HOST"] = self._config.asterisk.agi_host
            told["CALLGUARD_AGI_PORT"] = str(self._config.asterisk.agi_port)
        alone = await client.applications.others() == []
        for name, flow in self._flows.items():
            lease = f"CALLGUARD_LEASE_{name}"
            first_s = first_lease_ms(flow) / 1000
            # Who will claim a call is not known when its first lease begins: it lasts for the longer notice.
            told[lease] = f"{first_s if alone else max(first_s, _seconds(await client.asterisk.get_global(lease))):.1f}"
            settings = self._config.profiles[name]
            said = f"{self._config.prompts.folder.in_asterisk}/{flow.languages[0]}/{name}"
            told |= {
                f"CALLGUARD_DENIED_{name}": f"{said}-denied",
                f"CALLGUARD_GOODBYE_{name}": f"{said}-goodbye",
                f"CALLGUARD_FAREWELL_{name}": f"{said}-{Aside.FAREWELL}",
                f"CALLGUARD_REQUIRED_{name}": "yes" if settings.gate_required else "no",
                f"CALLGUARD_AGENT_FIRST_{name}": "yes" if settings.agent_first else "no",
            }
            told[f"CALLGUARD_PURPOSES_{app}_{name}"] = ",".join(purpose.id for purpose in flow.purposes)
        for variable, value in told.items():
            await client.asterisk.set_global(variable, value)

    async def _warn_of_no_diversion(self, client: ari.Client) -> None:
        for name, flow in self._flows.items():
            variable = f"CALLGUARD_DIVERT_{name}"
            if flow.may_not_go_unrecorded and not await client.asterisk.get_global(variable):
                log.error(
                    "who objects has nowhere to go and reaches the agent: set it in [globals] of extensions.conf",
                    missing=variable,
                )

    async def _finish_recordings(self, client: ari.Client) -> None:
        """What could not be finished when its call ended, or ended unheard of."""
        try:
            live = await client.channels.list()
            self._withdrawals.keep_only(live)
            await self._recordings.reconcile(live)
        except (StoreError, OSError) as error:
            log.error("a recording is not finished yet, trying again", problem=str(error))

    async def _pump(self, client: ari.Client, group: asyncio.TaskGroup) -> None:
        async for event in client:
            match event:
                case wire.CallBroadcast():
                    if not self._stopping.is_set():
                        await client.events.claim(event.channel)
                case wire.StasisStart() if event.channel not in self._doors:
                    found = Orphan(event.channel, event.args, event.caller, event.at)
                    # One that is back from a turn too late to be waited for is as good as an orphan.
                    self._take(client, group, found, fresh=len(event.args) <= 4)
                case wire.StasisStart() if "back" in event.args:
                    group.create_task(self._take_again(client, group, event))
                case wire.HangupRequested() if event.channel in self._callees:
                    for callee in tuple(self._callees[event.channel]):
                        if callee in self._doors:
                            self._doors[callee].hear(PeerGone())
                        await client.channels.get(callee).hang_up()
                case _:
                    door = self._doors.get(event.channel)
                    if door is not None:
                        door.hear(event)

    def _take(self, client: ari.Client, group: asyncio.TaskGroup, found: Orphan, *, fresh: bool = False) -> None:
        """Answer for a channel from now on."""
        if found.channel in self._doors:
            return
        direction, profile, linkedid, number = (*found.args, "", "", "", "")[:4]
        if direction == "outbound":
            group.create_task(self._decide(client, found.channel, profile, number))
            return
        flow = self._flows.get(profile)
        if flow is None or direction not in {"inbound", "callee"}:
            log.error("a call names no profile of the configuration and goes on unrecorded", profile=profile[:40])
            group.create_task(_leave(client, found.channel, "done"))
            return
        callee = direction == "callee"
        number = number if callee else found.caller
        subject = subject_of(
            self._config, profile, found.channel, linkedid, number, found.at, callee=callee, taken=found.taken
        )
        taken = found.taken + (not fresh)
        door = AriDoor(client, found.channel, found.at, first_lease_ms(flow), taken, callee=callee)
        leg = Leg(door, self._store, flow, subject, self._follow)
        self._doors[found.channel] = door
        task = group.create_task(self._walk(client, leg, door, subject, fresh=fresh))
        self._walks[found.channel] = task
        task.add_done_callback(lambda _: self._left(found.channel))

    async def _walk(self, client: ari.Client, leg: Leg, door: AriDoor, subject: Subject, *, fresh: bool) -> None:
        callee = subject.direction == "outbound"
        if callee and not await self._watch_agent(subject):
            return
        try:
            await (leg.run() if fresh else leg.resume())
            if door.taken_away and self._session is not None:
                # Our lease must not end a call that somebody has sent elsewhere.
                await self._session.lift_lease(subject.channel)
        except Refused:
            pass
        finally:
            if callee:
                await self._unwatch_agent(subject)

    async def _unwatch_agent(self, subject: Subject) -> None:
        callees = self._callees.get(subject.linkedid, set())
        callees.discard(subject.channel)
        if callees:
            return
        self._callees.pop(subject.linkedid, None)
        if self._client is not None:
            with suppress(Disconnected):
                await self._client.applications.unwatch(subject.linkedid)

    async def _watch_agent(self, subject: Subject) -> bool:
        """The agent hears ringing while the person called is in the gate, and may hang up unheard of by Dial."""
        client = self._client
        if client is None:
            return False
        self._callees.setdefault(subject.linkedid, set()).add(subject.channel)
        try:
            await client.applications.watch(subject.linkedid)
        except Refused:  # who called is gone, and the call was handed on; whoever waits now is not known
            pass
        except Disconnected:
            return False
        return True

    async def _take_again(self, client: ari.Client, group: asyncio.TaskGroup, start: wire.StasisStart) -> None:
        """Somebody has sent the caller out of the gate and into it again (AMI Redirect): the leg's outcome stands."""
        await asyncio.wait({self._walks[start.channel]})
        self._take(client, group, Orphan(start.channel, start.args, start.caller, start.at))

    async def _decide(self, client: ari.Client, channel: str, profile: str, number: str) -> None:
        decision = await self._dial.decide(profile, number)
        allow = "allow" if decision.allow else "deny"
        await _leave(client, channel, f"dial-{allow}-{decision.rule}-{client.app}")

    def _follow(self, subject: Subject) -> None:
        self._withdrawals.follow(subject.channel, subject.leg_id)

    def _left(self, channel: str) -> None:
        self._doors.pop(channel, None)
        self._walks.pop(channel, None)
        if not self._doors:
            self._idle.set()

    async def _keep_present(self, client: ari.Client) -> None:
        """Hold a manager session for as long as calls can be taken: it is how the dialplan knows."""
        settings = self._config.asterisk
        while True:
            try:
                async with ami.connected(
                    settings.ami_host, settings.ami_port, settings.ami_user, secret(self._config, "ami")
                ) as session:
                    await self._after.catch_up(session)
                    await self._finish_recordings(client)
                    self._session = session
                    log.info("serving", app=client.app)
                    await self._after.listen(session)
            except TelephonyError as error:
                log.warning("no manager session: calls go on unrecorded until there is one", problem=str(error))
            except StoreError as error:
                log.error("what happened meanwhile cannot be caught up with, trying again", problem=str(error))
            finally:
                self._session = None
            await asyncio.sleep(AMI_RETRY_S)


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,4}(\.\d)?", text) else 0.0


async def _leave(client: ari.Client, channel_id: str, extension: str) -> None:
    try:
        await client.channels.get(channel_id).leave_and_wait(extension)
    except TelephonyError as error:
        log.warning("a call left to its lease", problem=str(error))
