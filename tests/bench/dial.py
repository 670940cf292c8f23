"""The whole dial decision: facts from the store and a national list, and the law; beside it what else is in use: a row
looked up in PostgreSQL through FastAGI, and Asterisk's own DB_EXISTS, neither of which asks anything but "is it there".

What the machine itself makes of so much work, asked so often, is shown by a peer: a bit of everything that Python's
standard library parses, of the same length one after the other.

``python -m tests.bench.dial [COUNT] [--asyncpg PYTHON]``: so many lines has the list; PYTHON has asyncpg. Without it,
or where PostgreSQL is not installed, that peer is left out, and said to be. Ours runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import logging
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_string
from ipaddress import ip_address
from itertools import cycle, islice, repeat
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import structlog

from callguard import turns
from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Basis
from callguard.demo.pbx import Pbx
from callguard.demo.tree import find
from callguard.numbers import to_e164
from callguard.policies.load import load_from
from callguard.registry.lists import Lists
from callguard.store import Store
from callguard.store.dial_records import DialRecord, NewGrant, NewOptOut
from callguard.store.writer import COMMIT_EVERY_S
from tests.bench import machine
from tests.bench.load import percentile, spent
from tests.bench.registry import COUNT, IN_AN_AREA, US, imports
from tests.registry.generate import SEED, bulk
from tests.test_dial import OURS, World

RATE, SECONDS, WARM, IN_A_ROW = 100, 15, 8_000, 4_000
SMALL, SMALL_SECONDS = 1_000_000, 5
KNOWN = 20_000
# Area codes that are in use, of those that a list begins with.
AREAS, IN_USE = 13, (201, 202, 203, 205, 206, 207, 208, 209, 210, 212)
# Entries of the peers, and look-ups in a row.
ENTRIES, LOOK_UPS = 100_000, 5_000
BUDGET = {"p50_ms": 0.3, "p99_ms": 1.0}

SITE = """\
[bench]
exten => _{kind},1,Answer()
 same => n,Set(GLOBAL(BENCH_BEGAN)=${{STRFTIME(,,%s.%6q)}})
 same => n,Set(I=0)
 same => n,Set(HITS=0)
 same => n(again),Set(I=$[${{I}} + 1])
 same => n,Set(NUMBER=+1202$[2000000 + ${{I}} * 39 % 200000])
 same => n,{look_up}
 same => n,Set(HITS=$[${{HITS}} + ${{FOUND}}])
 same => n,GotoIf($[${{I}} < {look_ups}]?again)
 same => n,Set(GLOBAL(BENCH_HITS)=${{HITS}})
 same => n,Set(GLOBAL(BENCH_ENDED)=${{STRFTIME(,,%s.%6q)}})
 same => n,Hangup()
"""


# What the peer does: as a decision does, a little each of much that is different.
PARSERS: tuple[Callable[[str], object], ...] = (
    lambda number: json.loads(f'{{"number": "{number}", "zones": ["America/New_York"], "age": 31, "listed": false}}'),
    lambda number: tomllib.loads(f'id = "us.hours"\nnumber = "{number}"\nsat = ["08:00-21:00"]\n'),
    lambda number: urlsplit(f"https://registry.example/{number}?day=2026-11-23"),
    lambda number: shlex.split(f"check {number} --profile 'sales calls' --json"),
    lambda number: next(csv.reader([f"{number},marketing,2026-11-23,'a form',17"])),
    lambda number: message_from_string(f"From: <sip:{number}@pbx.example>\nSubject: a call\n\n"),
    lambda number: datetime.strptime("2026-11-23 10:00:00 +0000", "%Y-%m-%d %H:%M:%S %z").isoformat(),
    lambda number: hashlib.sha256(number.encode()).hexdigest(),
    lambda number: Decimal(number) * 3 / 7,
    lambda number: ip_address("192.0.2.17").exploded,
)


class Noting(Store):
    """A store that notes when a decision is there to be kept, in seconds by `time.perf_counter`, by its number."""

    there: ClassVar[dict[str | None, float]] = {}

    async def decided(self, record: DialRecord) -> None:
        self.there[record.number] = time.perf_counter()
        await super().decided(record)


def ours(folder: Path, seconds: int) -> dict[str, Any]:
    """Prepare a list and a store, and measure decisions."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return asyncio.run(_ours(folder, seconds))


