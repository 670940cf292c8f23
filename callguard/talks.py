"""The conversations of the legs that have left the gate: who is with whom, and what follows for their recordings.

Asterisk starts the first segment of a recording, and stops any at a key, by itself. What is here ends a recording when
somebody comes who may not be recorded, and begins it anew when they have gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import NoReturn

import structlog

from callguard.agents import Agents
from callguard.config import Config
from callguard.core import conversation
from callguard.core.conversation import (
    Agreed,
    Begin,
    Conversation,
    End,
    Happened,
    Met,
    Order,
    Paused,
    Resumed,
    Why,
    Withdrawn,
)
from callguard.core.incidents import Incident
from callguard.current import Current
from callguard.errors import Disconnected, Refused, StoreError
from callguard.leg import Subject
from callguard.store import Store
from callguard.store.records import OpenRecording
from callguard.telephony import ami
from callguard.telephony.ari_wire import BridgeMembers
from callguard.telephony.audio_files import segment_name
from callguard.telephony.bridges import Bridges
from callguard.telephony.withdrawal import withdraws
from callguard.watchdog import Watchdog

log = structlog.get_logger()

# What the dialplan says of a channel in CG_STANDS: it is of the house, or it is a leg and has given these purposes.
INSIDE, LEG = "inside", "leg:"
# A frame is 20 ms; the recorder takes some at once.
MARGIN_MS = 100
# Asterisk's clock is compared with ours by so many events.
COMPARED = 64
# Nobody knows since when.
EVER = 0
# Of what is told before it can be caught up with, so much is kept; who came before that came at an unknown time.
KEPT = 10_000
# An answer on the connection of the events may overtake one of them, by less than this.
OVERTAKEN_MS = 2_000


@dataclass(frozen=True, slots=True)
class Company:
    """Who is with the subject from `at` on; whether they may be recorded is not known yet."""

    others: frozenset[str]
    at: int


@dataclass(slots=True, eq=False)
class Talk:
    """One leg's conversation.

    Attributes:
        granted: the purposes that it gave, none where it refused.
        began_at: when the running segment began, if that was seen.
        waiting: what has happened and is not carried out yet.
    """

    leg_id: str
    channel: str
    profile: str
    granted: frozenset[str]
    two: bool
    state: Conversation
    began_at: datetime | None = None
    waiting: deque[Happened | Company] = field(default_factory=deque)
    work: asyncio.Task[None] | None = None


class Talks:
    """All of them.

    Args:
        alone: whether ours is the only gate on this PBX.

    Attributes:
        session: the manager session, while there is one; without it nothing can be stopped or begun.
    """

    def __init__(
        self,
        current: Current,
        store: Store,
        watchdog: Watchdog,
        agents: Agents,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self._current = current
        self._store = store
        self._watchdog = watchdog
        self._agents = agents
        self._alone = alone
        self._bridges = Bridges()
        # What is told while something was missed, in its order; None while nothing is.
        self._heard: deque[BridgeMembers] | None = deque(maxlen=KEPT)
        self._heard_at = EVER
        self._behind: deque[int] = deque(maxlen=COMPARED)
        self._by_channel: dict[str, Talk] = {}
        self._by_leg: dict[str, Talk] = {}
        self._inside: set[str] = set()
        self._group: asyncio.TaskGroup | None = None
        self.session: ami.Session | None = None

    async def keep_working(self) -> NoReturn:
        """Carry out what follows, for as long as the service runs."""
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()
        raise AssertionError  # cancelled only

    def follow(self, subject: Subject, granted: Iterable[str], *, recorded: bool) -> None:
        """A leg is about to leave the gate."""
        state = Conversation(wanted=recorded) if subject.held or not recorded else conversation.recorded()
        two = subject.files == "two"
        self._add(Talk(subject.leg_id, subject.channel, subject.profile, frozenset(granted), two, state))

    def lost(self) -> None:
        """Nobody tells any more who comes and goes; what was missed is found by `catch_up`."""
        self._heard = deque(maxlen=KEPT)

    def heard_until(self, at: float) -> None:
        """What happened before is told: the connection has answered what was asked then (seconds since the epoch)."""
        if self._heard is None:
            asked = round(at * 1000) - min(self._behind, default=0)
            self._heard_at = max(self._heard_at, asked - OVERTAKEN_MS)

    async def catch_up(self, session: ami.Session) -> None:
        """Take up what went on while nobody listened. Raises: Disconnected, StoreError."""
        if self._heard is not None:
            self._heard = deque(self._heard)
            live, holding = await session.live(), await session.holding()
            self._bridges.begin(live, holding, tuple(self._heard))
            for talk in self._by_channel.values():
                self._meet(talk, self._heard_at)
        for talk in tuple(self._by_channel.values()):
            await self._look_for_a_pause(session, talk)
        for expected in await self._store.expected_recordings():
            if expected.channel in self._by_channel or expected.withdrawn_at is not None:
                continue
            try:
                if not await self._is_ours(session, expected.channel):
                    continue
                talk = await self._taken_up(session, expected)
            except Refused:  # the call is over
                continue
            await self._look_for_a_pause(session, talk)
            self._add(talk)
            self._meet(talk, EVER)
        # Nothing is waited for from here on, so nothing is told in between.
        heard, self._heard = self._heard, None
        for change in heard or ():
            self._heed(change)
        self._heard_at = self._now()
        self.session = session
        for talk in self._by_channel.values():
            self._go_on(talk)

    async def _is_ours(self, session: ami.Session, channel: str) -> bool:
        """Whether it is not another gate that answered for a channel. Raises: Disconnected; Refused, where it is gone.

        Two that follow the same leg would both begin its next segment, in one file.
        """
        app = await session.variable(channel, ami.APP)
        # A reload marks an application's name: callguard--1.
        return app.partition("--")[0] in ("", self._current.config.asterisk.app)

    async def follows(self, session: ami.Session, leg_id: str, channel: str) -> bool:
        """Whether what becomes of a leg is for us to say, and not for another gate on the same PBX.

        Args:
            channel: by which AMI knows it; empty where that is not known.

        Raises:
            Disconnected: the session is over.
            StoreError: the channel cannot be looked up.
        """
        if leg_id in self._by_leg:
            return True
        if not channel:
            expected = await self._store.expected_recording(leg_id)
            channel = expected.channel if expected is not None else ""
        try:
            return not channel or await self._is_ours(session, channel)
        except Refused:  # it is gone, and nobody can say whose it was; what nobody ends is ended when all is looked at
            return self._alone()

    async def _taken_up(self, session: ami.Session, expected: OpenRecording) -> Talk:
        """One that an earlier process followed. Raises: Disconnected, StoreError; Refused, where the call is over."""
        segments = await self._store.segments(expected.leg_id) if expected.interrupted else ()
        state = conversation.recorded(segments[-1].number + 1 if segments else 1)
        if segments and segments[-1].ended_at is not None:
            state = conversation.interrupted(segments[-1].number + 1, Why(segments[-1].ended_why or Why.AGENT))
        held = await session.variable(expected.channel, ami.RECORDING) == ami.HELD
        if held and not segments and not await session.variable(expected.channel, ami.MIXMONITOR):
            # Not begun yet, and not to be begun where the keys to stop it were pressed meanwhile.
            state = Conversation(wanted=not withdraws(await session.variable(expected.channel, ami.PRESSED)))
        subject = await self._store.subject_of_leg(expected.leg_id)
        granted = frozenset(purpose.id for purpose in expected.purposes)
        profile = subject.profile if subject is not None else ""
        return Talk(expected.leg_id, expected.channel, profile, granted, expected.files == "two", state)

    async def _look_for_a_pause(self, session: ami.Session, talk: Talk) -> None:
        """The agent may have pressed while nobody listened. Raises: Disconnected."""
        try:
            paused = bool(await session.variable(talk.channel, ami.PAUSED))
        except Refused:  # the call is over
            return
        if paused != (Why.AGENT in talk.state.paused):
            at = self._now()
            talk.waiting.append(Paused(Why.AGENT, at) if paused else Resumed(Why.AGENT, at))

    def heed(self, change: BridgeMembers) -> None:
        """Somebody has come into a bridge, or left one."""
        self._behind.append(round(time.time() * 1000) - change.at)
        if self._heard is not None:
            self._heard.append(change)
        else:
            self._heed(change)

    def _heed(self, change: BridgeMembers) -> None:
        self._heard_at = change.at
        for channel in self._bridges.heed(change):
            talk = self._by_channel.get(channel)
            if talk is not None:
                self._meet(talk, change.at)
        if not change.entered:
            self._inside.discard(change.channel)

    def agreed(self, leg_id: str, granted: Iterable[str]) -> bool:
        """A basis for recording a leg is committed now. Returns: whether the leg is known here."""
        talk = self._by_leg.get(leg_id)
        if talk is None:
            return False
        talk.granted = frozenset(granted)
        talk.waiting.append(Company(self._bridges.company(talk.channel), self._now()))
        self._happened(talk, Agreed(self._now()))
        return True

    def withdrawn(self, leg_id: str, at: datetime) -> None:
        """Nobody may record the leg from `at` on, whenever that is heard of."""
        talk = self._by_leg.get(leg_id)
        if talk is None:
            return
        talk.granted = frozenset()
        self._happened(talk, Withdrawn(min(round(at.timestamp() * 1000), self._now())))
        # Nor may they be heard in the recording of somebody else.
        for channel in self._bridges.company(talk.channel):
            if other := self._by_channel.get(channel):
                self._meet(other, self._now())

    def paused(self, leg_id: str, by: Why = Why.AGENT) -> None:
        if talk := self._by_leg.get(leg_id):
            self._happened(talk, Paused(by, self._now()))

    def resumed(self, leg_id: str, by: Why = Why.AGENT) -> None:
        if talk := self._by_leg.get(leg_id):
            # Who is there may have changed since it was last of interest.
            self._meet(talk, self._now())
            self._happened(talk, Resumed(by, self._now()))

    def held(self, channel: str, *, on: bool) -> None:
        """Somebody has put the other side on hold, or taken them back."""
        if not self._current.config.recording.pause_on_hold:
            return
        for one in {channel, *self._bridges.company(channel)}:
            if talk := self._by_channel.get(one):
                (self.paused if on else self.resumed)(talk.leg_id, Why.HOLD)

    async def settled(self, leg_id: str) -> None:
        """Wait until what has happened to a leg is carried out.

        Raises:
            StoreError: not all of it could be, so what has to be cut off is not known to the store yet.
        """
        talk = self._by_leg.get(leg_id)
        if talk is None:
            return
        self._go_on(talk)
        # More may happen meanwhile, and be taken up by other work.
        while talk.work is not None and not talk.work.done():
            await asyncio.wait({talk.work})
        if talk.waiting:
            raise StoreError("what happened in the call before is not saved")

    async def over(self, leg_id: str) -> None:
        """A leg's call has ended, and its recording may be finished. Raises: as `settled`."""
        await self.settled(leg_id)
        talk = self._by_leg.pop(leg_id, None)
        if talk is not None:
            self._by_channel.pop(talk.channel, None)

    async def keep_only(self, live_channels: Collection[str]) -> frozenset[str]:
        """Forget the legs whose channels are gone, and try again what could not be saved.

        Returns:
            The legs of those gone of which not all is saved yet: their recordings cannot be finished.
        """
        for talk in self._by_channel.values():
            self._go_on(talk)
        gone = [talk for channel, talk in self._by_channel.items() if channel not in set(live_channels)]
        unsaved = set()
        for talk in gone:  # which may end by its own notice meanwhile
            try:
                await self.over(talk.leg_id)
            except StoreError:
                unsaved.add(talk.leg_id)
        return frozenset(unsaved)

    def _add(self, talk: Talk) -> None:
        self._by_channel[talk.channel] = self._by_leg[talk.leg_id] = talk

    def _meet(self, talk: Talk, at: int) -> None:
        """Nobody's company matters while nothing is recorded, nor about to be."""
        others = self._bridges.company(talk.channel)
        changed = others != talk.state.company or bool(others & self._by_channel.keys())
        if talk.waiting or (talk.state.wanted and changed):
            self._happened(talk, Company(others, at))

    def _happened(self, talk: Talk, what: Happened | Company) -> None:
        talk.waiting.append(what)
        self._go_on(talk)

    def _go_on(self, talk: Talk) -> None:
        idle = talk.work is None or talk.work.done()
        if talk.waiting and idle and self.session is not None and self._group is not None:
            talk.work = self._group.create_task(self._work_off(talk))

    async def _work_off(self, talk: Talk) -> None:
        """What cannot be done now stays first, for the next session."""
        try:
            while talk.waiting and (session := self.session) is not None:
                what = talk.waiting[0]
                if isinstance(what, Company):
                    strangers = [one for one in what.others if not await self._may_be_recorded(session, talk, one)]
                    what = Met(what.others, frozenset(strangers), what.at)
                state, orders = conversation.step(talk.state, what)
                for order in orders:
                    await self._carry_out(session, talk, order)
                if isinstance(what, Met) and what.company and talk.began_at is None and what.at > EVER:
                    talk.began_at = _time(what.at)  # of what Asterisk started by itself
                talk.state = state
                if talk.waiting:  # the call may be over by now
                    talk.waiting.popleft()
        except Disconnected:
            pass
        except StoreError as error:
            log.error("what happened in a call is not saved, trying again", leg=talk.leg_id, problem=str(error))
        except Exception:
            log.exception("a conversation failed: its recording is stopped", leg=talk.leg_id)
            talk.waiting.clear()
            talk.state = Conversation(wanted=False, begun=talk.state.begun)
            if self.session is not None:
                with suppress(Disconnected):
                    await self._stop(self.session, talk)

    async def _may_be_recorded(self, session: ami.Session, talk: Talk, channel: str) -> bool:
        """Whether a party is of the house, or has given all that the recording is for."""
        if (leg := self._by_channel.get(channel)) is not None:
            return talk.granted <= leg.granted
        name = self._bridges.name(channel)
        if channel in self._inside or _listed(self._current.config, name):
            return await self._agent_may(talk, name)
        try:
            stands = await session.variable(channel, ami.STANDS)
        except Refused:  # gone already, and nobody knows who it was
            return False
        if stands == INSIDE:
            self._inside.add(channel)
            return await self._agent_may(talk, name)
        return stands.startswith(LEG) and talk.granted <= set(stands.removeprefix(LEG).split(","))

    async def _agent_may(self, talk: Talk, name: str) -> bool:
        verdict = await self._agents.may_be_recorded(talk.profile, name, datetime.now(UTC))
        if not verdict.allowed:
            log.info("unrecorded: the agent's own basis is missing", leg=talk.leg_id, why=verdict.reason)
        return verdict.allowed

    async def _carry_out(self, session: ami.Session, talk: Talk, order: Order) -> None:
        match order:
            case End(number, why, cut):
                ran = await self._stop(session, talk)
                now = self._now()
                if cut is None:  # who has come since is not known yet
                    cut = min((one.at for one in list(talk.waiting)[1:] if isinstance(one, Company)), default=None)
                cut_ms = 0 if cut is None else max(0, now - cut) + MARGIN_MS
                if cut == EVER:
                    await self._store.incident(
                        Incident.RECORDING_UNWATCHED, _time(now), {"segment": number}, talk.leg_id
                    )
                if ran or why is not Why.WITHDRAWN:  # mostly the key itself has ended it, for good
                    await self._store.segment_ended(talk.leg_id, number, talk.began_at, _time(now), why, cut_ms)
                log.info("recording interrupted", leg=talk.leg_id, why=why)
            case Begin(number, why):
                began_at = _time(self._now())
                if number:
                    await self._store.segment_begun(talk.leg_id, number, began_at, why)
                folder = self._current.config.recording.folder.in_asterisk
                # One that was begun and not heard of, as the session ended, is not left beside it.
                await self._stop(session, talk)
                self._watchdog.expect(talk.channel, talk.leg_id)
                file = f"{folder}/{segment_name(talk.leg_id, number)}"
                try:
                    await session.start_recording(talk.channel, file, two=talk.two)
                except ami.Overtaken as overtaken:
                    # What it has of these milliseconds was said after the key.
                    now = self._now()
                    cut_ms = now - round(began_at.timestamp() * 1000) + MARGIN_MS
                    why = Why.AGENT if overtaken.by == ami.PAUSED else Why.WITHDRAWN
                    await self._store.segment_ended(talk.leg_id, number, began_at, _time(now), why, cut_ms)
                    log.info("recording begun and ended again", leg=talk.leg_id, why=why)
                except Refused as error:
                    self._watchdog.expect_no_more(talk.channel)
                    log.warning("to be recorded, and not recorded", leg=talk.leg_id, problem=str(error))
                except Disconnected:  # and begun anew, if it was begun
                    self._watchdog.expect_no_more(talk.channel)
                    raise
                else:
                    talk.began_at = began_at
                    log.info("recording goes on" if number else "recording begins", leg=talk.leg_id, why=why)

    async def _stop(self, session: ami.Session, talk: Talk) -> bool:
        """Returns: whether it ran until now."""
        try:
            await session.stop_recording(talk.channel)
        except Refused:  # the dialplan has stopped it already, or the call is over
            return False
        return True

    def _now(self) -> int:
        """Asterisk's clock, milliseconds since the epoch, by the events that took least time to come."""
        return round(time.time() * 1000) - min(self._behind, default=0)


def _listed(config: Config, name: str) -> bool:
    """Whether a channel's name, without its number, is one of the configured endpoints of the house."""
    endpoint = name.rpartition("-")[0]
    return any(fnmatchcase(endpoint, pattern) for pattern in config.asterisk.inside)


def _time(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
