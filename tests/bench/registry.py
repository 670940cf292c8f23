"""A national list: how fast it is imported, how large it is, what it takes to look a number up in it.

``python -m tests.bench.registry [COUNT]``; the United States have 258.5 million numbers. Import and look-ups run in a
process each, so that its peak of resident memory (VmHWM, proc(5)) is its own.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callguard.registry.load import load
from callguard.registry.number_set import NumberSet
from callguard.sections import Registry
from tests.bench.load import percentile
from tests.registry.generate import SEED, bulk

COUNT, LOOK_UPS = 10_000_000, 200_000
# As dense as the United States: 258.5 million numbers in about 350 area codes.
IN_AN_AREA = 738_000
US = Registry(format="nanp", country=("US",), max_age_days=31)


def imports(given: Path, into: Path) -> dict[str, float]:
    began = time.perf_counter()
    head, _ = load(given, into, "us", US, datetime.now(UTC).date(), force=False, told=lambda *_: None)
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


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) / 1_024 if found else float("nan")


def _in_a_process(part: str, *arguments: Path) -> Any:
    command = [sys.executable, "-m", "tests.bench.registry", "--part", part, *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="lines of the list")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part, *paths = given.part
        print(json.dumps({"imports": imports, "looks_up": looks_up}[part](*map(Path, paths))))
        return
    with tempfile.TemporaryDirectory() as folder:
        lines, into = Path(folder, "us.txt"), Path(folder, "registries", "us.numbers")
        bulk(lines, given.count, areas=max(1, given.count // IN_AN_AREA))
        imported = _in_a_process("imports", lines, into)
        looked = _in_a_process("looks_up", lines, into)
        size = into.stat().st_size
    print(f"import      {given.count / imported['seconds'] / 1e6:.2f} million lines/s ({imported['seconds']:.1f} s)")
    print(f"numbers     {imported['numbers']}")
    print(f"on disk     {size} bytes ({size / imported['numbers']:.2f} a number)")
    print(f"peak memory {imported['peak_mb']:.0f} MB importing, {looked['peak_mb']:.0f} MB looking up")
    print(f"open        {looked['open_seconds']:.2f} s, all of it read and checked")
    print(f"look-up     p50 {looked['p50_us']:.1f} us, p99 {looked['p99_us']:.1f} us of {LOOK_UPS}")


if __name__ == "__main__":
    main()
