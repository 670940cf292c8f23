"""What may go wrong with recordings and has to be looked into by somebody."""

from __future__ import annotations

from enum import StrEnum


class Incident(StrEnum):
    """What happened, in one name for good: in the store, in metrics and in lists."""

    RECORDING_FOREIGN = "recording.foreign"
    """A recording was made that callguard had not begun."""
