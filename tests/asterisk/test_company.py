"""What PBXs do with calls beside SIP's transfers: codes, parking, conferences. Tones say who was recorded."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callguard.core.incidents import Incident
from callguard.demo.agent import TALKS, AgentCall
from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.sipp import CallResult, EndedBy
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones
from callguard.demo.ulaw import RATE
from callguard.rights.audio import OTHERS
from callguard.store.reader import Reader
from callguard.store.records import LegDetail
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, WAIT_S, World, load_modules, says_yes, stop_keys
from tests.asterisk.test_talks import COLLEAGUE, STRANGER, heard, parts, picks_up, says
from tests.test_cli import callguard

CONFIGURATION = {
    "confbridge.conf": "[general]\n[default_user]\ntype = user\nquiet = yes\n[default_bridge]\ntype = bridge\n",
    "res_parking.conf": "[general]\n[default]\nparkext => 3270\nparkpos => 3271-3272\ncontext = parked\n",
}
# A recording that has come so far is one of some tenths of a second, in bytes.
RECORDED = 10_000
MODULES = ("app_confbridge.so", "app_directed_pickup.so", "res_parking.so", "format_gsm.so", "codec_gsm.so")
SITE = """
[from-outside](+)
; an agent with codes for transfers
exten => 3200,1,Set(CONNECTED_LINE_SEND_SUB=mine-too,s,1)
 same => n,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/agent,30,tb(codes^s^1))
; a colleague, and somebody whom nobody has told
exten => 3201,1,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
exten => 3202,1,Dial(PJSIP/agent,30)
; an agent behind a Local channel whose phone is rung with a b() of its own, or without
exten => _322[01],1,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(Local/${EXTEN}@behind/n,30,b(callguard-agent^s^1))
; a conference: who is asked, who is of the house, who is neither
exten => 3210,1,Gosub(callguard-inbound,s,1(service))
 same => n,ConfBridge(table)
exten => 3211,1,Gosub(callguard-inside,s,1)
 same => n,ConfBridge(table)
exten => 3212,1,Answer()
 same => n,ConfBridge(table)
; who takes a parked call: of the house, or not
exten => _321[34],1,ExecIf($[${EXTEN} = 3213]?Gosub(callguard-inside,s,1))
 same => n,ParkedCall(default,3271)
; who picks up what rings at the agent's: of the house, or not
exten => _321[56],1,ExecIf($[${EXTEN} = 3215]?Gosub(callguard-inside,s,1))
 same => n,PickupChan(PJSIP/agent,p)
include => parked
[behind]
exten => 3220,1,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
exten => 3221,1,Dial(PJSIP/agent,30)
[mine-too]
exten => s,1,Set(DB(test/met)=${BRIDGEPEER})
 same => n,Return()
