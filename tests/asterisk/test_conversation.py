"""The keys in the call on a real Asterisk: stopping in full, hearing the notice again, thinking better of it.

The calls of one world run side by side, each told from the others by its number; tones show what was recorded.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from callguard.core.evidence import Kind
from callguard.core.model import GrantState, Outcome
from callguard.demo.agent import TALKS, AgentCall
from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.scenarios import Times
from callguard.demo.sip import uri
from callguard.demo.sipp import CallResult
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones, tones_in
from callguard.demo.ulaw import RATE
from callguard.speech.catalogue import Catalogue
from callguard.store.records import LegDetail
from tests.asterisk.conftest import (
    DETAILS_MS,
    LENGTHS_MS,
    PATIENCE_S,
    PROMPT_HZ,
    SPANISH_HZ,
    TONES,
    WAIT_S,
    World,
    presses,
    stop_keys,
)

AGAIN = (Key("*"), Silence(100), Key("8"))
ASKED = (Key("*"), Silence(100), Key("4"))
# What sounds of the essential part.
ESSENTIAL_MS = LENGTHS_MS["essential"]
# No key is heard while a withdrawal is confirmed, and a busy machine plays slowly.
CONFIRMED = Tone(CALLER_AFTER_STOP, DETAILS_MS + 1_400)
# From the end of the key to the last recorded sample.
STOPPED_WITHIN_MS = 150


def agrees(times: Times, talks_ms: int = 2_000) -> tuple[Segment, ...]:
    """Says yes in the gate, late enough for several calls on a busy machine."""
    return (Tone(CALLER_BEFORE, times.essential + 800), Key("1"), Tone(CALLER_AFTER_YES, talks_ms))


async def calls(
    world: World, *timelines: Sequence[Segment], extension: str = "1000"
) -> list[tuple[CallResult, AgentCall]]:
    """Calls side by side, from one number each: how each went, and how the agent saw it."""
    before = len(world.agent.calls)
    results = await asyncio.gather(
        *(
            world.call(*timeline, extension=extension, from_number=f"+3460000010{n}", from_name=f"Ana {n}")
            for n, timeline in enumerate(timelines)
        )
    )
    by_user = {uri(one.invite.need("from")).partition("@")[0]: one for one in world.agent.calls[before:]}
    return [(result, by_user[f"sip:+3460000010{n}"]) for n, result in enumerate(results)]


def kinds(leg: LegDetail) -> list[Kind]:
    return [entry.kind for entry in leg.evidence]


def proof(leg: LegDetail, kind: Kind) -> dict[str, Any]:
    (found,) = (entry for entry in leg.evidence if entry.kind is kind)
    read: dict[str, Any] = json.loads(found.body)
    return read


def heard_by_agent(call: AgentCall) -> set[int]:
    return {
        int(found.hz)
        for found in tones(call.heard.samples, RATE, (CALLER_BEFORE, CALLER_AFTER_YES, CALLER_AFTER_STOP, PROMPT_HZ,
                                                      SPANISH_HZ))
    }  # fmt: skip


def prompts_in_call(result: CallResult, after_ms: int, hz: int = PROMPT_HZ) -> int:
    """How many ms of a prompt's tone the caller heard later than that after the answer."""
    assert result.answered is not None
    begin = max(0, round((result.answered - result.heard.started) * 1000)) + after_ms
    return round(sum(
        found.end_ms - max(found.start_ms, begin)
        for found in tones(result.heard.samples, RATE, (hz, AGENT)) if found.hz == hz and found.end_ms > begin
    ))  # fmt: skip


