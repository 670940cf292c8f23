"""What a list is after some changes: one pass over its prefixes, and what is not changed is copied as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.registry.build import Block
from callguard.registry.number_set import BITMAP_BYTES, SPAN, NumberSet, is_bitmap

Suffixes = NDArray[np.uint32]


@dataclass(slots=True)
class Changes:
    """What became of the lines of a change file.

    Attributes:
        added: numbers that were not in the list.
        deleted: numbers that were in it.
        there: were to be added, and were in it already.
        not_there: were to be deleted, and were not in it.
        repeated: lines for a number that a later line is about too; the last one counts.
    """

    added: int = 0
    deleted: int = 0
    there: int = 0
    not_there: int = 0
    repeated: int = 0

    @property
    def lines(self) -> int:
        return self.added + self.deleted + self.there + self.not_there + self.repeated


def last_of_each(parts: Iterable[NDArray[np.int64]], counted: Changes) -> NDArray[np.int64]:
    """Changes in the order of their numbers, one of each; a negative number is one to be deleted."""
    changes = np.concatenate([np.zeros(0, np.int64), *parts])
    numbers = np.abs(changes)
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    last = np.ones(len(numbers), np.bool_)
    last[:-1] = numbers[1:] != numbers[:-1]
    counted.repeated += int(len(last) - np.count_nonzero(last))
    return changes[order[last]]


def merged(before: NumberSet, changes: NDArray[np.int64], counted: Changes) -> Iterator[list[Block]]:
    """The blocks of the list as it will be, a prefix each time.

    Args:
        changes: as from `last_of_each`.
        counted: is counted up as they are applied.

    Raises:
        InputError: the list cannot be read.
    """
    numbers = np.abs(changes)
    prefixes, begins = np.unique(numbers // SPAN, return_index=True)
    ends = np.append(begins[1:], len(numbers))
    of = {int(prefix): (begin, end) for prefix, begin, end in zip(prefixes, begins, ends, strict=True)}
    for prefix in sorted(before.prefixes | of.keys()):
        count, block = before.block(prefix)
        if prefix in of:
            some = slice(*of[prefix])
            suffixes = (numbers[some] - prefix * SPAN).astype(np.uint32)
            adds = changes[some] > 0
            count, block = _applied(count, block, suffixes[adds], suffixes[~adds], counted)
        yield [(prefix, count, block)] if count else []


def _applied(count: int, block: bytes, adds: Suffixes, deletes: Suffixes, counted: Changes) -> tuple[int, bytes]:
    if is_bitmap(count):
        bits = np.frombuffer(block, np.uint8).copy()
    else:
        held = np.frombuffer(block, "<u4")
        if not is_bitmap(count + len(adds)):
            return _few(held, adds, deletes, counted)
        bits = np.zeros(BITMAP_BYTES, np.uint8)
        np.bitwise_or.at(bits, held // 8, _bit(held))
    new, gone = ~_has(bits, adds), _has(bits, deletes)
    np.bitwise_or.at(bits, adds // 8, _bit(adds))
    np.bitwise_and.at(bits, deletes // 8, ~_bit(deletes))
    count += _count(counted, int(np.count_nonzero(new)), len(adds), int(np.count_nonzero(gone)), len(deletes))
    if is_bitmap(count):
        return count, bits.tobytes()
    return count, np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype("<u4").tobytes()


def _few(held: Suffixes, adds: Suffixes, deletes: Suffixes, counted: Changes) -> tuple[int, bytes]:
    new = int(np.count_nonzero(~np.isin(adds, held)))
    gone = int(np.count_nonzero(np.isin(deletes, held)))
    _count(counted, new, len(adds), gone, len(deletes))
    left = np.setdiff1d(np.union1d(held, adds), deletes)
    return len(left), left.astype("<u4").tobytes()


def _has(bits: NDArray[np.uint8], suffixes: Suffixes) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = bits[suffixes // 8] & _bit(suffixes) != 0
    return found


def _bit(suffixes: Suffixes) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (suffixes % 8).astype(np.uint8))


def _count(counted: Changes, new: int, adds: int, gone: int, deletes: int) -> int:
    """Count them, and say by how many the list grows."""
    counted.added += new
    counted.there += adds - new
    counted.deleted += gone
    counted.not_there += deletes - gone
    return new - gone
