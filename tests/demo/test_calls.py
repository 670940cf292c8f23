"""Real calls through a real Asterisk: keys arrive, sounds arrive, times are right. No callguard is running."""

from __future__ import annotations

import asyncio

import pytest

from callguard.demo import sipp
from callguard.demo.agent import Agent
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Silence, Tone
from callguard.demo.sipp import EndedBy, call
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones, tones_in
from callguard.demo.ulaw import RATE
from callguard.errors import SetupError, TelephonyError

READS_KEYS = """
[from-outside](+)
exten => 9001,1,Answer()
 same => n,MixMonitor({recordings}/keys.wav,r({recordings}/caller.wav))
 same => n,Read(KEYS,,3,,1,5)
 same => n,Set(GLOBAL(GOT)=keys ${{KEYS}} number ${{CALLERID(num)}} name ${{CALLERID(name)}})
 same => n,Wait(1)
 same => n,Hangup()
exten => 9002,1,Answer()
 same => n,MixMonitor({recordings}/bridged.wav,b)
 same => n,Dial(PJSIP/agent,30)
"""


@pytest.fixture
async def reading(pbx: Pbx) -> Pbx:
    """With extensions that read keys and record."""
    with (pbx.path / "etc" / "extensions.conf").open("a") as file:
        file.write(READS_KEYS.format(recordings=pbx.folder("recordings").in_asterisk))
    await pbx.cli("dialplan reload")
    return pbx


async def test_keys_and_caller_arrive_as_they_were_sent(reading: Pbx) -> None:
    timeline = (
        Tone(CALLER_BEFORE, 400), Key("1"), Silence(100), Key("2"),
        Tone(CALLER_AFTER_YES, 200), Key("9", ms=200, over=Tone(CALLER_AFTER_YES, 200)), Silence(1_500),
    )  # fmt: skip
    result = await call(reading, "9001", timeline, from_name="Jörg [x]", from_number="+34600000007")
    assert "GOT=keys 129 number +34600000007 name Jörg [x]\n" in await reading.cli("dialplan show globals")
    assert result.ended_by is EndedBy.PBX, "one second after the third key"
    assert result.answered
    assert result.ended - result.answered == pytest.approx(2.1, abs=0.3)
    recordings = reading.folder("recordings").path_here
    found = tones_in(recordings / "caller.wav")
    assert [tone.hz for tone in found[:2]] == [CALLER_BEFORE, CALLER_AFTER_YES]
    assert [found[0].start_ms, found[0].end_ms] == pytest.approx([0, 400], abs=80)
    assert {file.stat().st_mode & 0o777 for file in recordings.iterdir()} == {0o660}, "readable by the group"


async def test_caller_and_agent_hear_each_other(pbx: Pbx) -> None:
    """The shipped dialplan with callguard absent: straight to the agent, unrecorded, and the display says so."""
    timeline = (Tone(CALLER_BEFORE, 1_000), Key("1"), Key("#"), Tone(CALLER_AFTER_STOP, 1_000))
    async with Agent(pbx.agent_port, answer_after_ms=200) as agent, asyncio.timeout(20):
        result = await call(pbx, "1000", timeline, from_name="Ann")
        (seen,) = agent.calls
        await seen.over()
    assert seen.header("X-Callguard-Consent") == 'error; purposes=""; call='
    assert seen.from_name == "[NO REC] Ann"
    assert seen.keys == "1#"
    assert [tone.hz for tone in seen.tones()] == [CALLER_BEFORE, CALLER_AFTER_STOP]
    assert [tone.ms for tone in seen.tones()] == pytest.approx([1_000, 1_000], abs=80)
    assert {tone.hz for tone in tones(result.heard.samples, RATE)} == {AGENT}
    assert seen.answered and seen.ended
    assert result.answered and result.ringing
    assert result.invited < seen.invited < result.ringing < seen.answered < result.answered < result.ended
    assert result.ended_by is EndedBy.CALLER
    assert result.ended - result.answered == pytest.approx(2.2, abs=0.1)
    assert result.first_sound_s == pytest.approx(result.answered - result.invited, abs=0.2)
    assert not list(pbx.folder("recordings").path_here.iterdir())


async def test_agent_hangs_up(reading: Pbx) -> None:
    async with Agent(reading.agent_port, answer_after_ms=0) as agent, asyncio.TaskGroup() as group:
        calling = group.create_task(call(reading, "9002", (Tone(CALLER_BEFORE, 10_000),)))
        async with asyncio.timeout(20):
            seen = await agent.called()
            await seen.up()
            while not any(tone.ms > 300 for tone in seen.tones()):
                await asyncio.sleep(0.02)
            seen.hang_up()
            await seen.over()
            result = await calling
    assert result.ended_by is EndedBy.PBX
    assert {tone.hz for tone in tones_in(reading.folder("recordings").path_here / "bridged.wav")} == {
        CALLER_BEFORE, AGENT,
    }  # fmt: skip


async def test_nobody_answers(pbx: Pbx) -> None:
    async with Agent(pbx.agent_port, answer_after_ms=None) as agent, asyncio.timeout(20):
        result = await call(pbx, "1000", (Silence(1_000),), ring_limit_ms=600)
        (seen,) = agent.calls
        await seen.over()
    assert seen.answered is None
    assert result.ringing
    assert (result.answered, result.ended_by) == (None, EndedBy.CALLER)
    assert result.ended - result.ringing == pytest.approx(0.6, abs=0.1)
    assert result.first_sound_s is None


async def test_many_at_once(pbx: Pbx) -> None:
    async with Agent(pbx.agent_port, answer_after_ms=100) as agent, asyncio.timeout(30):
        results = await asyncio.gather(
            *(call(pbx, "1000", (Tone(CALLER_BEFORE, 1_000),), from_number=f"+3460000000{n}") for n in range(6))
        )
        for seen in agent.calls:
            await seen.over()
    assert len({str(seen.header("from")).split(";")[0] for seen in agent.calls}) == 6
    # On a busy machine a packet may come late, and leave a gap.
    assert [{tone.hz for tone in seen.tones()} for seen in agent.calls] == [{CALLER_BEFORE}] * 6
    assert [{tone.hz for tone in tones(result.heard.samples, RATE)} for result in results] == [{AGENT}] * 6


@pytest.mark.parametrize(
    ("extension", "number", "said"),
    [("404", "+34600000001", "404 Not Found"), ("1000", "${SHELL(id)}", "retransmission timeout")],
)
async def test_a_call_that_goes_wrong_says_what_sipp_said(pbx: Pbx, extension: str, number: str, said: str) -> None:
    with pytest.raises(TelephonyError, match=f"SIPp ended with 1 and said: .*{said}"):
        await call(pbx, extension, (Silence(1_000),), from_number=number)


async def test_without_sipp_it_says_how_to_get_it(pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sipp, "PROGRAM", "no-such-sipp")
    with pytest.raises(SetupError, match="apt-get install --no-install-recommends sip-tester"):
        await call(pbx, "1000", (Silence(1_000),))


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        ("1%0d%0aX", "number 1\r\nX name"),
        ("", "number  name"),
        ("anonymous", "number anonymous name"),
        ("9" * 300, f"number {'9' * 79} name"),
        ("%e2%98%8e", "number \N{BLACK TELEPHONE} name"),
    ],
)
async def test_hostile_numbers_reach_asterisk(reading: Pbx, number: str, seen: str) -> None:
    await call(reading, "9001", (Key("#"), Silence(100)), from_number=number)
    assert seen in await reading.cli("dialplan show globals")