async def test_a_withdrawal_is_confirmed_to_the_caller_alone_and_shown_to_the_agent(door: World) -> None:
    world, times = door, door.times
    gate_ms = times.essential + 1_000
    # Each stays until the confirmation has ended, also on a busy machine.
    by_key = (*agrees(times), *stop_keys(), Tone(CALLER_AFTER_STOP, 3_500))
    by_agent = (*agrees(times, 9_000),)
    spanish = (Key("#"), *agrees(times), *stop_keys(), Tone(CALLER_AFTER_STOP, 3_500))
    # Where the caller stops it, the call is over before the agent would.
    world.agent.timeline = (Tone(AGENT, 6_300), *ASKED, Tone(AGENT, 5_000))
    try:
        (one, seen), (two, asked), (three, _) = await calls(world, by_key, by_agent, spanish)
    finally:
        world.agent.timeline = TALKS
    for result, call, source in ((one, seen, "key"), (two, asked, "agent")):
        leg = await world.destroyed(world.told(call).call)
        assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
        assert leg.grants[-1].reason == source
        assert proof(leg, Kind.WITHDRAWN)["source"] == source
        # Heard by the caller, not by the agent; the agent's phone shows it within the call.
        assert DETAILS_MS - 100 <= prompts_in_call(result, gate_ms + 500) <= DETAILS_MS + 100
        assert heard_by_agent(call) <= {CALLER_AFTER_YES, CALLER_AFTER_STOP}
        assert [name for _, name in call.names][-1:] == [f"[NO REC] Ana {0 if source == 'key' else 1}"]
        assert call.ended is not None
        assert call.names[-1][0] < call.ended - 1.0
    assert prompts_in_call(three, gate_ms + 1_000, SPANISH_HZ) >= DETAILS_MS - 100
    await world.forgotten("callguard_withdrawn")


def hears_again(world: World, *then: Segment, after_ms: int = 1_500) -> tuple[Segment, ...]:
    """`*8`, and what the caller does so long after the essential part has been played: early in the question, also on a
    busy machine.
    """
    return (*AGAIN, Tone(CALLER_BEFORE, world.times.essential + after_ms), *then)


async def test_a_yes_to_the_notice_heard_again_records_from_then_on(door: World) -> None:
    world, times = door, door.times
    refused = presses(times, "2", 800)
    yes = (Key("1"), Tone(CALLER_AFTER_YES, 3_000))
    seen = await calls(
        world,
        (*refused, *hears_again(world, *yes)),
        (*refused, *AGAIN, Tone(CALLER_BEFORE, 600), Key("1"), Tone(CALLER_AFTER_YES, 4_000)),  # too early
        (*refused, *hears_again(world, Key("1", ms=800), Tone(CALLER_AFTER_YES, 3_000), after_ms=-400)),  # from before
        (*agrees(times, 1_500), *stop_keys(), CONFIRMED, *hears_again(world, *yes)),
    )
    for n in (0, 3):
        result, call = seen[n]
        leg = await world.settled(world.told(call).call)
        assert world.tones(leg) == {CALLER_AFTER_YES, AGENT, PROMPT_HZ}  # that it is on, as the caller was told
        assert leg.leg.outcome is Outcome.GIVEN
        assert leg.recording is not None
        assert leg.recording.duration_ms is not None
        assert leg.recording.duration_ms <= 3_000 + 200  # and nothing of what was withdrawn
        given = proof(leg, Kind.CONSENT_GIVEN)
        essential = Catalogue.load(world.gate.config).prompt("service", "en", "essential")
        (heard,) = given["heard"]
        assert (heard["sha256"], heard["version"]) == (essential.sha256, essential.version)
        assert heard["heard_ms"] == heard["length_ms"] == essential.length_ms
        assert (leg.grants[-1].state, leg.grants[-1].notice_version) == (GrantState.GIVEN, essential.version)
        assert [name for _, name in call.names][-1] == f"[REC] Ana {n}"
        assert prompts_in_call(result, times.essential + 1_000) >= ESSENTIAL_MS + DETAILS_MS - 200
        assert PROMPT_HZ not in heard_by_agent(call)
    for n in (1, 2):
        leg = await world.leg(world.told(seen[n][1]).call)
        assert (leg.leg.outcome, leg.leg.recording, leg.recording) == (Outcome.REFUSED, False, None)
        assert kinds(leg) == [Kind.GATE, Kind.INFORMED]
        assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]
    withdrew = await world.leg(world.told(seen[3][1]).call)
    assert [grant.state for grant in withdrew.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN, GrantState.GIVEN]
    assert Kind.RECORDING_DESTROYED in kinds(withdrew)


