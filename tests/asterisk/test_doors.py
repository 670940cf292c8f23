"""One transcript, two doors: by ARI and by FastAGI the same keys come to the same outcome, rows and variables."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.scenarios import Times
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.store.records import LegDetail
from tests.asterisk.conftest import PATIENCE_S, World, presses, says_yes, stop_keys
from tests.asterisk.test_outbound import dialled, opted_out, released_after_s, talks, the_person_called


def essence(leg: LegDetail) -> dict[str, Any]:
    """What both doors must agree on: all but ids, times and exactly how much was heard."""
    gate = json.loads(leg.evidence[0].body)
    return {
        "outcome": str(leg.leg.outcome),
        "granted": leg.leg.granted,
        "language": leg.leg.language,
        "answers": [(one["purpose"], one["state"], one["key"], one["reason"]) for one in gate["answers"]],
        "heard": [one["prompt"].partition("/")[2] for one in gate["heard"]],
        "recorded": leg.leg.recording,
    }


def came_to(
    outcome: str, state: str, key: str, reason: str, heard: str, *, language: str = "en", recorded: bool = False
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "granted": ("recording.quality",) if state == "given" else (),
        "language": language,
        "answers": [("recording.quality", state, key, reason)],
        "heard": heard.split(),
        "recorded": recorded,
    }


def asked_ms(times: Times) -> int:
    """When silence is through."""
    return times.essential + times.question + times.again + 2 * times.wait


TRANSCRIPTS: dict[str, tuple[Callable[[Times], Sequence[Segment]], dict[str, Any]]] = {
    "yes": (says_yes, came_to("given", "given", "1", "key", "essential question-1", recorded=True)),
    "yes in the silence after the question": (
        lambda times: (
            Tone(CALLER_BEFORE, times.essential + times.question + 800), Key("1"), Tone(CALLER_AFTER_YES, 1_500),
        ),
        came_to("given", "given", "1", "key", "essential question-1", recorded=True),
    ),
    "no": (lambda times: presses(times, "2"), came_to("refused", "refused", "2", "key", "essential question-1")),
    "no during the notice": (
        lambda times: (Tone(CALLER_BEFORE, 600), Key("2"), Tone(CALLER_BEFORE, 1_000)),
        came_to("refused", "refused", "2", "key", "essential"),
    ),
    "star nine": (
        lambda times: (Tone(CALLER_BEFORE, times.essential + 400), *stop_keys(), Tone(CALLER_BEFORE, 1_500)),
        came_to("refused", "refused", "*9", "key", "essential question-1"),
    ),
    "silence": (
        lambda times: (Tone(CALLER_BEFORE, asked_ms(times) + 1_500),),
        came_to("unknown", "unknown", "", "silence", "essential question-1 again-1"),
    ),
    "another language, then yes": (
        lambda times: (Tone(CALLER_BEFORE, 600), Key("#"), *says_yes(times)),
        came_to("given", "given", "1", "key", "essential essential question-1", language="es", recorded=True),
    ),
    "repeat, then no": (
        lambda times: (*presses(times, "0", talks_ms=times.essential + 400), Key("2"), Tone(CALLER_BEFORE, 1_000)),
        came_to("refused", "refused", "2", "key", "essential question-1 essential question-1"),
    ),
    "opts out, then yes": (
        lambda times: (
            Tone(CALLER_BEFORE, times.essential + 400), Key("9"), Tone(CALLER_BEFORE, 600 + 2_000 + 900), Key("1"),
            Tone(CALLER_AFTER_YES, 1_500),
        ),
        came_to("given", "given", "1", "key", "essential question-1 optout-done question-1", recorded=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_the_same_transcript_comes_to_the_same(door: World, name: str) -> None:
    timeline, expected = TRANSCRIPTS[name]
    calls, files = len(door.agent.calls), door.files()
    await door.call(*timeline(door.times), from_number="+34600000041")
    told = door.told(await door.agent_call(calls))
    leg = await (door.settled(told.call) if expected["recorded"] else door.leg(told.call))
    assert essence(leg) == expected
    assert (told.state, told.purposes) == (expected["outcome"], ",".join(expected["granted"]))
    if expected["recorded"]:
        assert door.tones(leg) == {CALLER_AFTER_YES, AGENT}
    else:
        assert door.files() == files


async def test_one_too_early_is_no_yes(door: World) -> None:
    calls = len(door.agent.calls)
    await door.call(Tone(CALLER_BEFORE, 800), Key("1"), Tone(CALLER_BEFORE, asked_ms(door.times) + 1_500))
    assert door.told(await door.agent_call(calls)).state == "unknown"


async def test_a_no_right_after_the_yes_is_a_no(door: World) -> None:
    calls, files = len(door.agent.calls), door.files()
    quick = (Key("1", ms=60), Silence(40), Key("2", ms=60))
    await door.call(Tone(CALLER_BEFORE, door.times.essential + 600), *quick, Tone(CALLER_AFTER_STOP, 2_000))
    told = door.told(await door.agent_call(calls))
    if told.state == "given":  # 100 ms are often enough to be put through: then it is too late for a 2
        await door.settled(told.call)
    else:
        assert told.state == "refused"
        assert door.files() == files


async def test_withdrawn_in_the_call(door: World) -> None:
    calls = len(door.agent.calls)
    await door.call(*says_yes(door.times), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_500))
    leg = await door.destroyed(door.told(await door.agent_call(calls)).call)
    assert not [name for name in door.files() if name.startswith(leg.leg.leg_id)]


async def test_hanging_up_in_the_notice(door: World) -> None:
    legs = await door.legs()
    await door.call(Tone(CALLER_BEFORE, 600))
    async with asyncio.timeout(PATIENCE_S):
        while await door.legs() == legs:
            await asyncio.sleep(0.05)
    come_to = essence(await door.latest())
    del come_to["heard"]  # after a hang-up AGI does not tell how much was heard
    expected = came_to("unknown", "unknown", "", "hangup", "")
    del expected["heard"]
    assert come_to == expected


async def test_a_second_time_on_the_leg_is_silent(door: World) -> None:
    calls = len(door.agent.calls)
    await door.call(*says_yes(door.times, talks_ms=1_500), extension="3000")
    told = door.told(await door.agent_call(calls))
    assert await door.note("first") == await door.note("second") == f"given/{told.call}"


@pytest.mark.parametrize(("prefix", "done"), [("41", ""), ("3008", "/yes")], ids=["gosub", "agi"])
async def test_dial_decisions(world: World, prefix: str, done: str) -> None:
    async with opted_out(world, "+34600000042"):
        assert await dialled(world, f"{prefix}600000042") == f"deny/optout.marketing{done}"
    assert await dialled(world, f"{prefix}600000042") == f"allow/dial.allowed{done}"
    assert await dialled(world, f"{prefix}112") == f"emergency/emergency{done}"


@pytest.mark.parametrize(("key", "outcome"), [("1", "given"), ("2", "refused"), ("9", "diverted")])
async def test_the_person_called(door: World, key: str, outcome: str) -> None:
    calls = len(door.agent.calls)
    with the_person_called(
        door, Tone(CALLER_BEFORE, door.times.essential + 400), Key(key), Tone(CALLER_AFTER_YES, 9_000)
    ):
        await door.call(talks(door.times.essential + 4_000), extension="7600000043")
        reached = await door.agent_call(calls)
        await reached.over()
    leg = await door.latest()
    assert (leg.leg.outcome, leg.leg.direction) == (outcome, "outbound")
    if key == "1":
        assert door.tones(await door.settled(leg.leg.call_id)) == {CALLER_AFTER_YES, AGENT}


async def test_an_agent_who_hangs_up_first_releases_the_person(door: World) -> None:
    assert await released_after_s(door, "7600000044") < 1.0


async def test_an_agi_of_the_administrators_own_is_gated_the_same(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times), extension="3005")
    told = world.told(await world.agent_call(calls))
    assert (told.state, await world.note("agi")) == ("given", "yes/given/SUCCESS")
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}


async def test_an_agi_for_a_profile_that_does_not_exist_goes_on_without_a_done(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(Tone(CALLER_BEFORE, 1_000), extension="3006")
    await world.agent_call(calls)
    assert await world.note("agi") == "//SUCCESS"


async def test_callguard_killed_in_an_agi_leaves_no_done_and_the_call_goes_on(world: World) -> None:
    calls, files = len(world.agent.calls), world.files()
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, 4_000), extension="3005"))
    await asyncio.sleep(0.8)
    await world.gate.kill()
    await world.agent_call(calls)
    await calling
    assert (await world.note("agi")).startswith("//")
    assert world.files() == files


async def test_two_purposes(door: World) -> None:
    calls, times = len(door.agent.calls), Times.of(door.gate.config, "choice")
    first = (Tone(CALLER_BEFORE, times.essential + 800), Key("1"))
    second = (Tone(CALLER_BEFORE, 800), Key("2"), Tone(CALLER_AFTER_YES, 1_500))
    await door.call(*first, *second, extension="1003", from_number="anonymous")
    told = door.told(await door.agent_call(calls))
    assert (told.state, told.purposes) == ("partial", "recording.quality")
    assert door.tones(await door.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
