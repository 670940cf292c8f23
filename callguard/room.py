"""How many calls the gate takes on at once (R56): what is beyond goes on at once, unrecorded, and is not dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from callguard.metrics import Metrics

log = structlog.get_logger()

# The rule that denies a dial to which the gate cannot attend.
OVERLOADED, STOPPING = "gate.overloaded", "gate.stopping"
SAY_EVERY_S = 1.0


class Room:
    """Counts the calls in the gate.

    Args:
        most: how many there may be, as configured now.
    """

    def __init__(self, most: Callable[[], int], metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._empty = asyncio.Event()
        self._empty.set()
        self._turned_away = 0
        self._say_again = 0.0
        self.held = 0

    @property
    def full(self) -> bool:
        return self.held >= self._most()

    def take(self) -> None:
        self.held += 1
        self._empty.clear()

    def give_back(self) -> None:
        self.held -= 1
        if not self.held:
            self._empty.set()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """One call, for as long as the context lasts."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    async def empty(self) -> None:
        """Wait until nobody is left in the gate."""
        await self._empty.wait()

    def turn_away(self, direction: str) -> None:
        """A call was not taken on: counted, and said once a second at most."""
        self._metrics.refused.labels(direction).inc()
        self._turned_away += 1
        now = asyncio.get_running_loop().time()
        if now >= self._say_again:
            log.warning(
                "the gate is full: calls go on unrecorded, and are not dialled",
                calls=self._turned_away, in_gate=self.held, most=self._most(),
            )  # fmt: skip
            self._turned_away = 0
            self._say_again = now + SAY_EVERY_S
