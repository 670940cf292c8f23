"""Two callguards on one PBX with one store: either may die or hang, and no new call waits for it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

from callguard.demo.gate import Gate
from tests.faults.bed import ANSWER_WAIT_S, DESTROY_AFTER_S, Bed
from tests.faults.callers import Called, load
from tests.faults.judge import Verdict, files_of, judge, rows_of
from tests.faults.trial import left_after

# A new call waits for its answer so long at most, whatever has become of either.
ANSWERED_WITHIN_S: Final = 1.0
ILL_S: Final = 3.0

Turn = tuple[Literal["first", "second"], signal.Signals]
TURNS: Final[tuple[Turn, ...]] = (
    ("first", signal.SIGKILL), ("second", signal.SIGSTOP), ("second", signal.SIGKILL), ("first", signal.SIGSTOP),
)  # fmt: skip


@asynccontextmanager
async def second(bed: Bed) -> AsyncIterator[Gate]:
    """Another callguard beside the bed's, with the same store and the same folder of recordings."""
    folder = bed.gate.recordings
    gate = Gate(
        bed.pbx, texts=bed.gate.config.prompts.texts, answer_wait_s=ANSWER_WAIT_S, destroy_after_s=DESTROY_AFTER_S,
        app="callguard-b",
        environment={
            "CALLGUARD_LOG__FORMAT": "keyvalue", "CALLGUARD_STORE__PATH": str(bed.store),
            "CALLGUARD_RECORDING__FOLDER__PATH_HERE": str(folder.path_here),
            "CALLGUARD_RECORDING__FOLDER__PATH_IN_ASTERISK": str(folder.in_asterisk),
        },
    )  # fmt: skip
    async with gate:
        yield gate


async def either_dies(bed: Bed, other: Gate, turns: Sequence[Turn], *, rate: int) -> tuple[Verdict, tuple[float, ...]]:
    """Kill and stop them in turn under load; the verdict, and how long new calls waited for their answer meanwhile.

    Whoever has two legs was taken by both, which counts as stuck.
    """
    ill: list[tuple[float, float]] = []
    async with load(bed.pbx, bed.work, rate=rate, stays_ms=11_000) as running:
        for which, how in turns:
            gate = bed.gate if which == "first" else other
            await asyncio.sleep(ILL_S)
            began = time.time()
            gate.signal(how)
            await asyncio.sleep(ILL_S)
            ill.append((began, time.time()))
            if how is signal.SIGKILL:
                await gate.kill()
                await gate.start()
            else:
                gate.signal(signal.SIGCONT)
        await asyncio.sleep(ILL_S)
    calls = running.calls()
    left = await left_after(bed)
    rows = rows_of(bed.store)
    asked = Counter(row.number for row in rows.values())
    left += [f"taken by both: {number}" for number, legs in asked.items() if legs > 1]
    files = await asyncio.to_thread(files_of, bed.recordings)
    verdict = judge(calls, rows, files, restarts=bed.served(), left=left)
    return verdict, tuple(sorted(_waits(calls, ill)))


def _waits(calls: Sequence[Called], ill: Sequence[tuple[float, float]]) -> list[float]:
    return [
        (call.answered or float("inf")) - call.invited
        for call in calls
        if any(began < call.invited < ended for began, ended in ill)
    ]
