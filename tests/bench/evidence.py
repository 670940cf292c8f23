"""A store with the history of many calls: what one person's whole history takes, a call's proof, and `ledger verify`.

``python -m tests.bench.evidence [CALLS]``; ten million where BENCH_FULL=1 (30 GB in TMPDIR, half an hour). Beside
each is what SQLite and SHA-256 alone take for the least of it in the same run. ``--store FILE`` keeps the store, or
takes the one that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from callguard.ledger.copies import opened
from callguard.ledger.keys import signer
from callguard.ledger.prove import prove
from callguard.ledger.verify import verify
from callguard.store import Store
from tests.bench.history import CALLS_EACH, CONTROLLERS, MASTERS, OFTEN, SEED, fill, number_of
from tests.bench.load import percentile

CALLS, FULL_CALLS, ASKED = 300_000, 10_000_000, 500
# What is asked with ten million calls: ms at p99, entries a second of CPU.
BUDGET = {"history_ms": 50, "proof_ms": 20, "verify_per_s": 200_000}
PAGE = 4096


def full_or(calls: int) -> int:
    """How many calls: ten million where BENCH_FULL=1."""
    return FULL_CALLS if os.environ.get("BENCH_FULL") == "1" else calls


def measure(calls: int, at: Path | None = None) -> dict[str, Any]:
    """All of it, with so many calls."""
    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as folder:
        path = at or Path(folder, "callguard.db")
        found: dict[str, Any] = {"calls": calls}
        if not path.exists():
            began = time.perf_counter()
            fill(path, calls)
            found["filled_s"] = time.perf_counter() - began
        found["bytes"] = path.stat().st_size
        found |= asyncio.run(_histories(path, calls)) | _proofs(path)
        return found | _verified(path)


async def _histories(path: Path, calls: int) -> dict[str, Any]:
    """Of people as they call, and of those who call most; beside it the legs alone, by one query."""
    drawn, people = random.Random(SEED), max(1, calls // CALLS_EACH)
    found: dict[str, Any] = {}
    key = signer(path.with_name("bench.key"), "bench.example/ledger")
    async with Store.open(path, gate=None, controllers=CONTROLLERS, keys=lambda: MASTERS) as store:
        await store.checkpoint(datetime.now(UTC), key)
        for name, among in (("history", people), ("often", min(OFTEN, people))):
            took, alone, legs = [], [], 0
            for _ in range(ASKED):
                began = time.perf_counter()
                (person,) = await store.subjects("acme", number_of(drawn.randrange(among)))
                took.append(time.perf_counter() - began)
                legs += len(person.legs)
                began = time.perf_counter()
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as bare:
                    bare.execute("SELECT * FROM legs WHERE subject_id = ?", (person.subject_id,)).fetchall()
                alone.append(time.perf_counter() - began)
            found |= _spread(name, took) | _spread(f"{name}_alone", alone) | {f"{name}_legs": legs / ASKED}
    return found


def _proofs(path: Path) -> dict[str, Any]:
    """Each from opening the store on; beside it an entry alone, by its number."""
    drawn, took, alone = random.Random(SEED), [], []
    key = signer(path.with_name("bench.key"), "bench.example/ledger").key
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as bare:
        ((legs,),) = bare.execute("SELECT MAX(rowid) FROM legs").fetchall()
        ((entries,),) = bare.execute("SELECT MAX(seq) FROM ledger").fetchall()
        asked = [drawn.randrange(1, legs) for _ in range(ASKED)]
        calls = [bare.execute("SELECT call_id FROM legs WHERE rowid = ?", (one,)).fetchone()[0] for one in asked]
    for call in calls:
        began = time.perf_counter()
        with opened(path) as copy:
            proof = prove(copy, call, [key], lambda heard: None)
        took.append(time.perf_counter() - began)
        assert proof["entries"]
        began = time.perf_counter()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as bare:
            bare.execute("SELECT body FROM ledger WHERE seq = ?", (drawn.randrange(entries),)).fetchall()
        alone.append(time.perf_counter() - began)
    return _spread("proof", took) | _spread("proof_alone", alone)


def _verified(path: Path) -> dict[str, Any]:
    """Entries in a second of CPU; beside it those that are only read and hashed."""
    found: dict[str, Any] = {}
    key = signer(path.with_name("bench.key"), "bench.example/ledger").key

    def bare() -> int:
        seen = 0
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            query = "SELECT leaf, CAST(body AS BLOB) FROM ledger WHERE seq >= ? AND seq < ?"
            while page := store.execute(query, (seen, seen + PAGE)).fetchall():
                for _, body in page:
                    sha256(body).digest()
                seen += len(page)
        return seen

    def looked(*, rows: bool) -> int:
        with opened(path) as copy:
            report = verify(copy, [key], rows=rows)
        assert not report.findings, report.findings[:3]
        return report.entries

    for name, what in (
        ("read", bare),
        ("entries_only", lambda: looked(rows=False)),
        ("verify", lambda: looked(rows=True)),
    ):  # fmt: skip
        found |= _rate(name, what)
    return found


def _rate(name: str, what: Callable[[], int]) -> dict[str, Any]:
    cpu, clock = time.process_time(), time.perf_counter()
    entries = what()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {"entries": entries, f"{name}_per_s": entries / cpu, f"{name}_by_the_clock_per_s": entries / clock}


def _spread(name: str, seconds: list[float]) -> dict[str, float]:
    ms = [one * 1e3 for one in seconds]
    return {
        f"{name}_p50_ms": percentile(ms, 0.5), f"{name}_p99_ms": percentile(ms, 0.99), f"{name}_most_ms": max(ms),
    }  # fmt: skip


def verdict(found: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What was asked for, what was measured, whether it was met."""
    of = f"of {found['calls']} calls"
    lines = [
        (
            f"{what} {of}: {BUDGET[f'{budget}_ms']} ms at p99",
            f"p50 {found[f'{name}_p50_ms']:.1f} ms, p99 {found[f'{name}_p99_ms']:.1f}, most "
            f"{found[f'{name}_most_ms']:.1f}; the least of it p50 {found[f'{name}_alone_p50_ms']:.1f}, p99 "
            f"{found[f'{name}_alone_p99_ms']:.1f}",
            found[f"{name}_p99_ms"] <= BUDGET[f"{budget}_ms"],
        )
        for what, name, budget in (
            ("one person's whole history", "history", "history"),
            (f"the same of who called {found['often_legs']:.0f} times", "often", "history"),
            ("a call's proof", "proof", "proof"),
        )
    ]
    return [
        *lines,
        (
            f"ledger verify of {found['entries']} entries: {BUDGET['verify_per_s']} in a second of CPU",
            f"{found['verify_per_s']:.0f}; {found['entries_only_per_s']:.0f} without rows, {found['read_per_s']:.0f} "
            "only read and hashed",
            found["verify_per_s"] >= BUDGET["verify_per_s"],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", nargs="?", type=int, default=full_or(CALLS), help="so many calls")
    parser.add_argument("--store", metavar="FILE", type=Path, help="keep the store there, or take the one that is")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures as JSON")
    given = parser.parse_args()
    found = measure(given.calls, given.store)
    for asked, measured, met in verdict(found):
        print(f"{'met' if met else 'MISSED':8}{asked}: {measured}")
    if given.json is not None:
        given.json.write_text(f"{json.dumps(found, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
