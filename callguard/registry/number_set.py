"""A list of numbers in one file, looked up where it lies.

Layout: a head of fixed length, then the body: one block for each prefix (all digits of E.164 but the last seven), then
the index of the blocks. A block is a bitmap of all ten million last seven digits, or these sorted as 32-bit integers,
whichever is shorter. All integers are little-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from callguard.errors import InputError
from callguard.registry.kept_file import KeptFile, Layout

SPAN = 10_000_000
BITMAP_BYTES = SPAN // 8
SUFFIX = struct.Struct("<I")
# So many integers of a block are read at a time: as many as a page of memory has.
PAGE = 1_024
# Prefix, how many numbers it has, where its block begins in the file.
ENTRY = struct.Struct("<IIQ")

# Registry, the list's date, imported when (ms), numbers, prefixes, the body's length and SHA-256.
LAYOUT = Layout(b"CGNUMSET", 1, "40sIQQIQ32s", "list of numbers", "import the list again")
HEAD_BYTES = LAYOUT.size


@dataclass(frozen=True, slots=True)
class Head:
    """What a list says of itself.

    Attributes:
        registry: the name it was imported under.
        list_date: the day as of which the list is.
        imported_at: aware.
        numbers: how many different ones.
    """

    registry: str
    list_date: date
    imported_at: datetime
    numbers: int
    prefixes: int
    body_bytes: int
    body_sha256: bytes

    def pack(self) -> bytes:
        return LAYOUT.pack(
            self.registry.encode(), self.list_date.toordinal(), round(self.imported_at.timestamp() * 1000),
            self.numbers, self.prefixes, self.body_bytes, self.body_sha256,
        )  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes, file: Path) -> Self:
        """Raises: InputError, where these are not the first bytes of a list."""
        name, day, imported, numbers, prefixes, length, sha256 = LAYOUT.unpack(data, file)
        at = datetime.fromtimestamp(imported / 1000, UTC)
        registry = name.rstrip(b"\0").decode()
        return cls(registry, date.fromordinal(day), at, numbers, prefixes, length, sha256)


class NumberSet(KeptFile):
    """A list that is open. To be closed; many may have one file open, and it may be replaced meanwhile.

    Attributes:
        head: what it says of itself.
    """

    def __init__(self, path: Path) -> None:
        """Open it, without a look at its body.

        Raises:
            InputError: there is none, or it is foreign, damaged at its beginning or cut off.
        """
        super().__init__(path, LAYOUT, "there is no list yet: callguard registry import")
        try:
            self.head = Head.unpack(self._read(HEAD_BYTES, 0), path)
            self._has(self.head.body_bytes)
            size = self.head.prefixes * ENTRY.size
            index = self._read(size, HEAD_BYTES + self.head.body_bytes - size)
            if len(index) != size:
                raise InputError(f"is damaged: {LAYOUT.again}", file=path)
            self._blocks = {prefix: (count, offset) for prefix, count, offset in ENTRY.iter_unpack(index)}
        except BaseException:
            self.close()
            raise

    @classmethod
    def verified(cls, path: Path, registry: str) -> Self:
        """Open the list of a registry and read all of it: for a large one, the better part of a second.

        Raises:
            InputError: as for opening, or its body is damaged, or it is another registry's.
        """
        made = cls(path)
        try:
            if made.head.registry != registry:
                raise InputError(f"is the list of {made.head.registry}, not of {registry}", file=path)
            made._check_body(made.head.body_sha256)
        except InputError:
            made.close()
            raise
        return made

    def __contains__(self, number: str) -> bool:
        """Whether a number in E.164, plus included, is in the list. Raises: InputError, where that cannot be read."""
        prefix, suffix = divmod(int(number[1:]), SPAN)
        if prefix not in self._blocks:
            return False
        count, offset = self._blocks[prefix]
        if is_bitmap(count):
            return bool(self._exactly(1, offset + suffix // 8)[0] >> suffix % 8 & 1)

        def at(place: int) -> int:
            return self._suffixes(offset, place, 1)[0]

        # The last page that it can be in is read whole: each reading is a system call.
        page = max(0, bisect_right(range(0, count, PAGE), suffix, key=at) - 1) * PAGE
        there = self._suffixes(offset, page, min(PAGE, count - page))
        found = bisect_left(there, suffix)
        return found < len(there) and there[found] == suffix

    def _suffixes(self, offset: int, first: int, count: int) -> array[int]:
        """So many of the integers of a block."""
        found = array("I", self._exactly(count * SUFFIX.size, offset + first * SUFFIX.size))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    @property
    def prefixes(self) -> Set[int]:
        """Those that some of its numbers begin with."""
        return self._blocks.keys()

    def block(self, prefix: int) -> tuple[int, bytes]:
        """How many numbers of a prefix are in it, and these as they stand in the file. Raises: InputError, as above."""
        count, offset = self._blocks.get(prefix, (0, 0))
        return count, self._exactly(BITMAP_BYTES if is_bitmap(count) else count * SUFFIX.size, offset)


def is_bitmap(count: int) -> bool:
    """Whether a bitmap is shorter for so many numbers of one prefix."""
    return count * SUFFIX.size > BITMAP_BYTES


def index_of(blocks: Iterable[tuple[int, int, int]]) -> bytes:
    """The index of blocks: prefix, count and offset of each."""
    return b"".join(ENTRY.pack(*block) for block in sorted(blocks))
