"""callguard absent, hung, killed, stopped and started again: every caller gets through, and nothing is recorded."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from callguard.core.incidents import Incident
from callguard.core.model import GrantState
from callguard.demo.agent import AgentCall
from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Tone
from callguard.demo.scenarios import Times
from callguard.demo.sipp import CallResult
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones, tones_in
from callguard.store.reader import Reader
from callguard.telephony.ari_door import LEASE_MARGIN_MS
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, WAIT_S, World, says_yes, stop_keys
from tests.asterisk.test_service import counted


async def served(world: World, calls: int, calling: asyncio.Task[CallResult]) -> tuple[float, AgentCall]:
    """Seconds from the caller's INVITE to the agent's, and the agent's call, which was told of no consent."""
    reached = await world.agent_call(calls)
    result = await calling
    told = world.told(reached)
    assert (told.state, told.purposes, told.call) == ("error", "", "")
    return reached.invited - result.invited, reached


async def test_absent_is_at_once(world: World) -> None:
    calls, files = len(world.agent.calls), world.files()
    await world.gate.stop()
    after, _ = await served(world, calls, asyncio.create_task(world.call(Tone(CALLER_BEFORE, 1_500))))
    assert after < 0.5
    assert world.files() == files


async def test_killed_is_absent_at_once(world: World) -> None:
    calls = len(world.agent.calls)
    await world.gate.kill()
    after, _ = await served(world, calls, asyncio.create_task(world.call(Tone(CALLER_BEFORE, 1_500))))
    assert after < 0.5


async def test_hung_before_the_claim_is_passed_in_two_seconds(world: World) -> None:
    calls, legs = len(world.agent.calls), await world.legs()
    world.gate.signal(signal.SIGSTOP)
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, 1_500)))
    after, _ = await served(world, calls, calling)
    assert 1.9 < after < 2.6
    world.gate.signal(signal.SIGCONT)
    # what it wakes up to is not its own: the next call is the first that it takes
    calls = len(world.agent.calls)
    await world.call(Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500))
    assert world.told(await world.agent_call(calls)).state == "refused"
    assert await world.legs() == legs + 1


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_dead_or_hung_in_the_notice_is_passed_when_the_lease_ends(world: World, how: str) -> None:
    calls, files, times = len(world.agent.calls), world.files(), world.times
    lasts = times.essential + LEASE_MARGIN_MS
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, lasts + 1_500)))
    await asyncio.sleep(0.8)
    if how == "killed":
        await world.gate.kill()
    else:
        world.gate.signal(signal.SIGSTOP)
    after, _ = await served(world, calls, calling)
    assert lasts - 300 < after * 1000 < lasts + 500
    assert world.files() == files


async def test_who_was_stopped_acts_on_nothing_it_had_before(world: World) -> None:
    """The yes was pressed while it stood still, and waits in its socket when it goes on: the call has gone on too."""
    calls, files, times = len(world.agent.calls), world.files(), world.times
    talks = LEASE_MARGIN_MS + 3_000
    calling = asyncio.create_task(world.call(*says_yes(times, talks_ms=talks)))
    await asyncio.sleep((times.essential + 200) / 1000)  # the question is being asked
    world.gate.signal(signal.SIGSTOP)
    reached = await world.agent_call(calls)
    world.gate.signal(signal.SIGCONT)
    await calling
    assert world.told(reached).state == "error"
    assert world.files() == files
    # a later call shows that it has worked off what it woke up with
    calls = len(world.agent.calls)
    await world.call(Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500))
    await world.agent_call(calls)
    assert {grant.state for grant in (await world.latest()).grants} == {GrantState.REFUSED}
    assert not await given(world)


async def given(world: World) -> list[str]:
    """Legs whose outcome is given."""
    async with Reader.reading(world.gate.store) as store:
        return [leg.leg_id for leg in await store.calls(100) if leg.granted]


async def test_a_call_that_its_gate_left_is_asked_anew_by_the_next(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(
        world.call(Tone(CALLER_BEFORE, times.essential + 4_000), Key("1"), Tone(CALLER_AFTER_YES, 2_000))
    )
    await asyncio.sleep(0.8)
    await world.gate.kill()
    await world.gate.start()
    up = time.time()
    result = await calling
    notices = [result.heard.started + tone.start_ms / 1000 for tone in tones(result.heard.samples, 8_000, [PROMPT_HZ])]
    assert min(start for start in notices if start > up - 1) < up + 2  # asked anew within 2 s of being up
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
    assert "asking anew" in world.gate.log()


async def test_withdrawal_with_callguard_dead_stops_at_once_and_is_recorded_later(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(world.call(*says_yes(times), *stop_keys(), Tone(CALLER_AFTER_STOP, 2_000)))
    reached = await world.agent_call(calls)
    await reached.up()
    await world.gate.kill()
    await calling
    told = world.told(reached)
    leg = await world.leg(told.call)
    found = {int(tone.hz) for tone in tones_in(world.folder / f"{leg.leg.leg_id}.wav")}
    assert found == {CALLER_AFTER_YES, AGENT}
    await world.gate.start()
    leg = await world.destroyed(told.call)
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
    await world.forgotten("callguard_withdrawn")


@pytest.mark.parametrize("profile", ["service", "contract"])
async def test_withdrawal_in_ringing_with_callguard_dead_counts_when_the_call_ends(world: World, profile: str) -> None:
    """Nothing of it stays, whatever it rests on: all of the recording came after the no."""
    calls, times = len(world.agent.calls), Times.of(world.gate.config, profile)
    if profile == "service":
        answer, extension = says_yes(times, talks_ms=1_200), "1000"
    else:
        answer, extension = (Tone(CALLER_BEFORE, times.essential + times.question + 3_200),), "1001"
    world.agent.answer_after_ms = 2_500
    try:
        calling = asyncio.create_task(
            world.call(*answer, *stop_keys(), Tone(CALLER_AFTER_STOP, 3_000), extension=extension)
        )
        reached = await world.agent_call(calls)
        await world.gate.kill()
        await calling
    finally:
        world.agent.answer_after_ms = 300
    await world.gate.start()
    leg = await world.destroyed(world.told(reached).call)
    assert leg.leg.withdrawn_at is not None
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]


async def test_withdrawal_in_ringing_is_heard_by_a_callguard_that_is_back_before_the_answer(world: World) -> None:
    calls, files = len(world.agent.calls), world.files()
    world.agent.answer_after_ms = 8_000
    try:
        calling = asyncio.create_task(
            world.call(*says_yes(world.times, talks_ms=1_200), *stop_keys(), Tone(CALLER_AFTER_STOP, 9_000))
        )
        reached = await world.agent_call(calls)
        await world.gate.kill()
        await asyncio.sleep(2)  # *9 comes now
        await world.gate.start()
        await reached.up()
        assert world.files() == files  # nothing is recorded at all
        await calling
    finally:
        world.agent.answer_after_ms = 300
    assert (await world.leg(world.told(reached).call)).recording is None


async def test_a_caller_is_asked_anew_once_and_no_more(world: World) -> None:
    """A callguard that crashes again and again, started again each time, must not hold a caller."""
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, times.essential + 6_000)))
    await asyncio.sleep(0.8)
    for _ in range(2):
        await world.gate.kill()
        await world.gate.start()
        await asyncio.sleep(0.5)
    reached = await world.agent_call(calls)
    result = await calling
    assert world.told(reached).state == "error"
    assert reached.invited - result.invited < (times.essential + 5_000) / 1000
    assert "not asked again" in world.gate.log()


