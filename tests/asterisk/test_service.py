"""callguard as a service on a real Asterisk: hung, reloaded, stopped, flooded, and what it says of itself."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.speech.build import build
from callguard.store.reader import Reader
from callguard.store.records import SavedLeg
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, WAIT_S, World, presses, record_studio_files, says_yes
from tests.asterisk.supervisor import Supervisor
from tests.asterisk.test_outbound import dialled, talks, the_person_called
from tests.test_health import get
from tests.test_metrics import values

# A hang is noticed after 2 s; then the connection is closed at once (FastAGI), or the next process takes over (ARI),
# which starts in 1 s, and in some on a machine as busy as that of tests.
FREE_FROM_AGI_S, FREE_FROM_ARI_S = 3.0, 8.0


@asynccontextmanager
async def supervised(world: World) -> AsyncIterator[Supervisor]:
    await world.gate.stop()
    async with Supervisor(world.gate) as manager:
        await manager.hears("READY=1")
        assert manager.status == "serving: calls are gated"
        yield manager


async def health(world: World) -> tuple[int, str | None]:
    status, kind, body = await get(world.pbx.ports.status, "/health")
    told = json.loads(body)
    assert kind == "application/json"
    assert told["serving"] == (status == 200) == (told["do"] is None)
    return status, told["problem"]


async def counted(world: World) -> dict[str, float]:
    return values((await get(world.pbx.ports.status, "/metrics"))[2])


async def logged(world: World, what: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while what not in world.gate.log():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("door", "within"), [("agi", FREE_FROM_AGI_S), ("ari", FREE_FROM_ARI_S)])
async def test_a_hung_callguard_is_ended_by_its_watchdog_and_who_waits_for_it_goes_on(
    world: World, door: str, within: float
) -> None:
    """A person called, by either door, and a caller asked by FastAGI have no lease that would free them."""
    calls = len(world.agent.calls)
    async with supervised(world) as manager:
        await world.pbx.cli(f"dialplan set global CALLGUARD_DOOR {door}")
        try:
            with the_person_called(world, Tone(CALLER_BEFORE, 9_000)):
                dialling = asyncio.create_task(world.call(talks(2_000), extension="7600000051", ring_limit_ms=15_000))
                await (await world.agent_call(calls)).up()
                calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, 9_000), extension="3005"))
                await asyncio.sleep(0.9)  # both are in the notice
                stopped = time.time()
                manager.signal(signal.SIGSTOP)
                result = await dialling
                assert result.answered is not None
                assert 1.0 < result.answered - stopped < within
                reached = await world.agent_call(calls + 1)
                assert 1.0 < reached.invited - stopped < FREE_FROM_AGI_S
                await calling
                assert (await world.note("agi")).startswith("//")
            # It may have been stopped in the middle of a frame, which telling where it hung then stumbles over.
            assert manager.exits in ([-signal.SIGABRT], [-signal.SIGSEGV])
            await manager.hears("READY=1", times=2)
        finally:
            await world.pbx.cli("dialplan set global CALLGUARD_DOOR ari")
        assert manager.starts == 2
        assert "Fatal Python error: Aborted" in world.gate.log()  # where it hung
        await world.call(*says_yes(world.times))
        assert world.told(await world.agent_call(calls + 2)).state == "given"


async def test_an_asterisk_that_is_absent_is_waited_for(world: World) -> None:
    await world.gate.stop()
    await world.pbx.kill()
    try:
        async with Supervisor(world.gate) as manager:
            await manager.hears("READY=1")
            assert manager.status == "waiting for Asterisk: calls go on unrecorded"
            assert await health(world) == (503, "there is no ARI connection")
            await world.pbx.start()
            await manager.hears("STATUS=serving: calls are gated")
            assert await health(world) == (200, None)
            assert manager.starts == 1
    finally:
        if world.pbx.pid is None:
            await world.pbx.start()


async def test_a_reload_is_for_new_calls_and_a_bad_one_for_nobody(world: World) -> None:
    """Who is in the gate gives what they were asked for; the dialplan's names for the purposes do not change that."""
    file, calls, times = world.gate.folder / "callguard.toml", len(world.agent.calls), world.times
    old = file.read_text(encoding="utf-8")
    head, service, rest = old.partition("[profiles.service]")
    new = head + service + rest.replace('id = "recording.quality"', 'id = "recording.training"', 1)
    new += "\n[limits]\ncalls_in_gate = 77\n"
    async with supervised(world) as manager:
        file.write_text(new.replace("calls_in_gate = 77", "calls_in_gate = 0"), encoding="utf-8")
        manager.signal(signal.SIGHUP)
        await manager.hears("RELOADING=1")
        await manager.hears("READY=1", times=2)
        line = len(new.splitlines())
        assert f"callguard.toml:{line}: limits.calls_in_gate: " in world.gate.log()
        assert "the new configuration is not taken; the old one stays in force" in world.gate.log()
        file.write_text(new.replace('[store]\npath = "', '[store]\npath = "/elsewhere'), encoding="utf-8")
        world.gate.config = type(world.gate.config).model_validate(
            world.gate.config.model_dump(by_alias=True) | _training(world)
        )
        record_studio_files(world.gate, world.gate.config.prompts.texts or world.folder)
        await asyncio.to_thread(build, world.gate.config)
        before = (
            Tone(CALLER_BEFORE, times.essential + times.question + 1_200),
            Key("1"),
            Tone(CALLER_AFTER_YES, 4_000),
        )
        calling = asyncio.create_task(world.call(*before, from_name="first"))
        await asyncio.sleep(0.5)
        manager.signal(signal.SIGHUP)
        await manager.hears("READY=1", times=3)
        assert "configuration reloaded" in world.gate.log()
        assert "wait for a restart and stay as they were" in world.gate.log()
        first_reached = len(world.agent.calls)
        assert first_reached == calls  # the first caller is still being asked
        second = asyncio.create_task(world.call(*says_yes(times), from_name="second"))
        told = [world.told(await world.agent_call(calls)), world.told(await world.agent_call(calls + 1))]
        await asyncio.gather(calling, second)
        assert {one.name: one.purposes for one in told} == {
            "[REC] first": "recording.quality",
            "[REC] second": "recording.training",
        }
        assert {one.state for one in told} == {"given"}
        for one in told:
            leg = await world.settled(one.call)
            assert leg.leg.granted == (one.purposes,)
            assert [purpose["purpose"] for purpose in world.sidecar(leg)["purposes"]] == [one.purposes]
            assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
        found = await counted(world)
        assert found["callguard_calls_limit"] == 77
        assert found['callguard_reloads_total{result="taken"}'] == 1
        assert found['callguard_reloads_total{result="refused"}'] == 1
        assert manager.starts == 1


