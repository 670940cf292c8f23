"""What may go wrong with recordings, calls and what proves them, and has to be looked into by somebody."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

from callguard.core.evidence import Value

_NUMBER = re.compile(r"\d{5,}", re.ASCII)


class Incident(StrEnum):
    """What happened, in one name for good: in the store, in metrics and in lists."""

    RECORDING_FOREIGN = "recording.foreign"
    """A recording was made that callguard had not begun."""

    RECORDING_UNREADABLE = "recording.unreadable"
    """What Asterisk left of a recording is no recording."""

    RECORDING_UNENCRYPTED = "recording.unencrypted"
    """Recordings cannot be encrypted where they are to be kept: its disk is full, or may not be written."""

    RECORDING_UNWATCHED = "recording.unwatched"
    """A recording ran while callguard was away: who was in the call meanwhile is not known."""

    RECORDING_HOLDS_MISSED = "recording.holds_missed"
    """The manager's connection was away where recordings pause on hold: holds of that time were not heard of."""

    DIAL_UNASKED = "dial.unasked"
    """A call was originated straight to a trunk: its INVITE left before anybody could be asked."""

    CHECKPOINT_UNSENT = "ledger.checkpoint_unsent"
    """A signed checkpoint of the ledger did not reach the place where it is to be kept."""

    LEDGER_UNSIGNED = "ledger.unsigned"
    """The ledger could not be signed: its key cannot be used, or what was signed before is not there any more."""


def unwatched(segment: int, since: datetime | None, until: datetime, *, kept: bool) -> dict[str, Value]:
    """What an incident says of a segment that nobody watched.

    Args:
        since: from when on it may have been so at the earliest; None where that is not known.
        until: when callguard came back to it.
        kept: whether it stays: nothing says that anybody came who may not be heard in it.
    """
    return {
        "segment": segment,
        "from": None if since is None else since.isoformat(timespec="milliseconds"),
        "to": until.isoformat(timespec="milliseconds"),
        "kept": kept,
    }


def holds_missed(since: datetime | None, until: datetime, *, recorded: bool) -> dict[str, Value]:
    """What an incident says of holds that nobody heard of.

    Args:
        since: when the manager's connection was found to be away; None where that is not known.
        until: when it was back.
        recorded: True where it was recorded then, so that somebody on hold may be heard; False where it paused on hold
            already, so that what was said after the hold may be missing.
    """
    return {
        "from": None if since is None else since.isoformat(timespec="milliseconds"),
        "to": until.isoformat(timespec="milliseconds"),
        "recorded": recorded,
    }


def without_numbers(channel: str) -> str:
    """A channel's name, as an incident and the log have it: that of a Local channel holds what was dialled."""
    head, dash, unique = channel.rpartition("-")
    return _NUMBER.sub("…", head) + dash + unique if dash else _NUMBER.sub("…", channel)
