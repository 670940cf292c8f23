"""What callguard costs, beside its peers in the same run: ``make bench``, or ``python -m tests.bench``.

CPU is that of the whole process, from proc(5). On a small or busy machine only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Silence, Tone
from callguard.demo.tree import find
from callguard.errors import TelephonyError
from callguard.speech.render import LEAD_MS
from tests.bench import bed, dial, evidence, registry
from tests.bench import watching as watched
from tests.bench.load import Caller, Load, load, percentile, spent
from tests.bench.watching import watching

# Presses while the question is asked, waits for the end.
YES, NO = (Caller((Key(key, 100),), after_ms=1_500, hangs_up_ms=10_000, stays=True) for key in "12")
# Presses, talks, hangs up.
TALKS = Caller((Key("1", 100), Tone(440, 2_500)), after_ms=1_500, hangs_up_ms=3_000)
# Presses nothing, and hangs up before the question is asked again (after 23 s), but later than the last has called
# (20 s).
WAITS = Caller((Silence(20),), after_ms=100, hangs_up_ms=27_000)

RATE, HELD_S, STEP_S = 100, 60, 12
# What a bare asyncari gate carries without making callers wait.
SLOW_RATE = 40
HIGHEST = (120, 140, 160, 180, 200, 220)
BRIDGED_RATES = (10, 20, 30, 40, 50)
WAITING = 1_000
# Asked and answered; and with a recording that is begun, never bridged, and so thrown away.
GATE, BEGUN = "callguard", "callguard, yes"
ANSWERED = "SELECT count(*) FROM legs WHERE outcome IN ('given', 'refused')"
KEPT = "SELECT count(*) FROM recordings WHERE state = 'kept'"
BUDGET_MS, BUDGET_SHARE, BUDGET_MB = 2.0, 0.25, 150


@dataclass(frozen=True, slots=True)
class Row:
    """One load on one gate.

    Attributes:
        lost: calls that went well and have no row, or one that does not say what was pressed; or no recording, where
            there was one to be made.
        gate_ms: CPU of the gate's process for each call; None where it is Asterisk's own dialplan.
        asterisk_ms: CPU of Asterisk for each call.
        first_sound_ms: from the INVITE to the first sound, p50 and p99, without the prompt's own leading silence.
        outcome_ms: from the key's going down (it is held for 80 ms) to the call's end, p50 and p99.
    """

    gate: str
    calls: int
    rate: int
    failed: int
    lost: int
    gate_ms: float | None
    asterisk_ms: float
    first_sound_ms: tuple[int, int] | None
    outcome_ms: tuple[int, int] | None

    @property
    def held(self) -> bool:
        return not self.failed and not self.lost


async def measure(
    name: str,
    pbx: Pbx,
    pid: int | None,
    extension: str,
    caller: Caller,
    rate: int,
    seconds: int,
    gate: Gate | None = None,
) -> Row:
    calls = rate * seconds
    bridged = extension == bed.BRIDGED
    rows = _rows(gate, bridged=bridged)
    with pbx.line() as line:
        assert pbx.pid is not None
        before = [spent(one) for one in (pbx.pid, pid) if one]
        found = await load(pbx, line, extension, caller, rate=rate, calls=calls)
        if gate is not None:
            await _settled(gate)
        after = [spent(one) for one in (pbx.pid, pid) if one]
    used = [round((b.cpu_s - a.cpu_s) / calls * 1e3, 2) for a, b in zip(before, after, strict=True)]
    lead_s = LEAD_MS / 1000 if gate is not None else 0
    sounds = [waited.sound_s - lead_s for waited in found.waited if waited.sound_s is not None]
    outcomes = [waited.outcome_s for waited in found.waited] if caller.stays else []
    lost = calls - found.failed - (_rows(gate, bridged=bridged) - rows) if gate is not None else 0
    return Row(
        name, calls, rate, found.failed, max(0, lost), used[1] if pid else None, used[0], _ms(sounds), _ms(outcomes)
    )


async def bench(python: str | None, report: Any) -> dict[str, Any]:
    """All of it; `python` has asyncari, None leaves that peer out."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as name:
        folder = Path(name)
        async with bed.pbx(find()) as pbx:
            rows = [await measure("plain dialplan", pbx, None, bed.PLAIN, NO, RATE, STEP_S)]
            async with bed.peer(pbx, bed.FASTAGI) as pid:
                rows.append(await measure("bare FastAGI", pbx, pid, bed.FASTAGI, NO, RATE, STEP_S))
            async with _gate(pbx, folder) as (gate, pid):
                rows.append(await measure(GATE, pbx, pid, bed.CALLGUARD, NO, RATE, STEP_S, gate))
                rows.append(await measure(BEGUN, pbx, pid, bed.CALLGUARD, YES, RATE, STEP_S, gate))
            if python is not None:
                async with bed.peer(pbx, bed.ASYNCARI, python) as pid:
                    rows.append(await measure("bare asyncari", pbx, pid, bed.ASYNCARI, NO, SLOW_RATE, STEP_S))
            async with _gate(pbx, folder) as (gate, pid):
                rows.append(await measure(GATE, pbx, pid, bed.CALLGUARD, NO, SLOW_RATE, STEP_S, gate))
            report("What a call costs, asked and answered, nobody bridged", rows)
            results["cost"] = [asdict(row) for row in rows]

            async with _gate(pbx, folder) as (gate, pid):
                rows = [await measure(GATE, pbx, pid, bed.CALLGUARD, NO, RATE, HELD_S, gate)]
                for rate in HIGHEST:
                    rows.append(await measure(GATE, pbx, pid, bed.CALLGUARD, NO, rate, STEP_S, gate))
                    if not rows[-1].held:
                        break
            report("What it holds", rows)
            results["held"] = [asdict(row) for row in rows]
            results["highest_rate"] = max((row.rate for row in rows if row.held), default=0)

            rows = []
            async with bed.agents(pbx), _gate(pbx, folder) as (gate, pid):
                for rate in BRIDGED_RATES:
                    rows.append(await measure("callguard, recorded", pbx, pid, bed.BRIDGED, TALKS, rate, STEP_S, gate))
                    if not rows[-1].held:
                        break
            report("Recorded and bridged: 2.5 s of talk, mixed to one file, hashed, with its sidecar", rows)
            results["bridged"] = [asdict(row) for row in rows]

            async with bed.agents(pbx):
                rows = await watching(pbx, folder, measure, TALKS)
            report("What watching whole calls costs", rows)
            results["watching"] = [asdict(row) for row in rows]

            results["waiting"] = await _waiting(pbx, folder)
    results["registry"] = await asyncio.to_thread(registry.measure, registry.full_or(registry.COUNT))
    results["evidence"] = await asyncio.to_thread(evidence.measure, evidence.full_or(evidence.CALLS))
    results["dial"] = await dial.measure(dial.SMALL, dial.SMALL_SECONDS, python)
    return results


