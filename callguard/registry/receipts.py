"""What a registry answered about the numbers that a controller submitted: one file for each of both.

Some registries give no list out: one submits numbers, and learns which of them may be called, for some days. Each
number has the day of the latest answer, and what that was. Layout: a head of fixed length, then all numbers (digits of
E.164 as 64-bit integers) in ascending order, then for each, in the same order, its day and whether it is listed. All
integers are little-endian.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from callguard.errors import InputError
from callguard.registry.kept_file import KeptFile, Layout

NUMBER, ANSWER = struct.Struct("<q"), struct.Struct("<I")
# Registry, controller, the latest answer's day, imported when (ms), numbers, listed, the body's SHA-256.
LAYOUT = Layout(
    b"CGSCREEN", 1, "40s40sIQQQ32s", "file of receipts", "move it away, and import the receipts again"
)  # fmt: skip
HEAD_BYTES = LAYOUT.size


@dataclass(frozen=True, slots=True)
class Screened:
    """What a registry answered about a number, and as of which day."""

    day: date
    listed: bool


@dataclass(frozen=True, slots=True)
class ReceiptsHead:
    """What a file of receipts says of itself.

    Attributes:
        list_date: the day of the latest answer in it.
        imported_at: aware; when the last one came.
        numbers: how many different ones were submitted.
        listed: how many of these are listed.
    """

    registry: str
    controller: str
    list_date: date
    imported_at: datetime
    numbers: int
    listed: int
    body_sha256: bytes

    def pack(self) -> bytes:
        return LAYOUT.pack(
            self.registry.encode(), self.controller.encode(), self.list_date.toordinal(),
            round(self.imported_at.timestamp() * 1000), self.numbers, self.listed, self.body_sha256,
        )  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes, file: Path) -> Self:
        """Raises: InputError, where these are not the first bytes of such a file."""
        registry, controller, day, imported, numbers, listed, sha256 = LAYOUT.unpack(data, file)
        names = (registry.rstrip(b"\0").decode(), controller.rstrip(b"\0").decode())
        return cls(*names, date.fromordinal(day), datetime.fromtimestamp(imported / 1000, UTC), numbers, listed, sha256)


class Receipts(KeptFile):
    """A file of receipts that is open. To be closed; it may be replaced meanwhile.

    Attributes:
        head: what it says of itself.
    """

    def __init__(self, path: Path, registry: str, controller: str) -> None:
        """Open it and read all of it.

        Raises:
            InputError: there is none, or it is damaged, or it is that of others.
        """
        super().__init__(path, LAYOUT, "there is no receipt yet: callguard registry receipt")
        try:
            self.head = ReceiptsHead.unpack(self._read(HEAD_BYTES, 0), path)
            if (self.head.registry, self.head.controller) != (registry, controller):
                whose = f"{self.head.registry} and {self.head.controller}, not of {registry} and {controller}"
                raise InputError(f"is that of {whose}", file=path)
            self._has(self.head.numbers * (NUMBER.size + ANSWER.size))
            self._check_body(self.head.body_sha256)
        except BaseException:
            self.close()
            raise

    def answer(self, number: str) -> Screened | None:
        """About a number in E.164, plus included; None where it was never submitted. Raises: InputError, unreadable."""
        digits, count = int(number[1:]), self.head.numbers

        def at(place: int) -> int:
            value: int = NUMBER.unpack(self._exactly(NUMBER.size, HEAD_BYTES + place * NUMBER.size))[0]
            return value

        place = bisect_left(range(count), digits, key=at)
        if place == count or at(place) != digits:
            return None
        answers = HEAD_BYTES + count * NUMBER.size
        (packed,) = ANSWER.unpack(self._exactly(ANSWER.size, answers + place * ANSWER.size))
        return Screened(date.fromordinal(packed >> 1), bool(packed & 1))

    def body(self) -> tuple[bytes, bytes]:
        """All numbers, and what was answered about them. Raises: InputError, as above."""
        count = self.head.numbers
        numbers = self._exactly(count * NUMBER.size, HEAD_BYTES)
        return numbers, self._exactly(count * ANSWER.size, HEAD_BYTES + len(numbers))
