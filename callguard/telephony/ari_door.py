"""The door by ARI: one channel's events to the answers of an Ask.

In the main dialplan a channel is held under a *lease*: its absolute timeout, renewed with each prompt by a turn through
the dialplan. When it ends, the dialplan takes the call on, so nothing that was decided under a lease is acted on after
it: a process that hung or was stopped wakes up to find that its calls are no longer its own. The leg of a person who is
called (Dial's U) has no T extension and so no turns: there one limit holds for the whole gate, and the agent, who waits
unheard meanwhile, is watched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from callguard.core import gate
from callguard.core.commands import Ask
from callguard.core.events import Answered, Cause, Lost
from callguard.core.keys import Keypad
from callguard.core.model import Heard, Prompt
from callguard.core.profile import Aside, Flow
from callguard.errors import Refused
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari import Client

log = structlog.get_logger()

# A busy Asterisk plays slower than real time: it counts the 20 ms to a packet from when it was able to send the last.
LEASE_MARGIN_MS = 5_000
PLAYBACK_MARGIN_MS = 3_000
# The dialplan may have waited this long for the claim when the first lease began.
CLAIM_MS = 2_000
# A turn through the dialplan takes a few ms; who is not back by then has gone elsewhere.
TURN_MS = 2_000
# A hang-up fails the playback, or has an order refused, and is told after it; a busy Asterisk takes its time.
HANGUP_TOLD_MS = 1_000
# The dialplan's limit for the gate of a callee, who is hung up on when it ends.
CALLEE_LIMIT_MS = 240_000
GONE = frozenset({404, 409, 412})


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The agent who called the person in our gate has hung up."""


def first_lease_ms(flow: Flow) -> int:
    """How long the dialplan lends a call at first, when it does not know what will come first: notice or remembered
    no, in any language.
    """
    first = [flow.essential(language) for language in flow.languages]
    first += [asides[Aside.REMEMBERED] for asides in flow.asides.values() if Aside.REMEMBERED in asides]
    return max(prompt.length_ms for prompt in first) + LEASE_MARGIN_MS