[codes]
exten => s,1,Set(FEATUREMAP(blindxfer)=#1)
 same => n,Set(FEATUREMAP(atxfer)=*2)
 same => n,Gosub(callguard-agent,s,1)
 same => n,Return()
"""


@pytest.fixture
async def house(world: World) -> AsyncIterator[World]:
    site = world.pbx.path / "etc" / "site.conf"
    if "3200" not in (text := site.read_text(encoding="utf-8")):
        for name, content in CONFIGURATION.items():
            file = site.with_name(name)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o644)
        await load_modules(world.pbx, *MODULES)
        site.write_text(text + SITE, encoding="utf-8")
        await world.pbx.cli("dialplan reload")
    yield world
    world.agent.timeline = TALKS


def dials(code: str) -> tuple[Segment, ...]:
    return tuple(one for digit in code for one in (Key(digit), Silence(60)))


async def latest(house: World) -> LegDetail:
    return await house.settled((await house.latest()).leg.call_id)


async def members(house: World, technology: str, count: int) -> None:
    """Wait until so many are in a bridge of this technology."""
    async with asyncio.timeout(PATIENCE_S):
        while not re.search(rf" {count} +\w+ +{technology} ", await house.pbx.cli("bridge show all")):
            await asyncio.sleep(0.05)


async def parked(house: World, *numbers: str) -> tuple[list[asyncio.Task[CallResult]], list[AgentCall]]:
    """Recorded callers whom the agent has parked by code, each as soon as they were put through."""
    before = len(house.agent.calls)
    house.agent.timeline = (Tone(AGENT, 800), *dials("#1"), Silence(300), *dials("3270"), *says(AGENT))
    said = says_yes(house.times, 7_000)
    calling = [asyncio.create_task(house.call(*said, extension="3200", from_number=one)) for one in numbers]
    reached = [await house.agent_call(before + n) for n in range(len(numbers))]
    async with asyncio.timeout(PATIENCE_S):
        while (await house.pbx.cli("parking show default")).count("Space   ") < len(numbers):
            await asyncio.sleep(0.05)
    return calling, reached


async def test_who_picks_up_a_ringing_call_is_not_who_it_rang_at(house: World) -> None:
    house.agent.answer_after_ms = None
    try:
        for extension, hz, stays in (("3216", STRANGER, False), ("3215", COLLEAGUE, True)):
            before = len(house.agent.calls)
            calling = asyncio.create_task(house.call(*says_yes(house.times, 3_500)))
            await house.agent_call(before)
            await house.call(Tone(hz, 2_000), extension=extension, from_number="+34600000009")
            assert (await calling).ended_by is EndedBy.PBX
            leg = await latest(house)
            assert (leg.recording is not None) is stays, extension
            if stays:
                assert {int(CALLER_AFTER_YES), int(hz)} == heard(house, leg).keys()
    finally:
        house.agent.answer_after_ms = 300


async def test_an_agent_behind_a_local_channel_is_of_the_house_by_the_b_of_the_dial_that_rings_them(
    house: World,
) -> None:
    for extension, stays in (("3220", True), ("3221", False)):
        result = await house.call(*says_yes(house.times, 3_000), extension=extension)
        assert result.ended_by is EndedBy.CALLER
        leg = await latest(house)
        assert (leg.recording is not None) is stays, extension
        if stays:
            assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(house, leg).keys()
    assert [one.ended_why for one in await parts(house, leg)] == ["stranger"]
    async with asyncio.timeout(PATIENCE_S):  # said just after it is saved
        while "somebody was there from the start who may not be heard in it" not in house.gate.log():
            await asyncio.sleep(0.05)
    assert "never answered" not in house.gate.log().partition(leg.leg.leg_id)[2]


async def test_the_agent_transfers_by_code_to_somebody_whom_nobody_has_told(house: World) -> None:
    before = len(house.agent.calls)
    house.agent.timeline = (Tone(AGENT, 1_000), *dials("#1"), Silence(300), *dials("3202"), *says(AGENT))
    calling = asyncio.create_task(house.call(*says_yes(house.times, 5_000), extension="3200"))
    first = await house.agent_call(before)
    await first.up()
    await picks_up(house, before + 1, says(STRANGER))
    assert (await calling).ended_by is EndedBy.CALLER
    leg = await house.settled(house.told(first).call)
    assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(house, leg).keys()
    assert [one.ended_why for one in await parts(house, leg)] == ["stranger"]


async def test_three_are_joined_by_code_and_the_recording_goes_on_when_the_third_has_gone(house: World) -> None:
    """An attended transfer: the agent asks the third, joins all three, and the third leaves."""
    before = len(house.agent.calls)
    house.agent.timeline = (
        Tone(AGENT, 1_000), *dials("*2"), Silence(300), *dials("3202"), Tone(AGENT, 1_500), *dials("*3"), *says(AGENT),
    )  # fmt: skip
    calling = asyncio.create_task(house.call(*says_yes(house.times, 9_000), extension="3200"))
    first = await house.agent_call(before)
    await first.up()
    third = await picks_up(house, before + 1, says(STRANGER))
    await members(house, "softmix", 3)
    await house.recorded_for(third, 2.5)  # what is said meanwhile is heard by all three
    third.hang_up()
    assert (await calling).ended_by is EndedBy.CALLER
    leg = await house.settled(house.told(first).call)
    found = heard(house, leg)
    assert {int(CALLER_AFTER_YES), int(AGENT)} == found.keys()
    # A bridge of three takes Local channels out of it: for a moment the third has gone, and comes again.
    zero, *_, last = await parts(house, leg)
    assert (zero.ended_why, last.began_why, last.ended_why) == ("stranger", "stranger", None)
    assert zero.began_at is not None and last.began_at is not None
    since = (last.began_at - zero.began_at).total_seconds() * 10
    assert all(found[int(tone)][-1] == pytest.approx(since, abs=3) for tone in (CALLER_AFTER_YES, AGENT))


async def test_a_conference_is_recorded_while_everybody_in_it_may_be(house: World) -> None:
    before = house.files()
    ana = asyncio.create_task(house.call(*says_yes(house.times, 6_500), extension="3210"))
    agent = asyncio.create_task(house.call(Tone(AGENT, 9_000), extension="3211"))
    await members(house, "softmix", 3)  # the third is who announces, and is nobody
    async with asyncio.timeout(PATIENCE_S):
        while not any((house.folder / name).stat().st_size > RECORDED for name in house.files() - before):
            await asyncio.sleep(0.05)
    guest = await house.call(Tone(STRANGER, 1_500), extension="3212")
    assert {guest.ended_by, (await ana).ended_by, (await agent).ended_by} == {EndedBy.CALLER}
    leg = await latest(house)
    found = heard(house, leg)
    assert {int(CALLER_AFTER_YES), int(AGENT)} == found.keys()
    zero, one = await parts(house, leg)
    assert (zero.ended_why, one.began_why) == ("stranger", "stranger")
    assert all(len(found[int(tone)]) >= 2 for tone in (CALLER_AFTER_YES, AGENT))


@pytest.mark.parametrize("taker", ["3213", "3214"])
async def test_who_picks_up_a_parked_call_is_recorded_only_if_they_may_be(house: World, taker: str) -> None:
    (calling,), (first,) = await parked(house, "+34600000001")
    who = COLLEAGUE if taker == "3213" else STRANGER
    assert (await house.call(Tone(who, 1_500), extension=taker)).ended_by is EndedBy.CALLER
    await calling
    leg = await house.settled(house.told(first).call)
    mine = {int(COLLEAGUE)} if taker == "3213" else set()
    assert {int(CALLER_AFTER_YES), int(AGENT)} | mine == heard(house, leg).keys()
    assert (await parts(house, leg))[0].ended_why == ("transfer" if taker == "3213" else "stranger")


async def test_who_agreed_in_the_call_stops_the_recording_where_they_are_parked(house: World) -> None:
    """No feature works there: callguard hears the keys, as of those who agreed in the gate."""
    essential = house.times.essential
    says_no = (Tone(CALLER_BEFORE, essential + 800), Key("2"), Tone(CALLER_BEFORE, 900))
    agrees = (Key("*"), Silence(100), Key("8"), Tone(CALLER_BEFORE, essential + 1_000), Key("1"))
    stops = (Tone(CALLER_AFTER_YES, 5_000), *stop_keys(), Tone(CALLER_AFTER_STOP, 3_000))
    calls = len(house.agent.calls)
    house.agent.timeline = (Tone(AGENT, 5_800), *dials("#1"), Silence(300), *dials("3270"), *says(AGENT))
    calling = asyncio.create_task(house.call(*says_no, *agrees, *stops, extension="3200", from_number="+34600000301"))
    told = house.told(await house.agent_call(calls))
    async with asyncio.timeout(PATIENCE_S):
        while (await house.leg(told.call)).leg.withdrawn_at is None:
            assert not calling.done()
            await asyncio.sleep(0.1)
    await calling
    await house.settled(told.call)
    await house.forgotten("callguard_withdrawn")


async def test_two_calls_that_are_parked_when_callguard_comes_back_keep_their_recordings(house: World) -> None:
    calling, reached = await parked(house, "+34600000001", "+34600000002")
    await house.gate.kill()
    await house.gate.start()
    assert {result.ended_by for result in await asyncio.gather(*calling)} == {EndedBy.CALLER}
    for one in reached:
        leg = await house.settled(house.told(one).call)
        assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(house, leg).keys()
        assert await parts(house, leg) == ()
        # Nothing says that anybody came, and nobody saw that nobody did.
        assert [(one.kind, one.detail["kept"]) for one in leg.incidents] == [(Incident.RECORDING_UNWATCHED, True)]


async def test_the_key_stops_a_recording_in_a_conference_too(house: World) -> None:
    """Which knows no codes of features; callguard hears the key."""
    said = (*says_yes(house.times, 1_500), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_500))
    calls = [house.call(*said, extension="3210"), house.call(Tone(AGENT, 6_000), extension="3211")]
    assert {result.ended_by for result in await asyncio.gather(*calls)} == {EndedBy.CALLER}
    leg = await house.destroyed((await house.latest()).leg.call_id)
    assert not [name for name in house.files() if name.startswith(leg.leg.leg_id)]


async def test_who_met_in_a_conference_is_handed_nobody_elses_voice(house: World, tmp_path: Path) -> None:
    """Each is heard in the recording of the other, though these are calls of their own."""
    numbers = ("+34600000091", "+34600000092")
    calls = [house.call(*says_yes(house.times, 3_500), extension="3210", from_number=one) for one in numbers]
    calls.append(house.call(Tone(AGENT, house.times.essential + 5_000), extension="3211"))
    assert {result.ended_by for result in await asyncio.gather(*calls)} == {EndedBy.CALLER}
    async with Reader.reading(house.gate.store) as store:
        legs = [leg for leg in await store.calls(10) if leg.recording]
    assert len({leg.call_id for leg in legs}) == len(numbers)
    for leg in legs:
        assert (await house.settled(leg.call_id)).recording is not None
    settings = str(house.gate.folder / "callguard.toml")
    for number in numbers:
        words = ("subject", "export", number, "-o", str(tmp_path / f"{number}.zip"), "--with-audio", "--json")
        done = await asyncio.to_thread(callguard, *words, "--config", settings)
        assert done.returncode == 0
        assert json.loads(done.stdout)["recordings"] == 0
        assert OTHERS in done.stderr


def beside(house: World) -> Gate:
    """Another callguard on the same PBX, with the same store and folder."""
    shared = {
        "CALLGUARD_STORE__PATH": str(house.gate.store),
        "CALLGUARD_RECORDING__FOLDER__PATH_HERE": str(house.gate.recordings.path_here),
        "CALLGUARD_RECORDING__FOLDER__PATH_IN_ASTERISK": str(house.gate.recordings.in_asterisk),
    }
    texts = house.gate.config.prompts.texts
    return Gate(house.pbx, texts=texts, answer_wait_s=WAIT_S, app="callguard-b", environment=shared)


async def test_who_withdraws_at_one_callguard_is_not_heard_on_in_the_recording_of_another(house: World) -> None:
    """Each has asked one of two who are joined: the strictest consent wins across both."""
    before = len(house.agent.calls)
    house.agent.timeline = says(AGENT)
    ana = asyncio.create_task(house.call(*says_yes(house.times, 40_000)))  # ends with Ben's
    first = await house.agent_call(before)
    await first.up()
    async with beside(house):
        house.gate.signal(signal.SIGSTOP)  # so that the other one answers
        try:
            said = (*says_yes(house.times, 2_500), *stop_keys(), Tone(CALLER_AFTER_STOP, 2_000))
            ben = asyncio.create_task(house.call(*said, from_number="+34600000002"))
            second = await house.agent_call(before + 1)
            await second.up()
        finally:
            house.gate.signal(signal.SIGCONT)
        first.join(second)
        await asyncio.gather(ana, ben)
        hers = await house.settled(house.told(first).call)
        assert "stranger" in [one.ended_why for one in await parts(house, hers)]
        assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(house, hers).keys()
        his = house.told(second).call
        # Where a transfer so early had one channel take the place of another, it is not known whom he met, and there
        # is none of his.
        if (await house.settled(his)).recording is not None:
            await house.destroyed(his)
        assert not [name for name in house.files() if name.startswith(his)]


async def test_of_two_callguards_each_follows_only_the_calls_that_it_answered(house: World) -> None:
    """One that comes while a call of the other's is up: two recorders in one file would not both be stopped."""
    before = len(house.agent.calls)
    house.agent.timeline = says(AGENT)
    calling = asyncio.create_task(house.call(*says_yes(house.times, 5_000)))
    first = await house.agent_call(before)
    await first.up()
    async with beside(house) as other:
        house.agent.timeline = says(COLLEAGUE)
        first.transfer("3201")
        second = await picks_up(house, before + 1, says(COLLEAGUE))
        await house.recorded_for(second, 1)
        (channel,) = re.findall(r"PJSIP/outside-\w+", await house.pbx.cli("core show channels concise"))[:1]
        recorders = (await house.pbx.cli(f"mixmonitor list {channel}")).count(house.told(first).call)
        assert (await calling).ended_by is EndedBy.CALLER
        leg = await house.settled(house.told(first).call)
        assert recorders == 1
        assert {int(CALLER_AFTER_YES), int(AGENT), int(COLLEAGUE)} == heard(house, leg).keys()
        assert "recording goes on" not in other.log()
        assert "recording kept" not in other.log()


async def test_the_key_in_the_hold_music_counts_as_soon_as_the_agent_is_back_whether_callguard_runs_or_not(
    house: World,
) -> None:
    """The music hears no features; Asterisk looks as it tells the person whom they talk to again."""
    before = len(house.agent.calls)
    house.agent.timeline = (Tone(AGENT, 800), *dials("*2"), Silence(300), *dials("3201"), *says(AGENT))
    said = (*says_yes(house.times, 4_000), *stop_keys(), Tone(CALLER_AFTER_STOP, 5_500))
    calling = asyncio.create_task(house.call(*said, extension="3200", from_name="Ana"))
    first = await house.agent_call(before)
    call_id = house.told(first).call
    third = await picks_up(house, before + 1, says(COLLEAGUE))
    await house.gate.kill()
    await house.recorded_for(first, 5.5)
    third.hang_up()
    async with asyncio.timeout(PATIENCE_S):
        while not first.names or first.names[-1][1] != "[NO REC] Ana":
            await asyncio.sleep(0.05)
    assert call_id not in await house.pbx.cli("mixmonitor list " + await callers_channel(house))
    result = await calling
    assert result.ended_by is EndedBy.CALLER
    assert (await house.note("met")).startswith("PJSIP/agent-")  # the administrator's own goes on
    assert [tone.end_ms for tone in tones(result.heard.samples, RATE, (PROMPT_HZ,))][-1] > 6_000  # the confirmation
    await house.gate.start()
    leg = await house.destroyed(call_id)
    assert f"{leg.leg.leg_id}.wav" not in house.files()


async def test_a_recording_paused_on_hold_goes_on_after_an_attended_transfer_by_code(house: World) -> None:
    """Who put the person on hold leaves, and Asterisk tells no end of that hold."""
    await house.gate.stop()
    holds = {"CALLGUARD_RECORDING__PAUSE_ON_HOLD": "true"}
    async with Gate(house.pbx, texts=house.gate.config.prompts.texts, answer_wait_s=WAIT_S, environment=holds) as gate:
        there = World(house.pbx, gate, house.agent)
        before = len(there.agent.calls)
        there.agent.timeline = (Tone(AGENT, 1_000), *dials("*2"), Silence(300), *dials("3201"), *says(AGENT))
        calls = []
        for completed in (True, False):
            calling = asyncio.create_task(there.call(*says_yes(there.times, 6_500), extension="3200"))
            first = await there.agent_call(before)
            third = await picks_up(there, before + 1, says(COLLEAGUE))
            await there.recorded_for(third, 0.5)
            (first if completed else third).hang_up()
            there.agent.timeline = (Tone(AGENT, 1_000), *dials("*2"), Silence(300), *dials("3201"), *says(AGENT))
            assert (await calling).ended_by is EndedBy.CALLER
            calls.append(there.told(first).call)
            before = len(there.agent.calls)
        for call_id, heard_after in zip(calls, (COLLEAGUE, AGENT), strict=True):
            leg = await there.settled(call_id)
            zero, *_, last = await parts(there, leg)
            assert (zero.ended_why, last.ended_at) == ("hold", None)
            assert heard(there, leg)[int(heard_after)][-1] > 20
            assert not leg.incidents


async def callers_channel(house: World) -> str:
    (channel,) = set(re.findall(r"PJSIP/outside-\w+", await house.pbx.cli("core show channels concise")))
    return str(channel)
