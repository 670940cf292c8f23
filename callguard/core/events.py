"""What can happen to a leg, in the gate's own alphabet. Whatever else Asterisk tells is dropped before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callguard.core.model import Heard


class Cause(StrEnum):
    """How an Ask ended."""

    KEY = "key"
    SILENCE = "silence"
    HANGUP = "hangup"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answered:
    """The one answer to an Ask.

    Attributes:
        cause: KEY with the keys in `keys`; SILENCE when all was played and the wait ran out; HANGUP; FAILED when a
            prompt could not be played.
        keys: the wanted sequence that was pressed.
        began_ms: when its first key went down, counted from the moment the Ask began; negative for a key that was
            already down.
        heard: each prompt of the Ask that began, with how much of it was played.
        dropped: keys pressed meanwhile that were not wanted.
    """

    cause: Cause
    keys: str = ""
    began_ms: int = 0
    heard: tuple[Heard, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """The store has committed what Save gave it."""


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """The store has not, and never will."""


@dataclass(frozen=True, slots=True)
class Released:
    """The dialplan has taken the call back, with the outcome."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The call went on without us: the lease ended, or somebody took the channel elsewhere."""


Event = Answered | Saved | SaveFailed | Released | Lost
