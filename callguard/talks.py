"""The conversations of the legs that have left the gate: who is with whom, and what follows for their recordings.

Asterisk starts the first segment of a recording, and stops any at a key, by itself. What is here ends a recording when
somebody comes who may not be recorded, and begins it anew when they have gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from typing import NoReturn

from callguard.agents import Agents
from callguard.core import conversation
from callguard.core.conversation import (
    Agreed,
    Conversation,
    Happened,
    Met,
    Paused,
    Resumed,
    SetAside,
    Unwatched,
    Why,
    Withdrawn,
)
from callguard.current import Current
from callguard.earlier import Earlier
from callguard.errors import Disconnected, StoreError
from callguard.leg import Subject
from callguard.masquerades import found
from callguard.parties import Parties
from callguard.segments import Segments
from callguard.store import Store
from callguard.talk import EVER, Company, HoldsMissed, Missed, Talk
from callguard.telephony import ami
from callguard.telephony.ari_wire import BridgeMembers, Transferred
from callguard.telephony.bridges import Bridges
from callguard.telephony.clock import Clock
from callguard.watchdog import Watchdog
from callguard.work import Work

# Of what is told before it can be caught up with, so much is kept; who came before that came at an unknown time.
KEPT = 10_000
# An answer on the connection of the events may overtake one of them, by less than this.
OVERTAKEN_MS = 2_000


async def _nothing_untold() -> None:
    """As if all that happens were told at once."""


class Talks:
    """All of them.

    Args:
        alone: whether ours is the only gate on this PBX.

    Attributes:
        all_told: waits until what has happened by now is told (`heed`). Raises: Disconnected, where it will not be.
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
        self._bridges = Bridges()
        self._clock = Clock()
        self._parties = Parties(current, agents)
        self._earlier = Earlier(current, store, self._clock, alone)
        # What is told while something was missed, in its order; None while nothing is.
        self._heard: deque[BridgeMembers] | None = deque(maxlen=KEPT)
        self._heard_at = self._listed_at = EVER
        # Of these it is not looked yet whether somebody took another's place.
        self._transfers: list[Transferred] = []
        # Since when nobody tells who is put on hold; None while somebody does.
        self._holds_untold: int | None = EVER
        self._by_channel: dict[str, Talk] = {}
        self._by_leg: dict[str, Talk] = {}
        segments = Segments(current, store, watchdog, self._clock)
        self._work = Work(segments, self._parties, self._bridges, self._by_channel)
        self._over: set[str] = set()
        self.all_told: Callable[[], Awaitable[None]] = _nothing_untold

    @property
    def session(self) -> ami.Session | None:
        """The manager session, while there is one; without it nothing can be stopped or begun."""
        return self._work.session

    @session.setter
    def session(self, session: ami.Session | None) -> None:
        self._work.session = session

    async def keep_working(self) -> NoReturn:
        """Carry out what follows, for as long as the service runs."""
        await self._work.keep_working()

    def follow(self, subject: Subject, granted: Iterable[str], *, recorded: bool) -> None:
        """A leg is about to leave the gate."""
        state = Conversation(wanted=recorded) if subject.held or not recorded else conversation.recorded()
        two = subject.files == "two"
        self._add(Talk(subject.leg_id, subject.channel, subject.profile, frozenset(granted), two, state))

    def lost(self) -> None:
        """Nobody tells any more who comes and goes; what was missed is found by `catch_up`."""
        for talk in self._by_channel.values():
            if talk.missed is None and talk.state.running is not None:
                talk.missed = Missed(talk.state.running, self._heard_at)
        self._heard = deque(maxlen=KEPT)

    def session_lost(self) -> None:
        """Nothing can be stopped or begun any more, and nobody tells who is put on hold."""
        self.session = None
        if self._holds_untold is None:
            self._holds_untold = self._clock.now()

    def heard_until(self, at: float) -> None:
        """What happened before is told: the connection has answered what was asked then (seconds since the epoch)."""
        if self._heard is None:
            self._heard_at = max(self._heard_at, self._clock.when(at) - OVERTAKEN_MS)

    async def catch_up(self, session: ami.Session) -> None:
        """Take up what went on while nobody listened. Raises: Disconnected, StoreError."""
        if self._heard is not None:
            self._heard = deque(self._heard)
            live, holding = await session.live(), await session.holding()
            self._listed_at = self._clock.now()
            self._bridges.begin(live, holding, tuple(self._heard))
            for talk in self._by_channel.values():
                talk.told_at = self._listed_at
                self._meet(talk, self._heard_at)
                self._end_hold(talk)
        for talk in tuple(self._by_channel.values()):
            if talk.missed is not None and not any(isinstance(one, Unwatched) for one in talk.waiting):
                talk.waiting.append(await self._earlier.missed(session, talk, talk.missed))
            elif self._holds_untold is not None and talk.missed is None and talk.state.running is not None:
                self._miss_holds(talk, recorded=True)
            if self._holds_untold is not None and Why.HOLD in talk.state.paused and talk.held_by is not None:
                self._miss_holds(talk, recorded=False)
            await self._earlier.look_for_a_pause(session, talk)
        for expected in await self._store.expected_recordings():
            if expected.channel in self._by_channel or expected.withdrawn_at is not None:
                continue
            taken_up = await self._earlier.take_up(session, expected)
            if taken_up is not None:
                self._add(taken_up)
                taken_up.told_at = self._listed_at
                self._meet(taken_up, EVER)
                if (unwatched := await self._earlier.unwatched(session, taken_up)) is not None:
                    self._happened(taken_up, unwatched)
                if Why.HOLD in taken_up.state.paused:
                    self._miss_holds(taken_up, recorded=False)
                await self._earlier.look_for_a_pause(session, taken_up)
        # Nothing is waited for from here on, so nothing is told in between.
        heard, self._heard = self._heard, None
        for change in heard or ():
            self._heed(change)
        self._heard_at = self._clock.now()
        self._holds_untold = None
        self.session = session
        for talk in self._by_channel.values():
            self._work.go_on(talk)
        self._look()

    async def follows(self, session: ami.Session, leg_id: str, channel: str) -> bool:
        """Whether what becomes of a leg is for us to say, and not for another gate on the same PBX.

        Arguments and errors are those of `Earlier.is_ours`.
        """
        return leg_id in self._by_leg or await self._earlier.is_ours(session, leg_id, channel)

    def heed(self, change: BridgeMembers) -> None:
        """Somebody has come into a bridge, or left one."""
        self._clock.told(change.at)
        if self._heard is not None:
            self._heard.append(change)
        else:
            self._heed(change)

    def transferred(self, transfer: Transferred) -> None:
        """Somebody was transferred, and may be in company that nobody has told of."""
        self._clock.told(transfer.at)
        self._transfers.append(transfer)
        self._look()

    def _look(self) -> None:
        if self._transfers and self.session is not None and self._heard is None:
            transfers, self._transfers = self._transfers, []
            for transfer in transfers:
                self._work.start(self._look_for(self.session, transfer))

    async def _look_for(self, session: ami.Session, transfer: Transferred) -> None:
        try:
            change = await found(session, self._bridges, transfer, self.all_told)
        except Disconnected:  # looked for again when both are back
            self._transfers.append(transfer)
            return
        if change is not None and self._heard is None:
            self._change(change)

    def _heed(self, change: BridgeMembers) -> None:
        self._heard_at = change.at
        # What happened before they were listed is in the list, told or not.
        for channel in self._bridges.untold(change) if change.at > self._listed_at else ():
            if talk := self._by_channel.get(channel):
                # In whose company they were since it was told last nobody knows any more.
                self._happened(talk, Unwatched(None, talk.told_at, talk.told_at, came=True))
        self._change(change)

    def _change(self, change: BridgeMembers) -> None:
        for channel in self._bridges.heed(change):
            talk = self._by_channel.get(channel)
            if talk is not None:
                talk.told_at = change.at
                self._meet(talk, change.at)
                self._end_hold(talk)
        if not change.entered:
            self._parties.gone(change.channel)

    def agreed(self, leg_id: str, granted: Iterable[str]) -> bool:
        """A basis for recording a leg is committed now. Returns: whether the leg is known here."""
        talk = self._by_leg.get(leg_id)
        if talk is None:
            return False
        talk.granted = frozenset(granted)
        talk.waiting.append(Company(self._bridges.company(talk.channel), self._clock.now()))
        self._happened(talk, Agreed(self._clock.now()))
        return True

    def withdrawn(self, leg_id: str, at: datetime, late_ms: int = 0) -> None:
        """Nobody may record the leg from `at` on, whenever that is heard of: Asterisk made it out so much later."""
        talk = self._by_leg.get(leg_id)
        if talk is None:
            self._ask_about_others()
            return
        talk.granted = frozenset()
        self._happened(talk, Withdrawn(min(round(at.timestamp() * 1000), self._clock.now()), late_ms))
        # Nor may they be heard in the recording of somebody else.
        for channel in self._bridges.company(talk.channel):
            if other := self._by_channel.get(channel):
                self._meet(other, self._clock.now())

    def paused(self, leg_id: str, by: Why = Why.AGENT) -> None:
        if talk := self._by_leg.get(leg_id):
            self._happened(talk, Paused(by, self._clock.now()))

    def resumed(self, leg_id: str, by: Why = Why.AGENT) -> None:
        if talk := self._by_leg.get(leg_id):
            # Who is there may have changed since it was last of interest.
            self._meet(talk, self._clock.now())
            self._happened(talk, Resumed(by, self._clock.now()))

    def set_aside(self, leg_id: str) -> None:
        """Somebody else wrote to a leg's recording, which is in quarantine: it ends, where it has not yet."""
        if talk := self._by_leg.get(leg_id):
            self._happened(talk, SetAside(self._clock.now()))

    def ask_again(self, since: datetime) -> None:
        """What those in the calls have given may differ from `since` on: each is asked about anew."""
        at = min(self._clock.when(since.timestamp()), self._clock.now())
        for talk in self._by_channel.values():
            others = self._bridges.company(talk.channel)
            if talk.waiting or (talk.state.wanted and others):
                self._happened(talk, Company(others, at))

    def _ask_about_others(self) -> None:
        """Somebody whom another gate has asked gives nothing any more: they may be in the company of one of ours."""
        for talk in self._by_channel.values():
            others = self._bridges.company(talk.channel)
            theirs = any(
                one not in self._by_channel and not self._parties.is_inside(one, self._bridges.name(one))
                for one in others
            )
            if theirs and (talk.waiting or talk.state.wanted):
                self._happened(talk, Company(others, self._clock.now()))

    def held(self, channel: str, *, on: bool) -> None:
        """Somebody has put the other side on hold, or taken them back."""
        if not self._current.config.recording.pause_on_hold:
            return
        for one in {channel, *self._bridges.company(channel)}:
            if talk := self._by_channel.get(one):
                holders = talk.held_by or frozenset()
                if on:
                    talk.held_by = holders | {channel}
                    self.paused(talk.leg_id, Why.HOLD)
                elif not (holders := holders - {channel}):
                    talk.held_by = None
                    self.resumed(talk.leg_id, Why.HOLD)
                else:
                    talk.held_by = holders

    def has_begun(self, leg_id: str) -> bool:
        """Whether the person has been in a bridge with anybody since the gate, as far as it is known here."""
        talk = self._by_leg.get(leg_id)
        return talk is not None and (bool(talk.state.met) or talk.state.begun > 1)

    async def settled(self, leg_id: str) -> None:
        """Wait until what has happened to a leg is carried out.

        Raises:
            StoreError: not all of it could be, so what has to be cut off is not known to the store yet.
        """
        talk = self._by_leg.get(leg_id)
        if talk is None:
            return
        self._work.go_on(talk)
        # More may happen meanwhile, and be taken up by other work.
        while talk.work is not None and not talk.work.done():
            await asyncio.wait({talk.work})
        if talk.waiting:
            raise StoreError("what happened in the call before is not saved")

    async def over(self, leg_id: str) -> None:
        """A leg's call has ended, and its recording may be finished.

        Raises:
            StoreError: as `settled`; or it is not told yet who was in the call at its end.
        """
        talk = self._by_leg.get(leg_id)
        if talk is not None and talk.state.running is not None:
            await self._have_all_told()
        await self._end(leg_id)

    async def _have_all_told(self) -> None:
        try:
            await self.all_told()
        except Disconnected as error:
            raise StoreError(f"who was in the call at its end is not told yet: {error}") from error

    async def _end(self, leg_id: str) -> None:
        await self.settled(leg_id)
        talk = self._by_leg.pop(leg_id, None)
        if talk is not None:
            self._by_channel.pop(talk.channel, None)
            self._over.add(leg_id)

    def watched(self) -> frozenset[str]:
        """The legs that are followed, and those that were until they ended, since this was last asked."""
        over, self._over = self._over, set()
        return frozenset(over | self._by_leg.keys())

    async def keep_only(self, live_channels: Collection[str]) -> frozenset[str]:
        """Forget the legs whose channels are gone, and try again what could not be saved.

        Returns:
            The legs of those gone of which not all is saved yet: their recordings cannot be finished.
        """
        for talk in self._by_channel.values():
            self._work.go_on(talk)
        gone = [talk for channel, talk in self._by_channel.items() if channel not in set(live_channels)]
        unsaved = set()
        recorded = {talk.leg_id for talk in gone if talk.state.running is not None}
        if recorded:  # asked once for all of them
            try:
                await self._have_all_told()
            except StoreError:
                unsaved = recorded
        for talk in gone:  # which may end by its own notice meanwhile
            if talk.leg_id in unsaved:
                continue
            try:
                await self._end(talk.leg_id)
            except StoreError:
                unsaved.add(talk.leg_id)
        return frozenset(unsaved)

    def _add(self, talk: Talk) -> None:
        self._by_channel[talk.channel] = self._by_leg[talk.leg_id] = talk
        if Why.HOLD in talk.state.paused:  # and who held is not known any more
            talk.held_by = frozenset()

    def _meet(self, talk: Talk, at: int) -> None:
        """Nobody's company matters while nothing is recorded, nor about to be."""
        others = self._bridges.company(talk.channel)
        changed = others != talk.state.company or bool(others & self._by_channel.keys())
        if talk.waiting or (talk.state.wanted and changed):
            self._happened(talk, Company(others, at))

    def _miss_holds(self, talk: Talk, *, recorded: bool) -> None:
        known = any(isinstance(one, HoldsMissed) for one in talk.waiting)
        if self._current.config.recording.pause_on_hold and not known:
            talk.waiting.append(HoldsMissed(self._holds_untold or EVER, self._clock.now(), recorded))

    def _end_hold(self, talk: Talk) -> None:
        """A hold is over where somebody is there who holds nobody: of one who leaves, Asterisk tells no end of it."""
        if talk.held_by is None:
            return
        company = self._bridges.company(talk.channel)
        talk.held_by &= company | {talk.channel}
        if company and not talk.held_by:
            talk.held_by = None
            self._happened(talk, Resumed(Why.HOLD, self._clock.now()))

    def _happened(self, talk: Talk, what: Happened | Company) -> None:
        if isinstance(what, Company) and not what.others and not talk.waiting and talk.idle:
            # Mostly the end: nobody is left to ask about, and nothing to do.
            state, orders = conversation.step(talk.state, Met(frozenset(), frozenset(), what.at))
            if not orders:
                talk.state = state
                return
        talk.waiting.append(what)
        self._work.go_on(talk)
