"""Whole legs by FastAGI against an Asterisk that lies: a session's bytes in, commands out.

What may be recorded is judged by what was commanded and answered, and by nothing that the gate knows.
"""

from __future__ import annotations

import asyncio
import re
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from callguard.agi_calls import AgiCalls
from callguard.ari_calls import AriCalls
from callguard.callbacks import Callbacks
from callguard.core.model import Basis
from callguard.dial import Dial
from callguard.room import Room
from callguard.store import Store
from callguard.telephony import agi
from callguard.telephony.ami_events import KeyPressed
from callguard.telephony.holds import Holds
from tests.faults.ari_legs import LENGTH_MS, NAMES, PRESSED, PROFILES, TOLERANCE_MS
from tests.faults.mutate import Mutator
from tests.faults.transcripts import CHANNEL_ID, agi_answer, agi_block
from tests.faults.virtual import METRICS, FakeStore, current

LONGEST_S = 600.0
# Nobody reads more than a leg can say in its twelve turns.
MOST_COMMANDS = 2_000
ANSWER = re.compile(rb"200 result=(-?\d+)(?: endpos=(\d+))?\n")


class Liar:
    """Asterisk's end, and the writer to it in one."""

    def __init__(self, random: Random, reader: asyncio.StreamReader, holds: Holds, store: FakeStore) -> None:
        self._random = random
        self._mutate = Mutator(random)
        self._lies = random.choice((0.0, 0.0, 0.03, 0.3))
        self._reader = reader
        self._holds = holds
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._pressed = b""
        self._presses = random.choice(PRESSED)
        self._asked = ""
        self._informed: str | None = None
        self._keys: list[str] = []
        self.profile = random.choice(NAMES)
        self.commands = 0
        self.wrong: list[str] = []
        self.yeses = 0
        self.closed = self._ended = False

    @property
    def transport(self) -> Liar:
        return self

    def begin(self) -> bytes:
        block = agi_block().replace(b"agi_arg_1: service", b"agi_arg_1: " + self.profile.encode())
        return self._mutate.lines(block, b"\n") if self._random.random() < self._lies else block

    # What a StreamWriter does.

    def write(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            self.commands += 1
            self._command(line)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self.closed = True

    abort = close

    # What the peer does.

    def feed(self, data: bytes) -> None:
        if not self._ended:
            self._reader.feed_data(data)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._reader.feed_eof()

    def _command(self, line: str) -> None:
        self._judge(line)
        answer, after_s = agi_answer(line), 0.001
        word = line.partition(" ")[0]
        if word == "GET":
            if "CG_PRESSED" in line:
                answer = b"200 result=1 (=" + self._pressed + b")\n"
            elif "linkedid" in line:
                answer = b"200 result=1 (=" + CHANNEL_ID.encode() + b")\n"
        elif word == "STREAM":
            self._asked = line
            ms = LENGTH_MS
            digit = self._key(0.4, line.rpartition(' "')[2].rstrip('"'))
            if digit:
                ms = self._random.randrange(LENGTH_MS)
                answer = b"200 result=%d endpos=%d\n" % (ord(digit), ms * 8)
            else:
                answer = b"200 result=0 endpos=%d\n" % (ms * 8)
            after_s = ms / 1000
        elif word == "WAIT":
            digit = self._key(0.3, "0123456789*#")
            answer = b"200 result=%d\n" % (ord(digit) if digit else 0)
            after_s = int(line.split()[-1]) / 1000 * (self._random.random() if digit else 1)
        if self._random.random() < self._lies:
            answer, after_s = self._lie(answer, after_s)
        self._loop.call_later(after_s, self._answer, line, answer)

    def _lie(self, answer: bytes, after_s: float) -> tuple[bytes, float]:
        match self._random.randrange(7):
            case 0:
                return b"HANGUP\n" + answer, after_s
            case 1:
                return answer * 2, after_s
            case 2:
                return self._random.choice((b"200 result=49 endpos=99999999\n", b"200 result=49\n", b"")), after_s
            case 3:
                self._loop.call_later(after_s, self.end)
                return answer[: len(answer) // 2], 0.0
            case 4:
                return answer, after_s + self._random.choice((0.5, 5.0))
            case 5:
                return b"x" * 4_096, 0.0
            case _:
                return self._mutate.torn(answer), after_s

    def _key(self, likely: float, stops: str) -> str:
        """The key that ends a command, if one is pressed that does."""
        if self._random.random() >= (0.95 if self._presses.startswith("*") else likely):
            return ""
        digit = self._random.choice(self._presses)
        self._pressed += digit.encode()
        if self._random.random() < 0.7:
            held = self._random.choice((5, 100, 900))
            self._holds.told(KeyPressed(CHANNEL_ID, "PJSIP/outside-00000000", digit, held))
        return digit if digit in stops else ""

    def _answer(self, line: str, answer: bytes) -> None:
        self._hear(line, answer)
        self.feed(answer)

    def _hear(self, line: str, answer: bytes) -> None:
        """Keep what this answer says, if it is one."""
        found = ANSWER.fullmatch(answer)
        whole = found is not None and int(found[2] or 0) >= (LENGTH_MS - TOLERANCE_MS) * 8
        if whole and line.startswith("STREAM") and "p-essential" in line:
            self._informed = line.split("/")[2]
            self._keys = []
        code = re.match(rb"200 result=(\d{2})\b", answer)
        if code and line.startswith(("STREAM", "WAIT")):
            self._keys.append(chr(int(code[1])))

    def _judge(self, line: str) -> None:
        if not line.startswith('GOSUB "callguard-agi"') or "-yes-" not in line:
            return
        self.yeses += 1
        extension = re.search(r"done-\w+-yes-\d\d-([0-9a-f-]{36})-", line)
        saved = self._store.committed.get(extension[1]) if extension else None
        if saved is None or not saved.recording or saved.channel != CHANNEL_ID:
            self.wrong.append("a recording was ordered without a committed basis")
        elif self._informed != saved.language:
            self.wrong.append("recorded without the notice's essential part")
        elif all(purpose.basis is Basis.CONSENT for purpose in PROFILES[self.profile].purposes):
            decisive = [digit for digit in self._keys if digit in "12"]
            if not decisive or (len(PROFILES[self.profile].purposes) == 1 and decisive[-1] == "2"):
                self.wrong.append(f"recorded without a yes after the essential part: {self._keys}")


async def agi_case(random: Random) -> tuple[list[str], int]:
    """One session, from its first byte. Returns what went wrong, and how many were recorded."""
    holds = Holds()
    store = FakeStore(random, random.choice((0.0, 0.0, 0.2)))
    nobody = cast(AriCalls, _NoAri())
    settings = current(PROFILES)
    dial = cast(Dial, SimpleNamespace(callbacks=Callbacks(settings, cast(Store, store))))
    calls = AgiCalls(settings, cast(Store, store), dial, holds, nobody, Room(lambda: 100, METRICS), METRICS)
    reader = asyncio.StreamReader(limit=agi.LINE_LIMIT)
    peer = Liar(random, reader, holds, store)
    session = asyncio.create_task(
        agi._session(reader, cast(asyncio.StreamWriter, peer), lambda call, _: calls.serve(call))
    )
    for piece in Mutator(random).pieces(peer.begin()):
        peer.feed(piece)
        await asyncio.sleep(random.choice((0, 0, 0.1)))
    done, _ = await asyncio.wait({session}, timeout=LONGEST_S)
    wrong = list(peer.wrong)
    if not done:
        session.cancel()
        await asyncio.wait({session})
        wrong.append(f"a session that does not end within {LONGEST_S:.0f} s")
    elif session.exception() is not None:
        wrong.append(f"{session.exception()!r} out of a session")
    if not peer.closed:
        wrong.append("a connection that is not ended")
    if peer.commands > MOST_COMMANDS:
        wrong.append(f"{peer.commands} commands in one session")
    return wrong, peer.yeses


class _NoAri:
    stopping = False

    async def watch_agent(self, _: Any) -> bool:
        return True

    async def unwatch_agent(self, _: Any) -> None:
        """Nobody is watched."""

    def follow(self, *_: Any) -> None:
        """Nobody is followed."""

    async def lift_lease(self, _: str) -> None:
        """Nobody has a lease."""
