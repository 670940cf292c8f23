"""A recording's segments: ended and begun on Asterisk as a conversation orders it, and kept in the store."""

from __future__ import annotations

import structlog

from callguard.core.conversation import Begin, End, Keys, Order, Unwatched, Why
from callguard.core.incidents import Incident, holds_missed, unwatched
from callguard.current import Current
from callguard.errors import Disconnected, Refused
from callguard.store import Store
from callguard.store.times import from_ms
from callguard.talk import EVER, HoldsMissed, Talk
from callguard.telephony import ami
from callguard.telephony.audio_files import segment_name
from callguard.telephony.clock import Clock
from callguard.telephony.withdrawal import withdraws
from callguard.watchdog import Watchdog

log = structlog.get_logger()

# A frame is 20 ms; the recorder takes some at once.
MARGIN_MS = 100
# Keys of *9 that lie further apart may have been pressed at once: while an agent's key is worked off, Asterisk reads
# none of the person's until its digit timeout is over. What was said since the first of them is cut off then.
LATE_MS = 1_000


class Segments:
    """Ends and begins them."""

    def __init__(self, current: Current, store: Store, watchdog: Watchdog, clock: Clock) -> None:
        self._current = current
        self._store = store
        self._watchdog = watchdog
        self._clock = clock

    async def carry_out(self, session: ami.Session, talk: Talk, order: Order, at: int) -> None:
        """Do as ordered, because of what happened at `at`, and save it. Raises: Disconnected, StoreError."""
        match order:
            case End():
                await self._end(session, talk, order, at)
            case Begin():
                await self._begin(session, talk, order)

    async def stop(self, session: ami.Session, talk: Talk) -> bool:
        """Stop what is recorded of a leg. Returns: whether it ran until now. Raises: Disconnected."""
        try:
            await session.stop_recording(talk.channel)
        except Refused:  # the dialplan has stopped it already, or the call is over
            return False
        return True

    async def heard_beside(self, talk: Talk, persons: frozenset[str], at: int) -> None:
        """Keep who may be heard in a leg's recording beside its subject, once. Raises: StoreError."""
        if new := persons - talk.heard_beside:
            await self._store.heard_beside(talk.leg_id, new, from_ms(at or self._clock.now()))
            talk.heard_beside |= new

    async def kept_unwatched(self, talk: Talk, what: Unwatched) -> None:
        """What was recorded while nobody watched stays, as nothing says that anybody came. Raises: StoreError."""
        if what.segment is not None:
            await self._unwatched(talk, what.segment, what.since, kept=True)

    async def holds_missed(self, talk: Talk, what: HoldsMissed) -> None:
        """Holds of a leg may have gone unheard of. Raises: StoreError."""
        now = from_ms(what.at)
        detail = holds_missed(from_ms(what.since) if what.since else None, now, recorded=what.recorded)
        await self._store.incident(Incident.RECORDING_HOLDS_MISSED, now, detail, talk.leg_id)
        log.warning("who was on hold meanwhile is not known", leg=talk.leg_id, recorded=what.recorded)

    async def _unwatched(self, talk: Talk, segment: int, since: int | None, *, kept: bool) -> None:
        now = self._clock.now()
        detail = unwatched(segment, from_ms(since) if since else None, from_ms(now), kept=kept)
        await self._store.incident(Incident.RECORDING_UNWATCHED, from_ms(now), detail, talk.leg_id)
        log.warning("recorded while nobody watched who was in the call", leg=talk.leg_id, kept=kept)

    async def _end(self, session: ami.Session, talk: Talk, order: End, at: int) -> None:
        number, why, cut = order.segment, order.why, order.cut
        if talk.stopped is None or talk.stopped[0] != number:
            talk.stopped = number, await self.stop(session, talk), self._clock.now()
        # Where the store refuses it, it is not known a second time that it ran.
        _, ran, now = talk.stopped
        if cut is None:  # who has come since is not known yet
            cut = talk.company_changed_since()
        cut_ms = 0 if cut is None else max(0, now - cut) + MARGIN_MS
        missed = talk.missed if talk.missed is not None and talk.missed.segment == number else None
        if cut == EVER:
            since = talk.unwatched_since if missed is None else missed.since
            await self._unwatched(talk, number, since, kept=False)
        late = not ran and order.late_ms > LATE_MS
        if late:
            cut_ms = order.late_ms + MARGIN_MS
        if ran or late or why is not Why.WITHDRAWN:  # mostly the key itself has ended it, for good
            # What the agent's key has ended may be heard of later.
            ended_at = from_ms(at if why is Why.AGENT and not ran else now)
            if talk.began_at is not None:
                ended_at = max(ended_at, talk.began_at)
            await self._store.segment_ended(talk.leg_id, number, talk.began_at, ended_at, why, cut_ms)
        talk.stopped = None
        if missed is not None and cut is not None and cut <= missed.since:
            talk.missed = None  # nothing is left of it
        log.info("recording interrupted", leg=talk.leg_id, why=why)

    async def _withdrawn(self, session: ami.Session, talk: Talk) -> bool:
        """Whether the key was pressed: a feature says so, or the keys that the dialplan keeps since the last yes."""
        try:
            said, pressed, keys = await session.variables(talk.channel, ami.WITHDRAWN, ami.PRESSED, ami.KEYS)
            return bool(said) or (withdraws(pressed) and keys != Keys.OBJECT)
        except Refused:  # the call is over: nothing can be begun there
            return False

    async def _begin(self, session: ami.Session, talk: Talk, order: Begin) -> None:
        number, why = order.segment, order.why
        begins = self._clock.now()
        if number and await self._withdrawn(session, talk):
            # The key has been pressed, and is told of in a moment: a hold that ends with it (Asterisk ends it to play
            # the confirmation) takes nothing up, not even in the evidence.
            return
        if number:
            await self._store.segment_begun(talk.leg_id, number, from_ms(begins), why)
        folder = self._current.config.recording.folder.in_asterisk
        # One that was begun and not heard of, as the session ended, is not left beside it.
        await self.stop(session, talk)
        self._watchdog.expect(talk.channel, talk.leg_id)
        file = f"{folder}/{segment_name(talk.leg_id, number)}"
        try:
            await session.start_recording(talk.channel, file, two=talk.two)
        except ami.Overtaken as overtaken:
            # What it has of these milliseconds was said after the key.
            now = self._clock.now()
            cut_ms = now - begins + MARGIN_MS
            why = Why.AGENT if overtaken.by == ami.PAUSED else Why.WITHDRAWN
            await self._store.segment_ended(talk.leg_id, number, from_ms(begins), from_ms(now), why, cut_ms)
            log.info("recording begun and ended again", leg=talk.leg_id, why=why)
        except Refused as error:
            self._watchdog.expect_no_more(talk.channel)
            log.warning("to be recorded, and not recorded", leg=talk.leg_id, problem=str(error))
        except Disconnected:  # and begun anew, if it was begun
            self._watchdog.expect_no_more(talk.channel)
            raise
        else:
            talk.began_at = from_ms(begins)
            log.info("recording goes on" if number else "recording begins", leg=talk.leg_id, why=why)
