"""How long a key was held, as AMI tells it: FastAGI says only when it was let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from callguard.telephony.ami import KeyPressed

# AMI and AGI tell of the same moment on two connections.
TOLD_WITHIN_S = 0.2
# Of a key that AMI does not tell of: so much of it may lie before the command that heard it.
UNKNOWN_MS = 1_000


class Holds:
    """The keys of the channels that are followed."""

    def __init__(self) -> None:
        self._told: dict[str, asyncio.Queue[KeyPressed]] = {}

    @contextmanager
    def following(self, channel: str) -> Iterator[None]:
        self._told[channel] = asyncio.Queue()
        try:
            yield
        finally:
            del self._told[channel]

    def told(self, key: KeyPressed) -> None:
        if key.channel in self._told:
            self._told[key.channel].put_nowait(key)

    async def held_ms(self, channel: str, digit: str) -> int:
        """For how long the key that has just come by AGI was held."""
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                while (key := await self._told[channel].get()).digit != digit:
                    pass
        except TimeoutError:
            return UNKNOWN_MS
        return key.held_ms
