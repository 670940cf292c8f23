"""What a look through a ledger may find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tampering(StrEnum):
    """What was done."""

    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"
    REORDERED = "reordered"
    CUT_SHORT = "cut_short"
    FORGED = "forged"
    """A checkpoint that the ledger's key has not signed."""
    CHECKPOINTS_REMOVED = "checkpoints_removed"
    """What the ledger's key has signed is not in the store any more."""
    BESIDE_CHANGED = "beside_changed"
    """A row that callguard acts upon, beside the ledger, is not what its entry says."""
    CLOCK_MOVED = "clock_moved"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and the entries it is about, first and last; None for none or all."""

    what: Tampering
    said: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `root` is None where entries are missing; `checkpoints` are those that were held against it."""

    entries: int
    root: bytes | None
    checkpoints: int
    findings: tuple[Finding, ...]
