"""`make faults`: every fault under load, as often as it takes to meet calls in every step, and a table at the end."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.table import Table

from callguard.demo.pbx import Pbx
from callguard.demo.tree import find
from tests.faults.bed import bed
from tests.faults.faults import FAULTS
from tests.faults.judge import STEPS
from tests.faults.pair import TURNS, either_dies, second
from tests.faults.trial import Fault, Tried, tried

TIMES: Final = 20
PAIR: Final = "either of two callguards"
PAIR_RATE: Final = 20
COLUMNS: Final = (
    "fault", "times", "calls", "gated", "recorded", "dropped", "records lost", "audio without right, bytes", "stuck",
    "recovery p50 / p99, s",
)  # fmt: skip


async def run(fault: Fault, times: int) -> Tried:
    """Try one on a PBX of its own."""
    async with (
        Pbx(find()) as pbx,
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
            stays_ms=fault.stays_ms,
            pbx_died=fault.pbx_died,
            no_room=fault.no_room,
        )


async def run_pair(times: int) -> Tried:
    """Two on a PBX of their own; in recovery's place, how long new calls waited for their answer."""
    async with Pbx(find()) as pbx, bed(pbx, supervised=False) as place, second(place) as other:
        turns = [TURNS[turn % len(TURNS)] for turn in range(times)]
        verdict, waits = await either_dies(place, other, turns, rate=PAIR_RATE)
    return Tried(times, verdict, waits, dict.fromkeys(STEPS, 0))


async def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="how often each fault is tried")
    parser.add_argument("--only", default="", help="faults whose name holds this text")
    chosen = parser.parse_args()
    out = Console(width=180)
    done: list[tuple[str, Tried]] = []
    for fault in FAULTS:
        if chosen.only in fault.name:
            out.print(f"{fault.name}, {chosen.times} times at {fault.rate} calls/s …")
            one = await run(fault, chosen.times)
            done.append((fault.name, one if fault.recovers else replace(one, recovery_s=())))
            out.print("" if one.verdict.clean else one.verdict)
    if chosen.only in PAIR:
        out.print(f"{PAIR}, {chosen.times} times at {PAIR_RATE} calls/s …")
        done.append((PAIR, await run_pair(chosen.times)))
        out.print("" if done[-1][1].verdict.clean else done[-1][1].verdict)
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
    out.print(table)
    out.print(f"Of {PAIR}: not the recovery, but how long new calls waited for their answer meanwhile.")
    for name, one in done:
        if name != PAIR:
            met = ", ".join(f"{calls} {step}" for step, calls in one.steps.items())
            out.print(f"{name}: calls met: {met}")
    return 0 if all(one.verdict.clean for _, one in done) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
