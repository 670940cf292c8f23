"""Recorders that callguard did not begin, on a real Asterisk: what is left of them, and what of ours."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from callguard.core.incidents import Incident
from callguard.demo.rtp import Segment, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.store.reader import Reader
from callguard.store.records import StoredIncident
from tests.asterisk.conftest import PATIENCE_S, World, presses, says_yes

FOREIGN = Incident.RECORDING_FOREIGN
# What passes between a recorder's start and its stop, at most: an event, questions and an order by AMI.
AT_MOST_MS = 300


async def incidents(world: World, count: int) -> tuple[StoredIncident, ...]:
    async with Reader.reading(world.gate.store) as store, asyncio.timeout(PATIENCE_S):
        while len(found := tuple(one for one in await store.incidents(10) if one.kind == FOREIGN)) < count:
            await asyncio.sleep(0.05)
        return found


async def channel(world: World, endpoint: str) -> str:
    """The name of the one channel of an endpoint."""
    lines = (await world.pbx.cli("core show channels concise")).splitlines()
    (name,) = (line.split("!")[0] for line in lines if line.startswith(f"PJSIP/{endpoint}-"))
    return name


def length_ms(file: Path) -> float:
    with wave.open(str(file), "rb") as audio:
        return audio.getnframes() * 1000 / audio.getframerate()


@asynccontextmanager
async def up(world: World, *timeline: Segment, extension: str) -> AsyncIterator[None]:
    """While a call is up with the agent, who ends it."""
    calls = len(world.agent.calls)
    async with asyncio.TaskGroup() as group:
        group.create_task(world.call(*timeline, extension=extension))
        reached = await world.agent_call(calls)
        async with asyncio.timeout(PATIENCE_S):
            await reached.up()
        yield
        reached.hang_up()


async def test_a_recorder_beside_the_gate_is_stopped_and_its_file_set_aside(world: World) -> None:
    before = world.files()
    await world.call(*presses(world.times, "2", talks_ms=1_500), extension="3023")
    (incident,) = await incidents(world, 1)
    leg = await world.latest()
    assert (incident.kind, incident.leg_id, incident.controller) == ("recording.foreign", leg.leg.leg_id, "acme")
    detail = incident.detail
    assert (detail["stopped"], detail["file"], detail["ours_stopped"]) == (1, "quarantine", False)
    assert (detail["channel"], detail["context"]) == (leg.leg.channel, "from-outside")
    assert world.files() - {"quarantine"} == before - {"quarantine"}  # which a test before may have left
    assert length_ms(world.folder / "quarantine" / str(detail["quarantined_as"])) < AT_MOST_MS
    (line,) = (line for line in world.gate.log().splitlines() if "somebody else began a recording" in line)
    assert leg.leg.leg_id in line
    assert "34600000020" not in line + str(detail)


async def test_of_two_that_begin_at_once_both_files_are_set_aside_and_no_name_is_told(world: World) -> None:
    before, quarantine = world.files(), world.folder / "quarantine"
    kept = set(quarantine.glob("*"))
    folder = world.gate.recordings.in_asterisk
    files = [f"{folder}/{side}-34600000020-Ana.wav" for side in ("in", "out")]
    async with up(world, *says_yes(world.times, talks_ms=20_000), extension="1000"):
        agent = await channel(world, "agent")
        await asyncio.gather(*(world.manager(Action="MixMonitor", Channel=agent, File=file) for file in files))
        await incidents(world, 1)
        async with asyncio.timeout(PATIENCE_S):
            while len(set(quarantine.glob("*")) - kept) < 2:
                await asyncio.sleep(0.05)
    await world.settled((await world.latest()).leg.call_id)
    assert not [name for name in world.files() - before if "34600000020" in name]
    assert "34600000020" not in world.gate.log() + str([one.detail for one in await incidents(world, 1)])


async def test_where_another_writes_to_ours_it_ends_and_is_set_aside(world: World) -> None:
    async with up(world, *says_yes(world.times, talks_ms=20_000), extension="1000"):
        leg_id = (await world.latest()).leg.leg_id
        async with asyncio.timeout(PATIENCE_S):
            while not (world.folder / f"{leg_id}.wav").exists():
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # is recorded
        caller = await channel(world, "outside")
        file = f"{world.gate.recordings.in_asterisk}/{leg_id}.wav"
        at = datetime.now(UTC)
        await world.manager(Action="MixMonitor", Channel=caller, File=file, Options="a")
        (incident,) = await incidents(world, 1)
        assert "No such" in (listed := await world.pbx.cli(f"mixmonitor list {caller}")) or leg_id not in listed
    leg = await world.latest()
    assert (incident.detail["file"], incident.detail["ours_stopped"]) == ("quarantine", True)
    assert leg.recording is not None and leg.recording.state == "quarantined"
    async with Reader.reading(world.gate.store) as store:
        (zero,) = await store.segments(leg_id)
    assert zero.ended_why == "foreign" and zero.ended_at is not None
    assert abs((zero.ended_at - at).total_seconds()) < 1
    assert not [name for name in world.files() if name.startswith(leg_id)]
    assert length_ms(world.folder / "quarantine" / str(incident.detail["quarantined_as"])) > 500


async def test_ours_goes_on_where_another_begins_just_after_it(world: World) -> None:
    await world.call(*says_yes(world.times, talks_ms=1_500), extension="3023")
    leg = await world.settled((await world.latest()).leg.call_id)
    (incident,) = await incidents(world, 1)
    assert (incident.detail["stopped"], incident.detail["ours_stopped"]) == (1, False)
    assert leg.incidents == (incident,)
    assert leg.recording is not None
    assert leg.recording.duration_ms is not None
    assert leg.recording.duration_ms > 1_000
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert length_ms(world.folder / "quarantine" / str(incident.detail["quarantined_as"])) < AT_MOST_MS


async def test_what_began_while_callguard_was_dead_is_stopped_and_ours_is_not(world: World) -> None:
    elsewhere = world.pbx.tree.seen(world.pbx.path / "spool" / "monitor" / "ext-34600000021.wav")
    async with up(world, *says_yes(world.times, talks_ms=20_000), extension="1000"):
        await world.gate.kill()
        agent = await channel(world, "agent")
        await world.manager(Action="MixMonitor", Channel=agent, File=str(elsewhere))
        await world.gate.start()
        (incident,) = await incidents(world, 1)
        # And what begins on a leg of ours that this process did not see off.
        caller = await channel(world, "outside")
        await world.manager(Action="MixMonitor", Channel=caller, File=str(elsewhere))
        (second, _) = await incidents(world, 2)
    assert (second.detail["stopped"], second.detail["ours_stopped"]) == (1, False)
    assert (incident.detail["stopped"], incident.detail["file"]) == (1, "elsewhere")
    assert incident.leg_id is None
    assert "outside of the recordings' folder" in world.gate.log()
    leg = await world.settled((await world.latest()).leg.call_id)
    assert leg.recording is not None
    assert leg.recording.duration_ms is not None
    assert leg.recording.duration_ms > 500
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}


async def test_an_emergency_calls_recorder_is_its_administrators(world: World) -> None:
    file = world.pbx.path / "spool" / "monitor" / "emergency.wav"
    async with up(world, Tone(CALLER_BEFORE, 20_000), extension="112"):
        agent = await channel(world, "agent")
        await world.manager(Action="MixMonitor", Channel=agent, File=str(world.pbx.tree.seen(file)))
        await asyncio.sleep(1)  # is heard by nobody but the recorder
    # The next one is heeded after it.
    await world.call(*presses(world.times, "2", talks_ms=1_500), extension="3023")
    (incident,) = await incidents(world, 1)
    assert incident.detail["context"] == "from-outside"
    assert length_ms(file) > 500
