"""What has been pressed against what is wanted. Pure; the waiting is the caller's."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto


class Match(Enum):
    INCOMPLETE = auto()
    COMPLETE = auto()
    INVALID = auto()


def match(pressed: str, wanted: Collection[str]) -> Match:
    """Compare the digits so far with the sequences that mean something, such as ``1`` and ``*9``."""
    if pressed in wanted:
        return Match.COMPLETE
    if any(sequence.startswith(pressed) for sequence in wanted):
        return Match.INCOMPLETE
    return Match.INVALID
