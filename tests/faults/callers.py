"""A load of callers and agents with ground truth: each caller's tones tell what may be in a recording, and what not.

SIPp makes the calls, many from one process. Callers differ in what they press; each sends one tone before its key and
another after it, so that a recording shows by itself from when it is. Callers hang up themselves: a BYE from the PBX
before is a call dropped. Agents write down who reached them, when, and what their phone was told.
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, cycle
from pathlib import Path
from typing import Final

from callguard.demo import rtp
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_NO, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.errors import TelephonyError
from callguard.shipped import render

HERE: Final = Path(__file__).parent
NUMBERS: Final = count(20_000_000)
# From the answer to the key: after the essential part of the bed's notice, also where it begins half a second late.
KEY_AFTER_MS: Final = 1_600
EARLY_AFTER_MS: Final = 300
# After the key that withdraws, nothing is recorded any more.
STOPS_WITHIN_MS: Final = 160
AFTER_MEASURED_MS: Final = 700
# How many numbers a load has at most.
MOST_CALLS: Final = 20_000
END_WITHIN_S: Final = 60.0


class Kind(StrEnum):
    """What a caller does. Only YES, STOPS, DIALS and the last two give anything; the judge knows nothing of these.

    DIALS is an agent, who has a person called who says yes.
    """

    YES = "yes"
    NO = "no"
    SILENT = "silent"
    EARLY = "early"
    STOPS = "stops"
    DIALS = "dials"
    MEASURED = "measured"
    CONTROL = "control"


# Of ten callers: most say something, so that what follows a key is often in progress.
MIX: Final = (
    Kind.YES, Kind.NO, Kind.STOPS, Kind.YES, Kind.SILENT, Kind.YES, Kind.STOPS, Kind.EARLY, Kind.YES, Kind.NO,
)  # fmt: skip
GIVES: Final = frozenset({Kind.YES, Kind.STOPS, Kind.DIALS})
# What may be heard in a recording of theirs.
RIGHTFUL: Final = frozenset({CALLER_AFTER_YES, AGENT})

TIMELINES: Final[dict[Kind, tuple[Segment, ...]]] = {
    Kind.YES: (Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("1"), Tone(CALLER_AFTER_YES, 1_200)),
    Kind.NO: (Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("2"), Tone(CALLER_AFTER_NO, 1_000)),
    Kind.SILENT: (Tone(CALLER_BEFORE, KEY_AFTER_MS + 1_200),),
    Kind.EARLY: (Tone(CALLER_BEFORE, EARLY_AFTER_MS), Key("1"), Tone(CALLER_BEFORE, KEY_AFTER_MS + 800)),
    Kind.STOPS: (
        Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("1"), Tone(CALLER_AFTER_YES, 1_000),
        Key("*"), Silence(100), Key("9"), Silence(STOPS_WITHIN_MS), Tone(CALLER_AFTER_STOP, 700),
    ),
    Kind.DIALS: (Tone(AGENT, 2_000),),
    # As STOPS, with the tone from the very end of the key on; and the same with a key that means nothing.
    **{
        kind: (
            Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("1"), Tone(CALLER_AFTER_YES, 1_000),
            Key("*"), Silence(100), Key(digit), Tone(CALLER_AFTER_STOP, AFTER_MEASURED_MS),
        )
        for kind, digit in ((Kind.MEASURED, "9"), (Kind.CONTROL, "7"))
    },
}  # fmt: skip
AGENT_SAYS: Final = (Tone(AGENT, 400),)
# Where callers dial out, at the same phone.
PERSON_SAYS: Final = TIMELINES[Kind.YES]


@dataclass(frozen=True, slots=True)
class Reached:
    """An agent's phone was called: when, and what it was told (empty where it was told nothing)."""

    at: float
    state: str
    leg: str

    @property
    def gated(self) -> bool:
        """Whether callguard gave an answer. Without a leg it is what the dialplan found by itself."""
        return bool(self.leg) and self.state != "error"


@dataclass(frozen=True, slots=True)
class Called:
    """One caller's call. Times in seconds since the epoch, None for what did not happen.

    Attributes:
        ended: the caller hung up, as all of them mean to.
        dropped: the PBX did.
        reached: the agents that were called for it.
    """

    number: str
    kind: Kind
    invited: float
    answered: float | None
    ended: float | None
    dropped: float | None
    reached: tuple[Reached, ...]

    @property
    def keyed(self) -> float | None:
        """When its first key went down."""
        if self.answered is None or self.kind is Kind.SILENT:
            return None
        return self.answered + (EARLY_AFTER_MS if self.kind is Kind.EARLY else KEY_AFTER_MS) / 1000


class Load:
    """A load in progress, and what was heard of it after its end."""

    def __init__(self, folder: Path, kinds: dict[str, Kind], stays_ms: int) -> None:
        self._folder = folder
        self._kinds = kinds
        self.stays_s = stays_ms / 1000

    def calls(self) -> list[Called]:
        """All calls made so far."""
        reached: dict[str, list[Reached]] = {}
        for line in self._lines("agents.log"):
            # SIPp writes a line in parts, and sometimes another one between them.
            if len(line) >= 3 and all(re.fullmatch(r"[0-9.]+", one) for one in line[1:3]):
                number, seconds, micro, *told = line
                state, leg = (*told, "", "")[:2]
                reached.setdefault(number, []).append(Reached(_moment(seconds, micro), state, leg))
        events: dict[str, dict[str, float]] = {}
        for line in self._lines("callers.log"):
            if len(line) == 4:
                event, number, seconds, micro = line
                events.setdefault(number, {}).setdefault(event, _moment(seconds, micro))
        return [
            Called(
                number=number,
                kind=self._kinds[number],
                invited=seen["invited"],
                answered=seen.get("answered"),
                ended=seen.get("ended"),
                dropped=seen.get("dropped"),
                reached=tuple(reached.get(number, ())),
            )
            for number, seen in events.items()
        ]

    def _lines(self, name: str) -> list[list[str]]:
        file = self._folder / name
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        return [line.split() for line in text.splitlines()]


