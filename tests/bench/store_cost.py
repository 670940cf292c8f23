"""What a saved leg costs: ``python -m tests.bench.store_cost [FOLDER]``.

Two loads: legs that arrive one by one at 100 a second, and a burst of 1,000 at once. CPU is the whole process's, all
threads; of the paced load the same loop without a store is taken off.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from uuid_utils import uuid7

from callguard.core.model import Answer, Basis, GrantState, Heard, Outcome, Prompt, Purpose
from callguard.store import Store
from callguard.store.records import LegRecord

RATE = 100
PACED = 1_000
BURST = 1_000

PROMPTS = tuple(
    Prompt(f"service/{part}", "en", "1", f"/prompts/{part}", 6_000, {"wav": "ab" * 32, "wav16": "cd" * 32})
    for part in ("essential", "rest")
)
ANSWER = Answer(Purpose("recording.quality", Basis.CONSENT), GrantState.GIVEN, "1", "key")


def leg(number: int) -> LegRecord:
    name, now = str(uuid7()), datetime.now(UTC)
    return LegRecord(
        leg_id=name, call_id=name, channel=name, linkedid=name, controller="acme", profile="service", language="en",
        direction="inbound", number=f"+39061{number:07d}", started_at=now, saved_at=now, outcome=Outcome.GIVEN,
        granted=("recording.quality",), recording=True, file=name, files="mixed", answers=(ANSWER,),
        heard=tuple(Heard(prompt, 6_000) for prompt in PROMPTS), early_keys=0,
    )  # fmt: skip


async def load(save: Callable[[LegRecord], Awaitable[None]], legs: list[LegRecord], rate: int | None) -> list[float]:
    """Save the legs, at a rate or all at once; return how long each waited, in seconds."""

    async def one(record: LegRecord) -> float:
        start = time.perf_counter()
        await save(record)
        return time.perf_counter() - start

    async with asyncio.TaskGroup() as group:
        start, tasks = time.perf_counter(), []
        for index, record in enumerate(legs):
            if rate and (wait := start + index / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(group.create_task(one(record)))
    return [task.result() for task in tasks]


async def nothing(_: LegRecord) -> None:
    """The loop's own cost."""


async def main(folder: Path) -> None:
    async with Store.open(folder / "bench.db", gate="bench", controllers={"acme": "Acme"}) as store:
        for name, count, rate in (("paced", PACED, RATE), ("burst", BURST, None)):
            cost = []
            for save in (nothing, store.save):
                legs = [leg(number) for number in range(count)]
                cpu, wall = time.process_time(), time.perf_counter()
                waits = sorted(await load(save, legs, rate))
                cost.append((time.process_time() - cpu) / count * 1e3)
                wall = time.perf_counter() - wall
            print(
                f"{name}: {count} legs in {wall:.2f} s; CPU a leg {cost[1] - cost[0]:.3f} ms "
                f"({cost[1]:.3f} less {cost[0]:.3f} of the loop); wait median {median(waits) * 1e3:.1f} ms, "
                f"p99 {waits[int(count * 0.99)] * 1e3:.1f} ms"
            )


if __name__ == "__main__":
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        asyncio.run(main(Path(name)))
