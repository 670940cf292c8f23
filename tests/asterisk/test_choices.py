"""Several purposes, a remembered no, and the key that ends marketing calls, on a real Asterisk."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from callguard.core.model import GrantState, Outcome
from callguard.core.requests import Right, State, Via
from callguard.demo.rtp import Key, Silence, Tone
from callguard.demo.scenarios import Times
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE, tones
from callguard.store.dial_records import StoredOptOut
from callguard.store.reader import Reader
from callguard.store.rights_reader import RightsReader
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, World, presses, says_yes

ANA = "+34600000021"


async def opt_outs(world: World) -> tuple[StoredOptOut, ...]:
    async with Reader.reading(world.gate.store) as store:
        return await store.opt_outs(None, None, datetime.now(UTC))


async def test_each_of_two_purposes_is_answered_for_itself(world: World) -> None:
    calls = len(world.agent.calls)
    times = Times.of(world.gate.config, "choice")
    first = (Tone(CALLER_BEFORE, times.essential + 800), Key("1"))
    second = (Tone(CALLER_BEFORE, 800), Key("2"), Tone(CALLER_AFTER_YES, 2_000))
    await world.call(*first, *second, extension="1003")
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes) == ("partial", "recording.quality")
    leg = await world.settled(told.call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert [(grant.purpose, grant.state) for grant in leg.grants] == [
        ("recording.quality", GrantState.GIVEN), ("recording.analysis", GrantState.REFUSED),
    ]  # fmt: skip
    assert [one["purpose"] for one in world.sidecar(leg)["purposes"]] == ["recording.quality"]


async def test_the_second_of_two_purposes_alone(world: World) -> None:
    calls = len(world.agent.calls)
    times = Times.of(world.gate.config, "choice")
    first = (Tone(CALLER_BEFORE, times.essential + 400), Key("2"))
    second = (Tone(CALLER_BEFORE, 800), Key("1"), Tone(CALLER_AFTER_YES, 1_000))
    await world.call(*first, *second, extension="1003", from_number="+34600000022")
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes) == ("partial", "recording.analysis")
    await world.settled(told.call)


async def test_a_no_is_remembered_and_a_one_asks_anew(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(*presses(times, "2", talks_ms=1_500), from_number=ANA)
    assert world.told(await world.agent_call(calls)).state == "refused"
    # the next call is told so in short, and is not asked
    result = await world.call(Tone(CALLER_BEFORE, 4_500), from_number=ANA)
    reached = await world.agent_call(calls + 1)
    assert world.told(reached).state == "refused"
    heard = tones(result.heard.samples, 8_000, [PROMPT_HZ])
    assert sum(tone.end_ms - tone.start_ms for tone in heard) < times.essential
    leg = await world.latest()
    assert [(grant.state, grant.reason) for grant in leg.grants] == [(GrantState.REFUSED, "remembered")]
    # who changes their mind hears the whole notice first
    await world.call(Tone(CALLER_BEFORE, 900), Key("1"), *says_yes(times), from_number=ANA)
    told = world.told(await world.agent_call(calls + 2))
    assert told.state == "given"
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
    # and that is remembered too
    await world.call(*says_yes(times, talks_ms=1_500), from_number=ANA)
    assert world.told(await world.agent_call(calls + 3)).state == "given"


async def test_silence_and_withheld_numbers_are_not_remembered(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(*presses(times, "2", talks_ms=1_500), from_number="anonymous")
    await world.call(*says_yes(times, talks_ms=1_500), from_number="anonymous")
    assert world.told(await world.agent_call(calls + 1)).state == "given"


async def test_nine_ends_marketing_calls_and_not_this_one(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(
        Tone(CALLER_BEFORE, times.essential + 400), Key("9"),
        # the confirmation and a moment for undoing it, then the question again
        Tone(CALLER_BEFORE, 600 + 2_000 + 600), Key("1"), Tone(CALLER_AFTER_YES, 1_500), from_number=ANA,
    )  # fmt: skip
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
    (opt_out,) = await opt_outs(world)
    assert (opt_out.number, opt_out.scope, opt_out.source) == (ANA, "marketing", "key")


async def test_nine_again_undoes_it(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(
        Tone(CALLER_BEFORE, times.essential + 400), Key("9"), Tone(CALLER_BEFORE, 800), Key("9"),
        Tone(CALLER_BEFORE, 600 + 2_000 + 400), Key("2"), Tone(CALLER_BEFORE, 1_500), from_number=ANA,
    )  # fmt: skip
    assert world.told(await world.agent_call(calls)).state == "refused"
    assert await opt_outs(world) == ()


async def test_who_withholds_the_number_types_it(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    typed = [segment for digit in "600000023" for segment in (Key(digit, ms=60), Silence(60))]
    await world.call(
        Tone(CALLER_BEFORE, times.essential + 800), Key("9"), Tone(CALLER_BEFORE, 900), *typed, Key("#"),
        Tone(CALLER_BEFORE, 600 + 2_000 + 400), Key("2"), Tone(CALLER_BEFORE, 1_500), from_number="anonymous",
    )  # fmt: skip
    assert world.told(await world.agent_call(calls)).state == "refused"
    (opt_out,) = await opt_outs(world)
    assert (opt_out.number, opt_out.source) == ("+34600000023", "typed_unverified")
    assert "600000023" not in world.gate.log()


async def test_hanging_up_after_nine_keeps_it(world: World) -> None:
    legs = await world.legs()
    await world.call(Tone(CALLER_BEFORE, 600), Key("9"), Tone(CALLER_BEFORE, 300), from_number=ANA)
    async with asyncio.timeout(PATIENCE_S):
        while await world.legs() == legs:
            await asyncio.sleep(0.05)
    assert (await world.latest()).leg.outcome is Outcome.UNKNOWN
    assert len(await opt_outs(world)) == 1


async def test_what_is_a_right_is_received_or_done_by_key_and_the_call_goes_on(world: World) -> None:
    calls, caller = len(world.agent.calls), "+34600000029"
    keys = [part for key in "35362" for part in (Key(key), Tone(CALLER_BEFORE, 1_500))]
    await world.call(Tone(CALLER_BEFORE, world.times.essential + 400), *keys, from_number=caller)
    told = world.told(await world.agent_call(calls))
    assert told.state == "refused"
    async with RightsReader.reading(world.gate.store) as store:
        asked, done = await store.requests(None, caller)
        (leg,) = await store.call(told.call)
    assert (asked.right, asked.via, asked.state, asked.call_id) == (Right.ERASURE, Via.KEY, State.OPEN, told.call)
    assert (done.right, done.via, done.state, done.call_id) == (Right.WITHDRAWAL, Via.KEY, State.DONE, told.call)
    (gate,) = [json.loads(one.body) for one in leg.evidence if one.kind == "gate"]
    heard = {one["prompt"].partition("/")[2] for one in gate["heard"] if one["heard_ms"]}
    assert heard >= {"right-received", "right-withdrawn"}
