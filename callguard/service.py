"""Wiring: configuration, adapters, one task group."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import structlog
import uuid_utils

from callguard.config import Config, secret
from callguard.core.model import Purpose
from callguard.core.profile import Flow, compile_profile
from callguard.errors import Disconnected, Refused, Replaced, StoreError, TelephonyError
from callguard.leg import Leg, Subject, first_lease_ms
from callguard.numbers import to_e164
from callguard.speech.catalogue import Catalogue
from callguard.store.store import Store
from callguard.telephony import ami, ari
from callguard.telephony import ari_wire as wire
from callguard.telephony.orphans import Orphan, find_orphans
from callguard.telephony.recording import Recordings
from callguard.telephony.withdrawal import Withdrawals

log = structlog.get_logger()

AMI_RETRY_S = 1.0
TELL_EVERY_S = 15.0
# Between leaving the gate and MixMonitor lie a few ms of dialplan.
STOP_TRIES, STOP_AGAIN_S = 3, 0.05
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
        )

    return {name: compiled(name) for name in config.profiles}


class Service:
    """callguard at work. `stop` may be called from a signal handler."""

    def __init__(self, config: Config, flows: dict[str, Flow], store: Store) -> None:
        self._config = config
        self._flows = flows
        self._store = store
        self._recordings = Recordings(config.recording, store)
        self._withdrawals = Withdrawals()
        self._legs: dict[str, Leg] = {}
        self._walks: dict[str, asyncio.Task[None]] = {}
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
        async with asyncio.TaskGroup() as group:
            sweeper = group.create_task(self._recordings.keep_sweeping())
            serving = group.create_task(self._keep_serving(settings.ari_url, settings.ari_user))
            await self._stopping.wait()
            if self._presence is not None:
                self._presence.cancel()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    while self._legs:
                        self._idle.clear()
                        await self._idle.wait()
            except TimeoutError:
                log.warning("stopping with calls still in the gate: their lease takes them on", calls=len(self._legs))
            sweeper.cancel()
            serving.cancel()
        if self._replaced is not None:
            raise self._replaced

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
                self._legs.clear()
            if self._replaced is not None:
                return

    async def _serve(self, client: ari.Client) -> None:
        """One connection's life. When it breaks, every leg on it is left to its lease, or to the next connection."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(client, group))
            await client.applications.filter()
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
        alone = await client.applications.others() == []
        for name, flow in self._flows.items():
            lease = f"CALLGUARD_LEASE_{name}"
            first_s = first_lease_ms(flow) / 1000
            # Who will claim a call is not known when its first lease begins: it lasts for the longer notice.
            told[lease] = f"{first_s if alone else max(first_s, _seconds(await client.asterisk.get_global(lease))):.1f}"
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
                case wire.StasisStart() if event.channel not in self._legs:
                    # One that is back from a turn too late to be waited for is as good as an orphan.
                    fresh = "again" not in event.args
                    self._take(client, group, Orphan(event.channel, event.args, event.caller, event.at), fresh=fresh)
                case wire.StasisStart() if "again" not in event.args:
                    # Somebody has sent the caller out of the gate and into it again (AMI Redirect).
                    group.create_task(self._take_again(client, group, event))
                case _:
                    leg = self._legs.get(event.channel)
                    if leg is not None:
                        leg.hear(event)

    def _take(self, client: ari.Client, group: asyncio.TaskGroup, found: Orphan, *, fresh: bool = False) -> None:
        """Answer for a channel from now on."""
        if found.channel in self._legs:
            return
        profile = found.args[1] if len(found.args) >= 3 and found.args[0] == "inbound" else ""
        flow = self._flows.get(profile)
        if flow is None:
            log.error("a call names no profile of the configuration and goes on unrecorded", profile=profile[:40])
            group.create_task(_turn_away(client, found.channel))
            return
        settings = self._config.profiles[profile]
        # The first leg's id is the call's.
        call_id = str(uuid_utils.uuid7())
        subject = Subject(
            leg_id=call_id,
            call_id=call_id,
            channel=found.channel,
            linkedid=found.args[2],
            controller=settings.controller,
            number=to_e164(found.caller, settings.region),
            at=found.at,
            files=self._config.recording.files,
            taken=found.taken,
        )
        leg = self._legs[found.channel] = Leg(client, self._store, flow, subject, self._follow)
        task = self._walks[found.channel] = group.create_task(leg.run() if fresh else leg.resume())
        task.add_done_callback(lambda _: self._left(found.channel))

    async def _take_again(self, client: ari.Client, group: asyncio.TaskGroup, start: wire.StasisStart) -> None:
        """Tell the leg that its channel came back what it has come to, as soon as it has."""
        await asyncio.wait({self._walks[start.channel]})
        self._take(client, group, Orphan(start.channel, start.args, start.caller, start.at))

    def _follow(self, subject: Subject) -> None:
        self._withdrawals.follow(subject.channel, subject.leg_id)

    def _left(self, channel: str) -> None:
        self._legs.pop(channel, None)
        self._walks.pop(channel, None)
        if not self._legs:
            self._idle.set()

    async def _keep_present(self, client: ari.Client) -> None:
        """Hold a manager session for as long as calls can be taken: it is how the dialplan knows."""
        settings = self._config.asterisk
        while True:
            try:
                async with ami.connected(
                    settings.ami_host, settings.ami_port, settings.ami_user, secret(self._config, "ami")
                ) as session:
                    for expected in await self._store.expected_recordings():
                        self._withdrawals.follow(expected.channel, expected.leg_id)
                    await self._withdraw_marked(session)
                    await self._finish_recordings(client)
                    log.info("serving", app=client.app)
                    async for told in session:
                        if isinstance(told, ami.KeyPressed):
                            await self._heed_key(session, told)
                        else:
                            await self._heed(session, told)
            except TelephonyError as error:
                log.warning("no manager session: calls go on unrecorded until there is one", problem=str(error))
            await asyncio.sleep(AMI_RETRY_S)

    async def _heed(self, session: ami.Session, notice: ami.Notice) -> None:
        """What fails now is tried again: an ended recording is still expected, a withdrawal's mark still there."""
        try:
            if notice.told is ami.Told.ENDED:
                await self._recordings.ended(notice.leg_id)
                return
            await self._recordings.withdrawn(notice.leg_id, notice.at or datetime.now(UTC))
            if notice.marked and await self._recordings.knows(notice.leg_id):
                await session.forget(notice.leg_id)
        except (StoreError, OSError) as error:
            log.error("a recording is not finished yet, trying again", leg=notice.leg_id, problem=str(error))

    async def _heed_key(self, session: ami.Session, key: ami.KeyPressed) -> None:
        leg_id = self._withdrawals.pressed(key)
        if leg_id is None:
            return
        for _ in range(STOP_TRIES):
            try:
                await session.stop_recording(key.name)
                break
            except Refused:  # the dialplan has stopped it already, or is just about to start it
                await asyncio.sleep(STOP_AGAIN_S)
        await self._heed(session, ami.Notice(ami.Told.WITHDRAWN, leg_id, datetime.now(UTC), marked=False))

    async def _withdraw_marked(self, session: ami.Session) -> None:
        """Record the withdrawals that nobody has heard of; a mark goes only when the store has it."""
        for mark in await session.marks():
            await self._heed(session, ami.Notice(ami.Told.WITHDRAWN, mark.leg_id, mark.at, marked=True))


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,4}(\.\d)?", text) else 0.0


async def _turn_away(client: ari.Client, channel_id: str) -> None:
    try:
        await client.channels.get(channel_id).leave_and_wait("done")
    except TelephonyError as error:
        log.warning("a call left to its lease", problem=str(error))