async def _waiting(pbx: Pbx, folder: Path) -> dict[str, float]:
    """Resident memory while all wait at the question."""
    async with _gate(pbx, folder, answer_wait_s=20.0) as (_, pid):
        idle = spent(pid).resident_mb
        with pbx.line() as line:
            calls = asyncio.create_task(load(pbx, line, bed.CALLGUARD, WAITS, rate=50, calls=WAITING))
            most, seen = 0.0, 0
            while not calls.done():
                await asyncio.sleep(1)
                most = max(most, spent(pid).resident_mb)
                # Its command line is slow to answer while calls come in.
                with suppress(TelephonyError):
                    seen = max(seen, int((await pbx.cli("core show channels count")).split()[0]))
            found: Load = await calls
    return {
        "calls": seen, "failed": found.failed, "asterisk_died": pbx.pid is None,
        "resident_mb": round(most, 1), "idle_mb": round(idle, 1),
    }  # fmt: skip


@asynccontextmanager
async def _gate(pbx: Pbx, folder: Path, answer_wait_s: float = 5.0) -> AsyncIterator[tuple[Gate, int]]:
    async with bed.callguard(pbx, folder, answer_wait_s) as gate:
        assert gate.pid is not None
        yield gate, gate.pid


def _rows(gate: Gate | None, *, bridged: bool) -> int:
    """The legs whose answer is what was pressed; of calls that were bridged, those whose recording is kept."""
    if gate is None:
        return 0
    connection = sqlite3.connect(f"file:{gate.store}?mode=ro", uri=True)
    try:
        (count,) = connection.execute(KEPT if bridged else ANSWERED).fetchone()
        return int(count)
    finally:
        connection.close()


async def _settled(gate: Gate) -> None:
    """Wait until no recording is expected any more: its end is part of what a call costs."""
    async with asyncio.timeout(60):
        while True:
            connection = sqlite3.connect(f"file:{gate.store}?mode=ro", uri=True)
            query = "SELECT count(*) FROM legs WHERE recording AND recording_ended_at IS NULL"
            (count,) = connection.execute(query).fetchone()
            connection.close()
            if not count:
                return
            await asyncio.sleep(0.5)


