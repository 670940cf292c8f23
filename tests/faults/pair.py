"""Two callguards on one PBX with one store: either may die or hang, and no new call waits for it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from typing import Final, Literal

from callguard.demo.gate import Gate
from callguard.demo.rtp import Key, Tone
from callguard.demo.sipp import call
from callguard.demo.tones import AGENT, CALLER_BEFORE
from callguard.errors import TelephonyError
from tests.faults.bed import ANSWER_WAIT_S, DESTROY_AFTER_S, Bed, served
from tests.faults.callers import KEY_AFTER_MS, NUMBERS, Called, load
from tests.faults.judge import Verdict, files_of, judge, rows_of
from tests.faults.trial import left_after

# A new call waits for its answer so long at most, whatever has become of either.
ANSWERED_WITHIN_S: Final = 1.0
ILL_S: Final = 3.0

# Never the same one twice in a row: who waits out a stop and then a death waits for a lease after each.
Turn = tuple[Literal["first", "second"], signal.Signals]
TURNS: Final[tuple[Turn, ...]] = (
    ("first", signal.SIGKILL), ("second", signal.SIGSTOP), ("first", signal.SIGSTOP), ("second", signal.SIGKILL),
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


async def either_dies(bed: Bed, other: Gate, turns: Sequence[Turn], *, rate: int) -> tuple[Verdict, tuple[float, ...]]:
    """Kill and stop them in turn under load; the verdict, and how long new calls waited for their answer meanwhile.

    Whoever has two legs was taken by both, which counts as stuck. While one is ill somebody opts out through the other;
    whom that other, ill itself, leaves to be called all the same counts as a record lost.
    """
    ill: list[tuple[float, float]] = []
    opted_out: dict[str, list[str]] = {"first": [], "second": []}
    async with load(bed.pbx, bed.work, rate=rate, stays_ms=12_000) as running:
        for which, how in turns:
            gate = bed.gate if which == "first" else other
            await asyncio.sleep(ILL_S)
            began = time.time()
            gate.signal(how)
            beside = asyncio.gather(
                _opts_out(bed, opted_out["second" if which == "first" else "first"]),
                *(_is_dialled(bed, number) for number in opted_out[which]),
            )
            await asyncio.sleep(ILL_S)
            ill.append((began, time.time()))
            if how is signal.SIGKILL:
                await gate.kill()
                await gate.start()
            else:
                gate.signal(signal.SIGCONT)
            await beside
            opted_out[which].clear()
        await asyncio.sleep(ILL_S)
    calls = running.calls()
    left = await left_after(bed)
    rows = rows_of(bed.store)
    asked = Counter(row.number for row in rows.values())
    left += [f"taken by both: {number}" for number, legs in asked.items() if legs > 1]
    folders = {bed.recordings, other.config.recording.folder.path_here}
    files = {leg: heard for folder in folders for leg, heard in (await asyncio.to_thread(files_of, folder)).items()}
    verdict = judge(calls, rows, files, restarts=[*bed.served(), *served(other)], left=left)
    return verdict + Verdict(lost=tuple(_called_all_the_same(bed, tried=len(turns) > 1))), tuple(_waits(calls, ill))


async def _opts_out(bed: Bed, into: list[str]) -> None:
    """Somebody calls and opts out by key; dialled when it is the other's turn."""
    number = f"+346{next(NUMBERS):08d}"
    timeline = (Tone(CALLER_BEFORE, KEY_AFTER_MS), Key("9"), Tone(CALLER_BEFORE, 1_000))
    await call(bed.pbx, "1000", timeline, from_number=number)
    into.append(number)


async def _is_dialled(bed: Bed, number: str) -> None:
    """For marketing. The agent hears that it is denied, or gives up."""
    with suppress(TelephonyError):
        await call(bed.pbx, f"8{number.removeprefix('+34')}", (Tone(AGENT, 400),))


def _called_all_the_same(bed: Bed, *, tried: bool) -> list[str]:
    """The dials that were allowed to numbers that had opted out; and where it was `tried`, that there was none."""
    with closing(sqlite3.connect(f"{bed.store.as_uri()}?mode=ro", uri=True, timeout=5)) as store:
        found = store.execute(
            "SELECT s.number, d.allow, d.rules FROM opt_outs AS o JOIN subjects AS s ON s.subject_id = o.subject_id"
            " JOIN decisions AS d ON d.subject_id = o.subject_id"
        ).fetchall()
    denied = [one for one in found if not one[1] and one[2].split(",")[0] == "optout.marketing"]
    allowed = [f"opted out, and dialled: {one}" for one in found if one not in denied]
    return allowed or ["nobody who had opted out was dialled"] * (tried and not found)


def _waits(calls: Sequence[Called], ill: Sequence[tuple[float, float]]) -> list[float]:
    return sorted(
        (call.answered or float("inf")) - call.invited
        for call in calls
        if any(began < call.invited < ended for began, ended in ill)
    )
