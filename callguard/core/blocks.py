"""Blocks of numbers: all that begin alike, such as a company's own, or all from one number to another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_WRITTEN = re.compile(r"(\+[1-9][0-9]{1,13})\*|(\+[1-9][0-9]{1,14})-(\+[1-9][0-9]{1,14})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers in E.164.

    Attributes:
        first: what they begin with, the number that is no longer than that included; or the first of a range.
        last: the last of a range, whose numbers are all as long as its ends; None where they begin alike.

    Raises:
        ValueError: the ends are of different lengths, or in the wrong order. The text does not name them.
    """

    first: str
    last: str | None = None

    def __post_init__(self) -> None:
        if self.last is not None and not (len(self.first) == len(self.last) and self.first < self.last):
            raise ValueError("a range goes from a number to a higher one of the same length")

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The block that a text names, as `str` writes it; None where it names none. Raises: ValueError."""
        if (found := _WRITTEN.fullmatch(text)) is None:
            return None
        begins, first, last = found.groups()
        return cls(first or begins, last)

    def __str__(self) -> str:
        """In the one form in which it is kept: ``+4930123*`` or ``+49301234000-+49301234999``."""
        return f"{self.first}*" if self.last is None else f"{self.first}-{self.last}"

    def covers(self, number: str) -> bool:
        """Whether a number in E.164 is in it."""
        if self.last is None:
            return number.startswith(self.first)
        return len(number) == len(self.first) and self.first <= number <= self.last

    @property
    def number_length(self) -> int | None:
        """How long each of its numbers is, with the plus; None for any."""
        return None if self.last is None else len(self.last)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """With what its numbers begin, and no other ones of their length: few, so that they can be looked up.

        A range needs 18 for each digit in which its ends differ at most.
        """
        return (self.first,) if self.last is None else tuple(_prefixes(self.first, self.last))


def _prefixes(first: str, last: str) -> Iterator[str]:
    same = next((n for n, (low, high) in enumerate(zip(first, last, strict=True)) if low != high), len(first))
    common, rest = first[:same], len(first) - same
    if first[same:] == "0" * rest and last[same:] == "9" * rest:
        yield common
        return
    after = rest - 1
    yield from _prefixes(first, f"{first[: same + 1]}{'9' * after}")
    yield from (f"{common}{digit}" for digit in range(int(first[same]) + 1, int(last[same])))
    yield from _prefixes(f"{last[: same + 1]}{'0' * after}", last)
