"""A national list: how fast it is imported, how large it is, what it takes to look a number up in it, and what a change
file costs the dial decisions that are made meanwhile.

``python -m tests.bench.registry [COUNT]``; the United States have 258.5 million numbers, and so many are generated
where BENCH_FULL=1 (6 GB in TMPDIR, some minutes). Each part runs in a process of its own, so that its peak of resident
memory (VmHWM, proc(5)) is its own too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from callguard import turns
from callguard.dial_sections import Registry
from callguard.policies.load import load_from
from callguard.registry.lists import Lists
from callguard.registry.load import load, update
from callguard.registry.number_set import NumberSet
from callguard.store import Store
from tests.bench import machine
from tests.bench.load import percentile
from tests.registry.generate import SEED, bulk
from tests.test_dial import World

COUNT, FULL_COUNT, LOOK_UPS = 10_000_000, 258_500_000, 200_000
CHANGES, DECISIONS_PER_S, QUIET_S = 1_000_000, 100, 10.0
# What is asked of the whole United States: million lines/s, bytes, MB importing, MB in service, s for a change file, ms
# for a decision beside it.
BUDGET = {"rate": 1.0, "bytes": 3e9, "importing_mb": 512, "serving_mb": 300, "changes_s": 10, "decision_ms": 5}
# As dense as the United States: 258.5 million numbers in about 350 area codes.
IN_AN_AREA = 738_000
US = Registry(format="nanp", country=("US",), max_age_days=31)


def imports(given: Path, into: Path) -> dict[str, float]:
    began = time.perf_counter()
    head, _ = load(given, into, "us", US, _today() - timedelta(days=1), force=False, told=lambda *_: None)
    return {"seconds": time.perf_counter() - began, "numbers": head.numbers, "peak_mb": _peak_mb()}


def looks_up(given: Path, into: Path) -> dict[str, float]:
    """Half of them are drawn from the list; what they are is in the peak of memory too."""
    lines, width = given.stat().st_size // 12, 12
    drawn = random.Random(SEED)
    asked = []
    with given.open("rb") as file:
        for _ in range(LOOK_UPS // 2):
            file.seek(drawn.randrange(lines) * width)
            line = file.read(width).decode()
            asked += [f"+1{line[:3]}{line[4:11]}", f"+1{drawn.randrange(200, 550)}{drawn.randrange(10_000_000):07}"]
    began = time.perf_counter()
    numbers = NumberSet.verified(into, "us")
    opened = time.perf_counter() - began
    took, found = [], 0
    with numbers:
        for number in asked:
            start = time.perf_counter_ns()
            found += number in numbers
            took.append((time.perf_counter_ns() - start) / 1_000)
    if found < LOOK_UPS // 2:
        raise SystemExit(f"only {found} of {LOOK_UPS} were found, and half of them are listed")
    return {
        "open_seconds": opened,
        "p50_us": percentile(took, 0.5),
        "p99_us": percentile(took, 0.99),
        "peak_mb": _peak_mb(),
    }


def updates(given: Path, into: Path) -> dict[str, float]:
    began = time.perf_counter()
    _, _, counted = update(given, into, "us", US, _today(), None, told=lambda *_: None)
    return {
        "seconds": time.perf_counter() - began,
        "added": counted.added,
        "deleted": counted.deleted,
        "peak_mb": _peak_mb(),
    }


async def decides(given: Path, into: Path) -> dict[str, Any]:
    """Dial decisions alone, and while a change file is applied."""
    folder = into.parent.parent
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    opened = Store.open(folder / "callguard.db", gate="callguard", controllers={"acme": "Acme"})
    async with opened as store, Lists(print) as lists:
        book = load_from(None, (), _never)
        book.learn()
        world = World(folder, store, lists, book, us=US)
        await world.asks("+12025550123")
        # As the service does.
        turns.keep_short()
        turns.settle()
        async with machine.watched(folder) as quiet:
            alone, kept_alone = await _decisions(world, asyncio.create_task(asyncio.sleep(QUIET_S)))
        async with machine.watched(folder) as busy:
            beside, kept_beside = await _decisions(world, asyncio.create_task(_changed(given, into)))
        peak_mb = _peak_mb()
    return {
        **_spread("alone", alone), **_spread("beside", beside), **_spread("kept_alone", kept_alone),
        **_spread("kept_beside", kept_beside), "peak_mb": peak_mb, "machine_alone": quiet, "machine_beside": busy,
    }  # fmt: skip


async def _changed(given: Path, into: Path) -> None:
    """Until the new list is in force, and has been read to its end by who decides."""
    updating = await asyncio.create_subprocess_exec(
        *_command("updates", given, into), stdout=(into.parent / "updated.json").open("wb")
    )
    if await updating.wait():
        raise SystemExit("the change file was not applied")
    await asyncio.sleep(QUIET_S / 2)


async def _decisions(world: World, until: asyncio.Task[None]) -> tuple[list[float], list[float]]:
    """Milliseconds that each took: facts and rules; and beside these another's, until it was on the disk as well.

    The store commits in groups, 50 ms apart, so the latter says more of that than of the list.
    """
    drawn, whole, kept = random.Random(SEED), [], []
    due = time.perf_counter()

    async def keeps(number: str) -> None:
        while not until.done():
            began = time.perf_counter()
            await world.asks(number)
            kept.append((time.perf_counter() - began) * 1e3)

    keeping = asyncio.create_task(keeps("+12025550123"))
    while not until.done():
        number = f"+1{drawn.randrange(200, 550)}{drawn.randrange(10_000_000):07}"
        began = time.perf_counter()
        await world.weighs(number)
        whole.append((time.perf_counter() - began) * 1e3)
        due += 1 / DECISIONS_PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await until
    await keeping
    return whole, kept


def _spread(name: str, took: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}_p50_ms": percentile(took, 0.5),
        f"{name}_p99_ms": percentile(took, 0.99),
        f"{name}_most_ms": max(took),
        f"{name}_decisions": len(took),
    }


def _changes(file: Path, given: Path) -> None:
    """Half of them additions, half deletions of what is in the list, in no order."""
    lines, width = given.stat().st_size // 12, 12
    drawn = random.Random(SEED + 1)
    with given.open("rb") as listed, file.open("w", encoding="ascii") as out:
        for _ in range(CHANGES // 2):
            listed.seek(drawn.randrange(lines) * width)
            out.write(f"{listed.read(11).decode()},2026-11-21,D\n")
            out.write(f"{drawn.randrange(200, 550)},{drawn.randrange(10_000_000):07},2026-11-21,A\n")


def _never(problem: str, field: str) -> Any:
    raise AssertionError(problem)


def _today() -> Any:
    return datetime.now(UTC).date()


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) / 1_024 if found else float("nan")


def _command(part: str, *arguments: Path) -> list[str]:
    return [sys.executable, "-m", "tests.bench.registry", "--part", part, *map(str, arguments)]


def _in_a_process(part: str, *arguments: Path) -> Any:
    return json.loads(subprocess.run(_command(part, *arguments), stdout=subprocess.PIPE, check=True).stdout)


def measure(count: int) -> dict[str, Any]:
    """All of it, with a list of so many lines."""
    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as folder:
        lines, changes, into = (Path(folder, name) for name in ("us.txt", "changes.txt", "registries/us.numbers"))
        bulk(lines, count, areas=max(1, count // IN_AN_AREA))
        imported = _in_a_process("imports", lines, into)
        size = into.stat().st_size
        looked = _in_a_process("looks_up", lines, into)
        _changes(changes, lines)
        lines.unlink()
        decided = _in_a_process("decides", changes, into)
        updated = json.loads((into.parent / "updated.json").read_text(encoding="utf-8"))
    return {
        "count": count, "bytes": size, "imported": imported, "looked_up": looked, "updated": updated,
        "decided": decided,
    }  # fmt: skip


def full_or(count: int) -> int:
    """How many lines: those of the whole United States where BENCH_FULL=1."""
    return FULL_COUNT if os.environ.get("BENCH_FULL") == "1" else count


def verdict(found: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What was asked for, what was measured, whether it was met."""
    imported, decided, updated = found["imported"], found["decided"], found["updated"]
    rate, size = found["count"] / imported["seconds"] / 1e6, found["bytes"]
    serving = max(found["looked_up"]["peak_mb"], decided["peak_mb"])
    most, alone = decided["beside_most_ms"], decided["alone_most_ms"]
    return [
        (
            f"a national list of {found['count']} lines, imported: 1 million/s at least",
            f"{rate:.2f} million/s ({imported['seconds']:.1f} s)",
            rate >= BUDGET["rate"],
        ),
        ("its file: 3 GB at most", f"{size / 1e6:.0f} MB", size <= BUDGET["bytes"]),
        (
            "resident: 512 MB at most importing, 300 MB in service",
            f"{imported['peak_mb']:.0f} MB, {serving:.0f} MB",
            imported["peak_mb"] <= BUDGET["importing_mb"] and serving <= BUDGET["serving_mb"],
        ),
        (
            f"a change file of {CHANGES} numbers: 10 s at most",
            f"{updated['seconds']:.1f} s ({updated['added']} added, {updated['deleted']} deleted)",
            updated["seconds"] <= BUDGET["changes_s"],
        ),
        (
            f"no decision over 5 ms meanwhile, at {DECISIONS_PER_S}/s",
            f"{most:.1f} ms at most (alone: {alone:.1f}), the commit apart",
            most <= BUDGET["decision_ms"],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=full_or(COUNT), help="lines of the list")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures as JSON")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part, *paths = given.part
        if part == "decides":
            print(json.dumps(asyncio.run(decides(*map(Path, paths)))))
            return
        parts = {"imports": imports, "looks_up": looks_up, "updates": updates}
        print(json.dumps(parts[part](*map(Path, paths))))
        return
    found = measure(given.count)
    looked, decided, numbers = found["looked_up"], found["decided"], found["imported"]["numbers"]
    print(f"numbers   {numbers}, {found['bytes'] / numbers:.2f} bytes each")
    print(f"open      {looked['open_seconds']:.2f} s, all of it read and checked")
    print(f"look-up   p50 {looked['p50_us']:.1f} us, p99 {looked['p99_us']:.1f} us of {LOOK_UPS}")
    for name, what in (
        ("alone", "decisions alone"),
        ("beside", "while a change file is applied"),
        ("kept_alone", "until on the disk, alone"),
        ("kept_beside", "until on the disk, meanwhile"),
    ):
        p50, p99, most = (decided[f"{name}_{part}_ms"] for part in ("p50", "p99", "most"))
        print(f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {most:.2f} ms of {decided[f'{name}_decisions']}")
    print(*(f"{when}: {machine.told(decided[f'machine_{when}'])}" for when in ("alone", "beside")), sep="\n")
    print(f"memory    {found['updated']['peak_mb']:.0f} MB at most for the change file")
    for asked, measured, met in verdict(found):
        print(f"{'met' if met else 'MISSED':8}{asked}: {measured}")
    if given.json is not None:
        given.json.write_text(f"{json.dumps(found, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
