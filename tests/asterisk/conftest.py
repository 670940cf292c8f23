"""A real Asterisk, a real callguard, SIPp callers and an agent: started once, with short prompts so that tests are."""

from __future__ import annotations

import asyncio
import json
import re
import time
import wave
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callguard.demo.agent import Agent, AgentCall
from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.scenarios import Times
from callguard.demo.sipp import CallResult, call
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones_in
from callguard.demo.tree import Tree
from callguard.shipped import shipped
from callguard.speech.plan import plan
from callguard.store.reader import Reader
from callguard.store.records import LegDetail
from callguard.telephony.ami_events import FAMILIES

# The prompts of these tests sound like this, so that a prompt in a recording would be heard there, and which language
# a caller hears.
PROMPT_HZ = 1277
SPANISH_HZ = 1427
# What an agent is told on answer.
WHISPER_HZ = {"whisper-recorded": 1577, "whisper-unrecorded": 1727}
LENGTHS_MS = {"essential": 1_600, "question-1": 1_000, "again-1": 800, "question-2": 1_000, "again-2": 800}
DETAILS_MS = 600
WAIT_S = 2.0
PATIENCE_S = 15.0
# Of callguard's log beside a failed test, in characters.
LOG_SHOWN = 6_000

SITE = """\
[globals](+)
PROFILES = service-sales-nobody
[from-outside]
; asks twice on the same leg; the second time is silent
exten => 3000,1,Gosub(callguard-inbound,s,1(service))
 same => n,Set(DB(test/first)=${CALLGUARD_STATE}/${CALLGUARD_CALL})
 same => n,Gosub(callguard-inbound,s,1(service))
 same => n,Set(DB(test/second)=${CALLGUARD_STATE}/${CALLGUARD_CALL})
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
; the administrator's own limit on calls
exten => 3001,1,Set(TIMEOUT(absolute)=100)
 same => n,Gosub(callguard-inbound,s,1(service))
 same => n,Set(DB(test/limit)=${TIMEOUT(absolute)})
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
; whatever is dialled after 55
exten => _55.,1,Goto(1000,1)
; a call that is not gated
exten => 3020,1,Answer()
 same => n,Wait(20)
; a number called that stands for another language
exten => 910000061,1,Goto(1000,1)
; a number called that would pass for more than one argument of the gate's
exten => 3011,1,Set(CALLERID(dnid)=+34910000061:again:9)
 same => n,Goto(1000,1)
; waits a second before the agent is called
exten => 3002,1,Gosub(callguard-inbound,s,1(service))
 same => n,Wait(1)
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
exten => h,1,Set(DB(test/hangup)=seen)
; what the gate decides about a dial
exten => _4X.,1,Set(DB(test/dial)=)
 same => n,Gosub(callguard-outbound,s,1(${EXTEN:2},${CUT(PROFILES,-,$[${EXTEN:1:1} + 1])}))
 same => n,Set(DB(test/dial)=${CALLGUARD_DIAL}/${CALLGUARD_REASON})
 same => n,Hangup(21)
exten => 4999,1,Gosub(callguard-outbound,s,1(600"0${SHELL(id)}00|1,sales))
 same => n,Set(DB(test/dial)=${CALLGUARD_DIAL}/${CALLGUARD_REASON})
 same => n,Hangup(21)
; what a callee came to, as the agent's dialplan sees it
exten => 3003,1,Gosub(callguard-outbound,s,1(600000003,service))
 same => n,Set(DB(test/callee)=)
 same => n,Dial(PJSIP/agent,30,gU(callguard-callee^service))
 same => n,Set(DB(test/callee)=${DIALSTATUS}/${CALLGUARD_STATE}/${CALLGUARD_GRANTED}/${CALLGUARD_RECORDING})
 same => n,Hangup()
; an administrator's own AGI(): for a profile there is, and for one there is not
exten => _300[56],1,Set(HERE=agi://${CALLGUARD_AGI_HOST}:${CALLGUARD_AGI_PORT})
 same => n,AGI(${HERE}/inbound,${IF($[${EXTEN} = 3005]?service:nobody)})
 same => n,Set(DB(test/agi)=${CALLGUARD_DONE}/${CALLGUARD_STATE}/${AGISTATUS})
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
exten => _3008X.,1,AGI(agi://${CALLGUARD_AGI_HOST}:${CALLGUARD_AGI_PORT}/outbound,${EXTEN:4},sales)
 same => n,Set(DB(test/dial)=${CALLGUARD_DIAL}/${CALLGUARD_REASON}/${CALLGUARD_DONE})
 same => n,Hangup(21)
; a U() of the administrator's own, after the gate's
exten => 3007,1,Gosub(callguard-outbound,s,1(600000007,service))
 same => n,Set(__CALLGUARD_CALLEE_THEN=mine,s,1)
 same => n,Dial(PJSIP/agent,30,U(callguard-callee^service))
[mine]
exten => s,1,Set(DB(test/mine)=${CALLGUARD_STATE})
 same => n,Return()
[from-outside]
; another recorder beside the gate's, in the folder that both see
exten => 3023,1,Gosub(callguard-inbound,s,1(service))
 same => n,MixMonitor(${CALLGUARD_FOLDER_callguard}/in-34600000020.wav)
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
; where a caller is sent from within the gate
exten => 3024,1,Wait(0.5)
 same => n,Set(DB(test/limit)=${TIMEOUT(absolute)})
 same => n,Dial(PJSIP/agent,30)
; which of the keys that were kept still are, once they have been looked at
exten => 3025,1,Answer()
 same => n,Set(TEN=5555555555)
 same => n,Set(HUNDRED=${TEN}${TEN}${TEN}${TEN}${TEN}${TEN}${TEN}${TEN}${TEN}${TEN})
 same => n,Set(FIVE=${HUNDRED}${HUNDRED}${HUNDRED}${HUNDRED}${HUNDRED})
 same => n,Set(LOOKED=)
 same => n,Set(KEYS=4111-4111*-12*9345)
 same => n,Set(CG_MANAGER=callguard)
 same => n(next),Set(CG_PRESSED=${CUT(KEYS,-,1)})
 same => n,Set(KEYS=${CUT(KEYS,-,2-)})
 same => n,Gosub(callguard-pressed,s,1)
 same => n,Set(LOOKED=${LOOKED}${GOSUB_RETVAL}${CG_PRESSED}.)
 same => n,GotoIf($[${LEN(${KEYS})} > 0]?next)
 same => n,Set(CG_PRESSED=${FIVE}${FIVE})
 same => n,Gosub(callguard-pressed,s,1)
 same => n,Set(LOOKED=${LOOKED}${GOSUB_RETVAL}.)
 same => n,Set(CG_PRESSED=${FIVE}${FIVE})
 same => n,Set(CG_MANAGER=nobody)
 same => n,Gosub(callguard-pressed,s,1)
 same => n,Set(DB(test/keys)=${LOOKED}${GOSUB_RETVAL})
; what the agent hears on answer
exten => 3021,1,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1)U(callguard-whisper))
exten => 3022,1,Gosub(callguard-inbound,s,1(service))
 same => n,Queue(service,rb(callguard-agent^s^1),,,30,,callguard-whisper)
; a number dialled that is an emergency number
exten => 112,1,Gosub(callguard-inbound,s,1(service))
 same => n,Set(DB(test/emergency)=${CALLGUARD_STATE}.)
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the agent's phone was told."""

    state: str
    purposes: str
    call: str
    name: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything a test needs, and words for it."""

    pbx: Pbx
    gate: Gate
    agent: Agent

    @property
    def times(self) -> Times:
        return Times.of(self.gate.config)

    @property
    def folder(self) -> Path:
        return self.gate.recordings.path_here

    async def call(self, *timeline: Segment, extension: str = "1000", **more: Any) -> CallResult:
        async with asyncio.timeout(90):
            return await call(self.pbx, extension, timeline, **more)

    async def agent_call(self, after: int) -> AgentCall:
        """The agent's next call, when there were `after` before."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.agent.called(after + 1)

    @staticmethod
    def told(reached: AgentCall) -> Told:
        header = str(reached.header("X-Callguard-Consent"))
        parts = re.fullmatch(r'(\w+); purposes="([^"]*)"; call=(.*)', header)
        assert parts is not None, header
        return Told(parts[1], parts[2], parts[3], reached.from_name)

    def reader(self) -> AbstractAsyncContextManager[Reader]:
        return Reader.reading(self.gate.store, locked=True)

    async def leg(self, call_id: str) -> LegDetail:
        async with self.reader() as store:
            (leg,) = await store.call(call_id)
            return leg

    async def recorded_for(self, reached: AgentCall, seconds: float) -> None:
        """Wait until a call that is up has lasted so long."""
        assert reached.answered is not None
        await asyncio.sleep(max(0.0, reached.answered + seconds - time.time()))

    async def settled(self, call_id: str) -> LegDetail:
        """The leg, once its recording has come to an end."""
        async with (
            self.reader() as store,
            asyncio.timeout(PATIENCE_S),
        ):
            while True:
                (leg,) = await store.call(call_id)
                if leg.leg.recording_ended_at is not None:
                    return leg
                await asyncio.sleep(0.05)

    async def destroyed(self, call_id: str) -> LegDetail:
        async with (
            self.reader() as store,
            asyncio.timeout(PATIENCE_S),
        ):
            while True:
                (leg,) = await store.call(call_id)
                if leg.recording is not None and leg.recording.state == "destroyed":
                    return leg
                await asyncio.sleep(0.05)

    async def latest(self) -> LegDetail:
        async with self.reader() as store:
            (latest,) = await store.calls(1)
            (leg,) = await store.call(latest.call_id)
            return leg

    async def legs(self) -> int:
        async with self.reader() as store:
            return len(await store.calls(10_000))

    def files(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()}

    def tones(self, leg: LegDetail) -> set[int]:
        assert leg.recording is not None
        found = tones_in(self.folder / leg.recording.files[0].name, [*TONES, PROMPT_HZ, SPANISH_HZ])
        return {int(tone.hz) for tone in found}

    def sidecar(self, leg: LegDetail) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.folder / f"{leg.leg.leg_id}.json").read_text(encoding="utf-8"))
        return read

    async def manager(self, *, user: str = "callguard", **action: str) -> None:
        """Send one manager action, as an administrator's own program would."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.pbx.ami_port)
        login = {"Action": "Login", "Username": user, "Secret": self.pbx.secrets.ami, "Events": "off"}
        try:
            for one in (login, action):
                writer.write("".join(f"{name}: {value}\r\n" for name, value in one.items()).encode() + b"\r\n")
                async with asyncio.timeout(PATIENCE_S):
                    answer = await reader.readuntil(b"\r\n\r\n")
                assert b"Response: Success" in answer, answer
        finally:
            writer.close()
            await writer.wait_closed()

    async def forgotten(self, family: str) -> None:
        """Wait until Asterisk's database keeps no mark of ours."""
        async with asyncio.timeout(PATIENCE_S):
            while "0 results" not in await self.pbx.cli(f"database show {family}"):
                await asyncio.sleep(0.05)

    async def note(self, key: str) -> str:
        """What a test's dialplan wrote to AstDB."""
        answer = await self.pbx.cli(f"database get test {key}")
        return answer.partition("Value: ")[2].strip()


