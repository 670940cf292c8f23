"""What went on while nobody listened: legs that an earlier process followed, ours or another gate's, and a pause."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from callguard.core import conversation
from callguard.core.conversation import Conversation, Keys, Paused, Resumed, Unwatched, Why
from callguard.current import Current
from callguard.errors import Refused
from callguard.store import Store
from callguard.store.records import OpenRecording
from callguard.talk import EVER, Missed, Talk
from callguard.telephony import ami
from callguard.telephony.clock import Clock
from callguard.telephony.withdrawal import withdraws

_MILLISECONDS = re.compile(r"\d{13}", re.ASCII)


class Earlier:
    """Finds it in the store, and in what the dialplan has put on the channels.

    Args:
        alone: whether ours is the only gate on this PBX.
    """

    def __init__(self, current: Current, store: Store, clock: Clock, alone: Callable[[], bool]) -> None:
        self._current = current
        self._store = store
        self._clock = clock
        self._alone = alone

    async def is_ours(self, session: ami.Session, leg_id: str, channel: str) -> bool:
        """Whether it is not another gate that answered for a leg, as far as anybody can say.

        Args:
            channel: by which AMI knows it; empty where that is not known.

        Raises:
            Disconnected: the session is over.
            StoreError: the channel cannot be looked up.
        """
        if not channel:
            expected = await self._store.expected_recording(leg_id)
            channel = expected.channel if expected is not None else ""
        try:
            return not channel or await self._answered(session, channel)
        except Refused:  # it is gone, and nobody can say whose it was; what nobody ends is ended when all is looked at
            return self._alone()

    async def take_up(self, session: ami.Session, expected: OpenRecording) -> Talk | None:
        """A leg that is recorded; None where another gate follows it, or the call is over.

        Raises:
            Disconnected: the session is over.
            StoreError: what was recorded of it cannot be looked up.
        """
        try:
            if not await self._answered(session, expected.channel):
                return None
            return await self._found(session, expected)
        except Refused:  # the call is over
            return None

    async def unwatched(self, session: ami.Session, talk: Talk) -> Unwatched | None:
        """What was recorded of a leg that has just been taken up, until now; None for nothing. Raises: Disconnected."""
        if talk.state.running is None or talk.unwatched_since is None:
            return None
        try:
            recorder, *transfers = await session.variables(talk.channel, ami.MIXMONITOR, *ami.TRANSFERRED)
        except Refused:  # the call is over by now, and what it was is not known any more
            recorder, transfers = "unknown", []
        # What Asterisk has noted of an earlier transfer stays there, and that one was watched.
        came = any(transfers) and not talk.state.running
        return Unwatched(talk.state.running, talk.unwatched_since, EVER, came) if recorder else None

    async def missed(self, session: ami.Session, talk: Talk, missed: Missed) -> Unwatched:
        """What was recorded of a leg that is followed while nobody told who comes and goes. Raises: Disconnected."""
        try:
            transfers = await session.variables(talk.channel, *ami.TRANSFERRED)
        except Refused:  # the call is over
            transfers = []
        # As in `unwatched`; and what was captured before is known to be of nobody else.
        return Unwatched(missed.segment, missed.since, missed.since, any(transfers) and not missed.segment)

    async def look_for_a_pause(self, session: ami.Session, talk: Talk) -> None:
        """The agent may have pressed while nobody listened, to pause, or to go on as well. Raises: Disconnected."""
        try:
            paused, halted, recorder = await session.variables(talk.channel, ami.PAUSED, ami.HALTED, ami.MIXMONITOR)
        except Refused:  # the call is over
            return
        which, _, at = halted.partition("-")
        known, now = Why.AGENT in talk.state.paused, self._clock.now()
        # What we believe to run may have been ended by the key: nothing runs then, though nobody pauses any more.
        ended = talk.state.running is not None and which != "" and which == recorder
        if ended or (paused and not known):
            pressed_at = int(at) if ended and _MILLISECONDS.fullmatch(at) else now
            talk.waiting.append(Paused(Why.AGENT, min(pressed_at, now)))
        if not paused and (ended or known):
            talk.waiting.append(Resumed(Why.AGENT, now))

    async def _answered(self, session: ami.Session, channel: str) -> bool:
        """Whether it is not another gate that answered for a channel. Raises: Disconnected; Refused, where it is gone.

        Two that follow the same leg would both begin its next segment, in one file.
        """
        app = await session.variable(channel, ami.APP)
        # A reload marks an application's name: callguard--1.
        return app.partition("--")[0] in ("", self._current.config.asterisk.app)

    async def _found(self, session: ami.Session, expected: OpenRecording) -> Talk:
        """As it is now. Raises: Disconnected, StoreError; Refused, where the call is over."""
        segments = await self._store.segments(expected.leg_id) if expected.interrupted else ()
        state = conversation.recorded(segments[-1].number + 1 if segments else 1)
        if segments and segments[-1].ended_at is not None:
            state = conversation.interrupted(segments[-1].number + 1, Why(segments[-1].ended_why or Why.AGENT))
            pressed, keys = await session.variables(expected.channel, ami.PRESSED, ami.KEYS)
            if withdraws(pressed) and keys != Keys.OBJECT:
                # Nobody has told of it: not to be begun anew, not for the moment until somebody does either.
                state = replace(state, wanted=False)
        held = await session.variable(expected.channel, ami.RECORDING) == ami.HELD
        if held and not segments and not await session.variable(expected.channel, ami.MIXMONITOR):
            # Not begun yet, and not to be begun where the keys to stop it were pressed meanwhile.
            state = Conversation(wanted=not withdraws(await session.variable(expected.channel, ami.PRESSED)))
        subject = await self._store.subject_of_leg(expected.leg_id)
        granted = frozenset(purpose.id for purpose in expected.purposes)
        profile = subject.profile if subject is not None else ""
        began = segments[-1].began_at if segments else None
        return Talk(
            expected.leg_id, expected.channel, profile, granted, expected.files == "two", state,
            began_at=began, unwatched_since=round((began or expected.started_at).timestamp() * 1000),
        )  # fmt: skip
