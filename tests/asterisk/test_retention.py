"""What keeps a real recording, and what ends it, with callguard at work."""

from __future__ import annotations

import asyncio
import json

from callguard.demo.rtp import Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES
from tests.asterisk.conftest import World, says_yes, stop_keys
from tests.test_cli import callguard


async def command(world: World, *words: str) -> str:
    """What a command says that an officer types beside the service."""
    done = await asyncio.to_thread(callguard, *words, "--config", str(world.gate.folder / "callguard.toml"))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_hold_keeps_a_recording_that_is_withdrawn_and_time_ends_another(world: World) -> None:
    calls, times = len(world.agent.calls), world.times
    talking = asyncio.create_task(
        world.call(*says_yes(times, 5_000), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_500), from_name="held")
    )
    reached = await world.agent_call(calls)
    await reached.up()
    held = world.told(reached).call
    await command(world, "recordings", "hold", held, "--reason", "claim 7")
    await talking
    leg = await world.settled(held)
    assert leg.recording is not None and leg.recording.state == "kept"
    # It keeps what was recorded with a basis, and nothing that came after the withdrawal.
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert [one["state"] for one in world.sidecar(leg)["purposes"]] == ["withdrawn"]

    await world.call(*says_yes(times))
    other = world.told(await world.agent_call(calls + 1)).call
    assert (await world.settled(other)).recording is not None
    assert [one["ok"] for one in json.loads(await command(world, "recordings", "verify", "--json"))] == [True, True]

    await world.gate.stop()
    file = world.gate.folder / "callguard.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"recording.quality" = { days = 90 }', '"recording.quality" = { days = 0 }'))
    await world.gate.start()
    gone = await world.destroyed(other)
    assert gone.recording is not None and gone.recording.reason == "time"
    assert world.tones(await world.leg(held)) == {CALLER_AFTER_YES, AGENT}

    file.write_text(text, encoding="utf-8")
    await command(world, "recordings", "release", held, "--reason", "settled")
    await command(world, "recordings", "purge")
    leg = await world.destroyed(held)
    assert leg.recording is not None and leg.recording.reason == "withdrawn"
    assert not [name for name in world.files() if name.endswith((".wav", ".json"))]
    assert await command(world, "audit", "basis") == "Every record has its lawful basis, and its evidence\n"
