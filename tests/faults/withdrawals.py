"""How long a recording goes on after the key that ends it, from its own sound.

From the end of the key on each caller sends a tone that is sent at no other time: as much of it as is in the recording,
so much later than the key its last sample is. Others press a key that means nothing: all of it is in theirs.
"""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Final

import numpy as np

from callguard.demo.tones import CALLER_AFTER_STOP
from tests.faults.bed import Bed
from tests.faults.callers import AFTER_MEASURED_MS, Kind, load
from tests.faults.judge import rows_of
from tests.faults.trial import left_after

RATE: Final = 20
LASTS_S: Final = 20.0
WINDOW_MS: Final = 10
# A sine of -10 dB has 10,000; another one leaves a tenth of its own in so short a window.
LOUD: Final = 3_000
KINDS: Final = (Kind.MEASURED, Kind.MEASURED, Kind.CONTROL, Kind.MEASURED)


async def withdrawals(bed: Bed) -> list[float]:
    """Under load, three callers of four withdraw: from the end of the key to the last recorded sample, in seconds.

    Raises:
        ValueError: the tone is not heard where it is recorded, so this measures nothing.
    """
    async with load(bed.pbx, bed.work, rate=RATE, stays_ms=9_000, kinds=KINDS) as running:
        await asyncio.sleep(LASTS_S)
    await left_after(bed)
    kinds = {call.number: call.kind for call in running.calls()}
    found: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for row in rows_of(bed.store).values():
        file = bed.recordings / f"{row.leg}.wav"
        if row.kept and file.exists():
            found[kinds[row.number]].append(await asyncio.to_thread(_after_the_key, file))
    control = sorted(found[Kind.CONTROL])
    if not control or control[len(control) // 2] * 1000 < AFTER_MEASURED_MS * 0.8:
        raise ValueError(f"the tone after the key is not heard where it was recorded: {control}")
    return sorted(found[Kind.MEASURED])


def _after_the_key(file: Path) -> float:
    with wave.open(str(file)) as audio:
        rate = audio.getframerate()
        samples = np.frombuffer(audio.readframes(audio.getnframes()), dtype="<i2").astype(np.float64)
    size = rate * WINDOW_MS // 1000
    windows = samples[: samples.size // size * size].reshape(-1, size)
    tone = np.exp(-2j * np.pi * CALLER_AFTER_STOP * np.arange(size) / rate)
    loud = np.abs(windows @ tone) * 2 / size > LOUD
    return int(np.count_nonzero(loud)) * WINDOW_MS / 1000
