"""A loop whose clock jumps to what is due next, and what stands around a leg in it: log, store and configuration."""

from __future__ import annotations

import asyncio
import re
import selectors
from collections.abc import Coroutine, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import structlog

from callguard.core.profile import Flow
from callguard.core.requests import Right, State, Via
from callguard.current import Current
from callguard.errors import StoreError
from callguard.metrics import Metrics
from callguard.store.dial_records import StoredGrant
from callguard.store.records import Informed, LegRecord, Remembered
from callguard.store.right_records import StoredRequest
from callguard.store.writer import Fenced
from tests.faults.transcripts import NAME, NUMBER

T = TypeVar("T")

# What a journal or a terminal would take for something else than text.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Made once: a registry costs more than a leg.
METRICS = Metrics()
# These say that something came out of a leg or a call that nobody had declared.
UNFORESEEN = ("leg failed", "AGI call failed", "not worked off yet")


class Stuck(Exception):
    """Nothing is due, and somebody waits."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time goes by only when everybody waits, and then at once."""

    def __init__(self) -> None:
        super().__init__(_Jump(self))
        self.now = 1_000.0

    def time(self) -> float:
        return self.now


class _Jump(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self._loop.now += timeout
        return super().select(0)


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Log:
    """All that was logged since somebody looked."""

    def __init__(self) -> None:
        self._lines: list[MutableMapping[str, Any]] = []

    def take(self, _: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        self._lines.append(event)
        raise structlog.DropEvent

    def wrong(self) -> list[str]:
        """What should not have been logged."""
        lines, self._lines = self._lines, []
        found = []
        for line in lines:
            # A channel's id is Asterisk's own.
            values = [str(value) for name, value in line.items() if name != "channel"]
            if line["event"].startswith(UNFORESEEN):
                found.append(f"logged: {' '.join(values)[-600:]}")
                continue
            if any(NUMBER in value or NAME in value for value in values):
                found.append(f"a caller's number or name is logged: {line['event']}")
            if any(CONTROL.search(value) for value in values):
                found.append(f"control characters are logged: {values!r}")
        return found


@contextmanager
def logged() -> Iterator[Log]:
    """Everything that is logged goes into this log, and nowhere else."""
    log, before = Log(), structlog.get_config()["processors"]
    own = list(before)
    # In place, as loggers that have been used keep the list.
    before[:] = [structlog.processors.format_exc_info, log.take]
    try:
        yield log
    finally:
        before[:] = own


class FakeStore:
    """A store that takes its time, and fails or is taken away at random.

    Attributes:
        committed: the legs that are saved, by their ids.
    """

    def __init__(self, random: Random, failing: float) -> None:
        self._random = random
        self._failing = failing
        self.committed: dict[str, LegRecord] = {}

    async def _work(self) -> None:
        await asyncio.sleep(self._random.choice((0.0, 0.001, 0.3)))
        if self._random.random() < self._failing:
            raise self._random.choice((StoreError("the disk is full"), Fenced("taken over")))

    async def save(self, record: LegRecord) -> None:
        await self._work()
        self.committed[record.leg_id] = record

    async def remembered(self, controller: str, number: str, since: datetime) -> Remembered:
        await self._work()
        return Remembered()

    async def informed(self, controller: str, number: str, profile: str | None, since: datetime) -> Informed:
        await self._work()
        return Informed()

    async def outcome(self, channel: str, linkedid: str) -> None:
        await self._work()

    async def opt_out(self, *_: object) -> bool:
        await self._work()
        return True

    async def opt_in(self, *_: object) -> bool:
        await self._work()
        return self._random.random() < 0.5

    async def open_request(self, *_: object, **__: object) -> tuple[str, bool]:
        await self._work()
        return "request", True

    async def request(self, request_id: str) -> StoredRequest:
        await self._work()
        at = datetime.now(UTC)
        return StoredRequest(
            request_id, "acme", "subject", NUMBER, None, Right.WITHDRAWAL, Via.KEY, State.OPEN, frozenset(), at, at,
            None, None,
        )  # fmt: skip

    async def move_request(self, *_: object, **__: object) -> None:
        await self._work()

    async def grants_of(self, *_: object) -> tuple[StoredGrant, ...]:
        await self._work()
        return ()

    async def withdraw(self, *_: object) -> None:
        await self._work()

    async def recording_absent(self, *_: object) -> None:
        await self._work()


def current(flows: Mapping[str, Flow]) -> Current:
    """As much of a configuration as a leg asks for."""
    profile = SimpleNamespace(
        agents=None, controller="acme", region="ES", caller_ids=(),
        language_of_call=lambda _: None, language_of_number=lambda _: None,
    )  # fmt: skip
    config = SimpleNamespace(
        profiles=dict.fromkeys(flows, profile),
        recording=SimpleNamespace(files="mixed"),
        asterisk=SimpleNamespace(app="callguard"),
    )
    return Current(cast(Any, config), flows)