def _ms(seconds: Sequence[float]) -> tuple[int, int] | None:
    if not seconds:
        return None
    return round(percentile(seconds, 0.5) * 1e3), round(percentile(seconds, 0.99) * 1e3)


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    columns = (
        "calls/s",
        "calls",
        "failed",
        "lost",
        "CPU gate ms",
        "CPU Asterisk ms",
        "first sound ms",
        "key to end ms",
    )
    table.add_column("gate")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.gate, str(row.rate), str(row.calls), str(row.failed), str(row.lost),
            "-" if row.gate_ms is None else f"{row.gate_ms:.2f}", f"{row.asterisk_ms:.2f}",
            *("-" if pair is None else f"{pair[0]} / {pair[1]}" for pair in (row.first_sound_ms, row.outcome_ms)),
        )  # fmt: skip
    return table


def _verdict(results: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What was asked for, what was measured, whether it was met."""
    cost = {(row["gate"], row["rate"]): row["gate_ms"] for row in results["cost"]}
    ours, slow = cost[GATE, RATE], cost[GATE, SLOW_RATE]
    agi, theirs = cost["bare FastAGI", RATE], cost.get(("bare asyncari", SLOW_RATE))
    held, waiting = results["held"][0], results["waiting"]
    verdict = [
        (f"CPU of callguard at {RATE} calls/s: {BUDGET_MS} ms at most", f"{ours:.2f} ms", ours <= BUDGET_MS),
        (
            f"the same beside a bare FastAGI gate ({agi:.2f} ms here; 0.9 to 1.2 where the budget was set)",
            f"{ours / agi:.2f} times",
            ours / agi <= BUDGET_MS,
        ),
    ]
    if theirs:
        share = slow / theirs
        asked = f"of a bare asyncari gate's, at {SLOW_RATE} calls/s: a quarter at most"
        verdict.append((asked, f"{share:.2f}", share <= BUDGET_SHARE))
    with_it, without, more = watched.cost(results["watching"])
    verdict.append(
        (
            f"CPU of watching whole calls: {watched.BUDGET_MS} ms a call at most",
            f"{more:+.2f} ms ({with_it:.2f} with it, {without:.2f} without)",
            more <= watched.BUDGET_MS,
        )
    )
    kept = not held["failed"] and not held["lost"]
    highest = results["highest_rate"]
    return [
        *verdict,
        (f"{RATE} calls/s for {HELD_S} s: none failed, no row lost", f"{held['failed']}, {held['lost']}", kept),
        ("highest rate held: 200 aimed at", f"{highest} calls/s", highest >= 200),
        (
            f"resident with {WAITING} calls at the question: {BUDGET_MB} MB at most",
            f"{waiting['resident_mb']} MB with {waiting['calls']}, {waiting['failed']} failed"
            + (": Asterisk died" if waiting["asterisk_died"] else ""),
            waiting["resident_mb"] <= BUDGET_MB and waiting["calls"] >= WAITING and not waiting["failed"],
        ),
        *registry.verdict(results["registry"]),
        *evidence.verdict(results["evidence"]),
        *dial.verdict(results["dial"]),
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("--json", metavar="FILE", type=Path, help="write all figures as JSON")
    arguments.add_argument(
        "--asyncari", metavar="PYTHON", help="a Python that has asyncari and asyncpg, to compare with"
    )
    given = arguments.parse_args()
    # Wide enough for the tables also where it is no terminal.
    console = Console(width=None if sys.stdout.isatty() else 130)
    results = asyncio.run(bench(given.asyncari, lambda title, rows: console.print(_table(title, rows))))
    table = Table(title="What was asked for", title_justify="left")
    for column in ("asked", "measured", ""):
        table.add_column(column)
    verdict = _verdict(results)
    for asked, measured, met in verdict:
        table.add_row(asked, measured, "met" if met else "missed")
    console.print(table)
    console.print(*dial.told(results["dial"]), sep="\n")
    results["verdict"] = [{"asked": asked, "measured": measured, "met": met} for asked, measured, met in verdict]
    if given.json is not None:
        given.json.write_text(f"{json.dumps(results, indent=2)}\n", encoding="utf-8")
    return 0 if results["held"][0]["failed"] == results["held"][0]["lost"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
