"""Numbers that are nobody's, from a seed: lists for tests and benchmarks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SEED = 20261122


def fictitious(count: int, seed: int = SEED) -> list[str]:
    """Different numbers in E.164, of the lines that are kept for fiction: +1 NXX 555-01XX."""
    chosen = random.Random(seed).sample(range(800 * 100), count)
    return [f"+1{200 + one // 100}55501{one % 100:02}" for one in chosen]


def nanp(numbers: list[str]) -> str:
    """As the United States and Canada give them out."""
    return "".join(f"{one[2:5]},{one[5:]}\n" for one in numbers)


def bulk(file: Path, count: int, areas: int = 350, seed: int = SEED) -> None:
    """A list as long as a country's: suffixes drawn for so many area codes, in no order, some of them twice."""
    with file.open("wb") as out:
        for text in _bulk(count, areas, seed):
            out.write(text)


def _bulk(count: int, areas: int, seed: int) -> Iterator[bytes]:
    made = np.random.default_rng(seed)
    line = np.frombuffer(b"000,0000000\n", np.uint8)
    for begin in range(0, count, 1 << 20):
        some = min(1 << 20, count - begin)
        lines = np.tile(line, (some, 1))
        for value, columns in (
            (made.integers(200, 200 + areas, some), range(2, -1, -1)),
            (made.integers(0, 10_000_000, some), range(10, 3, -1)),
        ):
            for column in columns:
                lines[:, column] += (value % 10).astype(np.uint8)
                value //= 10
        yield lines.tobytes()
