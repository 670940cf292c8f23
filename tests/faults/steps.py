"""callguard killed while a call is in a step that was chosen: told by what Asterisk says to it, or by the store."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import cycle
from typing import Final

from tests.faults.bed import PATIENCE_S, Bed
from tests.faults.judge import STEPS
from tests.faults.trial import CHANCE

# Longer than the longest lease in the gate, so that everybody has been let go by it.
LEASES_END_S: Final = 9.5
# What callguard orders is held up so long where the time between commit and MixMonitor is to be met.
HELD_UP_S: Final = 0.1
LOOK_EVERY_S: Final = 0.002

_TURNS: Final = {name: cycle(STEPS) for name in ("again", "for good")}


async def killed(bed: Bed) -> float:
    """Killed in each step in turn, and started again by who plays systemd."""
    began = await _kill(bed, next(_TURNS["again"]))
    await bed.serves_after(began)
    return began


async def killed_for_good(bed: Bed) -> float:
    """Killed in each step in turn, and started again when every lease has ended."""
    began = await _kill(bed, next(_TURNS["for good"]))
    await asyncio.sleep(LEASES_END_S)
    await bed.gate.kill()
    await bed.gate.start()
    return began


async def _kill(bed: Bed, step: str) -> float:
    """Kill it as soon as a call is in a step; when that was."""
    async with asyncio.timeout(PATIENCE_S):
        await _REACHED[step](bed)
    began = time.time()
    bed.signal(signal.SIGKILL)
    if bed.ari.delay_s:
        # What was ordered and held up still arrives, or is lost with the connection.
        if CHANCE.random() < 0.5:
            bed.ari.cut()
        bed.ari.delay_s = 0.0
    return began


def _told(sign: bytes, within_s: float, by: str = "ari") -> Callable[[Bed], Awaitable[None]]:
    """Asterisk tells callguard of something; a moment later."""

    async def reached(bed: Bed) -> None:
        await (bed.ari if by == "ari" else bed.ami).sees(sign)
        await asyncio.sleep(CHANCE.uniform(0.0, within_s))

    return reached


async def _committed(bed: Bed) -> None:
    """A yes is on the disk, and what follows from it is on its way to Asterisk."""
    bed.ari.delay_s = HELD_UP_S
    with closing(sqlite3.connect(f"{bed.store.as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        before = _recorded(store)
        while _recorded(store) == before:
            await asyncio.sleep(LOOK_EVERY_S)


def _recorded(store: sqlite3.Connection) -> int:
    ((count,),) = store.execute("SELECT COUNT(*) FROM legs WHERE recording = 1")
    return int(count)


_REACHED: Final[dict[str, Callable[[Bed], Awaitable[None]]]] = dict(
    zip(
        STEPS,
        (
            _told(b"CallBroadcast", 0.01),
            _told(b"PlaybackStarted", 0.5),
            # A commit waits up to 50 ms for others to share it.
            _told(b"ChannelDtmfReceived", 0.02),
            _committed,
            _told(b"MixMonitorStart", 2.0, "ami"),
        ),
        strict=True,
    )
)
