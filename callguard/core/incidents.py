"""What may go wrong with recordings and has to be looked into by somebody."""

from __future__ import annotations

from enum import StrEnum


class Incident(StrEnum):
    """What happened, in one name for good: in the store, in metrics and in lists."""

    RECORDING_FOREIGN = "recording.foreign"
    """A recording was made that callguard had not begun."""

    RECORDING_UNREADABLE = "recording.unreadable"
    """What Asterisk left of a recording is no recording."""

    RECORDING_UNWATCHED = "recording.unwatched"
    """Somebody whom nobody had told was in the call when callguard came back; since when is not known."""
