"""What the machine itself does while something is measured: how late it wakes who only sleeps, how long its disk takes.

What takes longer than that is callguard's own doing. ``python -m tests.bench.machine FOLDER`` goes on until its
standard input ends; then it says what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.load import percentile

# As often as decisions are made, and as the store commits.
WAKES_S, WRITES_EVERY = 0.01, 5
PAGE = bytes(4096)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[dict[str, float]]:
    """Look on from a process of its own; what it saw is there on leaving: milliseconds, and the load."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.machine", str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    seen: dict[str, float] = {}
    try:
        yield seen
    finally:
        said, _ = await process.communicate(b"")
    seen |= json.loads(said) | {"load": os.getloadavg()[0]}


def look_on(folder: Path) -> dict[str, float]:
    """Sleep, and now and then write a page where it was before and fsync(2) it, until standard input ends."""
    late, synced, file = [], [], folder / "page"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        os.pwrite(descriptor, PAGE, 0)
        os.fsync(descriptor)
        print("looking on", flush=True)
        while True:
            began = time.perf_counter()
            if select.select([sys.stdin], [], [], WAKES_S)[0]:
                break
            late.append((time.perf_counter() - began - WAKES_S) * 1e3)
            if len(late) % WRITES_EVERY == 0:
                began = time.perf_counter()
                os.pwrite(descriptor, PAGE, 0)
                os.fsync(descriptor)
                synced.append((time.perf_counter() - began) * 1e3)
    finally:
        os.close(descriptor)
        file.unlink()
    return {
        "wake_p50_ms": percentile(late, 0.5), "wake_p99_ms": percentile(late, 0.99), "wake_most_ms": max(late),
        "fsync_p50_ms": percentile(synced, 0.5), "fsync_p99_ms": percentile(synced, 0.99), "fsync_most_ms": max(synced),
    }  # fmt: skip


def told(seen: dict[str, float]) -> str:
    """In a line."""
    return (
        f"the machine meanwhile, load {seen['load']:.1f}: who only sleeps is woken p99 {seen['wake_p99_ms']:.2f} ms "
        f"late, {seen['wake_most_ms']:.1f} at most; a bare fsync of a page takes p50 {seen['fsync_p50_ms']:.1f} ms, "
        f"p99 {seen['fsync_p99_ms']:.1f}, {seen['fsync_most_ms']:.1f} at most"
    )


if __name__ == "__main__":
    print(json.dumps(look_on(Path(sys.argv[1]))))