@pytest.mark.parametrize("locked", [False, True])
async def test_a_no_on_the_heels_of_a_yes_in_the_call_is_the_last_word(world: World, locked: bool) -> None:
    """Also where the store is so slow to keep the yes that the no comes before it is kept; and who has no number."""
    gap, ms = (300, 100) if locked else (20, 60)
    no = (Silence(gap), Key("*", ms=ms), Silence(gap), Key("9", ms=ms), Tone(CALLER_AFTER_STOP, 6_000))
    before = len(world.agent.calls)
    said = (*presses(world.times, "2", 800), *hears_again(world, Key("1"), *no))
    number = "+34600000001" if locked else ""
    calling = asyncio.create_task(world.call(*said, from_name="Ana", from_number=number))
    try:
        reached = await world.agent_call(before)
        call = world.told(reached).call
        if locked:
            await reached.up()
            await world.recorded_for(reached, (800 + 300 + world.times.essential + 1_500) / 1_000 - 0.8)
            other = sqlite3.connect(world.gate.store, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(2.0)
            other.execute("ROLLBACK")
            other.close()
    finally:
        result = await calling
    leg = await world.destroyed(call) if (await world.leg(call)).leg.recording else await world.leg(call)
    assert [name for _, name in reached.names][-1] == "[NO REC] Ana"
    assert leg.leg.withdrawn_at is not None
    # When it was said, and not when the call ended.
    assert leg.leg.withdrawn_at.timestamp() < result.ended - 3
    assert Kind.RECORDING_KEPT not in kinds(leg) or kinds(leg)[-1] is Kind.RECORDING_DESTROYED
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]


async def test_a_no_to_the_notice_heard_again_stops_and_a_hang_up_in_it_gives_nothing(world: World) -> None:
    times = world.times
    seen = await calls(
        world,
        (*agrees(times, 1_500), *hears_again(world, Key("2"), Tone(CALLER_AFTER_STOP, 1_500))),
        (*agrees(times, 1_500), *AGAIN, Tone(CALLER_AFTER_YES, 800), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_500)),
        (*presses(times, "2", 800), *AGAIN, Tone(CALLER_BEFORE, 800)),
        (*presses(times, "2", 800), *hears_again(world, Silence(300))),
    )
    for _, call in seen[:2]:
        leg = await world.destroyed(world.told(call).call)
        assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
        assert [name for _, name in call.names][-1].startswith("[NO REC] ")
    for _, call in seen[2:]:
        leg = await world.leg(world.told(call).call)
        assert kinds(leg) == [Kind.GATE, Kind.INFORMED]
        assert not leg.leg.recording


async def test_where_a_contract_requires_the_recording_the_key_explains_and_it_goes_on(world: World) -> None:
    times = world.times
    informed = (Tone(CALLER_BEFORE, times.essential + times.question + 1_900), Tone(CALLER_AFTER_YES, 1_500))
    world.agent.timeline = (Tone(AGENT, 5_500), *ASKED, Tone(AGENT, 5_000))
    try:
        (one, seen), (_, asked) = await calls(
            world,
            (*informed, *stop_keys(), Tone(CALLER_AFTER_STOP, 2_400)),
            (*informed, Tone(CALLER_AFTER_STOP, 6_000)),
            extension="1001",
        )
    finally:
        world.agent.timeline = TALKS
    gate_ms = times.essential + times.question + 2_000
    assert DETAILS_MS - 100 <= prompts_in_call(one, gate_ms + 500) <= DETAILS_MS + 100
    for call, source in ((seen, "key"), (asked, "agent")):
        leg = await world.settled(world.told(call).call)
        assert {CALLER_AFTER_YES, CALLER_AFTER_STOP, AGENT} <= world.tones(leg)
        assert leg.leg.withdrawn_at is None
        assert (proof(leg, Kind.OBJECTED)["source"], proof(leg, Kind.OBJECTED)["objected"]) == (
            source, ["recording.contract"],
        )  # fmt: skip
        assert [grant.state for grant in leg.grants] == [GrantState.GIVEN]
        assert PROMPT_HZ not in heard_by_agent(call)
        assert not [name for _, name in call.names if name.startswith("[NO REC]")]
    await world.forgotten("callguard_objected")


