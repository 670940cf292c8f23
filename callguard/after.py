"""After the gate: what the subject presses and what the dialplan tells while the call lasts, and what follows from it.

What fails now is tried again: an ended recording is still expected, and what a subject said is kept here, and in a mark
of Asterisk's for the next process, until it is saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NoReturn

import structlog

from callguard.core.conversation import Keys, chosen, informed
from callguard.core.decide import Scope
from callguard.core.gate import untold
from callguard.core.model import Basis, Heard, Purpose
from callguard.core.profile import Change, Flow
from callguard.current import Current
from callguard.errors import Disconnected, Refused, StoreError
from callguard.store import Store
from callguard.store.records import LegSubject
from callguard.talks import Talks
from callguard.telephony.ami import (
    BRIDGED,
    HEARD,
    HEARD_OBJECTED,
    HEARD_STOPPED,
    KEYS,
    OBJECTED,
    PRESSED,
    UNIQUEID,
    WITHDRAWN,
    Session,
)
from callguard.telephony.ami_events import FAMILIES, Held, KeyPressed, Notice, Originated, RecorderStarted, Told
from callguard.telephony.holds import Holds, Yeses
from callguard.telephony.recording import Recordings
from callguard.telephony.withdrawal import KEPT_KEYS, STOP, Withdrawals, withdraws
from callguard.unasked import Unasked
from callguard.watchdog import Watchdog

log = structlog.get_logger()

Work = Callable[[], Awaitable[None]]

# Between leaving the gate and MixMonitor lie a few ms of dialplan.
STOP_TRIES, STOP_AGAIN_S = 3, 0.05
# A consent given in the call starts a recording now or not at all: who was stopped and goes on does not act on it.
# Asterisk's time comes in whole seconds, from a clock that may be another host's.
FRESH = timedelta(seconds=3)
# What only the gate that answered for the leg acts upon, of several on one PBX; any of them keeps a withdrawal.
THE_GATES = frozenset({Told.ENDED, Told.AGREED, Told.REPLIED})
# A feature that has heard the key is at work by then; so often it is looked whether one can hear it.
FEATURE_S = 0.5
# What is pressed for the person is told of by then.
TOLD_S = 1.5
# How often it is pressed: what plays just then may last for some seconds, and no feature hears a key meanwhile.
TELL_TRIES = 3
# What could not be saved is tried again so soon: a store that is locked, or has no space, may be well by then.
AGAIN_S = 5.0


class After:
    """Heeds one manager session at a time."""

    def __init__(
        self,
        current: Current,
        store: Store,
        recordings: Recordings,
        withdrawals: Withdrawals,
        holds: Holds,
        watchdog: Watchdog,
        talks: Talks,
        unasked: Unasked,
    ) -> None:
        self._current = current
        self._store = store
        self._recordings = recordings
        self._withdrawals = withdrawals
        self._holds = holds
        self._yeses = Yeses()
        self._watchdog = watchdog
        self._talks = talks
        self._unasked = unasked
        self._unsaved: list[Notice] = []
        # The legs for whose subject a key is being pressed: nothing new has been said.
        self._pressing: set[str] = set()

    async def listen(self, session: Session) -> None:
        """Heed what comes until the session is over, and what happened while nobody listened: of one leg in its order,
        of several at once.

        One after another, each would wait for the commit of the one before, and a key pressed now for a hundred calls
        that have just ended.

        Raises:
            Disconnected: the session is over.
            StoreError: what happened meanwhile is not known, as the store cannot be read.
        """
        last: dict[str, asyncio.Task[None]] = {}
        over: Disconnected | StoreError = Disconnected("the AMI session ended")
        async with asyncio.TaskGroup() as group:

            def heed(of: str, work: Work) -> None:
                task = group.create_task(_after(last.get(of), work))
                last[of] = task
                task.add_done_callback(lambda done: last.pop(of) if last.get(of) is done else None)

            def stop(channel: str, leg_id: str, late_ms: int = 0) -> None:
                heed(leg_id, partial(self._withdraw, session, channel, leg_id, datetime.now(UTC), late_ms))
                telling = group.create_task(_after(None, partial(self._have_it_said, session, channel, leg_id)))
                waiting.add(telling)
                telling.add_done_callback(waiting.discard)

            waiting: set[asyncio.Task[None]] = {group.create_task(self._try_again(session, heed))}
            try:
                await self._catch_up(session, heed, stop)
                session.only_keys(self._wants_key)
                async for told in session:
                    if isinstance(told, KeyPressed):
                        self._holds.told(told)
                        self._yeses.told(told)
                        withdrawn = self._withdrawals.pressed(told)
                        if withdrawn is not None and withdrawn[0] not in self._pressing:
                            stop(told.name, *withdrawn)
                    elif isinstance(told, RecorderStarted):
                        heed(told.channel, partial(self._watchdog.started, session, told))
                    elif isinstance(told, Held):
                        self._talks.held(told.channel, on=told.on)
                    elif isinstance(told, Originated):
                        heed(told.name, partial(self._unasked.called, session, told))
                    else:
                        heed(told.leg_id, partial(self._heed, session, told))
            except (Disconnected, StoreError) as error:
                over = error  # what is being worked off is finished first
            finally:
                for task in waiting:
                    task.cancel()
        raise over

    async def _try_again(self, session: Session, heed: Callable[[str, Work], None]) -> NoReturn:
        while True:
            await asyncio.sleep(AGAIN_S)
            unsaved, self._unsaved = self._unsaved, []
            for notice in unsaved:
                heed(notice.leg_id, partial(self._heed, session, notice))

    def _wants_key(self, channel: str, digit: str) -> bool:
        return self._yeses.wants(digit) or channel in self._holds or channel in self._withdrawals

    async def _catch_up(
        self, session: Session, heed: Callable[[str, Work], None], stop: Callable[[str, str], None]
    ) -> None:
        """What happened while nobody listened: found here, worked off beside what comes now."""
        marks = await session.marks()
        told = {mark.leg_id for mark in marks if mark.told is Told.WITHDRAWN}  # with the time
        for expected in await self._store.expected_recordings():
            self._withdrawals.follow(expected.channel, expected.leg_id)
            if expected.withdrawn_at is not None or expected.leg_id in told:
                continue
            try:
                pressed = await session.variable(expected.channel, PRESSED)
            except Refused:  # the call is over
                continue
            self._withdrawals.goes_on(expected.channel, pressed)
            if (withdraws(pressed) or len(pressed) >= KEPT_KEYS) and not await session.variable(
                expected.channel, OBJECTED
            ):
                stop(expected.channel, expected.leg_id)
        for mark in marks:
            heed(mark.leg_id, partial(self._heed, session, mark))
        await self._watchdog.look(session)

    async def _withdraw(self, session: Session, channel: str, leg_id: str, heard_at: datetime, late_ms: int) -> None:
        at = heard_at - timedelta(milliseconds=late_ms)
        with suppress(Refused):
            keys, heard, peer = await session.variables(channel, KEYS, HEARD, BRIDGED)
            if keys == Keys.OBJECT:
                # Before the first bridge nobody can be told why, and nothing is recorded: then it is stopped.
                objects = heard != HEARD_STOPPED and (bool(peer) or self._talks.has_begun(leg_id))
                await session.set_variable(channel, HEARD, HEARD_OBJECTED if objects else HEARD_STOPPED)
                if objects:
                    await self._heed(session, Notice(Told.OBJECTED, leg_id, at))
                    return
        for _ in range(STOP_TRIES):
            try:
                await session.stop_recording(channel)
                break
            except Refused:  # the dialplan has stopped it already, or is just about to start it
                await asyncio.sleep(STOP_AGAIN_S)
        await self._heed(session, Notice(Told.WITHDRAWN, leg_id, at, late_ms=late_ms))

    async def _have_it_said(self, session: Session, channel: str, leg_id: str) -> None:
        """A feature of Asterisk's tells the person and the agent's display; where none has heard the key, as nobody was
        there yet or its digits lay too far apart, it is pressed for the person once somebody is there.
        """
        while True:
            await asyncio.sleep(FEATURE_S)
            try:
                *said, peer = await session.variables(channel, WITHDRAWN, OBJECTED, BRIDGED)
                if any(said):
                    return
                if peer:
                    break
            except Refused:  # the call is over
                return
        self._pressing.add(leg_id)
        try:
            for _ in range(TELL_TRIES):
                await session.press(channel, STOP[0])
                await asyncio.sleep(TOLD_S)
                # While something is said to the person no feature hears a key.
                if any(await session.variables(channel, WITHDRAWN, OBJECTED)):
                    return
        except Refused as error:
            log.warning("stopped, and the person is not told so", leg=leg_id, problem=str(error))
        finally:
            self._pressing.discard(leg_id)

    async def _heed(self, session: Session, notice: Notice) -> None:
        at = notice.at or datetime.now(UTC)
        try:
            ours = await self._talks.follows(session, notice.leg_id, notice.channel)
            if not ours and notice.told in THE_GATES:
                return
            match notice.told:
                case Told.PAUSED:
                    self._talks.paused(notice.leg_id)
                case Told.RESUMED:
                    self._talks.resumed(notice.leg_id)
                case Told.ENDED:
                    await self._talks.over(notice.leg_id)
                    await self._recordings.ended(notice.leg_id)
                case Told.WITHDRAWN:
                    self._talks.withdrawn(notice.leg_id, at, notice.late_ms)
                    await self._talks.settled(notice.leg_id)
                    await self._recordings.withdrawn(
                        notice.leg_id, at, before=notice.before, source=notice.source, finish=ours
                    )
                case Told.OBJECTED if notice.leg_id in self._pressing:
                    pass
                case Told.OBJECTED:
                    await self._store.object_to(notice.leg_id, at, notice.source)
                case Told.AGREED:
                    await self._agreed(session, notice, at)
                case Told.REPLIED:
                    await self._replied(session, notice, at)
                case Told.OPTED_OUT:
                    await self._opted_out(notice, at)
            if notice.marked and await self._recordings.knows(notice.leg_id):
                await session.forget(notice.told, notice.leg_id)
        except (StoreError, OSError) as error:
            log.error("what happened in a call is not saved yet, trying again", leg=notice.leg_id, problem=str(error))
            if notice.told in FAMILIES:
                self._unsaved.append(notice)

    async def _agreed(self, session: Session, notice: Notice, at: datetime) -> None:
        """A yes after the agent asked for it, in words: only what is asked of a person who is called."""
        subject = await self._store.subject_of_leg(notice.leg_id)
        flow = None if subject is None else self._current.flow_when_begun(subject.profile, notice.leg_id)
        if subject is not None and flow is not None and flow.agent_first:
            if await self._untold(subject, flow, flow.languages[0]):
                # The dialplan has the notice heard instead, and the yes that follows is another.
                log.warning("a yes in the call does not count: the notice has changed since", leg=notice.leg_id)
                return
            consents = tuple(purpose for purpose in flow.purposes if purpose.basis is Basis.CONSENT)
            await self._record_from_now(session, notice, at, consents)

    async def _replied(self, session: Session, notice: Notice, at: datetime) -> None:
        """A yes to the notice that was heard again in the call; also of who has withdrawn in it."""
        subject = await self._store.subject_of_leg(notice.leg_id)
        flow = None if subject is None else self._current.flow_when_begun(subject.profile, notice.leg_id)
        reply = notice.reply
        if subject is None or flow is None or reply is None:
            log.error("a yes in the call is not understood: do callguard and its dialplan fit?", leg=notice.leg_id)
            return
        essential = self._current.essential(subject.profile, reply.heard[0])
        held_ms = await self._yeses.held_ms(notice.channel, reply.which.bit_count())
        if essential is None or held_ms is None or not informed(reply.after_ms, held_ms):
            log.warning("a yes in the call does not count: not after this notice", leg=notice.leg_id)
            return
        changes = await self._untold(subject, flow, reply.language)
        if not {change.prompt.sha256["wav"] for change in changes} <= set(reply.changes):
            log.warning("a yes in the call does not count: the notice has changed since", leg=notice.leg_id)
            return
        await self._recordings.make_way(notice.leg_id)
        heard = tuple(Heard(one, one.length_ms) for one in (essential, *(change.prompt for change in changes)))
        knows = flow.versions[-1] if flow.versions else ""
        await self._record_from_now(session, notice, at, chosen(flow.purposes, reply.which), heard, knows)

    async def _untold(self, subject: LegSubject, flow: Flow, language: str) -> tuple[Change, ...]:
        """What has changed in the notice since the one that they know (R12)."""
        if subject.number is None or not flow.versions or language not in flow.languages:
            return ()
        before = await self._store.informed(subject.controller, subject.number, flow.told_by, datetime.now(UTC))
        return untold(flow, language, before.knows)

    async def _record_from_now(
        self,
        session: Session,
        notice: Notice,
        at: datetime,
        purposes: tuple[Purpose, ...],
        heard: tuple[Heard, ...] = (),
        knows: str | None = None,
    ) -> None:
        """Rule 1 in the call: fresh, committed first, recorded then."""
        if abs(datetime.now(UTC) - at) > FRESH:
            log.error("a consent came too late to act on: do the clocks differ?", leg=notice.leg_id)
            return
        if not purposes:
            return
        with suppress(Refused):  # the call is over
            # Before the commit: a no that comes while it takes its time is heard.
            self._withdrawals.follow(await session.variable(notice.channel, UNIQUEID), notice.leg_id)
        if not await self._store.agree(notice.leg_id, at, purposes, "1", notice.leg_id, heard=heard, knows=knows):
            return
        if await self._said_no_since(session, notice.channel):
            await self._withdraw(session, notice.channel, notice.leg_id, datetime.now(UTC), 0)
            return
        if not self._talks.agreed(notice.leg_id, (purpose.id for purpose in purposes)):
            log.warning("agreed, and not recorded: who is in the call is not known", leg=notice.leg_id)
            await self._recordings.ended(notice.leg_id)

    @staticmethod
    async def _said_no_since(session: Session, channel: str) -> bool:
        """Whether the keys that Asterisk keeps, which begin with the yes, hold a withdrawal."""
        try:
            return withdraws(await session.variable(channel, PRESSED))
        except Refused:  # the call is over, and its end says what they held
            return False

    async def _opted_out(self, notice: Notice, at: datetime) -> None:
        subject = await self._store.subject_of_leg(notice.leg_id)
        if subject is not None and subject.number is not None:
            await self._store.opt_out(subject.controller, subject.number, Scope.MARKETING, at, "key")


async def _after(before: asyncio.Task[None] | None, work: Work) -> None:
    """Do the work when the task before it has ended."""
    if before is not None:
        await asyncio.wait({before})
    try:
        await work()
    except Disconnected:  # who listens is told of it as well
        pass
    except Exception:
        # One call's fault is no other call's: what it left undone is found when recordings are reconciled.
        log.exception("what happened in a call is not worked off yet, trying again")
