"""Whole legs by ARI against an Asterisk that lies: from the bytes of a message to what is ordered.

What may be recorded is judged by what the peer has said, and by nothing that the gate knows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import orjson

from callguard.agents import Agents
from callguard.ari_calls import AriCalls
from callguard.callbacks import Callbacks
from callguard.core.model import Basis
from callguard.core.profile import Flow
from callguard.dial import Dial
from callguard.dialplan import Dialplan
from callguard.errors import Disconnected, TelephonyError
from callguard.room import Room
from callguard.store import Store
from callguard.talks import Talks
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari import Client
from callguard.telephony.ari_socket import Socket
from callguard.telephony.withdrawal import Withdrawals
from callguard.watchdog import Watchdog
from tests.core.flows import FLOWS
from tests.faults.mutate import Mutator
from tests.faults.transcripts import ARI, CHANNEL, CHANNEL_ID, NAME, NUMBER
from tests.faults.virtual import METRICS, FakeStore, current

EPOCH_MS = 1_795_346_189_000
LENGTH_MS, TOLERANCE_MS = 3_000, 100
# Twelve turns, their waits and leases: nobody is in the gate for longer than that.
LONGEST_S = 400.0
NOISE_S = 60.0
# Nothing that waits for an answer may pile up: three channels, and a few orders each that nobody answers.
MOST_WAITING = 400
# What people press, each key as often as it stands there; and somebody who presses one key only.
PRESSED = ("1111123009#*9874",) * 6 + ("***1",)
# Most calls are of the kind whose keys say everything.
NAMES = (*(name.replace(" ", "_") for name in FLOWS), *["consent"] * 5)
PROFILES: dict[str, Flow] = {name.replace(" ", "_"): flow for name, flow in FLOWS.items()}


@dataclass
class Seen:
    """What the peer has told of one channel, in the order in which it was heard.

    Attributes:
        playing: playback id to prompt part and language, as ordered last.
        started: playback id to Asterisk's time.
        informed: languages whose essential part was heard whole, with the time of its end.
        keys: digits with the time at which they went down.
    """

    flow: Flow
    started_ours: bool = False
    playing: dict[str, tuple[str, str]] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    informed: dict[str, int] = field(default_factory=dict)
    keys: list[tuple[str, int]] = field(default_factory=list)
    since_informed: list[tuple[str, int]] = field(default_factory=list)

    def hear(self, message: wire.Message) -> None:
        match message:
            case wire.PlaybackStarted():
                self.started[message.playback] = message.at
            case wire.PlaybackFinished():
                part, language = self.playing.get(message.playback, ("", ""))
                began = self.started.pop(message.playback, None)
                whole = began is not None and message.at - began >= LENGTH_MS - TOLERANCE_MS
                if part == "p-essential" and whole and not message.failed:
                    self.informed[language] = message.at
                    self.since_informed = []
            case wire.KeyReceived():
                key = (message.digit, message.at - message.duration_ms)
                self.keys.append(key)
                self.since_informed.append(key)

    def forbids(self, language: str, *, honest: bool) -> str | None:
        """Why nothing may be recorded, if so."""
        if language not in self.informed:
            return "recorded without the notice's essential part"
        if any(purpose.basis is not Basis.CONSENT for purpose in self.flow.purposes):
            return None
        yes = [down for digit, down in self.since_informed if "1" in digit]
        if not yes:
            return "recorded without a yes after the essential part"
        if honest and yes[-1] < self.informed[language]:
            return "recorded on a yes that was down before the essential part had ended"
        decisive = [digit for digit, _ in self.keys if digit in {"1", "2"}]
        if len(self.flow.purposes) == 1 and decisive and decisive[-1] == "2":
            return "recorded although the last key was a no"
        return None


class Liar:
    """Asterisk's end, and the socket to it in one.

    Args:
        lies: how often a message is not as it should be; an honest one only has callers who press what they like.
    """

    def __init__(self, random: Random, store: FakeStore, lies: float) -> None:
        self._random = random
        self._mutate = Mutator(random)
        self._lies = lies
        self._pressed = random.choice(PRESSED)
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._store = store
        self._began = self._loop.time()
        self._finishing: dict[str, asyncio.TimerHandle] = {}
        self.channels: dict[str, Seen] = {}
        self.wrong: list[str] = []
        self.yeses = 0

    # What a Socket does.

    def send(self, text: bytes) -> None:
        request = orjson.loads(text)
        query = {pair["name"]: pair["value"] for pair in request.get("query_strings", [])}
        self._ordered(request["method"], request["uri"], query, request["request_id"])

    async def receive(self) -> list[bytes]:
        text = await self._inbox.get()
        texts = [text]
        while not self._inbox.empty():
            texts.append(self._inbox.get_nowait())
        if None in texts:
            raise Disconnected("over")
        for one in texts:
            self._told(cast(bytes, one))
        return cast(list[bytes], texts)

    async def read_now(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    # What the peer does.

    def call(self, number: int) -> None:
        """A call comes in."""
        channel = f"callguard-{number}.{number}"
        profile = self._random.choice(NAMES)
        self.channels[channel] = Seen(PROFILES[profile])
        direction = "callee" if self._random.random() < 0.15 else "inbound"
        args = [direction, profile, channel, "1000"]
        if self._random.random() < 0.1:
            args += ["again", "0"]
        self._say("StasisStart", channel, args=args)
        for _ in range(self._random.choice((0, 0, 3, 10)) if self._lies else 0):
            self._loop.call_later(self._random.uniform(0, NOISE_S), self._noise, channel)
        if self._random.random() < 0.15:
            self._loop.call_later(self._random.uniform(0, 12), self._hang_up, channel)

    def end(self) -> None:
        self._inbox.put_nowait(None)

    def _ordered(self, method: str, uri: str, query: dict[str, str], request: str) -> None:
        refuses = self._random.random() < self._lies / 3
        status = self._random.choice((404, 409, 412, 422, 500)) if refuses else 204
        body = {
            "value": "x",
            "channel_ids": list(self.channels),
            "dialplan": {"app_name": "Stasis"},
            "name": "callguard",
        }
        self._message(
            {
                "type": "RESTResponse", "request_id": request, "status_code": status if method != "GET" else 200,
                "reason_phrase": "", "message_body": orjson.dumps(body).decode() if method == "GET" else "",
            }, 0.001,
        )  # fmt: skip
        parts = uri.split("/")
        channel = parts[1] if parts[0] == "channels" else parts[1].removeprefix("callguard-").rpartition("-")[0]
        if channel not in self.channels:
            return
        if parts[-1] == "continue":
            self._continues(channel, query["extension"], refused=status >= 400)
        elif status < 400 and parts[2:3] == ["play"]:
            self._play(channel, parts[3], query["media"])
        elif status < 400 and method == "DELETE" and parts[0] == "playbacks" and parts[1] in self._finishing:
            self._finish(channel, parts[1], "done")

    def _play(self, channel: str, playback: str, media: str) -> None:
        *_, language, part = media.split("/")
        self.channels[channel].playing[playback] = part, language
        self.channels[channel].started.pop(playback, None)
        self._say_playback("PlaybackStarted", channel, playback, "playing")
        state = "failed" if self._random.random() < 0.03 else "done"
        ms = LENGTH_MS if self._random.random() > self._lies / 2 else self._random.choice((0, 40, 1_500, 9_000))
        self._finishing[playback] = self._loop.call_later(ms / 1000, self._finish, channel, playback, state)
        for _ in range(self._random.choice((0, 0, 1, 1, 2))):
            digit = self._random.choice(self._pressed)
            at = self._random.uniform(0.0, 3.1 if part != "p-essential" else 6.0)
            self._loop.call_later(at, self._key, channel, digit, self._random.choice((5, 100, 900)))

    def _finish(self, channel: str, playback: str, state: str) -> None:
        timer = self._finishing.pop(playback, None)
        if timer is not None:
            timer.cancel()
            self._say_playback("PlaybackFinished", channel, playback, state)

    def _continues(self, channel: str, extension: str, *, refused: bool) -> None:
        if extension.startswith("lease-"):
            if not refused:
                self._say("StasisEnd", channel)
                args = ["inbound", "p", channel, "1000", "again", "0"]  # only who waits for it looks
                if self._random.random() > self._lies / 4:
                    self._loop.call_later(0.005, lambda: self._say("StasisStart", channel, args=args))
            return
        if not refused:
            self._say("StasisEnd", channel)
        self._judge(channel, extension)

    def _judge(self, channel: str, extension: str) -> None:
        done, *said = extension.split("-")
        if done != "done" or said[1:2] != ["yes"]:
            return
        self.yeses += 1
        leg = "-".join(said[3:8])
        saved = self._store.committed.get(leg)
        if saved is None or not saved.recording or saved.channel != channel:
            self.wrong.append("a recording was ordered without a committed basis")
            return
        why = self.channels[channel].forbids(saved.language, honest=not self._lies)
        if why:
            self.wrong.append(f"{why}: {self.channels[channel]}")

    def _hang_up(self, channel: str) -> None:
        self._say("ChannelHangupRequest", channel, cause=16)
        self._say("StasisEnd", channel)

    def _key(self, channel: str, digit: str, ms: int) -> None:
        self._say("ChannelDtmfReceived", channel, digit=digit, duration_ms=ms)
        if digit == "1" and self._random.random() < 0.25:
            # Who thinks better of it while the yes is being committed.
            self._loop.call_later(self._random.choice((0.001, 0.1)), self._key, channel, "2", 5)

    def _noise(self, channel: str) -> None:
        message = dict(self._random.choice(ARI[:9] if self._random.random() < 0.98 else ARI))
        about = self._random.choice((channel, CHANNEL_ID, *self.channels))
        if "channel" in message:
            message["channel"] = {**CHANNEL, "id": about}
        self._inbox.put_nowait(self._mutate.json(message))

    def _say_playback(self, kind: str, channel: str, playback: str, state: str) -> None:
        self._say(kind, "", playback={"id": playback, "target_uri": f"channel:{channel}", "state": state})

    def _say(self, kind: str, channel: str, **fields: Any) -> None:
        at = datetime.fromtimestamp((EPOCH_MS + round((self._loop.time() - self._began) * 1000)) / 1000, UTC)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        message = {"type": kind, "timestamp": stamp, **fields}
        if channel:
            message["channel"] = {"id": channel, "caller": {"name": NAME, "number": NUMBER}}
        self._message(message, 0.0)

    def _message(self, message: dict[str, Any], after_s: float) -> None:
        lies = self._random.random() < self._lies
        texts = [orjson.dumps(message)]
        if lies:
            texts = self._random.choice(([], texts * 2, [self._mutate.json(message)], texts))
            after_s += self._random.choice((0, 0.01, 3))
        for text in texts:
            if after_s:
                self._loop.call_later(after_s, self._inbox.put_nowait, text)
            else:
                self._inbox.put_nowait(text)

    def _told(self, text: bytes) -> None:
        try:
            message = wire.decode(text)
        except wire.Malformed:
            return
        seen = self.channels.get(getattr(message, "channel", ""))
        if seen is not None and message is not None:
            seen.hear(message)


async def ari_case(random: Random) -> tuple[list[str], int]:
    """One connection with one to three calls. Returns what went wrong, and how many were recorded."""
    lies = random.choice((0.0, 0.0, 0.03, 0.3))
    store = FakeStore(random, random.choice((0.0, 0.0, 0.2)))
    peer = Liar(random, store, lies)
    client = Client(cast(Socket, peer), "callguard")
    room = Room(lambda: 100, METRICS)
    settings = current(PROFILES)
    watchdog = Watchdog(settings, cast(Store, store))
    dial = cast(Dial, SimpleNamespace(callbacks=Callbacks(settings, cast(Store, store))))
    calls = AriCalls(
        settings, cast(Store, store), dial, cast(Dialplan, SimpleNamespace(alone=False)), room,
        METRICS, Withdrawals(), watchdog, Talks(settings, cast(Store, store), watchdog, cast(Agents, None)),
    )  # fmt: skip
    wrong: list[str] = []
    loop = asyncio.get_running_loop()
    ends = loop.time() + LONGEST_S
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(calls.pump(client, group))
            for number in range(random.choice((1, 1, 1, 3))):
                peer.call(number)
            await asyncio.sleep(NOISE_S)
            while room.held and loop.time() < ends:
                await asyncio.sleep(1)
            if room.held:
                wrong.append(f"{room.held} legs neither released nor left after {LONGEST_S:.0f} s")
            if len(client._waiting) > MOST_WAITING:
                wrong.append(f"{len(client._waiting)} orders wait for an answer")
            peer.end()
    except* TelephonyError:
        pass
    if calls._doors and not wrong:
        wrong += [f"a channel is still answered for: {sorted(calls._doors)}"] if not room.held else []
    return wrong + peer.wrong, peer.yeses