async def test_with_callguard_dead_the_keys_stop_explain_and_replay_and_start_nothing(world: World) -> None:
    times, before = world.times, len(world.agent.calls)
    stops = (*agrees(times, 3_000), *stop_keys(), Tone(CALLER_AFTER_STOP, 2_500))
    again = (*presses(times, "2", 2_500), *hears_again(world, Key("1"), Tone(CALLER_AFTER_YES, 4_500)))
    informed = (Tone(CALLER_BEFORE, times.essential + times.question + 1_900), Tone(CALLER_AFTER_YES, 2_500))
    calling = asyncio.gather(
        calls(world, stops, again),
        world.call(*informed, *stop_keys(), Tone(CALLER_AFTER_STOP, 2_000), extension="1001"),
    )
    async with asyncio.timeout(PATIENCE_S):
        await world.agent.called(before + 3)
    world.gate.signal(signal.SIGKILL)
    ((one, stopped), (two, heard)), _ = await calling
    assert prompts_in_call(one, times.essential + 1_000) >= DETAILS_MS - 100
    assert [name for _, name in stopped.names][-1] == "[NO REC] Ana 0"
    # The whole short layer up to the key, and that it is not possible now.
    assert prompts_in_call(two, times.essential + 1_000) >= ESSENTIAL_MS + 300 + DETAILS_MS - 400
    await world.gate.kill()
    await world.gate.start()
    assert (await world.destroyed(world.told(stopped).call)).leg.withdrawn_at is not None
    leg = await world.leg(world.told(heard).call)
    assert (kinds(leg), leg.leg.recording) == ([Kind.GATE, Kind.INFORMED], False)
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]
    (contract,) = [one for one in world.agent.calls[before:] if world.told(one).state == "informed"]
    leg = await world.settled(world.told(contract).call)
    assert CALLER_AFTER_STOP in world.tones(leg)
    assert proof(leg, Kind.OBJECTED)["source"] == "key"
    for family in ("callguard_withdrawn", "callguard_objected"):
        await world.forgotten(family)


async def test_after_the_key_next_to_nothing_is_in_the_file_and_it_gives_way_to_a_later_yes(world: World) -> None:
    await world.gate.stop()
    # What is withdrawn stays for an hour here, so that it can be listened to.
    texts = world.gate.config.prompts.texts
    async with Gate(world.pbx, texts=texts, answer_wait_s=WAIT_S, destroy_after_s=3_600) as gate:
        there = World(world.pbx, gate, world.agent)
        stops = (*agrees(there.times), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_500))
        yes = (Key("1"), Tone(CALLER_BEFORE, 2_000))
        seen = await calls(there, stops, stops, stops, (*stops, *hears_again(there, *yes)))
        for _, call in seen[:3]:
            leg = await there.settled(there.told(call).call)
            assert leg.recording is not None
            found = tones_in(there.folder / leg.recording.files[0].name, [*TONES, PROMPT_HZ])
            assert {CALLER_AFTER_YES, AGENT} <= {tone.hz for tone in found} <= {*TONES}
            after = [tone.end_ms - tone.start_ms for tone in found if tone.hz == CALLER_AFTER_STOP]
            assert sum(after) <= STOPPED_WITHIN_MS
        leg = await there.settled(there.told(seen[3][1]).call)
        assert there.tones(leg) == {CALLER_BEFORE, AGENT, PROMPT_HZ}
        assert kinds(leg)[-5:] == [
            Kind.RECORDING_KEPT, Kind.RECORDING_DESTROYED, Kind.INFORMED, Kind.CONSENT_GIVEN, Kind.RECORDING_KEPT,
        ]  # fmt: skip
        assert len([name for name in there.files() if name.startswith(leg.leg.leg_id)]) == 2  # with its sidecar


async def test_a_person_called_may_hear_it_again_and_who_called_may_stop_for_them(world: World) -> None:
    times = world.times
    world.agent.timeline = (
        Tone(CALLER_BEFORE, times.essential + 800), Key("2"), Tone(CALLER_BEFORE, 1_000),
        *hears_again(world, Key("1"), Tone(CALLER_AFTER_YES, 9_000)),
    )  # fmt: skip
    try:
        await world.call(
            Tone(AGENT, 1_000 + times.essential + 4_000), *ASKED, Tone(CALLER_AFTER_STOP, 2_000),
            extension="7600000001", from_name="Eve",
        )  # fmt: skip
    finally:
        world.agent.timeline = TALKS
    leg = await world.destroyed((await world.latest()).leg.call_id)
    assert [grant.state for grant in leg.grants] == [GrantState.REFUSED, GrantState.GIVEN, GrantState.WITHDRAWN]
    assert leg.leg.direction == "outbound"
    assert proof(leg, Kind.WITHDRAWN)["source"] == "agent"


