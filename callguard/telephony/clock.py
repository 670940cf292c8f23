"""Asterisk's clock, which may be another host's, as its events tell it."""

from __future__ import annotations

import time
from collections import deque

# It is compared with ours by so many events.
COMPARED = 64
# Ours has been set when it differs by more from the one that only runs on: what was compared before is of no use.
SET_S = 1.0


class Clock:
    """Milliseconds since the epoch, by the events that took least time to come; ours, before the first."""

    def __init__(self) -> None:
        self._behind: deque[int] = deque(maxlen=COMPARED)
        self._set = time.time() - time.monotonic()

    def told(self, at: int) -> None:
        """An event has come now of what was at `at`."""
        self._notice_set()
        self._behind.append(round(time.time() * 1000) - at)

    def now(self) -> int:
        return self.when(time.time())

    def when(self, ours: float) -> int:
        """What it showed when ours did this (seconds since the epoch)."""
        self._notice_set()
        return round(ours * 1000) - min(self._behind, default=0)

    def _notice_set(self) -> None:
        differs = time.time() - time.monotonic()
        if abs(differs - self._set) > SET_S:
            self._behind.clear()
        self._set = differs