async def _ours(folder: Path, seconds: int) -> dict[str, Any]:
    drawn = random.Random(SEED)
    numbers = [f"+1{drawn.choice(IN_USE)}{drawn.randrange(2_000_000, 10_000_000)}" for _ in range(40_000)]
    numbers = list(dict.fromkeys(numbers))
    known, now, book = numbers[: 2 * KNOWN : 2], datetime.now(UTC), load_from(None, (), _never)
    before = now - timedelta(days=400)
    grants = [NewGrant(one, "marketing.calls", Basis.CONSENT, Channel.ONLINE, before, None, "form 17") for one in known]
    opt_outs = [NewOptOut(one, Scope.MARKETING) for one in known[::4]]
    opened = Noting.open(folder / "callguard.db", gate="callguard", controllers={"acme": "Acme"})
    async with opened as store, Lists(print) as lists:
        book.learn()
        world = World(folder, store, lists, book, us=US)
        await store.grant_all("acme", grants, now, "import")
        await store.opt_out_all("acme", opt_outs, now, "import")
        await store.called(OURS, now)
        await world.asks(numbers[0], "asked_for")  # the list is read to its end first
        # As the service does.
        turns.keep_short()
        turns.settle()
        settings = world.config.profiles["asked_for"]
        handed: list[float] = []

        async def weighed(number: str) -> None:
            await world.dial.weigh(settings, to_e164(number, None), OURS)

        async def kept(number: str) -> None:
            began = time.perf_counter()
            await world.dial.decide("asked_for", number, OURS)
            handed.append((store.there[number] - began) * 1e3)

        async def nothing(number: str) -> None:
            """The loop's own cost."""

        for number in numbers[:WARM]:
            await weighed(number)
        asked = iter(numbers[WARM:])
        in_a_row, in_a_row_cpu = await _in_a_row(weighed, asked)
        does, peer_in_a_row = await _peer(in_a_row_cpu)
        async with machine.watched(folder) as seen:
            paced, paced_cpu = await _paced(weighed, asked, RATE * seconds)
            beside, _ = await _paced(does, asked, RATE * seconds)
            _, loop_cpu = await _paced(nothing, asked, RATE * seconds // 2)
            whole, whole_cpu = await _paced(kept, asked, RATE * seconds)
    return {
        "in_a_row_ms": in_a_row, "in_a_row_cpu_ms": in_a_row_cpu,
        "p50_ms": percentile(paced, 0.5), "p99_ms": percentile(paced, 0.99), "most_ms": max(paced),
        "cpu_ms": paced_cpu - loop_cpu,
        "handed_p50_ms": percentile(handed, 0.5), "handed_p99_ms": percentile(handed, 0.99),
        "kept_p50_ms": percentile(whole, 0.5), "kept_p99_ms": percentile(whole, 0.99),
        "kept_cpu_ms": whole_cpu - loop_cpu, "decisions": len(paced), "machine": seen,
        "peer_in_a_row_cpu_ms": peer_in_a_row, "peer_p50_ms": percentile(beside, 0.5),
        "peer_p99_ms": percentile(beside, 0.99), "peer_most_ms": max(beside),
    }  # fmt: skip


async def _in_a_row(decide: Callable[[str], Awaitable[None]], numbers: Iterator[str]) -> tuple[float, float]:
    """Milliseconds of each, one after the other, and of CPU."""
    cpu, began = time.process_time(), time.perf_counter()
    for number in islice(numbers, IN_A_ROW):
        await decide(number)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return took / IN_A_ROW * 1e3, cpu / IN_A_ROW * 1e3


async def _peer(cpu_ms: float) -> tuple[Callable[[str], Awaitable[None]], float]:
    """Work of about as much CPU in a row, without any database or list, and how much that is, in milliseconds."""

    async def work(number: str) -> None:
        for parse in chosen:
            parse(number)

    chosen = list(PARSERS)
    _, once = await _in_a_row(work, repeat("+12025550123"))
    chosen = [parse for parse, _ in zip(cycle(PARSERS), range(round(len(PARSERS) * cpu_ms / once)), strict=False)]
    _, took = await _in_a_row(work, repeat("+12025550123"))
    return work, took


async def _paced(decide: Callable[[str], Awaitable[None]], numbers: Any, count: int) -> tuple[list[float], float]:
    """Milliseconds that each took, begun at `RATE` whether or not the last has ended; CPU of each in milliseconds."""

    async def one(number: str) -> float:
        began = time.perf_counter()
        await decide(number)
        return (time.perf_counter() - began) * 1e3

    tasks, cpu, due = [], time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            tasks.append(group.create_task(one(next(numbers))))
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return [task.result() for task in tasks], (time.process_time() - cpu) / count * 1e3


def _never(problem: str, field: str) -> Any:
    raise AssertionError(problem)


async def peers(folder: Path, python: str | None) -> dict[str, Any]:
    """What a look-up costs in Asterisk's dialplan: without one, in its own database, and in PostgreSQL by FastAGI."""
    found: dict[str, Any] = {}
    async with Pbx(find()) as pbx:
        await pbx.stop()
        _fill(pbx.path / "lib" / "astdb.sqlite3")
        await pbx.start()
        await pbx.cli("module load res_clioriginate.so")
        agi = pbx.ports.agi
        found["loop"] = await _loop(pbx, "Set(FOUND=$[${I} % 2])")
        found["db_exists"] = await _loop(pbx, "Set(FOUND=${DB_EXISTS(optout/${NUMBER})})")
        if python is not None and (programs := _postgres()) is not None:
            async with _database(programs, folder) as server, _gate(python, agi, folder) as gate:
                pids = (gate.pid, *_children(server))
                found["agi"] = await _loop(pbx, f"AGI(agi://127.0.0.1:{agi}/is,${{NUMBER}})", pids, LOOK_UPS // 5)
                assert gate.stdin is not None and gate.stdout is not None
                gate.stdin.write(b"\n")
                took = json.loads(await gate.stdout.readline())
                found["agi"] |= {"row_p50_ms": percentile(took, 0.5) / 1e3, "row_p99_ms": percentile(took, 0.99) / 1e3}
    return found


async def _loop(pbx: Pbx, look_up: str, pids: Sequence[int] = (), count: int = LOOK_UPS) -> dict[str, float]:
    """So many look-ups in a row: milliseconds of each, and CPU of Asterisk and of the others."""
    kind = f"{len(look_up)}{count}"
    site = pbx.path / "etc" / "site.conf"
    site.write_text(SITE.format(kind=kind, look_up=look_up, look_ups=count), encoding="utf-8")
    site.chmod(0o644)
    await pbx.cli("dialplan reload")
    await pbx.cli("dialplan set global BENCH_ENDED no")
    assert pbx.pid is not None
    before = [spent(pid).cpu_s for pid in (pbx.pid, *pids)]
    await pbx.cli(f"channel originate Local/{kind}@bench application Wait 60")
    async with asyncio.timeout(60):
        while (ended := await _global(pbx, "BENCH_ENDED")) == "no":
            await asyncio.sleep(0.2)
    if int(await _global(pbx, "BENCH_HITS")) != count // 2:
        raise SystemExit(f"{look_up} has not found what is there: half of what is asked")
    used = [after - now for after, now in zip((spent(pid).cpu_s for pid in (pbx.pid, *pids)), before, strict=True)]
    took = float(ended) - float(await _global(pbx, "BENCH_BEGAN"))
    return {
        "ms": took / count * 1e3, "asterisk_cpu_ms": used[0] / count * 1e3, "others_cpu_ms": sum(used[1:]) / count * 1e3
    }  # fmt: skip


async def _global(pbx: Pbx, name: str) -> str:
    shown = await pbx.cli("dialplan show globals")
    return next(line.partition("=")[2].strip() for line in shown.splitlines() if line.strip().startswith(f"{name}="))


def _fill(astdb: Path) -> None:
    with sqlite3.connect(astdb) as database:
        database.executemany(
            "INSERT OR REPLACE INTO astdb (key, value) VALUES (?, '1')",
            ((f"/optout/{number}",) for number in _entries()),
        )
    database.close()


def _entries() -> list[str]:
    """Half of what is asked."""
    return [f"+1202{2_000_000 + 2 * n}" for n in range(ENTRIES)]


def _postgres() -> Path | None:
    """Where PostgreSQL's programs are: Debian's are not on the PATH."""
    there = shutil.which("initdb")
    folders = [Path(there).resolve().parent] if there else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@asynccontextmanager
async def _database(programs: Path, folder: Path) -> AsyncIterator[int]:
    """A PostgreSQL of our own on a socket in a folder; its pid. It does not run as root."""
    here = folder / "postgres"
    here.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        folder.chmod(0o711)
        os.chown(here, 65534, 65534)
    data = str(here / "data")
    made = [*as_user, str(programs / "initdb"), "-D", data, "-U", "bench", "--auth=trust", "--no-sync", "-E", "UTF8"]
    await asyncio.to_thread(subprocess.run, made, check=True, stdout=subprocess.DEVNULL, cwd="/")
    process = await asyncio.create_subprocess_exec(
        # In this order: who becomes another user is no longer ended with its parent.
        *as_user, "setpriv", "--pdeathsig=KILL", "--", str(programs / "postgres"), "-D", data, "-k", str(here),
        "-c", "listen_addresses=", cwd="/", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while not (here / ".s.PGSQL.5432").exists():
                await asyncio.sleep(0.05)
        filled = (
            "CREATE TABLE optouts (number text PRIMARY KEY); INSERT INTO optouts "
            f"SELECT '+1202' || 2000000 + 2 * n FROM generate_series(0, {ENTRIES - 1}) AS n; ANALYZE optouts"
        )
        asked = [str(programs / "psql"), "-h", str(here), "-U", "bench", "-d", "postgres", "-q", "-c", filled]
        await asyncio.to_thread(subprocess.run, asked, check=True, cwd="/")
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _gate(python: str, port: int, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    script = Path(__file__).parent / "peers" / "postgres_gate.py"
    process = await asyncio.create_subprocess_exec(
        python, str(script), str(port), str(folder / "postgres"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(15):
            await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _children(pid: int) -> tuple[int, ...]:
    """A process and those that it has begun: of PostgreSQL, one for each connection."""
    begun = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return (pid, *map(int, begun))


async def measure(count: int, seconds: int, python: str | None) -> dict[str, Any]:
    """All of it, with a list of so many lines."""
    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as name:
        folder = Path(name)
        lines, into = folder / "us.txt", folder / "registries" / "us.numbers"
        await asyncio.to_thread(bulk, lines, count, max(AREAS, count // IN_AN_AREA))
        await asyncio.to_thread(imports, lines, into)
        lines.unlink()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.dial", str(count), "--part", str(folder), str(seconds),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise SystemExit("the decisions could not be measured")
        return {"count": count, "ours": json.loads(said), "peers": await peers(folder, python)}


def verdict(found: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What was asked for, what was measured, whether it was met."""
    of_ours = found["ours"]
    p50, p99 = of_ours["p50_ms"], of_ours["p99_ms"]
    return [
        (
            f"a dial decision at {RATE}/s, a list of {found['count']}: p50 {BUDGET['p50_ms']} ms, p99 "
            f"{BUDGET['p99_ms']:.0f} ms at most, the commit apart",
            f"p50 {p50:.2f} ms, p99 {p99:.2f} ms ({of_ours['in_a_row_ms']:.2f} ms each in a row)",
            p50 <= BUDGET["p50_ms"] and p99 <= BUDGET["p99_ms"],
        )
    ]


def told(found: dict[str, Any]) -> list[str]:
    """All figures, in lines."""
    one, of_peers = found["ours"], found["peers"]
    lines = [
        f"decision, the commit apart: p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms, {one['most_ms']:.1f} at "
        f"most, CPU {one['cpu_ms']:.2f} ms of {one['decisions']} at {RATE}/s; in a row {one['in_a_row_ms']:.2f} ms, "
        f"CPU {one['in_a_row_cpu_ms']:.2f}",
        f"as much work of Python's own parsers ({one['peer_in_a_row_cpu_ms']:.2f} ms of CPU in a row): p50 "
        f"{one['peer_p50_ms']:.2f} ms, p99 {one['peer_p99_ms']:.2f} ms, {one['peer_most_ms']:.1f} at most at {RATE}/s",
        "the same decisions while such are committed, until it is handed to the store: p50 "
        f"{one['handed_p50_ms']:.2f} ms, p99 {one['handed_p99_ms']:.2f} ms",
        f"until on the disk: p50 {one['kept_p50_ms']:.1f} ms, p99 {one['kept_p99_ms']:.1f} ms, CPU "
        f"{one['kept_cpu_ms']:.2f} ms; commits are grouped, {COMMIT_EVERY_S * 1e3:.0f} ms apart",
        machine.told(one["machine"]),
    ]
    empty = of_peers["loop"]
    for name, what in (("db_exists", "DB_EXISTS"), ("agi", "FastAGI and PostgreSQL")):
        if name not in of_peers:
            lines.append(f"{what}: left out, as PostgreSQL or asyncpg (--asyncpg PYTHON) is not there")
            continue
        peer = of_peers[name]
        cpu = peer["asterisk_cpu_ms"] - empty["asterisk_cpu_ms"]
        said = f"{what}, {ENTRIES} entries, in a row: {peer['ms'] - empty['ms']:.3f} ms, CPU of Asterisk {cpu:.3f} ms"
        if name == "agi":
            said += f", of the gate and the database {peer['others_cpu_ms']:.2f} ms; the row alone p50 "
            said += f"{peer['row_p50_ms']:.2f} ms, p99 {peer['row_p99_ms']:.2f} ms"
        lines.append(said)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="lines of the list")
    parser.add_argument("--asyncpg", metavar="PYTHON", help="a Python that has asyncpg, to compare with")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures as JSON")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        folder, seconds = given.part
        print(json.dumps(ours(Path(folder), int(seconds))))
        return
    found = asyncio.run(measure(given.count, SECONDS, given.asyncpg))
    print(*told(found), sep="\n")
    for asked, measured, met in verdict(found):
        print(f"{'met' if met else 'MISSED':8}{asked}: {measured}")
    if given.json is not None:
        given.json.write_text(f"{json.dumps(found, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
