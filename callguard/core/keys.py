"""What has been pressed against what is wanted. Pure: times are told, the waiting is the caller's."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

# The two keys of *9 belong together when the second follows within this.
BETWEEN_KEYS_MS = 2_000


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


class Keypad:
    """The keys of one person, as they come in.

    Attributes:
        pressed: the wanted sequence so far.
        first_down: when its first key went down, milliseconds by the clock of `press`.
        dropped: keys that belonged to nothing wanted.
    """

    def __init__(self, wanted: Collection[str], protecting: Collection[str]) -> None:
        self._wanted = wanted
        self._protecting = [sequence for sequence in protecting if sequence in wanted]
        self._last_up = 0
        self.pressed = ""
        self.first_down = 0
        self.dropped = 0

    def press(self, digit: str, up: int, duration_ms: int = 0) -> bool:
        """Take one key in, let go at `up`; true when a wanted sequence is complete."""
        if self.pressed and up - self._last_up > BETWEEN_KEYS_MS:
            self.dropped += len(self.pressed)
            self.pressed = ""
        if not self.pressed:
            self.first_down = up - duration_ms
        self.pressed += digit
        self._last_up = up
        found = match(self.pressed, self._wanted)
        while found is Match.INVALID:
            # A stray key before it must not cost a no its effect; it may cost a yes.
            self.dropped += 1
            self.pressed = self.pressed[1:]
            found = match(self.pressed, self._protecting) if self.pressed else Match.INCOMPLETE
        return found is Match.COMPLETE
