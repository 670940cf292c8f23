"""One leg: ARI's events to the gate's events, the gate's commands to ARI and the store.

The leg holds a *lease*: the channel's absolute timeout, renewed with each prompt by a turn through the dialplan. When
it ends, the dialplan takes the call on, so nothing that was decided under a lease is acted on after it: a process that
hung or was stopped wakes up to find that its calls are no longer its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from callguard.core import gate
from callguard.core.commands import Ask, Command, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.keys import Keypad
from callguard.core.model import Heard, Meaning, Outcome, Prompt
from callguard.core.profile import Flow
from callguard.errors import Disconnected, Refused, StoreError
from callguard.store import Fenced, Store
from callguard.store.records import Files, LegRecord
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari import Client

log = structlog.get_logger()

LEASE_MARGIN_MS = 3_000
# The dialplan may have waited this long for the claim when the first lease began.
CLAIM_MS = 2_000
# A turn through the dialplan takes a few ms; who is not back by then has gone elsewhere.
TURN_MS = 1_000
# Asterisk reports a playback's end within one packet; a second more, and it is stuck.
PLAYBACK_MARGIN_MS = 1_000
# A process that dies again and again must not ask the same caller again and again.
MAX_TAKEOVERS = 1
REFUSING = frozenset(keys for keys, meaning in gate.KEYS.items() if meaning is Meaning.REFUSE)
GONE = frozenset({404, 409, 412})


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked, where, and for whom: what a leg knows before the first word.

    Attributes:
        number: E.164, or None for nobody in particular.
        at: Asterisk's clock when the channel became ours, milliseconds since the epoch.
        files: how Asterisk records it.
        taken: how often a process has taken the leg over from one that left it.
    """

    leg_id: str
    call_id: str
    channel: str
    linkedid: str
    controller: str
    number: str | None
    at: int
    files: Files
    taken: int = 0


def first_lease_ms(flow: Flow) -> int:
    """How long the dialplan lends a call at first: for the notice's essential part."""
    return flow.essential(flow.languages[0]).length_ms + LEASE_MARGIN_MS


