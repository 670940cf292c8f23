"""Inbound calls on a real Asterisk: who presses what, what the agent is told, and what is in the files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import wave

import pytest

from callguard.core.model import GrantState, Outcome
from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.speech.catalogue import Catalogue
from callguard.store.records import LegDetail
from tests.asterisk.conftest import WAIT_S, World, presses, says_yes, stop_keys


async def test_yes_is_recorded_from_then_on_and_shown(world: World) -> None:
    calls = len(world.agent.calls)
    result = await world.call(*says_yes(world.times), from_name="Ana", from_number="+34600000011")
    reached = await world.agent_call(calls)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("given", "recording.quality", "[REC] Ana")

    leg = await world.settled(told.call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert leg.recording is not None
    (file,) = leg.recording.files
    path = world.folder / file.name
    assert file.name == f"{leg.leg.leg_id}.wav"
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert 1_000 < (leg.recording.duration_ms or 0) < 3_000
    assert path.stat().st_mode & 0o007 == 0

    side = world.sidecar(leg)
    assert side["purposes"] == [{"purpose": "recording.quality", "basis": "consent", "state": "given"}]
    assert side["files"] == [{"name": file.name, "bytes": file.size, "sha256": file.sha256}]
    for text in (str(side), str(leg.evidence), world.gate.log()):
        assert "34600000011" not in text
        assert "Ana" not in text
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN]
    assert result.first_sound_s is not None


async def test_the_cdr_has_it(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times, talks_ms=1_500))
    told = world.told(await world.agent_call(calls))
    await world.settled(told.call)
    await world.pbx.cli("cdr submit")
    written = (world.pbx.path / "log/cdr-custom/Master.csv").read_text(encoding="utf-8")
    assert f'given; purposes=""recording.quality""; call={told.call}' in written


@pytest.mark.parametrize("key", ["2", "*9"])
async def test_no_is_served_the_same_unrecorded(world: World, key: str) -> None:
    calls, files = len(world.agent.calls), world.files()
    keys: tuple[Segment, ...] = stop_keys() if key == "*9" else (Key(key),)
    await world.call(
        Tone(CALLER_BEFORE, world.times.essential + 400), *keys, Tone(CALLER_BEFORE, 1_500), from_name="Ana"
    )
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes, told.name) == ("refused", "", "[NO REC] Ana")
    assert world.files() == files


async def test_no_acts_during_the_notice(world: World) -> None:
    calls = len(world.agent.calls)
    result = await world.call(Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500))
    reached = await world.agent_call(calls)
    assert world.told(reached).state == "refused"
    assert result.answered is not None
    assert reached.invited - result.answered < 1.2  # the rest of the notice is not waited for


async def test_silence_asks_once_more_and_goes_through(world: World) -> None:
    calls, files, times = len(world.agent.calls), world.files(), world.times
    asked = times.essential + times.question + times.again + 2 * times.wait
    result = await world.call(Tone(CALLER_BEFORE, asked + 1_500))
    reached = await world.agent_call(calls)
    told = world.told(reached)
    assert told.state == "unknown"
    assert result.answered is not None
    assert (reached.invited - result.answered) * 1000 == pytest.approx(asked, abs=400)
    leg = await world.leg(told.call)
    assert [grant.reason for grant in leg.grants] == ["silence"]
    assert heard_parts(leg) == ["essential", "question-1", "again-1"]
    assert world.files() == files


async def test_one_before_the_essential_part_ended_is_no_yes(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    rest = times.essential - 800 + times.question + times.again + 2 * times.wait
    await world.call(Tone(CALLER_BEFORE, 800), Key("1"), Tone(CALLER_BEFORE, rest + 1_500))
    told = world.told(await world.agent_call(calls))
    assert told.state == "unknown"
    assert b'"early_keys":1' in (await world.leg(told.call)).evidence[0].body


async def test_one_held_down_over_the_end_of_the_essential_part_is_no_yes(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    rest = 2 * times.question + times.again + 2 * times.wait
    await world.call(Tone(CALLER_BEFORE, times.essential - 400), Key("1", ms=1_000), Tone(CALLER_BEFORE, rest + 1_500))
    assert world.told(await world.agent_call(calls)).state == "unknown"


@pytest.mark.parametrize("key", ["5", "7"])
async def test_a_key_that_means_nothing_gives_nothing(world: World, key: str) -> None:
    calls, times = len(world.agent.calls), world.times
    rest = times.question + times.again + 2 * times.wait
    await world.call(*presses(times, key, talks_ms=rest + 1_200))
    assert world.told(await world.agent_call(calls)).state == "unknown"


async def test_hanging_up_in_the_notice_is_remembered_as_no_answer(world: World) -> None:
    legs, files = await world.legs(), world.files()
    await world.call(Tone(CALLER_BEFORE, 600))
    async with asyncio.timeout(5):
        while await world.legs() == legs:
            await asyncio.sleep(0.05)
    leg = await world.latest()
    assert leg.leg.outcome is Outcome.UNKNOWN
    assert [(grant.state, grant.reason) for grant in leg.grants] == [(GrantState.UNKNOWN, "hangup")]
    assert world.files() == files


async def test_another_language_then_yes(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(
        Tone(CALLER_BEFORE, 600), Key("#"), Tone(CALLER_BEFORE, times.essential + 600), Key("1"),
        Tone(CALLER_AFTER_YES, 1_500),
    )  # fmt: skip
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    leg = await world.settled(told.call)
    assert leg.leg.language == "es"
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}


async def test_repeat_and_details_lead_back_to_the_question(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    details = [
        prompt.id.removeprefix("service/") for prompt in Catalogue.load(world.gate.config).details("service", "en")
    ] + ["switch"]
    skips = [segment for _ in details for segment in (Tone(CALLER_BEFORE, 300), Key("3"))]
    await world.call(
        *presses(times, "0", talks_ms=times.essential + 400), Key("3"), *skips,
        Tone(CALLER_BEFORE, 800), Key("1"), Tone(CALLER_AFTER_YES, 1_500),
    )  # fmt: skip
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    assert heard_parts(await world.settled(told.call)) == ["essential", "question-1", "essential", "question-1",
                     *details, "question-1"]  # fmt: skip


async def test_another_basis_is_told_and_recorded(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(
        Tone(CALLER_BEFORE, times.essential + times.question + 1_900), Tone(CALLER_AFTER_YES, 2_000), extension="1001"
    )
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes) == ("informed", "recording.contract")
    leg = await world.settled(told.call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert [(grant.state, grant.reason) for grant in leg.grants] == [(GrantState.GIVEN, "informed")]


async def test_who_objects_is_diverted_and_never_recorded(world: World) -> None:
    calls, files, times = len(world.agent.calls), world.files(), world.times
    result = await world.call(*presses(times, "2", talks_ms=3_000), extension="1001")
    assert str(result.ended_by) == "pbx"  # the goodbye hangs up
    assert len(world.agent.calls) == calls
    assert (await world.latest()).leg.outcome is Outcome.DIVERTED
    assert world.files() == files


async def test_a_profile_that_does_not_exist_is_served_unrecorded(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(Tone(CALLER_BEFORE, 1_200), extension="1002")
    assert world.told(await world.agent_call(calls)).state == "error"
    assert "names no profile" in world.gate.log()


async def test_a_prompt_that_is_gone_is_served_unrecorded(world: World) -> None:
    calls, files, times = len(world.agent.calls), world.files(), world.times
    question = Catalogue.load(world.gate.config).entry("service", "en", "question-1")
    gone = list(world.pbx.folder("prompts").path_here.glob(f"{question.played}.*"))
    for file in gone:
        file.rename(file.with_suffix(file.suffix + ".gone"))
    try:
        await world.call(*says_yes(times))
    finally:
        for file in gone:
            file.with_suffix(file.suffix + ".gone").rename(file)
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes) == ("error", "")
    assert "could not be played" in world.gate.log()
    assert world.files() == files


async def test_withdrawal_stops_at_the_key_and_destroys(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.call(*says_yes(times), *stop_keys(), Tone(CALLER_AFTER_STOP, 2_000))
    told = world.told(await world.agent_call(calls))
    leg = await world.destroyed(told.call)
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
    await world.forgotten("callguard_withdrawn")


@pytest.mark.parametrize("extension", ["1000", "2000"])
@pytest.mark.parametrize("keys", ["*9", "**9"])
async def test_withdrawal_while_the_agent_rings_leaves_no_audio(world: World, extension: str, keys: str) -> None:
    """A feature of Asterisk works in a bridge only; in Dial and in the queue AMI tells the keys."""
    world.agent.answer_after_ms = 3_000
    try:
        calls, files = len(world.agent.calls), world.files()
        press = [segment for key in keys for segment in (Key(key), Silence(100))]
        timeline = (*says_yes(world.times, talks_ms=700), *press, Tone(CALLER_AFTER_STOP, 4_500))
        await world.call(*timeline, extension=extension)
        told = world.told(await world.agent_call(calls))
    finally:
        world.agent.answer_after_ms = 300
    leg = await world.settled(told.call)
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
    assert world.files() == files
    assert leg.recording is None
    await world.forgotten("callguard_withdrawn")


async def test_who_withdraws_in_the_queue_is_shown_so_to_the_agent(world: World) -> None:
    calls = len(world.agent.calls)
    timeline = (*says_yes(world.times, talks_ms=300), *stop_keys(), Tone(CALLER_AFTER_STOP, 2_500))
    await world.call(*timeline, extension="3002", from_name="Ana")
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.purposes, told.name) == ("refused", "", "[NO REC] Ana")
    assert (await world.settled(told.call)).recording is None


async def test_a_caller_sent_out_of_the_gate_and_into_it_again_is_served_at_once(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    talks_ms = times.essential + 7_000  # longer than what is left of the lease, which must not end the call
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, talks_ms)))
    await asyncio.sleep(0.8)
    channel = (await world.pbx.cli("core show channels concise")).partition("!")[0]
    await world.manager(Action="Redirect", Channel=channel, Context="from-outside", Exten="1000", Priority="1")
    result, reached = await calling, await world.agent_call(calls)
    assert world.told(reached).state == "error"
    assert reached.invited - result.invited < 1.6
    assert str(result.ended_by) == "caller"


async def test_a_caller_sent_out_of_the_gate_keeps_no_limit_of_ours(door: World) -> None:
    world = door
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, times.essential + 7_000)))
    await asyncio.sleep(0.8)
    channel = (await world.pbx.cli("core show channels concise")).partition("!")[0]
    await world.manager(Action="Redirect", Channel=channel, Context="from-outside", Exten="3024", Priority="1")
    await world.agent_call(calls)
    assert str((await calling).ended_by) == "caller"
    assert float(await world.note("limit")) > 3_600


async def test_a_caller_sent_out_of_the_gate_while_callguard_is_dead_keeps_no_limit_either(world: World) -> None:
    """Where it is back before the lease ends."""
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, times.essential + 9_000)))
    await asyncio.sleep(0.8)
    await world.gate.kill()
    channel = (await world.pbx.cli("core show channels concise")).partition("!")[0]
    await world.manager(Action="Redirect", Channel=channel, Context="from-outside", Exten="3024", Priority="1")
    await world.gate.start()
    await world.agent_call(calls)
    assert str((await calling).ended_by) == "caller"


async def test_a_call_that_nobody_answers_leaves_no_file_and_no_row(world: World) -> None:
    files = world.files()
    world.agent.answer_after_ms = None
    try:
        calls = len(world.agent.calls)
        await world.call(*says_yes(world.times, talks_ms=1_500))
        told = world.told(await world.agent_call(calls))
        leg = await world.settled(told.call)
    finally:
        world.agent.answer_after_ms = 300
    assert leg.leg.outcome is Outcome.GIVEN
    assert leg.recording is None
    assert world.files() == files


async def test_a_queue_with_local_members_shows_it_too(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times), extension="2000", from_name="Ana")
    told = world.told(await world.agent_call(calls))
    assert (told.state, told.name) == ("given", "[REC] Ana")
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}


async def test_two_files_become_stereo(world: World) -> None:
    await world.gate.stop()
    two = Gate(world.pbx, files="two", texts=world.gate.config.prompts.texts, answer_wait_s=WAIT_S)
    async with two:
        there = World(world.pbx, two, world.agent)
        calls = len(world.agent.calls)
        await there.call(*says_yes(there.times))
        leg = await there.settled(there.told(await there.agent_call(calls)).call)
        assert there.tones(leg) == {CALLER_AFTER_YES, AGENT}
        assert leg.recording is not None
        with wave.open(str(there.folder / leg.recording.files[0].name)) as audio:
            assert audio.getnchannels() == 2
        assert {name for name in there.files() if leg.leg.leg_id in name} == {
            f"{leg.leg.leg_id}.wav", f"{leg.leg.leg_id}.json",
        }  # fmt: skip


async def test_a_second_gosub_on_the_leg_returns_the_same_silently(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times, talks_ms=1_500), extension="3000")
    told = world.told(await world.agent_call(calls))
    assert await world.note("first") == await world.note("second") == f"given/{told.call}"


async def test_the_administrators_own_limit_is_put_back(world: World) -> None:
    calls = len(world.agent.calls)
    await world.call(*presses(world.times, "2", talks_ms=1_500), extension="3001")
    await world.agent_call(calls)
    left = float(await world.note("limit"))
    gate_took_s = world.times.essential / 1000
    assert 100 - gate_took_s - 3 < left <= 100 - gate_took_s + 1  # whole seconds


async def test_the_administrators_hangup_extension_runs(world: World) -> None:
    await world.pbx.cli("database deltree test")
    await world.call(Tone(CALLER_BEFORE, 600), extension="3001")
    async with asyncio.timeout(5):
        while await world.note("hangup") != "seen":
            await asyncio.sleep(0.05)


async def test_emergency_numbers_are_never_touched(world: World) -> None:
    calls, legs = len(world.agent.calls), await world.legs()
    result = await world.call(Tone(CALLER_BEFORE, 600), extension="112")
    reached = await world.agent_call(calls)
    assert reached.header("X-Callguard-Consent") is None
    assert reached.invited - result.invited < 0.5
    assert await world.note("emergency") == "."
    assert await world.legs() == legs


def heard_parts(leg: LegDetail) -> list[str]:
    """Which prompts the evidence names, in order."""
    return [one["prompt"].partition("/")[2] for one in json.loads(leg.evidence[0].body)["heard"]]
