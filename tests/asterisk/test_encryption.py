"""Recordings of real calls are encrypted: switched on while calls run, read by who has the key, gone when withdrawn."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from callguard.demo.rtp import Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, tones_in
from callguard.keys.sealed_file import MAGIC
from tests.asterisk.conftest import PATIENCE_S, TONES, World, says_yes, stop_keys
from tests.test_cli import callguard


async def encrypted(world: World, *names: str) -> None:
    """Wait until these recordings are, and no clear file is left."""
    async with asyncio.timeout(PATIENCE_S):
        while not all(f"{name}.wav.cg" in world.files() for name in names) or list(world.folder.glob("*.wav")):
            await asyncio.sleep(0.05)


async def run(world: World, *words: str) -> str:
    config = str(world.gate.folder / "callguard.toml")
    done = await asyncio.to_thread(callguard, *words, "--config", config)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def exported(world: World, call: str, to: Path) -> set[int]:
    """The tones in a recording, as an administrator gets it."""
    await run(world, "recordings", "export", call, "--output", str(to))
    return {int(tone.hz) for tone in tones_in(to, TONES)}


async def test_recordings_are_encrypted_from_the_moment_it_is_switched_on(world: World, tmp_path: Path) -> None:
    times, before, heard = world.times, len(world.agent.calls), {CALLER_AFTER_YES, AGENT}
    await world.call(*says_yes(times))
    first = world.told(await world.agent_call(before)).call
    earlier = await world.settled(first)
    assert world.tones(earlier) == heard
    key, file = world.gate.folder / "master.key", world.gate.folder / "callguard.toml"
    await asyncio.to_thread(callguard, "keys", "new", str(key))
    file.write_text(f'{file.read_text(encoding="utf-8")}\n[keys]\nmaster = {{ file = "{key}" }}\n', encoding="utf-8")
    assert world.gate.pid is not None
    os.kill(world.gate.pid, signal.SIGHUP)
    await encrypted(world, earlier.leg.leg_id)
    withdraws = (*says_yes(times), *stop_keys(), Tone(CALLER_AFTER_STOP, 1_000))
    await asyncio.gather(world.call(*says_yes(times)), world.call(*withdraws))
    calls = [world.told(await world.agent_call(before + number)).call for number in (1, 2)]
    legs = [await world.settled(call) for call in calls]
    (kept,) = [leg for leg in legs if leg.leg.withdrawn_at is None]
    (withdrawn,) = [leg for leg in legs if leg.leg.withdrawn_at is not None]
    await world.destroyed(withdrawn.leg.call_id)
    await encrypted(world, kept.leg.leg_id)
    assert [name for name in world.files() if withdrawn.leg.leg_id in name] == []
    assert (world.folder / f"{kept.leg.leg_id}.wav.cg").read_bytes().startswith(MAGIC)
    for number, call in enumerate((first, kept.leg.call_id)):
        assert await exported(world, call, tmp_path / f"{number}.wav") == heard
    assert "as they were kept: 2; not: 0" in await run(world, "recordings", "verify")
    # A new start finds nothing to do, and reads what the one before has written.
    await world.gate.stop()
    await world.gate.start()
    assert "as they were kept: 2; not: 0" in await run(world, "recordings", "verify")
    assert key.read_text(encoding="ascii").strip() not in world.gate.log()