class AriDoor:
    """One channel in our application. Feed it the channel's events with `hear`.

    Args:
        taken: how often a process has taken the channel over from one that left it.
        at: Asterisk's clock when the channel became ours, milliseconds since the epoch.
        callee: whether it is the leg of a person who is called.
    """

    def __init__(self, client: Client, channel: str, at: int, first_lease_ms: int, taken: int, *, callee: bool) -> None:
        self.app = client.app
        self._client = client
        self._id = channel
        self._channel = client.channels.get(channel, self._refused)
        self._playbacks = client.playbacks
        self._inbox: asyncio.Queue[wire.ChannelEvent | Refused | PeerGone] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._callee = callee
        self._taken = taken
        # The dialplan's first lease is for the first prompt.
        limit_ms = CALLEE_LIMIT_MS if callee else first_lease_ms
        self._lease_ends = self._loop.time() + (limit_ms - CLAIM_MS) / 1000
        self._at = self._arrived = at
        self.first_sound_ms: int | None = None
        # Who takes a call over does not know what is left of the lease, and begins with one of its own.
        self._plays = 1 if taken else 0
        self._hanging_up = False
        self._turning = self._left = False
        self.gone = False

    def hear(self, event: wire.ChannelEvent | PeerGone) -> None:
        if isinstance(event, wire.StasisEnd) and not self._turning:
            self.gone = True
        self._inbox.put_nowait(event)

    async def open(self) -> None:
        await self._channel.answer()

    async def quiet(self) -> None:
        for number in (0, 1):
            await self._playbacks.stop(self._playback(number))

    async def leave(self, answer: str) -> None:
        self._left = True
        await self._channel.leave_and_wait(answer)

    def expired(self) -> bool:
        return self.gone or self._loop.time() >= self._lease_ends

    @property
    def taken_away(self) -> bool:
        """Whether somebody has sent the channel elsewhere, with what is left of our lease as its limit."""
        return self.gone and not self._left and not self._hanging_up and self._loop.time() < self._lease_ends

    async def ask(self, ask: Ask) -> Answered | Lost:
        listening = _Listening(ask, self._at)
        for prompt in ask.prompts:
            ended = await self._play(prompt, listening)
            if ended is not None:
                return ended
        if ask.wait_ms:
            ended = await self._renew_lease(ask.wait_ms, listening)
            if ended is not None:
                return ended
            try:
                async with asyncio.timeout(ask.wait_ms / 1000):
                    while True:
                        ended = await self._ends(await self._inbox.get(), listening)
                        if ended is not None:
                            return ended
            except TimeoutError:
                self._at += ask.wait_ms
        return listening.answered(Cause.KEY if listening.typed else Cause.SILENCE)

    async def _play(self, prompt: Prompt, listening: _Listening) -> Answered | Lost | None:
        """Play to its end (None), or until something ends the Ask."""
        if self._plays:
            ended = await self._renew_lease(prompt.length_ms, listening)
            if ended is not None:
                return ended
        self._plays += 1
        playback = self._playback(self._plays % 2)
        await self._channel.play(prompt.media, playback)
        listening.plays(prompt)
        try:
            async with asyncio.timeout((prompt.length_ms + PLAYBACK_MARGIN_MS) / 1000):
                while True:
                    event = await self._inbox.get()
                    match event:
                        case wire.PlaybackStarted(playback=which, at=at) if which == playback:
                            listening.started(at)
                            if self.first_sound_ms is None:
                                self.first_sound_ms = at - self._arrived
                        case wire.PlaybackFinished(playback=which, at=at) if which == playback:
                            listening.stopped(at)
                            self._at = at
                            if not event.failed:
                                return None
                            ended = await self._told_soon(listening)
                            if ended is None:
                                log.error(
                                    "a prompt could not be played: may Asterisk read it? Its log says why",
                                    channel=self._id,
                                )
                            return ended or listening.answered(Cause.FAILED)
                        case _:
                            ended = await self._ends(event, listening)
                            if ended is not None:
                                await self._playbacks.stop(playback)
                                return ended
        except TimeoutError:
            await self._playbacks.stop(playback)
            log.error("a prompt did not end in time", channel=self._id, prompt=prompt.id)
            return listening.answered(Cause.FAILED)

    async def _told_soon(self, listening: _Listening) -> Answered | Lost | None:
        """What ends the Ask after a playback failed or an order was refused: a hang-up does both before it is told.

        No key does: nothing was said that it could be the answer to.
        """
        try:
            async with asyncio.timeout(HANGUP_TOLD_MS / 1000):
                while True:
                    event = await self._inbox.get()
                    if isinstance(event, wire.HangupRequested | wire.StasisEnd | PeerGone):
                        ended = await self._ends(event, listening)
                        if ended is not None:
                            return ended
        except TimeoutError:
            return None

    async def _ends(
        self, event: wire.ChannelEvent | Refused | PeerGone, listening: _Listening
    ) -> Answered | Lost | None:
        """The Ask's answer, if this event is one."""
        match event:
            case wire.KeyReceived():
                if not listening.press(event):
                    return None
                listening.stopped(event.at)
                self._at = event.at
                return listening.answered(Cause.KEY)
            case wire.HangupRequested():
                self._hanging_up = True
                return None
            case PeerGone():
                self._hanging_up = True
                return listening.answered(Cause.HANGUP)
            case wire.StasisEnd():
                listening.stopped(event.at)
                return listening.answered(Cause.HANGUP) if self._hanging_up else Lost()
            case Refused() if event.status in GONE:
                return await self._told_soon(listening) or Lost()
            case Refused():
                log.error("Asterisk refused an order", channel=self._id, problem=str(event))
                return listening.answered(Cause.FAILED)
            case _:
                return None  # of an earlier playback

    def _playback(self, number: int) -> str:
        # Two ids in turn: whoever takes the leg over knows what may still be playing.
        return f"callguard-{self._id}-{number}"

    async def refused_meanwhile(self) -> bool:
        await self._client.read_now()
        keypad = Keypad(gate.REFUSING, gate.REFUSING)
        while not self._inbox.empty():
            event = self._inbox.get_nowait()
            if isinstance(event, wire.KeyReceived) and keypad.press(event.digit, event.at):
                return True
        return bool(keypad.pressed)

    async def _renew_lease(self, ms: int, listening: _Listening) -> Answered | Lost | None:
        """Have the dialplan lend the call anew; what ends the Ask meanwhile is told when the call is back."""
        ms += LEASE_MARGIN_MS
        if self.expired():
            log.warning("a call's lease has ended, and it goes on unrecorded", channel=self._id)
            return Lost()
        if self._callee:
            return None
        ends = self._loop.time() + ms / 1000
        self._turning = True
        await self._channel.leave(f"lease-{ms}-{self._taken}-{self.app}")
        answer: Answered | Lost | None = None
        later: list[wire.ChannelEvent | Refused | PeerGone] = []
        try:
            async with asyncio.timeout(TURN_MS / 1000):
                while True:
                    event = await self._inbox.get()
                    match event:
                        case wire.StasisStart():
                            self._turning = False
                            self._lease_ends = ends
                            self._put_back(later)
                            return answer
                        case wire.StasisEnd() if not self._hanging_up:
                            continue
                        case wire.StasisEnd() | Refused():
                            return await self._ends(event, listening)
                        case _ if answer is not None:
                            later.append(event)  # a no after the yes
                        case _:
                            answer = await self._ends(event, listening)
        except TimeoutError:
            log.warning("a call is not back from the dialplan in time, and goes on unrecorded", channel=self._id)
            return Lost()

    def _put_back(self, events: list[wire.ChannelEvent | Refused | PeerGone]) -> None:
        """Have them read again, before what has come since."""
        while not self._inbox.empty():
            events.append(self._inbox.get_nowait())
        for event in events:
            self._inbox.put_nowait(event)

    def _refused(self, error: Refused) -> None:
        self._inbox.put_nowait(error)


