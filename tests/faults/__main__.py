"""`make faults`: every fault under load, as often as it takes to meet calls in every step, and a table at the end."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console
from rich.table import Table

from callguard.demo.pbx import Pbx
from callguard.demo.tree import find
from tests.bench.bed import widen
from tests.bench.load import percentile
from tests.faults.bed import bed
from tests.faults.faults import FAULTS
from tests.faults.judge import STEPS
from tests.faults.pair import TURNS, either_dies, second
from tests.faults.trial import Fault, Tried, p50_p99, tried
from tests.faults.withdrawals import withdrawals

TIMES: Final = 20
PAIR: Final = "either of two callguards"
# Configured wrongly; nothing of either's may be lost by it.
APART: Final = "two callguards, two folders"
WITHDRAWAL, RECOVERY = "withdrawal by key", "callguard killed, started again"
PAIR_RATE: Final = 20
COLUMNS: Final = (
    "fault", "times", "calls", "gated", "recorded", "dropped", "records lost", "audio without right, bytes", "stuck",
    "recovery p50 / p99, s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """Times in seconds, and what their p99 may be at most."""

    name: str
    most_s: float
    seconds: Sequence[float]


@asynccontextmanager
async def _pbx() -> AsyncIterator[Pbx]:
    """A private Asterisk that many calls wait in, while what they wait for is at fault."""
    async with Pbx(find()) as pbx:
        await widen(pbx)
        yield pbx


async def run(fault: Fault, times: int) -> Tried:
    """Try one on a PBX of its own."""
    async with (
        _pbx() as pbx,
        bed(
            pbx,
            supervised=fault.supervised,
            small_disks=fault.small_disks,
            own_clock=fault.own_clock,
            small_socket=fault.small_socket,
            environment=fault.environment,
        ) as place,
    ):
        return await tried(
            place,
            [fault.happens] * times,
            rate=fault.rate,
            between_s=fault.between_s,
            stays_ms=fault.stays_ms,
            kinds=fault.kinds,
            extension=fault.extension,
            pbx_died=fault.pbx_died,
            no_room=fault.no_room,
            longest_wait_s=fault.longest_wait_s,
        )


async def run_pair(times: int, *, own_folder: bool) -> Tried:
    """Two on a PBX of their own; in recovery's place, how long new calls waited for their answer."""
    async with (
        _pbx() as pbx,
        bed(pbx, supervised=False) as place,
        second(place, own_folder=own_folder) as other,
    ):
        turns = [TURNS[turn % len(TURNS)] for turn in range(times)]
        verdict, waits = await either_dies(place, other, turns, rate=PAIR_RATE)
    return Tried(times, verdict, waits, dict.fromkeys(STEPS, 0))


async def run_figures(only: str, done: Mapping[str, Tried]) -> list[Figure]:
    """What was asked for in seconds."""
    figures = []
    if only in WITHDRAWAL:
        async with Pbx(find()) as pbx, bed(pbx, supervised=False) as place:
            figures.append(Figure("from the end of the key that withdraws to the last recorded sample", 0.15,
                                  await withdrawals(place)))  # fmt: skip
    if RECOVERY in done:
        killed = done[RECOVERY]
        figures += [
            Figure("from kill -9 until callguard serves again", 2.0, killed.serving_s),
            Figure("from kill -9 to the next prompt of who was in the gate", 2.0, killed.orphans_s),
        ]
    return figures


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table("figure", "measured", "p50 / p99, s", "asked for, p99, s", "")
    for one in figures:
        met = bool(one.seconds) and percentile(one.seconds, 0.99) <= one.most_s
        table.add_row(
            one.name, str(len(one.seconds)), p50_p99(one.seconds), f"{one.most_s}", "met" if met else "missed"
        )
    return table


async def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="how often each fault is tried")
    parser.add_argument("--only", default="", help="faults and figures whose name holds this text")
    chosen = parser.parse_args()
    out = Console(width=180)
    done: list[tuple[str, Tried]] = []
    for fault in FAULTS:
        if chosen.only in fault.name:
            out.print(f"{fault.name}, {chosen.times} times at {fault.rate} calls/s …")
            one = await run(fault, chosen.times)
            done.append((fault.name, one if fault.recovers else replace(one, recovery_s=())))
            out.print("" if one.verdict.clean else one.verdict)
    for pair in (PAIR, APART):
        if chosen.only in pair:
            out.print(f"{pair}, {chosen.times} times at {PAIR_RATE} calls/s …")
            done.append((pair, await run_pair(chosen.times, own_folder=pair == APART)))
            out.print("" if done[-1][1].verdict.clean else done[-1][1].verdict)
    figures = await run_figures(chosen.only, dict(done))
    table = Table(*COLUMNS)
    for name, one in done:
        verdict = one.verdict
        table.add_row(
            name, *(str(number) for number in (
                one.times, verdict.calls, verdict.gated, verdict.recorded, len(verdict.dropped), len(verdict.lost),
                verdict.unlawful_bytes, len(verdict.stuck),
            )),
            one.recovery,
        )  # fmt: skip
    if done:
        out.print(table)
    if figures:
        out.print(_figures(figures))
    out.print(f"Of {PAIR}: not the recovery, but how long new calls waited for their answer meanwhile.")
    for name, one in done:
        if name not in (PAIR, APART):
            met = ", ".join(f"{calls} {step}" for step, calls in one.steps.items())
            out.print(f"{name}: calls met: {met}")
    return 0 if all(one.verdict.clean for _, one in done) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
