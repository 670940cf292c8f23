"""How long a key was held, as AMI tells it: FastAGI and the dialplan say only when it was let go of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from callguard.telephony.ami_events import KeyPressed

# AMI and AGI tell of the same moment on two connections.
TOLD_WITHIN_S = 0.2
# Of a key that AMI does not tell of: so much of it may lie before the command that heard it.
UNKNOWN_MS = 1_000
# A yes in the call is asked about at once: what so many channels pressed since is enough to know.
CHANNELS = 1_000
YESES = 2


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

    def __contains__(self, channel: str) -> bool:
        return channel in self._told

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


class Yeses:
    """The latest keys 1 of each channel in a call, for a yes that the dialplan tells of just after."""

    def __init__(self) -> None:
        self._held: dict[str, deque[int]] = {}

    def wants(self, digit: str) -> bool:
        return digit == "1"

    def told(self, key: KeyPressed) -> None:
        if not self.wants(key.digit):
            return
        held = self._held.pop(key.name, None) or deque(maxlen=YESES)
        held.append(key.held_ms)
        self._held[key.name] = held  # the latest last
        if len(self._held) > CHANNELS:
            del self._held[next(iter(self._held))]

    async def held_ms(self, name: str, yeses: int) -> int | None:
        """For how long the first of that many was held, on the channel of this name; None where AMI has not told."""
        for _ in range(4):
            held = self._held.get(name, ())
            if len(held) >= yeses:
                return held[-yeses]
            await asyncio.sleep(TOLD_WITHIN_S / 4)
        return None