TONES = (CALLER_BEFORE, CALLER_AFTER_YES, CALLER_AFTER_STOP, AGENT)


def says_yes(times: Times, talks_ms: int = 2_000) -> tuple[Segment, ...]:
    return (Tone(CALLER_BEFORE, times.essential + 400), Key("1"), Tone(CALLER_AFTER_YES, talks_ms))


def presses(times: Times, key: str, talks_ms: int = 1_500) -> tuple[Segment, ...]:
    return (Tone(CALLER_BEFORE, times.essential + 400), Key(key), Tone(CALLER_BEFORE, talks_ms))


def stop_keys() -> tuple[Segment, ...]:
    return (Key("*"), Silence(100), Key("9"))


async def load_modules(pbx: Pbx, *modules: str) -> None:
    """Have Asterisk load these, unless it has."""
    for module in modules:
        if "Running" not in await pbx.cli(f"module show like {module}"):
            assert "Loaded" in await pbx.cli(f"module load {module}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What callguard's own log says beside a test that failed."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections.append(("callguard's log", world.gate.log()[-LOG_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def short_texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped texts, with studio files in the place of speech."""
    folder = tmp_path_factory.mktemp("texts")
    for file in shipped("prompts").glob("*.toml"):
        (folder / file.name).write_bytes(file.read_bytes())
    yield folder


def record_studio_files(gate: Gate, folder: Path) -> None:
    for take in plan(gate.config):
        part = take.piece.id.partition("/")[2]
        ms = LENGTHS_MS.get(part, DETAILS_MS)
        file = folder / f"{take.name}.wav"
        file.parent.mkdir(exist_ok=True)
        hz = WHISPER_HZ.get(part, SPANISH_HZ if take.piece.language == "es" else PROMPT_HZ)
        samples = np.sin(2 * np.pi * hz * np.arange(16 * ms) / 16_000) * 8_000
        with wave.open(str(file), "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(16_000)
            audio.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="session")
async def pbx(tree: Tree) -> AsyncIterator[Pbx]:
    async with Pbx(tree) as running:
        site = running.path / "etc" / "site.conf"
        site.write_text(SITE, encoding="utf-8")
        site.chmod(0o644)
        await running.cli("dialplan reload")
        yield running


@pytest.fixture(scope="session")
async def agent(pbx: Pbx) -> AsyncIterator[Agent]:
    async with Agent(pbx.agent_port) as phone:
        yield phone


@pytest.fixture
async def world(pbx: Pbx, agent: Agent, short_texts: Path) -> AsyncIterator[World]:
    """callguard with a store of its own on the shared PBX."""
    gate = Gate(pbx, texts=short_texts, answer_wait_s=WAIT_S)
    record_studio_files(gate, short_texts)
    for file in gate.recordings.path_here.iterdir():  # of a test before, whose store knew what they are
        if file.is_file():
            file.unlink()
    for family in FAMILIES.values():  # marks of a test that ended before its callguard had heeded them
        await pbx.cli(f"database deltree {family}")
    async with gate:
        yield World(pbx, gate, agent)


@pytest.fixture(params=["ari", "agi"])
async def door(request: pytest.FixtureRequest, world: World) -> AsyncIterator[World]:
    """The same by either door."""
    await world.pbx.cli(f"dialplan set global CALLGUARD_DOOR {request.param}")
    try:
        yield world
    finally:
        await world.pbx.cli("dialplan set global CALLGUARD_DOOR ari")