async def test_no_keys_are_kept_but_those_of_a_withdrawal_and_none_are_in_asterisks_log(world: World) -> None:
    card = "4111222233334444"
    await world.pbx.cli("core set verbose 5")
    await world.pbx.cli("logger add channel keys verbose(5),notice,warning,error")
    before = len(world.agent.calls)
    world.agent.timeline = (
        Tone(AGENT, 800), Key("*"), Silence(100), Key("5"), Tone(AGENT, 4_500), Key("*"), Silence(100), Key("6"),
        Tone(AGENT, 4_000),
    )  # fmt: skip
    typed = tuple(one for digit in card for one in (Key(digit, ms=60), Silence(60)))
    calling = asyncio.create_task(world.call(*agrees(world.times, 2_500), *typed, Tone(CALLER_AFTER_YES, 5_000)))
    try:
        reached = await world.agent_call(before)
        await reached.up()
        mine = re.findall(r"PJSIP/outside-\w+", await world.pbx.cli("core show channels concise"))[0]
        await world.recorded_for(reached, 8.0)
        kept = re.findall(r"CG_PRESSED=(.*)", await world.pbx.cli(f"core show channel {mine}"))
    finally:
        await calling
        world.agent.timeline = TALKS
        await world.pbx.cli("logger remove channel keys")
        await world.pbx.cli("core set verbose 0")
    leg = await world.settled(world.told(reached).call)
    assert leg.recording is not None
    assert kept == [""]
    said = (world.pbx.path / "log" / "keys").read_text(encoding="utf-8", errors="replace")
    assert "callguard-pressed" in said
    assert not any(card[n : n + 4] in said for n in (0, 4, 8, 12))
    await world.call(Silence(300), extension="3025")
    assert await world.note("keys") == ".*.stop*9..stop"


async def test_who_stops_it_where_no_feature_hears_the_key_is_told_once_somebody_is_there(world: World) -> None:
    """While the phone still rings, whatever the recording rests on, and with digits too far apart for a feature."""
    ringing = (*agrees(world.times, 300), *stop_keys(), Tone(CALLER_AFTER_STOP, 4_000))
    slow = (*agrees(world.times, 2_500), Key("*"), Silence(1_500), Key("9"), Tone(CALLER_AFTER_STOP, 2_500))
    informed = (Tone(CALLER_BEFORE, world.times.essential + world.times.question + 2_200), *stop_keys())
    world.agent.answer_after_ms = 1_800
    try:
        seen = await calls(world, ringing, slow)
        seen += await calls(world, (*informed, Tone(CALLER_AFTER_STOP, 4_000)), extension="1001")
    finally:
        world.agent.answer_after_ms = 300
    for result, call in seen:
        told = world.told(call)
        assert told.name.startswith("[REC]")
        assert [name for _, name in call.names][-1:] == [told.name.replace("[REC]", "[NO REC]")]
        assert DETAILS_MS - 100 <= prompts_in_call(result, world.times.essential + 1_500) <= DETAILS_MS + 100
        leg = await world.settled(told.call)
        assert (kinds(leg).count(Kind.WITHDRAWN), Kind.OBJECTED in kinds(leg)) == (1, False)
        assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]
    await world.forgotten("callguard_withdrawn")


async def test_who_objects_while_a_transfer_rings_is_told_why_it_goes_on(world: World) -> None:
    essential = world.times.essential + world.times.question
    says = (Tone(CALLER_BEFORE, essential + 2_600), Tone(CALLER_AFTER_YES, 2_000), *stop_keys())
    before = len(world.agent.calls)
    calling = asyncio.create_task(
        world.call(*says, Tone(CALLER_AFTER_STOP, 5_000), extension="1001", from_number="+34600000100")
    )
    first = await world.agent_call(before)
    await first.up()
    await world.recorded_for(first, 1.0)
    world.agent.answer_after_ms = 2_500
    try:
        first.transfer("1001")
        second = await world.agent_call(before + 1)
        result = await calling
    finally:
        world.agent.answer_after_ms = 300
    leg = await world.settled(world.told(first).call)
    assert leg.leg.withdrawn_at is None
    assert kinds(leg).count(Kind.OBJECTED) == 1
    assert CALLER_AFTER_STOP in world.tones(leg)
    assert prompts_in_call(result, world.times.essential + 5_000) >= DETAILS_MS - 100
    assert not [name for _, name in second.names if name.startswith("[NO REC]")]
