"""Two callguards on one PBX with one store: either may die or hang, and no new call waits for it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Final, Literal

from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Tone
from callguard.demo.sipp import call
from callguard.demo.tones import AGENT, CALLER_BEFORE
from tests.faults.bed import ANSWER_WAIT_S, DESTROY_AFTER_S, PATIENCE_S, Bed, served
from tests.faults.callers import KEY_AFTER_MS, NUMBERS, Called, load
from tests.faults.judge import Verdict, files_of, judge, rows_of
from tests.faults.trial import left_after

# A new call waits for its answer so long at most, whatever has become of either.
ANSWERED_WITHIN_S: Final = 1.0
ILL_S: Final = 3.0
AWAKE_S: Final = 1.0

Turn = tuple[Literal["first", "second"], signal.Signals]
TURNS: Final[tuple[Turn, ...]] = (
    ("first", signal.SIGKILL), ("second", signal.SIGSTOP), ("second", signal.SIGKILL), ("first", signal.SIGSTOP),
)  # fmt: skip


@asynccontextmanager
async def second(bed: Bed, *, own_folder: bool = False) -> AsyncIterator[Gate]:
    """Another callguard beside the bed's, with the same store and the same folder of recordings, or one of its own."""
    app = "callguard-b"
    folder = bed.pbx.folder(f"recordings-{app}") if own_folder else bed.gate.recordings
    for left in folder.path_here.iterdir() if own_folder else ():
        left.unlink()
    gate = Gate(
        bed.pbx, texts=bed.gate.config.prompts.texts, answer_wait_s=ANSWER_WAIT_S, destroy_after_s=DESTROY_AFTER_S,
        app=app,
        environment={
            "CALLGUARD_LOG__FORMAT": "keyvalue", "CALLGUARD_STORE__PATH": str(bed.store),
            "CALLGUARD_RECORDING__FOLDER__PATH_HERE": str(folder.path_here),
            "CALLGUARD_RECORDING__FOLDER__PATH_IN_ASTERISK": str(folder.in_asterisk),
        },
    )  # fmt: skip
    async with gate:
        yield gate


async def either_dies(
    bed: Bed, other: Gate, turns: Sequence[Turn], *, rate: int, opt_outs: int = 0
) -> tuple[Verdict, tuple[float, ...]]:
    """Kill and stop them in turn under load; the verdict, and how long new calls waited for their answer meanwhile.

    Whoever has two legs was taken by both, which counts as stuck; an opt-out that the other does not know of is lost.

    Args:
        opt_outs: how many are made through either, under the same load.
    """
    ill: list[tuple[float, float]] = []
    unknown: list[str] = []
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
        for gate in (bed.gate, other):
            await _awake(gate)
        for _ in range(opt_outs):
            for makes, knows in ((bed.gate, other), (other, bed.gate)):
                unknown += await _opted_out(bed, makes, knows)
        await asyncio.sleep(ILL_S)
    calls = running.calls()
    left = await left_after(bed)
    rows = rows_of(bed.store)
    asked = Counter(row.number for row in rows.values())
    left += [f"taken by both: {number}" for number, legs in asked.items() if legs > 1]
    folders = {bed.recordings, other.config.recording.folder.path_here}
    files = {leg: heard for folder in folders for leg, heard in (await asyncio.to_thread(files_of, folder)).items()}
    verdict = judge(calls, rows, files, restarts=[*bed.served(), *served(other)], left=left) + Verdict(
        lost=tuple(unknown)
    )
    return verdict, tuple(sorted(_waits(calls, ill)))


async def _awake(gate: Gate) -> None:
    """Wait until one that was stopped serves: it may find its connection lost, and what it was offered to be over."""
    await asyncio.sleep(AWAKE_S)
    async with asyncio.timeout(PATIENCE_S):
        while gate.log().rfind(" event=serving ") < gate.log().rfind("ARI lost"):
            await asyncio.sleep(0.1)


async def _opted_out(bed: Bed, makes: Gate, knows: Gate) -> list[str]:
    """Somebody opts out by key through one; whom the other lets be called all the same the next moment."""
    number = f"+346{next(NUMBERS):08d}"
    knows.signal(signal.SIGSTOP)
    try:
        await call(bed.pbx, "1000", (Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("9"), Tone(CALLER_BEFORE, 1_500)),
                   from_number=number)  # fmt: skip
    finally:
        makes.signal(signal.SIGSTOP)
        knows.signal(signal.SIGCONT)
    try:
        await _awake(knows)
        await call(bed.pbx, f"8{number.removeprefix('+34')}", (Tone(AGENT, 400),))
    finally:
        makes.signal(signal.SIGCONT)
    await _awake(makes)
    with closing(sqlite3.connect(f"{bed.store.as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        found = store.execute(
            "SELECT d.allow, d.rules FROM decisions AS d JOIN subjects AS s ON s.subject_id = d.subject_id"
            " WHERE s.number = ?", (number,)
        ).fetchall()  # fmt: skip
        ((opted_out,),) = store.execute(
            "SELECT COUNT(*) FROM opt_outs AS o JOIN subjects AS s ON s.subject_id = o.subject_id WHERE s.number = ?",
            (number,),
        )
    return [] if found == [(0, "optout.marketing")] else [f"an opt-out of {number}, {opted_out} kept: dialled {found}"]


def _waits(calls: Sequence[Called], ill: Sequence[tuple[float, float]]) -> list[float]:
    return [
        (call.answered or float("inf")) - call.invited
        for call in calls
        if any(began < call.invited < ended for began, ended in ill)
    ]