def _training(world: World) -> dict[str, object]:
    profiles = world.gate.config.model_dump()["profiles"]
    profiles["service"]["purposes"] = [{"id": "recording.training", "basis": "consent"}]
    return {"profiles": profiles}


@pytest.mark.parametrize("door", ["ari", "agi"])
async def test_a_stop_lets_those_in_the_gate_finish_and_takes_nobody_on(world: World, door: str) -> None:
    calls, times = len(world.agent.calls), world.times
    async with supervised(world) as manager:
        await world.pbx.cli(f"dialplan set global CALLGUARD_DOOR {door}")
        try:
            wait = Tone(CALLER_BEFORE, times.essential + times.question + 1_200)
            with the_person_called(world, wait, Key("1"), Tone(CALLER_AFTER_YES, 6_000)):
                dialling = asyncio.create_task(world.call(talks(7_000), extension="7600000052"))
                callee = await world.agent_call(calls)
                calling = asyncio.create_task(world.call(wait, Key("1"), Tone(CALLER_AFTER_YES, 3_000)))
                await callee.up()
                await asyncio.sleep(0.5)
                began = time.time()
                stopping = asyncio.create_task(manager.stop())
                await manager.hears("STOPPING=1")
                late = await world.call(Tone(CALLER_BEFORE, 500))
                reached = await world.agent_call(calls + 1)
                assert world.told(reached).state == "error"
                assert reached.invited - late.invited < 0.5
                assert await health(world) == (503, "callguard is stopping")
                assert await dialled(world, "40600000053") == "deny/gate.absent"
                told = world.told(await world.agent_call(calls + 2))
                assert told.state == "given"
                assert await stopping == 0
                assert manager.status.startswith("stopping: ")
                assert time.time() - began < 12
                await asyncio.gather(dialling, calling)
        finally:
            await world.pbx.cli("dialplan set global CALLGUARD_DOOR ari")
    assert [str(leg.outcome) for leg in await _saved(world)] == ["given", "given"]
    await world.gate.start()  # the next one finishes their recordings
    heard = world.tones(await world.settled(told.call))
    assert CALLER_AFTER_YES in heard
    assert PROMPT_HZ not in heard


async def _saved(world: World) -> tuple[SavedLeg, ...]:
    async with Reader.reading(world.gate.store) as store:
        return await store.calls(10)


async def test_one_call_more_than_there_is_room_for_goes_on_at_once(world: World) -> None:
    """R56: overload is no recording and no dial, and never a wait."""
    calls, times = len(world.agent.calls), world.times
    await world.gate.stop()
    world.gate.environment["CALLGUARD_LIMITS__CALLS_IN_GATE"] = "1"
    await world.gate.start()
    asked = times.essential + times.question
    calling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, asked + 8_000), Key("2"), Tone(CALLER_BEFORE, 500)))
    await asyncio.sleep(0.6)
    assert await health(world) == (503, "the gate is full")
    for nth, extension in ((0, "1000"), (1, "3005")):
        more = await world.call(Tone(CALLER_BEFORE, 400), extension=extension)
        reached = await world.agent_call(calls + nth)
        assert reached.invited - more.invited < 0.5
        assert reached.header("X-Callguard-Consent") in ('error; purposes=""; call=', None)
    assert await world.note("agi") == "//SUCCESS"
    assert await dialled(world, "40600000054") == "deny/gate.overloaded"
    assert await dialled(world, "41112") == "emergency/emergency"
    assert await dialled(world, "3008600000054") == "deny/gate.overloaded/yes"
    found = await counted(world)
    assert found['callguard_refused_by_limit_total{direction="inbound"}'] == 2
    assert found['callguard_refused_by_limit_total{direction="outbound"}'] == 2
    assert found["callguard_calls_in_gate"] == 1
    assert 1 <= world.gate.log().count("the gate is full") <= 4
    await calling
    assert await health(world) == (200, None)