class Leg:
    """Walks one channel through a flow. Feed it the channel's events with `hear`; `run` ends when the gate does.

    Args:
        recorded: told of the leg before it is given back to be recorded.
    """

    def __init__(
        self, client: Client, store: Store, flow: Flow, subject: Subject, recorded: Callable[[Subject], None]
    ) -> None:
        self._app = client.app
        self._channel = client.channels.get(subject.channel, self._refused)
        self._playbacks = client.playbacks
        self._store = store
        self._flow = flow
        self._subject = subject
        self._inbox: asyncio.Queue[wire.ChannelEvent | Refused] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._log = log.bind(call=subject.call_id, leg=subject.leg_id)
        # The dialplan's first lease is for the first prompt.
        self._lease_ends = self._loop.time() + (first_lease_ms(flow) - CLAIM_MS) / 1000
        self._at = subject.at
        self._plays = 0
        self._hanging_up = False
        self._recording = False
        self._recorded = recorded

    def hear(self, event: wire.ChannelEvent) -> None:
        self._inbox.put_nowait(event)

    async def run(self) -> None:
        """From answer to release. Any error ends in the closed outcome; cancellation leaves the call to its lease."""
        try:
            await self._channel.answer()
            state, commands = gate.start(self._flow)
            while commands:
                state, commands = gate.step(self._flow, state, await self._do(commands))
        except Disconnected as error:
            self._log.warning("leg left to its lease", problem=str(error))
        except Exception:
            self._log.exception("leg failed, call goes on unrecorded")
            await self._close()

    async def _close(self) -> None:
        self._recording = False
        try:
            await self._stop_prompts()
            await self._release(Release(gate.closed(self._flow)))
        except Disconnected as error:
            self._log.warning("leg left to its lease", problem=str(error))

    async def resume(self) -> None:
        """Take over a leg that another process left: deliver what that one committed, or ask from the start."""
        try:
            await self._stop_prompts()
            self._plays = 1  # so that the first prompt is not taken for the one that the first lease is for
            committed = await self._store.outcome(self._subject.channel, self._subject.linkedid)
            if committed is not None:
                self._subject = replace(self._subject, leg_id=committed.leg_id, call_id=committed.call_id)
                self._log.info("delivering what another process committed", call=committed.call_id)
                if committed.withdrawn_at is not None:
                    await self._release(Release(Outcome.REFUSED))
                    return
                self._recording = committed.recording and committed.recording_ended_at is None
                await self._release(Release(committed.outcome, committed.granted))
                return
            if self._subject.taken >= MAX_TAKEOVERS:
                self._log.error("a call that was left twice is not asked again and goes on unrecorded")
                await self._release(Release(gate.closed(self._flow)))
                return
            self._subject = replace(self._subject, taken=self._subject.taken + 1)
        except (Disconnected, StoreError) as error:
            self._log.warning("leg left to its lease", problem=str(error))
            return
        self._log.info("asking anew: another process left this call")
        await self.run()

    async def _stop_prompts(self) -> None:
        for number in (0, 1):
            await self._playbacks.stop(self._playback(number))

    async def _do(self, commands: tuple[Command, ...]) -> Event:
        """Carry out commands in order; the last one has the answer."""
        for command in commands:
            match command:
                case Ask():
                    answer: Event = await self._ask(command)
                case Save():
                    answer = await self._save(command)
                case StartRecording():
                    self._recording = True
                case Release():
                    answer = await self._release(command)
        return answer

    # Asking

    async def _ask(self, ask: Ask) -> Event:
        listening = _Listening(ask.keys, self._at)
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
                        ended = self._ends(await self._inbox.get(), listening)
                        if ended is not None:
                            return ended
            except TimeoutError:
                self._at += ask.wait_ms
        return listening.answered(Cause.SILENCE)

    async def _play(self, prompt: Prompt, listening: _Listening) -> Event | None:
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
                        case wire.PlaybackFinished(playback=which, at=at) if which == playback:
                            listening.stopped(at)
                            self._at = at
                            if not event.failed:
                                return None
                            # A hang-up fails the playback too, and is told after it.
                            return await self._why_failed(listening)
                        case _:
                            ended = self._ends(event, listening)
                            if ended is not None:
                                await self._playbacks.stop(playback)
                                return ended
        except TimeoutError:
            await self._playbacks.stop(playback)
            self._log.error("a prompt did not end in time", prompt=prompt.id)
            return listening.answered(Cause.FAILED)

    async def _why_failed(self, listening: _Listening) -> Event:
        try:
            async with asyncio.timeout(0.2):
                while True:
                    ended = self._ends(await self._inbox.get(), listening)
                    if ended is not None:
                        return ended
        except TimeoutError:
            self._log.error("a prompt could not be played: may Asterisk read it? Its log says why")
            return listening.answered(Cause.FAILED)

    def _ends(self, event: wire.ChannelEvent | Refused, listening: _Listening) -> Event | None:
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
            case wire.StasisEnd():
                listening.stopped(event.at)
                return listening.answered(Cause.HANGUP) if self._hanging_up else Lost()
            case Refused() if event.status in GONE:
                return listening.answered(Cause.HANGUP) if self._hanging_up else Lost()
            case Refused():
                self._log.error("Asterisk refused an order", problem=str(event))
                return listening.answered(Cause.FAILED)
            case _:
                return None  # of an earlier playback

    def _playback(self, number: int) -> str:
        # Two ids in turn: whoever takes the leg over knows what may still be playing.
        return f"callguard-{self._subject.channel}-{number}"

    # Saving and releasing

    async def _save(self, save: Save) -> Event:
        if save.granted and self._lease_is_over():
            return Lost()
        subject = self._subject
        try:
            await self._store.save(
                LegRecord(
                    leg_id=subject.leg_id,
                    call_id=subject.call_id,
                    channel=subject.channel,
                    linkedid=subject.linkedid,
                    controller=subject.controller,
                    profile=self._flow.profile,
                    language=save.language,
                    direction="inbound",
                    number=subject.number,
                    started_at=datetime.fromtimestamp(subject.at / 1000, UTC),
                    saved_at=datetime.now(UTC),
                    outcome=save.outcome,
                    granted=save.granted,
                    recording=save.record,
                    file=subject.leg_id if save.record else None,
                    files=subject.files,
                    answers=save.answers,
                    heard=save.heard,
                    early_keys=save.dropped,
                )
            )
        except Fenced:
            self._log.warning("another process has taken over; this one touches nothing any more")
            return Lost()
        except StoreError as error:
            self._log.error("consent not saved, call goes on unrecorded", problem=str(error))
            return SaveFailed()
        return Saved()

    async def _release(self, release: Release) -> Event:
        if self._recording and self._refused_meanwhile():
            # The yes is committed, and the no came before anything followed from it.
            release = Release(Outcome.REFUSED)
            await self._not_recorded(refused=True)
        if self._lease_is_over():
            await self._not_recorded()
            return Lost()
        which = sum(1 << n for n, purpose in enumerate(self._flow.purposes) if purpose.id in release.granted)
        recording = "no"
        if self._recording:
            recording = "yes"
            self._recorded(self._subject)
        leg_id = self._subject.leg_id
        try:
            await self._channel.leave_and_wait(f"done-{release.outcome}-{recording}-{which}-{leg_id}-{self._app}")
        except Refused:
            await self._not_recorded()
            return Lost()
        return Released()

    def _refused_meanwhile(self) -> bool:
        """Whether a no was pressed, or begun, while the yes was being saved."""
        keypad = Keypad(REFUSING, REFUSING)
        while not self._inbox.empty():
            event = self._inbox.get_nowait()
            if isinstance(event, wire.KeyReceived) and keypad.press(event.digit, event.at):
                return True
        return bool(keypad.pressed)

    async def _not_recorded(self, *, refused: bool = False) -> None:
        """The recording that was committed will not be: nobody need wait for its file."""
        if not self._recording:
            return
        self._recording = False
        try:
            if refused:
                await self._store.withdraw(self._subject.leg_id, datetime.now(UTC), "key")
            await self._store.recording_absent(self._subject.leg_id, datetime.now(UTC))
        except StoreError as error:
            self._log.error("a leg goes on unrecorded, and that is not saved yet", problem=str(error))

    # The lease

    async def _renew_lease(self, ms: int, listening: _Listening) -> Event | None:
        """Have the dialplan lend the call anew; what ends the Ask meanwhile is told when the call is back."""
        ms += LEASE_MARGIN_MS
        if self._lease_is_over():
            return Lost()
        ends = self._loop.time() + ms / 1000
        await self._channel.leave(f"lease-{ms}-{self._subject.taken}-{self._app}")
        answer: Event | None = None
        try:
            async with asyncio.timeout(TURN_MS / 1000):
                while True:
                    event = await self._inbox.get()
                    match event:
                        case wire.StasisStart():
                            self._lease_ends = ends
                            return answer
                        case wire.StasisEnd() if not self._hanging_up:
                            continue
                        case wire.StasisEnd() | Refused():
                            return self._ends(event, listening)
                        case _:
                            answer = answer or self._ends(event, listening)
        except TimeoutError:
            return Lost()

    def _lease_is_over(self) -> bool:
        return self._loop.time() >= self._lease_ends

    def _refused(self, error: Refused) -> None:
        self._inbox.put_nowait(error)


class _Listening:
    """What one Ask has heard so far: keys of the subject, and how much of each prompt the subject heard."""

    def __init__(self, wanted: frozenset[str], began: int) -> None:
        self._keypad = Keypad(wanted, gate.PROTECTING)
        self._began = began
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
        """Take one key in; true when a wanted sequence is complete."""
        return self._keypad.press(key.digit, key.at, key.duration_ms)

    def answered(self, cause: Cause) -> Answered:
        keys = self._keypad.pressed if cause is Cause.KEY else ""
        began_ms = self._keypad.first_down - self._began
        return Answered(cause, keys, began_ms, tuple(self._heard), self._keypad.dropped)
