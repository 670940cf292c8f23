"""A fault tried under load: often enough to meet calls in every step, then let go, then judged."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from callguard.errors import TelephonyError
from tests.bench.load import percentile
from tests.faults.bed import Bed
from tests.faults.callers import MIX, Called, Kind, load
from tests.faults.judge import LONGEST_WAIT_S, STEPS, Verdict, files_of, judge, rows_of, steps_at

# Every step of the gate is reached within this, so the next fault finds calls in all of them.
BETWEEN_S: Final = (1.5, 3.5)
# Longer than a caller stays: nobody meets two.
APART_S: Final = (12.5, 14.5)
# The longest that lies between two prompts.
IN_THE_GATE_S: Final = 3.0
CALLS_END_WITHIN_S: Final = 15.0
WORK_ENDS_WITHIN_S: Final = 15.0
CHANCE: Final = secrets.SystemRandom()

Happens = Callable[[Bed], Awaitable[float]]
"""Makes a fault happen and go away again; when it began, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One that is tried.

    Attributes:
        name: as the table and the documentation call it.
        happens: makes it happen, once.
        supervised: whether somebody plays systemd meanwhile.
        small_disks: see `bed`; `own_clock` and `small_socket` likewise.
        environment: settings over those of the file.
        rate: calls a second.
        between_s: from the end of one to the beginning of the next.
        stays_ms: when callers hang up.
        kinds: who calls; see `load`, as for `extension`.
        pbx_died: see `judge`; `no_room` and `longest_wait_s` likewise.
        recovers: whether the time until a new call is gated is a figure of callguard's.
    """

    name: str
    happens: Happens
    supervised: bool = True
    small_disks: bool = False
    own_clock: bool = False
    small_socket: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    rate: int = 20
    between_s: tuple[float, float] = BETWEEN_S
    stays_ms: int = 12_000
    kinds: tuple[Kind, ...] = MIX
    extension: str = "1000"
    pbx_died: bool = False
    no_room: bool = False
    longest_wait_s: float = LONGEST_WAIT_S
    recovers: bool = True


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying.

    Attributes:
        recovery_s: from each fault until a new call was gated, sorted.
        serving_s: from each fault until callguard served again, sorted.
        orphans_s: until who was in the gate heard another prompt, sorted.
        steps: how many calls were in which step when it happened.
    """

    times: int
    verdict: Verdict
    recovery_s: tuple[float, ...]
    steps: dict[str, int]
    serving_s: tuple[float, ...] = ()
    orphans_s: tuple[float, ...] = ()

    @property
    def recovery(self) -> str:
        """p50 and p99 in seconds."""
        return p50_p99(self.recovery_s)


async def tried(
    bed: Bed,
    happens: Sequence[Happens],
    *,
    rate: int,
    between_s: tuple[float, float] = BETWEEN_S,
    stays_ms: int = 12_000,
    pbx_died: bool = False,
    no_room: bool = False,
    longest_wait_s: float = LONGEST_WAIT_S,
    kinds: tuple[Kind, ...] = MIX,
    extension: str = "1000",
) -> Tried:
    """Make faults happen one after another under one load, then judge it."""
    began: list[float] = []
    async with load(bed.pbx, bed.work, rate=rate, stays_ms=stays_ms, kinds=kinds, extension=extension) as running:
        for one in happens:
            await asyncio.sleep(CHANCE.uniform(*between_s))
            began.append(await one(bed))
        await asyncio.sleep(BETWEEN_S[1])
    left = await left_after(bed)
    rows, calls = rows_of(bed.store), running.calls()
    files = await asyncio.to_thread(files_of, bed.recordings)
    verdict = judge(
        calls, rows, files, restarts=bed.served(), left=left, pbx_died=pbx_died, no_room=no_room,
        longest_wait_s=longest_wait_s,
    )  # fmt: skip
    steps = dict.fromkeys(STEPS, 0)
    for moment in began:
        for step, calls_in_it in steps_at(moment, calls, rows).items():
            steps[step] += calls_in_it
    served = bed.served()
    serving = [next((at - moment for at in served if at > moment), float("inf")) for moment in began]
    return Tried(
        len(began), verdict, tuple(sorted(_recovery(began, calls))), steps, tuple(sorted(serving)),
        tuple(sorted(_orphans(began, bed.ari.prompts))),
    )  # fmt: skip


def p50_p99(seconds: Sequence[float]) -> str:
    """As the table has them; nothing of nothing."""
    return f"{percentile(seconds, 0.5):.2f} / {percentile(seconds, 0.99):.2f}" if seconds else ""


def _orphans(began: Sequence[float], prompts: Sequence[tuple[float, str]]) -> Iterator[float]:
    """From each moment until the next prompt of each channel that had one before it, and was in the gate still."""
    for moment in began:
        waiting = {channel for at, channel in prompts if moment - IN_THE_GATE_S < at <= moment}
        for at, channel in prompts:
            if at > moment and channel in waiting:
                waiting.remove(channel)
                yield at - moment


def _recovery(began: Sequence[float], calls: Sequence[Called]) -> list[float]:
    """From each moment until the first later call that callguard gave an answer to."""
    gated = sorted(call.invited for call in calls for told in call.reached if told.gated)
    return [next((at - moment for at in gated if at > moment), float("inf")) for moment in began]


async def left_after(bed: Bed) -> list[str]:
    """Wait until calls and work have come to an end; what has not."""
    left = []
    with suppress(TimeoutError):
        async with asyncio.timeout(CALLS_END_WITHIN_S):
            while await bed.channels():
                await asyncio.sleep(0.2)
    if channels := await bed.channels():
        left.append(f"{channels} channels")
    # It works off what is left when it starts, and every 15 s.
    await bed.restart()
    with suppress(TimeoutError):
        async with asyncio.timeout(WORK_ENDS_WITHIN_S):
            while any(row.recording and not row.ended for row in rows_of(bed.store).values()) or await _unsaved(bed):
                await asyncio.sleep(0.2)
    left += [f"{leg}: what was said is not saved" for leg in await _unsaved(bed)]
    return left


async def _unsaved(bed: Bed) -> set[str]:
    """Of a leg that was never saved, another callguard might know."""
    return await bed.marks() & rows_of(bed.store).keys()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> bool:
    """Whether it came to be true in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with suppress(TelephonyError, OSError):
            if await condition():
                return True
        await asyncio.sleep(0.05)
    return False
