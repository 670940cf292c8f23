"""In which language a call begins, on a real Asterisk: by what the caller hears."""

from __future__ import annotations

import json

from callguard.demo.rtp import Key, Segment, Tone
from callguard.demo.sipp import CallResult
from callguard.demo.tones import CALLER_BEFORE, tones
from callguard.store.records import LegDetail
from tests.asterisk.conftest import PROMPT_HZ, SPANISH_HZ, World
from tests.asterisk.test_outbound import talks, the_person_called

ANA, MEXICAN = "+34600000062", "+525512345678"
# Shorter than the silence before any prompt and after it.
STUTTER_MS = 200
NO: tuple[Segment, ...] = (Tone(CALLER_BEFORE, 900), Key("2"), Tone(CALLER_BEFORE, 1_500))


def languages_heard(result: CallResult) -> list[str]:
    """By their tones, in order; a prompt that stutters on a busy machine is one."""
    heard = sorted(tones(result.heard.samples, 8_000, [PROMPT_HZ, SPANISH_HZ]), key=lambda tone: tone.start_ms)
    begins = [
        tone
        for before, tone in zip((None, *heard), heard, strict=False)
        if before is None or before.hz != tone.hz or tone.start_ms - before.end_ms > STUTTER_MS
    ]
    return [{PROMPT_HZ: "en", SPANISH_HZ: "es"}[int(tone.hz)] for tone in begins]


def proved(leg: LegDetail) -> list[str]:
    return [f"{one['language']}/{one['prompt'].partition('/')[2]}" for one in json.loads(leg.evidence[0].body)["heard"]]


async def test_by_earlier_choice_number_called_and_country(door: World) -> None:
    calls = len(door.agent.calls)

    async def call(number: str, extension: str, *timeline: Segment) -> tuple[list[str], list[str], str]:
        nonlocal calls
        result = await door.call(*timeline, extension=extension, from_number=number)
        leg = await door.leg(door.told(await door.agent_call(calls)).call)
        calls += 1
        return languages_heard(result), proved(leg), leg.leg.language

    assert await call(ANA, "1000", *NO) == (["en"], ["en/essential"], "en")
    # The trunk gives the number called in national form; the configuration has it in E.164.
    assert await call("anonymous", "910000061", *NO) == (["es"], ["es/essential"], "es")
    # Nothing in it but what a number is made of reaches the gate.
    assert await call("anonymous", "3011", *NO) == (["en"], ["en/essential"], "en")
    heard = await call(MEXICAN, "1000", Tone(CALLER_BEFORE, 600), Key("#"), *NO)
    assert heard == (["es", "en"], ["es/essential", "en/essential"], "en")
    # What was chosen by key is surer than number and country; and the no of that call is remembered.
    assert await call(MEXICAN, "910000061", *NO) == (["en"], ["en/remembered"], "en")


async def test_a_callee_by_the_country_of_their_own_number(world: World) -> None:
    calls = len(world.agent.calls)
    with the_person_called(world, *NO, Tone(CALLER_BEFORE, 4_000)):
        await world.call(talks(3_000), extension=f"7{MEXICAN}")
        reached = await world.agent_call(calls)
        await reached.over()
    leg = await world.latest()
    assert (leg.leg.language, leg.leg.direction, proved(leg)) == ("es", "outbound", ["es/essential"])
    found = tones(reached.heard.samples, 8_000, [PROMPT_HZ, SPANISH_HZ])
    assert {int(tone.hz) for tone in found} == {SPANISH_HZ}
