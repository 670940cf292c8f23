"""Callers who put into their caller ID what must not get anywhere."""

from __future__ import annotations

import pytest

from callguard.demo.rtp import Key, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from tests.asterisk.conftest import World, says_yes, stop_keys

HOSTILE = {
    "CR LF in the number": ("Ana", "1%0d%0aX"),
    "quotes in the number": ("Ana", "1%22%20%7c%20%221"),
    "an expression in the number": ("Ana", "$%7bSHELL(id)%7d"),
    "quotes in the name": ('1\\" | \\"1', "+34600000021"),
    "an expression in the name": ("${SHELL(id)} $[1+1]", "+34600000021"),
    "commas and brackets in the name": ("a,b)(c;d=e", "+34600000021"),
    "300 characters": ("N" * 300, "9" * 300),
    "unicode": ("Zoë Ελένη 渡辺", "+34600000021"),
    "our own marks for a name": ("[REC] [NO REC] Bob", "+34600000077"),
    "none": ("", ""),
    "anonymous": ("Anonymous", "anonymous"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_caller_is_asked_and_served_like_any_other(world: World, name: str) -> None:
    shown, number = HOSTILE[name]
    calls, files = len(world.agent.calls), world.files()
    await world.call(
        Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500), from_name=shown, from_number=number
    )
    reached = await world.agent_call(calls)
    told = world.told(reached)
    assert told.state == "refused"
    assert told.name.startswith("[NO REC]")
    assert not {"[", "]"} & set(told.name.removeprefix("[NO REC]"))
    assert world.files() == files
    assert reached.invite.get("Action") is None
    assert reached.invite.get("X") is None
    for text in ("SHELL", "Originate", "uid="):
        assert text not in world.gate.log()
    assert "uid=" not in world.pbx.log()


@pytest.mark.parametrize("name", ["CR LF in the number", "quotes in the name", "unicode", "none"])
async def test_the_yes_of_a_hostile_caller_is_a_yes(world: World, name: str) -> None:
    shown, number = HOSTILE[name]
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times), from_name=shown, from_number=number)
    leg = await world.settled(world.told(await world.agent_call(calls)).call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}


async def test_withheld_numbers_are_each_somebody_else(world: World) -> None:
    subjects = []
    for _ in range(2):
        calls = len(world.agent.calls)
        await world.call(
            Tone(CALLER_BEFORE, 400),
            Key("2"),
            Tone(CALLER_BEFORE, 1_500),
            from_name="Anonymous",
            from_number="anonymous",
        )
        subjects.append((await world.leg(world.told(await world.agent_call(calls)).call)).leg.subject_id)
    assert subjects[0] != subjects[1]


async def test_a_number_is_one_subject(world: World) -> None:
    subjects = []
    for _ in range(2):
        calls = len(world.agent.calls)
        await world.call(Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500), from_number="+34600000022")
        subjects.append((await world.leg(world.told(await world.agent_call(calls)).call)).leg.subject_id)
    assert subjects[0] == subjects[1]


@pytest.mark.parametrize("prefix", ["yes", "no"])
async def test_a_name_that_ends_an_application_begins_none(world: World, prefix: str) -> None:
    """In ExecIf(…?Set(…)) a name with `)):` would end the one application and begin another."""
    await world.pbx.cli("database deltree test")
    await world.pbx.cli(f"dialplan set global CALLGUARD_NAME_PREFIX {prefix}")
    try:
        calls = len(world.agent.calls)
        timeline = (*says_yes(world.times, talks_ms=1_000), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_000))
        await world.call(*timeline, from_name="x)):Set(DB(test/taken)=1")
        await world.destroyed(world.told(await world.agent_call(calls)).call)
        assert await world.note("taken") == ""
    finally:
        await world.pbx.cli("dialplan set global CALLGUARD_NAME_PREFIX yes")
