"""What an agent hears on answer, by Dial and by a queue; the caller hears none of it, and no recording has it."""

from __future__ import annotations

import pytest

from callguard.demo.rtp import Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE, tones, tones_in
from callguard.demo.ulaw import RATE
from tests.asterisk.conftest import TONES, WHISPER_HZ, World, presses, says_yes, stop_keys

SAYS = {part.removeprefix("whisper-"): hz for part, hz in WHISPER_HZ.items()}
TOLD = set(WHISPER_HZ.values())
HEARD = (*TONES, *WHISPER_HZ.values())


@pytest.mark.parametrize("extension", ["3021", "3022"])
async def test_the_agent_is_told_and_nobody_else(world: World, extension: str) -> None:
    calls = len(world.agent.calls)
    result = await world.call(*says_yes(world.times, talks_ms=2_500), extension=extension)
    reached = await world.agent_call(calls)
    heard = {tone.hz: tone for tone in tones(reached.heard.samples, RATE, HEARD)}
    assert heard.keys() & TOLD == {SAYS["recorded"]}
    assert heard[SAYS["recorded"]].end_ms <= heard[CALLER_AFTER_YES].start_ms
    assert not {tone.hz for tone in tones(result.heard.samples, RATE, HEARD)} & TOLD
    leg = await world.settled(world.told(reached).call)
    assert leg.recording is not None
    assert {tone.hz for tone in tones_in(world.folder / leg.recording.files[0].name, HEARD)} == {
        CALLER_AFTER_YES,
        AGENT,
    }


async def test_a_no_is_told_and_so_is_a_withdrawal_while_the_phone_rings(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(*presses(times, "2", talks_ms=2_000), extension="3021")
    refused = await world.agent_call(calls)
    before, world.agent.answer_after_ms = world.agent.answer_after_ms, 1_500
    try:
        # The yes ends the question; *9 comes when the agent's phone rings.
        withdraws = (*says_yes(times, talks_ms=300), *stop_keys(), Tone(CALLER_BEFORE, 3_000))
        await world.call(*withdraws, extension="3021")
    finally:
        world.agent.answer_after_ms = before
    withdrawn = await world.agent_call(calls + 1)
    for reached in (refused, withdrawn):
        told = {tone.hz for tone in tones(reached.heard.samples, RATE, HEARD)}
        assert told & TOLD == {SAYS["unrecorded"]}