async def test_two_callguards_keep_to_their_own_folders(world: World) -> None:
    """Each is told apart by its application: what one has committed is recorded into its own folder."""
    second = Gate(
        world.pbx, texts=world.gate.config.prompts.texts, answer_wait_s=WAIT_S, app="callguard-b", files="two"
    )
    times = world.times
    async with second:
        there = World(world.pbx, second, world.agent)
        for served, stopped in ((world, there), (there, world)):
            stopped.gate.signal(signal.SIGSTOP)
            calls = len(world.agent.calls)
            await served.call(*says_yes(times))
            told = served.told(await served.agent_call(calls))
            stopped.gate.signal(signal.SIGCONT)
            leg = await served.settled(told.call)
            assert served.tones(leg) == {CALLER_AFTER_YES, AGENT}
            assert leg.leg.files == served.gate.config.recording.files


async def test_a_recording_that_ended_unseen_is_tagged_by_the_next_process(world: World) -> None:
    calls = len(world.agent.calls)
    calling = asyncio.create_task(world.call(*says_yes(world.times)))
    reached = await world.agent_call(calls)
    await reached.up()
    await world.gate.kill()
    await calling
    await world.gate.start()
    leg = await world.settled(world.told(reached).call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert world.sidecar(leg)["leg"] == leg.leg.leg_id
    assert [(one.kind, one.detail["kept"]) for one in leg.incidents] == [(Incident.RECORDING_UNWATCHED, True)]
    assert (await counted(world))['callguard_incidents_total{kind="recording.unwatched"}'] == 1


async def test_a_recording_that_nobody_knows_of_is_named(world: World) -> None:
    stranger = world.folder / "0192f0c1-0000-7000-8000-00000000dead.wav"
    stranger.write_bytes(b"RIFF" + bytes(400))
    try:
        await world.gate.stop()
        await world.gate.start()
        async with asyncio.timeout(PATIENCE_S):
            while "no consent is known for this recording" not in world.gate.log():
                await asyncio.sleep(0.02)
    finally:
        stranger.unlink()
    assert stranger.stem in world.gate.log()


async def test_a_second_callguard_takes_over_and_the_first_ends(world: World) -> None:
    """As when someone types `callguard run` while the service runs: callers must not be torn between the two."""
    second = Gate(world.pbx, texts=world.gate.config.prompts.texts, answer_wait_s=WAIT_S)
    calls, times = len(world.agent.calls), world.times
    calling = asyncio.create_task(
        world.call(Tone(CALLER_BEFORE, times.essential + 4_000), Key("1"), Tone(CALLER_AFTER_YES, 2_000))
    )
    await asyncio.sleep(0.8)
    async with second:
        async with asyncio.timeout(10):
            assert await world.gate.ended() == 1
        await calling
        there = World(world.pbx, second, world.agent)
        told = there.told(await there.agent_call(calls))
        assert told.state == "given"
        assert there.tones(await there.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
    assert "callguard: another callguard has taken over the application callguard" in world.gate.log()


async def test_without_broadcast_the_plain_way_serves(world: World) -> None:
    """Asterisk before 20.17, 22.7 and 23.1 has no StasisBroadcast."""
    calls = len(world.agent.calls)
    await world.pbx.cli("module unload app_stasis_broadcast.so")
    try:
        await world.call(*says_yes(world.times))
        assert world.told(await world.agent_call(calls)).state == "given"
    finally:
        await world.pbx.cli("module load app_stasis_broadcast.so")


async def test_asterisk_restarted_is_served_again(world: World) -> None:
    await world.pbx.kill()
    await world.pbx.start()
    ready = world.gate.log().count("serving")
    async with asyncio.timeout(15):
        while world.gate.log().count("serving") == ready:
            await asyncio.sleep(0.05)
    calls = len(world.agent.calls)
    await world.call(*says_yes(world.times))
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    assert world.tones(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