async def test_a_gate_that_is_full_leaves_calls_to_one_that_is_not(world: World) -> None:
    times = world.times
    second = Gate(world.pbx, texts=world.gate.config.prompts.texts, answer_wait_s=WAIT_S, app="callguard-b")
    async with second:
        there = World(world.pbx, second, world.agent)
        await world.gate.stop()
        world.gate.environment["CALLGUARD_LIMITS__CALLS_IN_GATE"] = "1"
        await world.gate.start()
        second.signal(signal.SIGSTOP)
        filling = asyncio.create_task(world.call(Tone(CALLER_BEFORE, times.essential + 6_000)))
        await asyncio.sleep(0.6)
        assert await health(world) == (503, "the gate is full")
        second.signal(signal.SIGCONT)
        calls = len(world.agent.calls)
        await world.call(*presses(times, "2"))
        told = [world.told(call) for call in world.agent.calls[calls:]]
        (ours,) = [one for one in told if one.state == "refused"]
        assert (await there.leg(ours.call)).leg.outcome == "refused"
        await filling


async def test_what_a_day_of_calls_leaves_in_log_and_metrics_names_nobody(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    await world.gate.stop()
    world.gate.environment |= {"CALLGUARD_LOG__FORMAT": "json", "CALLGUARD_LOG__LEVEL": "debug"}
    (world.gate.folder / "log").unlink()
    await world.gate.start()
    await world.call(*says_yes(times), from_name="Ana Gold", from_number="+34600000055")
    told = world.told(await world.agent_call(calls))
    await world.settled(told.call)
    await world.call(*presses(times, "9", talks_ms=1_500), from_name="Ana Gold", from_number="+34600000056")
    await world.call(Tone(CALLER_BEFORE, 600), from_number="+34600000057")
    assert await dialled(world, "41600000056") == "deny/optout.marketing"
    assert await dialled(world, "41600000057") == "allow/dial.allowed"
    assert await dialled(world, "42600000058") == "deny/profile.unknown"
    # a number in the profile's place
    assert await dialled(world, "4060000,600000059") == "deny/number.invalid"
    with the_person_called(world, Tone(CALLER_BEFORE, times.essential + 400), Key("2"), Tone(CALLER_BEFORE, 2_000)):
        await world.call(talks(times.essential + 2_500), extension="7600000060")
    async with asyncio.timeout(PATIENCE_S):
        while (found := await counted(world))["callguard_calls_in_gate"]:
            await asyncio.sleep(0.05)
    page = (await get(world.pbx.ports.status, "/metrics"))[2]
    await world.gate.stop()
    log = world.gate.log()
    # a sum of seconds may be 0.6000000000000001: what follows a point is no number anyone called
    whole = re.sub(r"(?<=\d\.)\d+", "", log + page)
    for secret in ("6000000", "Ana", "Gold", world.pbx.secrets.ari, world.pbx.secrets.ami):
        assert secret not in whole
    events = [json.loads(line) for line in log.splitlines()]
    assert {"serving", "dial decided", "recording kept", "configuration reloaded"} - {
        one["event"] for one in events
    } == {"configuration reloaded"}
    assert told.call in log
    inbound, outbound = 'direction="inbound"', 'direction="outbound"'
    assert found[f'callguard_outcomes_total{{{inbound},profile="service",state="given"}}'] == 1
    assert found[f'callguard_outcomes_total{{{outbound},profile="service",state="refused"}}'] == 1
    assert found[f'callguard_keys_total{{{inbound},meaning="yes",profile="service"}}'] == 1
    assert found[f'callguard_keys_total{{{inbound},meaning="optout",profile="service"}}'] == 1
    assert found[f'callguard_keys_total{{{outbound},meaning="no",profile="service"}}'] == 1
    assert found[f'callguard_hangups_in_notice_total{{{inbound},profile="service"}}'] == 1
    assert found['callguard_dial_decisions_total{profile="sales",rule="optout.marketing"}'] == 1
    assert found['callguard_dial_decisions_total{profile="none",rule="profile.unknown"}'] == 1
    assert found[f'callguard_first_sound_seconds_count{{{inbound},profile="service"}}'] == 3
    assert found[f'callguard_first_sound_seconds_bucket{{{inbound},le="1.0",profile="service"}}'] == 3
    assert found[f'callguard_key_to_outcome_seconds_bucket{{{inbound},le="1.0",profile="service"}}'] >= 1
    assert found["callguard_store_commit_seconds_count"] == 4