class _Listening:
    """What one Ask has heard so far: keys of the subject, and how much of each prompt the subject heard."""

    def __init__(self, ask: Ask, began: int) -> None:
        self._keypad = Keypad(ask.keys, gate.PROTECTING)
        self._digits = ask.digits
        self._began = began
        self.typed = ""
        self._heard: list[Heard] = []
        self._playing: Prompt | None = None
        self._playing_since: int | None = None

    def plays(self, prompt: Prompt) -> None:
        self._playing, self._playing_since = prompt, None

    def started(self, at: int) -> None:
        self._playing_since = at

    def stopped(self, at: int) -> None:
        if self._playing is not None and self._playing_since is not None:
            heard_ms = max(0, min(at - self._playing_since, self._playing.length_ms))
            self._heard.append(Heard(self._playing, heard_ms))
        self._playing = None

    def press(self, key: wire.KeyReceived) -> bool:
        """Take one key in; true when a wanted sequence is complete, or the number that is typed."""
        if self._digits:
            if key.digit.isdigit():
                self.typed += key.digit
            elif key.digit == "*":
                self.typed = ""
            return not key.digit.isdigit() or len(self.typed) == self._digits
        return self._keypad.press(key.digit, key.at, key.duration_ms)

    def answered(self, cause: Cause) -> Answered:
        keys = (self.typed or self._keypad.pressed) if cause is Cause.KEY else ""
        began_ms = self._keypad.first_down - self._began
        return Answered(cause, keys, began_ms, tuple(self._heard), self._keypad.dropped)
