"""What watching whole calls costs: recorded, bridged calls with it and without: ``python -m tests.bench.watching``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.tree import find
from tests.bench import bed

RATE: Final = 40
SECONDS: Final = 15
TURNS: Final = 4
BUDGET_MS: Final = 0.5
WATCHED, UNWATCHED = "callguard, recorded", "the same, watching nothing after the gate"


class Unwatched(Gate):
    """callguard that looks away; see `peers.unwatched`."""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.peers.unwatched", *super().command[3:]]


async def watching(pbx: Pbx, folder: Path, measure: Any, caller: Any) -> list[Any]:
    """In turn, so that a machine that becomes slower meanwhile makes both dearer. Agents are there already.

    Args:
        measure: makes the calls of a load and says what they cost; see `__main__`.
    """
    rows = []
    for _ in range(TURNS):
        for name, kind in ((WATCHED, Gate), (UNWATCHED, Unwatched)):
            async with bed.callguard(pbx, folder, kind=kind) as gate:
                rows.append(await measure(name, pbx, gate.pid, bed.BRIDGED, caller, RATE, SECONDS, gate))
    return rows


def cost(rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    """CPU of callguard for each call, watching and not, and the median of the turns' differences; ms."""
    with_it, without = ([row["gate_ms"] for row in rows if row["gate"] == name] for name in (WATCHED, UNWATCHED))
    return median(with_it), median(without), median(a - b for a, b in zip(with_it, without, strict=True))


async def main() -> int:
    from dataclasses import asdict

    from tests.bench.__main__ import TALKS, measure

    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as name:
        async with bed.pbx(find()) as pbx, bed.agents(pbx):
            rows = [asdict(row) for row in await watching(pbx, Path(name), measure, TALKS)]
    for row in rows:
        print(f"{row['gate']}: {row['gate_ms']} ms, {row['calls']} calls, {row['failed']} failed, {row['lost']} lost")
    with_it, without, more = cost(rows)
    print(f"{with_it:.2f} ms with it, {without:.2f} ms without: {more:+.2f} ms a call (asked for: {BUDGET_MS} at most)")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