def _moment(seconds: str, micro: str) -> float:
    return float(seconds) + float(micro) / 1e6


@asynccontextmanager
async def load(
    pbx: Pbx, folder: Path, *, rate: int, stays_ms: int, extension: str = "1000", kinds: tuple[Kind, ...] = MIX
) -> AsyncIterator[Load]:
    """`rate` calls a second to `extension` for as long as the context lasts; it ends when the last caller has hung up.

    Args:
        folder: for SIPp's files; the load's own.
        stays_ms: when callers hang up, after the answer.

    Raises:
        TelephonyError: SIPp does not come to an end.
    """
    callers = {f"+346{next(NUMBERS):08d}": kind for kind, _ in zip(cycle(kinds), range(MOST_CALLS), strict=False)}
    numbers = "".join(f"{number};{kind};\n" for number, kind in callers.items())
    (folder / "numbers.csv").write_text(f"SEQUENTIAL\n{numbers}", encoding="ascii")
    answers = PERSON_SAYS if Kind.DIALS in kinds else AGENT_SAYS
    said = {str(kind): timeline for kind, timeline in TIMELINES.items()} | {"agent": answers}
    for name, timeline in said.items():
        (folder / f"{name}.pcap").write_bytes(rtp.capture(list(rtp.packets(timeline, ssrc=1))))
    values = {"EXTENSION": extension, "STAYS_MS": str(stays_ms), "SOUNDS": _sounds(folder)}
    _scenario(folder, "caller", values)
    _scenario(folder, "agents", {"CAPTURE": str(folder / "agent.pcap")})
    with pbx.line() as mine, pbx.line() as theirs, _deaf(mine.ear), _deaf(theirs.ear):
        async with AsyncExitStack() as stack:
            agents = await _sipp(
                stack, folder, "agents", ["-p", str(pbx.agent_port), "-mp", str(theirs.spare)], theirs.ear
            )
            callers_ = await _sipp(
                stack, folder, "callers",
                [f"127.0.0.1:{pbx.sip_port}", "-inf", str(folder / "numbers.csv"), "-r", str(rate), "-l", "2000",
                 "-p", str(mine.sip), "-mp", str(mine.spare)], mine.ear, "caller",
            )  # fmt: skip
            yield Load(folder, callers, stays_ms)
            # No more calls; it ends with the last one.
            callers_.send_signal(signal.SIGUSR1)
            try:
                async with asyncio.timeout(stays_ms / 1000 + END_WITHIN_S):
                    await callers_.wait()
            except TimeoutError as error:
                # SIPp now and then stays although it has logged all its calls' ends; who has none logged was dropped.
                if not (await pbx.cli("core show channels count")).startswith("0 active channels"):
                    raise TelephonyError("SIPp's callers did not come to an end") from error
            if agents.returncode is not None:
                raise TelephonyError("SIPp's agents ended")


def _sounds(folder: Path) -> str:
    """SIPp's way to branch by a field: compare, test, go on elsewhere."""
    parts = []
    for kind in Kind:
        parts.append(
            f'  <nop><action><strcmp assign_to="differs_{kind}" variable="kind" value="{kind}"/>'
            f'<test assign_to="is_{kind}" variable="differs_{kind}" compare="equal" value="0"/></action></nop>\n'
            f'  <nop next="{kind}" test="is_{kind}"/>'
        )
    for kind in Kind:
        parts.append(
            f'  <label id="{kind}"/>\n'
            f'  <nop next="talk"><action><exec play_pcap_audio="{folder / kind}.pcap"/></action></nop>'
        )
    return "\n".join(parts)


def _scenario(folder: Path, name: str, values: dict[str, str]) -> None:
    text = render((HERE / f"{name}.xml").read_text(encoding="utf-8"), values)
    (folder / f"{name}.xml").write_text(text, encoding="utf-8")


async def _sipp(
    stack: AsyncExitStack, folder: Path, name: str, arguments: list[str], ear: int, scenario: str = ""
) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig=KILL", "--", "sipp", *arguments, "-sf", str(folder / f"{scenario or name}.xml"),
        "-i", "127.0.0.1", "-mi", "127.0.0.1", "-key", "ear", str(ear), "-nostdin", "-aa",
        "-trace_logs", "-log_file", str(folder / f"{name}.log"),
        "-trace_err", "-error_file", str(folder / f"{name}.errors"),
        cwd=folder, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def end() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    stack.push_async_callback(end)
    return process


@contextmanager
def _deaf(port: int) -> Iterator[None]:
    """Take the sound that nobody listens to, so that nobody is told that it cannot be delivered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        ear.bind(("127.0.0.1", port))
        yield
