"""Numbers in any order, once or more often, to the file of a list, in little memory.

They are first dealt out by prefix to files of a scratch folder, so that only some prefixes are held at a time: the
258.5 million numbers of the United States need 2 GB of disk for that, for as long as it takes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from callguard.registry.lines import Numbers
from callguard.registry.number_set import HEAD_BYTES, SPAN, Head, index_of, is_bitmap

BUCKETS = 128
PIECE = 1 << 20
FILE_MODE = 0o640
SYNCED_TOGETHER = 8 << 20
"""So many bytes go through to the disk together: a journal writes what is dirty before it commits, and the service's
own commits would wait for all of a list (ext4(5), data=ordered)."""
# A prefix, how many numbers it has, and these as they stand in the file.
Block: TypeAlias = tuple[int, int, bytes]


def build(head: Head, numbers: Iterable[Numbers], scratch: Path, told: Callable[[int], None]) -> tuple[Head, Path]:
    """Write a list into an empty folder, and through to the disk.

    Args:
        head: registry, date and time; the rest of it is found out.
        told: is called with the share that is written, in percent.

    Returns:
        The head as it is written, and the file.

    Raises:
        OSError: the disk is full, or the like.
    """
    with ExitStack() as stack:
        buckets = [stack.enter_context((scratch / f"{number}").open("w+b", 1 << 15)) for number in range(BUCKETS)]
        for some in numbers:
            _deal(some, buckets)
        return write(head, _dealt(buckets), scratch / "list", lambda done: told(100 * done // BUCKETS))


def write(head: Head, parts: Iterable[Iterable[Block]], made: Path, told: Callable[[int], None]) -> tuple[Head, Path]:
    """Write the file of a list from its blocks, and through to the disk.

    Args:
        head: registry, date and time; the rest of it is found out.
        parts: some blocks each, in any order.
        told: is called with how many parts are written.

    Raises:
        OSError: the disk is full, or the like.
    """
    with made.open("wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        file.write(bytes(HEAD_BYTES))
        sha256 = hashlib.sha256()
        blocks: list[tuple[int, int, int]] = []
        unsynced = 0
        for done, part in enumerate(parts, start=1):
            for prefix, count, block in part:
                blocks.append((prefix, count, file.tell()))
                file.write(block)
                sha256.update(block)
                unsynced += len(block)
                if unsynced >= SYNCED_TOGETHER:
                    file.flush()
                    os.fdatasync(file.fileno())
                    unsynced = 0
            told(done)
        index = index_of(blocks)
        file.write(index)
        sha256.update(index)
        head = replace(
            head, numbers=sum(count for _, count, _ in blocks), prefixes=len(blocks),
            body_bytes=file.tell() - HEAD_BYTES, body_sha256=sha256.digest(),
        )  # fmt: skip
        file.seek(0)
        file.write(head.pack())
        file.flush()
        os.fsync(file.fileno())
    return head, made


def _deal(numbers: Numbers, buckets: Sequence[IO[bytes]]) -> None:
    chosen = (numbers // SPAN % BUCKETS).astype(np.uint8)
    dealt = numbers[np.argsort(chosen, kind="stable")]
    ends = np.cumsum(np.bincount(chosen, minlength=BUCKETS))
    begin = 0
    for bucket, end in zip(buckets, ends.tolist(), strict=True):
        if end > begin:
            bucket.write(dealt[begin:end].tobytes())
        begin = end


def _dealt(buckets: Sequence[IO[bytes]]) -> Iterator[Iterator[Block]]:
    for bucket in buckets:
        yield _blocks(bucket)
        # So that list and scratch files together never need much more than the latter.
        bucket.truncate(0)


def _blocks(bucket: IO[bytes]) -> Iterator[Block]:
    """The prefixes of a bucket, how many numbers each has, and its block."""
    found: dict[int, _Suffixes] = {}
    bucket.seek(0)
    while data := bucket.read(PIECE * 8):
        piece = np.sort(np.frombuffer(data, np.int64))
        prefixes = piece // SPAN
        cuts = (np.flatnonzero(np.diff(prefixes)) + 1).tolist()
        for begin, end in zip([0, *cuts], [*cuts, len(piece)], strict=True):
            prefix = int(prefixes[begin])
            found.setdefault(prefix, _Suffixes()).add((piece[begin:end] - prefix * SPAN).astype(np.uint32))
    for prefix in sorted(found):
        yield prefix, *found.pop(prefix).block()


class _Suffixes:
    """The last seven digits of one prefix's numbers: some arrays, or flags as soon as it may become a bitmap."""

    def __init__(self) -> None:
        self._some: list[NDArray[np.uint32]] = []
        self._held = 0
        self._flags: NDArray[np.bool_] | None = None

    def add(self, suffixes: NDArray[np.uint32]) -> None:
        self._some.append(suffixes)
        self._held += len(suffixes)
        if self._flags is None and is_bitmap(self._held):
            self._flags = np.zeros(SPAN, np.bool_)
        if self._flags is not None:
            for some in self._some:
                self._flags[some] = True
            self._some.clear()

    def block(self) -> tuple[int, bytes]:
        if self._flags is None:
            suffixes = np.sort(np.concatenate(self._some))
            suffixes = suffixes[np.concatenate(([True], suffixes[1:] != suffixes[:-1]))]
        elif is_bitmap(count := int(np.count_nonzero(self._flags))):
            return count, np.packbits(self._flags, bitorder="little").tobytes()
        else:
            suffixes = np.flatnonzero(self._flags).astype(np.uint32)
        return len(suffixes), suffixes.astype("<u4").tobytes()
