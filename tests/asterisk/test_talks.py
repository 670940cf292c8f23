"""Who may be heard in a recording, all through the call: pauses, transfers, strangers. Tones say what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from callguard.core.evidence import Kind
from callguard.core.incidents import Incident
from callguard.demo.agent import TALKS, AgentCall
from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.sipp import CallResult
from callguard.demo.tones import (
    AGENT,
    CALLER_AFTER_NO,
    CALLER_AFTER_STOP,
    CALLER_AFTER_YES,
    CALLER_BEFORE,
    SECOND_AGENT,
    tones_in,
)
from callguard.service import AGENTS_EVERY_S
from callguard.store import Store
from callguard.store.reader import Reader
from callguard.store.records import LegDetail
from callguard.store.records import Segment as Part
from tests.asterisk.conftest import WAIT_S, World, says_yes
from tests.faults.proxy import Proxy

# A second agent, somebody whom nobody has told, and what is said while the agent has paused.
COLLEAGUE, STRANGER, SECRET = SECOND_AGENT, CALLER_AFTER_NO, CALLER_AFTER_STOP
HEARD = (CALLER_BEFORE, CALLER_AFTER_YES, CALLER_AFTER_STOP, AGENT, COLLEAGUE, STRANGER)
SITE = """
[from-outside](+)
; a colleague whom the dialplan calls as it calls every agent
exten => 3101,1,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
; somebody whom it calls without a word to callguard
exten => 3102,1,Dial(PJSIP/agent,30)
"""


@pytest.fixture
async def talks(world: World) -> AsyncIterator[World]:
    site = world.pbx.path / "etc" / "site.conf"
    if "3101" not in (text := site.read_text(encoding="utf-8")):
        site.write_text(text + SITE, encoding="utf-8")
        await world.pbx.cli("dialplan reload")
    yield world
    # The phone is every test's.
    world.agent.timeline = TALKS


def says(hz: float) -> tuple[Segment, ...]:
    return (Tone(hz, 1_000),) * 60


async def recorded_call(world: World, talks_ms: int, seconds: float) -> tuple[asyncio.Task[CallResult], AgentCall]:
    """A caller who has agreed and talks to the agent, once that has lasted so long."""
    before = len(world.agent.calls)
    world.agent.timeline = says(AGENT)
    calling = asyncio.create_task(world.call(*says_yes(world.times, talks_ms)))
    first = await world.agent_call(before)
    await first.up()
    await world.recorded_for(first, seconds)
    return calling, first


async def picks_up(world: World, after: int, timeline: Sequence[Segment]) -> AgentCall:
    world.agent.timeline = timeline
    reached = await world.agent_call(after)
    await reached.up()
    return reached


def heard(world: World, leg: LegDetail) -> dict[int, tuple[int, ...]]:
    """When each tone is heard in the recording, in tenths of a second."""
    assert leg.recording is not None
    found: dict[int, tuple[int, ...]] = {}
    for tone in tones_in(world.folder / leg.recording.files[0].name, HEARD):
        found[int(tone.hz)] = (*found.get(int(tone.hz), ()), round(tone.start_ms / 100))
    return found


async def parts(world: World, leg: LegDetail) -> tuple[Part, ...]:
    async with Reader.reading(world.gate.store) as store:
        return await store.segments(leg.leg.leg_id)


async def presses_for_the_agent(world: World, code: str) -> None:
    """As a call centre's own program does, in the agent's place."""
    channels = (line.partition("!")[0] for line in (await world.pbx.cli("core show channels concise")).splitlines())
    (agent,) = (name for name in channels if name.startswith("PJSIP/agent-"))
    for digit in code:
        await world.manager(Action="PlayDTMF", Channel=agent, Digit=digit, Receive="1", Duration="100")


@pytest.mark.parametrize("by", ["the agent's keys", "a program"])
async def test_the_agent_pauses_for_card_data_and_goes_on(talks: World, by: str) -> None:
    before = len(talks.agent.calls)
    card = (Tone(CALLER_AFTER_YES, 1_200), Tone(SECRET, 1_800), Tone(CALLER_AFTER_YES, 2_000))
    keys = (Tone(AGENT, 800), Key("*"), Silence(60), Key("5"), Tone(AGENT, 2_200), Key("*"), Silence(60), Key("6"))
    talks.agent.timeline = (*(keys if by != "a program" else ()), *says(AGENT))
    calling = asyncio.create_task(talks.call(*says_yes(talks.times, 400), *card))
    reached = await talks.agent_call(before)
    if by == "a program":
        await reached.up()
        for seconds, code in ((0.8, "*5"), (3.2, "*6")):
            await talks.recorded_for(reached, seconds)
            await presses_for_the_agent(talks, code)
    await calling
    leg = await talks.settled(talks.told(reached).call)
    assert leg.recording is not None
    assert int(SECRET) not in heard(talks, leg)
    assert {int(CALLER_AFTER_YES), int(AGENT)} <= heard(talks, leg).keys()
    first, second = await parts(talks, leg)
    assert (first.ended_why, second.began_why, first.cut_ms) == ("agent", "agent", 0)
    assert first.began_at is not None and first.ended_at is not None and second.began_at is not None
    # The file is as long as the conversation, and silent in between.
    silent_ms = (second.began_at - first.ended_at).total_seconds() * 1000
    assert silent_ms > 2_000
    assert leg.recording.duration_ms is not None and leg.recording.duration_ms > 4_500
    kinds = [entry.kind for entry in leg.evidence]
    assert kinds.count(Kind.RECORDING_PAUSED) == kinds.count(Kind.RECORDING_RESUMED) == 1
    assert [one["ended_why"] for one in talks.sidecar(leg)["segments"]] == ["agent", None]


@pytest.mark.parametrize("goes_on", ["meanwhile", "after it"])
async def test_a_pause_while_callguard_was_away_is_known_by_its_time_and_ends(talks: World, goes_on: str) -> None:
    talks.agent.timeline = says(AGENT)
    calling, reached = await recorded_call(talks, 9_000, 1.5)
    await talks.gate.kill()
    pressed = datetime.now(UTC)
    await presses_for_the_agent(talks, "*5")
    await talks.recorded_for(reached, 3)
    if goes_on == "meanwhile":
        await presses_for_the_agent(talks, "*6")
        await talks.recorded_for(reached, 4)
    await talks.gate.start()
    if goes_on != "meanwhile":
        await talks.recorded_for(reached, 5)
        await presses_for_the_agent(talks, "*6")
    await calling
    leg = await talks.settled(talks.told(reached).call)
    zero, one = await parts(talks, leg)
    assert (zero.ended_why, one.began_why, zero.cut_ms) == ("agent", "agent", 0)
    assert zero.ended_at is not None and one.began_at is not None
    assert 0 <= (zero.ended_at - pressed).total_seconds() < 1
    assert (one.began_at - pressed).total_seconds() > 2
    # What was recorded before, and what is after it.
    assert len(heard(talks, leg)[int(AGENT)]) >= 2
    assert [(one.kind, one.detail["kept"]) for one in leg.incidents] == [(Incident.RECORDING_UNWATCHED, True)]


async def test_a_colleague_is_heard_after_a_transfer_from_the_first_word_on(talks: World) -> None:
    calling, first = await recorded_call(talks, 5_000, 1.5)
    before = len(talks.agent.calls)
    # RTP of a phone's second call begins at a lower number than its first has come to: the hole that Asterisk leaves.
    talks.agent.timeline = says(COLLEAGUE)
    first.transfer("3101")
    await picks_up(talks, before, says(COLLEAGUE))
    await calling
    leg = await talks.settled(talks.told(first).call)
    assert {int(CALLER_AFTER_YES), int(AGENT), int(COLLEAGUE)} == heard(talks, leg).keys()
    zero, one = await parts(talks, leg)
    assert (zero.ended_why, one.began_why) == ("transfer", "transfer")
    assert one.began_at is not None and zero.began_at is not None
    begins = heard(talks, leg)[int(COLLEAGUE)][0] * 100
    assert abs(begins - (one.began_at - zero.began_at).total_seconds() * 1000) < 300


async def test_whom_nobody_has_told_is_not_recorded_and_a_recording_goes_on_without_them(talks: World) -> None:
    calling, first = await recorded_call(talks, 5_000, 1.0)
    before = len(talks.agent.calls)
    talks.agent.timeline = says(STRANGER)
    first.transfer("3102")
    await talks.agent_call(before)
    await calling
    leg = await talks.settled(talks.told(first).call)
    assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(talks, leg).keys()
    (zero,) = await parts(talks, leg)
    assert zero.ended_why == "stranger"


@pytest.mark.parametrize("answer", ["1", "2"])
async def test_two_callers_joined_are_recorded_only_if_both_agreed(talks: World, answer: str) -> None:
    """The strictest consent wins, also where an attended transfer puts them together without a pause."""
    before = len(talks.agent.calls)
    talks.agent.timeline = says(AGENT)
    ana = asyncio.create_task(talks.call(*says_yes(talks.times, 6_000), from_number="+34600000001"))
    first = await talks.agent_call(before)
    await first.up()
    ben = asyncio.create_task(
        talks.call(
            Tone(CALLER_BEFORE, talks.times.essential + 400), Key(answer), Tone(STRANGER, 4_000),
            from_number="+34600000002",
        )
    )  # fmt: skip
    second = await talks.agent_call(before + 1)
    await second.up()
    await talks.recorded_for(second, 1.0)
    first.join(second)
    await asyncio.gather(ana, ben)
    hers = await talks.settled(talks.told(first).call)
    agreed = answer == "1"
    assert (int(STRANGER) in heard(talks, hers)) == agreed
    assert int(CALLER_AFTER_YES) in heard(talks, hers)
    if agreed:
        his = await talks.settled(talks.told(second).call)
        assert int(CALLER_AFTER_YES) in heard(talks, his)
    else:
        (zero,) = await parts(talks, hers)
        assert zero.ended_why == "stranger"


@pytest.mark.parametrize("endpoint", ["PJSIP/agent", "PJSIP/other"])
async def test_a_recording_waits_for_an_agent_who_has_a_basis_of_their_own(talks: World, endpoint: str) -> None:
    await talks.gate.stop()
    asks = {"CALLGUARD_PROFILES__SERVICE__AGENTS": "agreement"}
    gate = Gate(talks.pbx, texts=talks.gate.config.prompts.texts, answer_wait_s=WAIT_S, environment=asks)
    with (gate.folder / "callguard.toml").open("a", encoding="utf-8") as file:
        file.write(f'[agents.desk]\nendpoints = ["{endpoint}"]\nagreement = "works agreement 7"\n')
    async with gate:
        there = World(talks.pbx, gate, talks.agent)
        there.agent.timeline = says(AGENT)
        before = len(there.agent.calls)
        calling = asyncio.create_task(there.call(*says_yes(there.times, 2_000)))
        reached = await there.agent_call(before)
        await calling
        leg = await there.settled(there.told(reached).call)
        if endpoint == "PJSIP/agent":
            assert {int(CALLER_AFTER_YES), int(AGENT)} == heard(there, leg).keys()
        else:
            # Not even for a moment: nothing was begun.
            assert leg.recording is None
            assert await parts(there, leg) == ()
            assert leg.evidence[-1].kind == Kind.RECORDING_ABSENT


async def test_an_agent_who_takes_the_grant_back_in_the_call_is_recorded_no_more_from_then_on(talks: World) -> None:
    await talks.gate.stop()
    asks = {"CALLGUARD_PROFILES__SERVICE__AGENTS": "agreement"}
    gate = Gate(talks.pbx, texts=talks.gate.config.prompts.texts, answer_wait_s=WAIT_S, environment=asks)
    with (gate.folder / "callguard.toml").open("a", encoding="utf-8") as file:
        file.write('[agents.desk]\nendpoints = ["PJSIP/agent"]\nagreement = "works agreement 7"\ngrant = true\n')
    async with gate, Store.open(gate.store, gate=None, controllers={"acme": "Acme"}) as store:
        there = World(talks.pbx, gate, talks.agent)
        there.agent.timeline = says(AGENT)
        await store.agent_grants_it("desk", "works agreement 7", datetime.now(UTC))
        before = len(there.agent.calls)
        calling = asyncio.create_task(there.call(*says_yes(there.times, 6_500)))
        reached = await there.agent_call(before)
        await reached.up()
        await there.recorded_for(reached, 1)
        await store.agent_revokes_it("desk", at := datetime.now(UTC))
        while not (found := await store.segments(there.told(reached).call)):
            await asyncio.sleep(0.05)
        await store.agent_grants_it("desk", "works agreement 7", datetime.now(UTC))
        await calling
        leg = await there.settled(there.told(reached).call)
        zero, _ = await parts(there, leg)
    assert found[0].ended_at is not None and (found[0].ended_at - at).total_seconds() < AGENTS_EVERY_S + 0.5
    assert found[0].cut_ms >= (found[0].ended_at - at).total_seconds() * 1000
    assert zero.ended_why == "stranger"
    assert len(heard(there, leg)[int(AGENT)]) >= 2  # and goes on with the grant


async def test_nobody_is_recorded_on_hold_where_the_configuration_says_so(talks: World) -> None:
    await talks.gate.stop()
    texts = talks.gate.config.prompts.texts
    holds = {"CALLGUARD_RECORDING__PAUSE_ON_HOLD": "true"}
    async with Gate(talks.pbx, texts=texts, answer_wait_s=WAIT_S, environment=holds) as gate:
        there = World(talks.pbx, gate, talks.agent)
        there.agent.timeline = says(AGENT)
        before = len(there.agent.calls)
        said = (*says_yes(there.times, 1_400), Tone(SECRET, 1_600), Tone(CALLER_AFTER_YES, 2_000))
        calling = asyncio.create_task(there.call(*said))
        reached = await there.agent_call(before)
        await reached.up()
        await there.recorded_for(reached, 0.8)
        reached.hold(True)
        await there.recorded_for(reached, 3.2)
        reached.hold(False)
        await calling
        leg = await there.settled(there.told(reached).call)
        assert [(one.ended_why, one.began_why) for one in await parts(there, leg)] == [("hold", None), (None, "hold")]
        assert int(SECRET) not in heard(there, leg)
        assert {int(CALLER_AFTER_YES), int(AGENT)} <= heard(there, leg).keys()


@pytest.mark.parametrize("to", ["3102", "3101"])
async def test_what_was_recorded_while_callguard_was_away_goes_where_it_finds_a_stranger_or_a_transfer(
    talks: World, to: str
) -> None:
    """Since when they were there, or who was before, is not known; that is an incident."""
    who = STRANGER if to == "3102" else COLLEAGUE
    calling, first = await recorded_call(talks, 6_000, 0.6)
    before = len(talks.agent.calls)
    await talks.gate.kill()
    talks.agent.timeline = says(who)
    first.transfer(to)
    second = await talks.agent_call(before)
    await second.up()
    await talks.gate.start()
    await calling
    leg = await talks.settled(talks.told(first).call)
    (incident,) = leg.incidents
    assert (incident.kind, incident.detail["kept"]) == (Incident.RECORDING_UNWATCHED, False)
    assert (leg.recording is None) is (who == STRANGER)
    if who == STRANGER:
        assert f"{leg.leg.leg_id}.wav" not in talks.files()
    else:
        assert heard(talks, leg).keys() == {int(CALLER_AFTER_YES), int(COLLEAGUE)}


async def test_a_stranger_whom_a_half_open_connection_did_not_tell_of_is_an_incident(talks: World) -> None:
    """The manager's connection is well and tells of the end, ten seconds before anybody knows that ARI's is not."""
    await talks.gate.stop()
    texts = talks.gate.config.prompts.texts
    async with Proxy(talks.pbx.ports.http) as ari:
        to = {"CALLGUARD_ASTERISK__ARI_URL": f"http://127.0.0.1:{ari.port}"}
        async with Gate(talks.pbx, texts=texts, answer_wait_s=WAIT_S, environment=to) as gate:
            there = World(talks.pbx, gate, talks.agent)
            calling, first = await recorded_call(there, 3_500, 0.6)
            before = len(there.agent.calls)
            ari.swallow()
            there.agent.timeline = says(STRANGER)
            first.transfer("3102")
            await (await there.agent_call(before)).up()
            await calling
            leg = await there.settled(there.told(first).call)
            assert [(one.kind, one.detail["kept"]) for one in leg.incidents] == [(Incident.RECORDING_UNWATCHED, True)]


async def test_a_hold_that_the_manager_could_not_tell_of_is_an_incident(talks: World) -> None:
    await talks.gate.stop()
    texts = talks.gate.config.prompts.texts
    async with Proxy(talks.pbx.ami_port) as ami:
        to = {"CALLGUARD_ASTERISK__AMI_PORT": str(ami.port), "CALLGUARD_RECORDING__PAUSE_ON_HOLD": "true"}
        async with Gate(talks.pbx, texts=texts, answer_wait_s=WAIT_S, environment=to) as gate:
            there = World(talks.pbx, gate, talks.agent)
            calling, first = await recorded_call(there, 3_500, 0.6)
            ami.cut()
            first.hold(True)
            await calling
            leg = await there.settled(there.told(first).call)
            assert [(one.kind, one.detail["recorded"]) for one in leg.incidents] == [
                (Incident.RECORDING_HOLDS_MISSED, True)
            ]
