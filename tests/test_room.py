"""The bound on calls in the gate (R56)."""

from __future__ import annotations

import asyncio

import pytest

from callguard.metrics import GateState, Metrics
from callguard.room import Room
from tests.test_metrics import values


async def test_it_is_full_at_its_limit_and_the_limit_may_change() -> None:
    most = 2
    room = Room(lambda: most, Metrics())
    room.take()
    assert not room.full
    with room.holding():
        assert room.full
        most = 3
        assert not room.full
    assert room.held == 1


async def test_who_stops_waits_for_the_last() -> None:
    room = Room(lambda: 9, Metrics())
    await asyncio.wait_for(room.empty(), 1)
    room.take()
    waiting = asyncio.create_task(room.empty())
    await asyncio.sleep(0)
    assert not waiting.done()
    room.give_back()
    await asyncio.wait_for(waiting, 1)


async def test_a_flood_is_counted_and_said_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    room = Room(lambda: 0, metrics)
    for _ in range(500):
        room.turn_away("inbound")
    found = values(metrics.text(GateState(0, 0, True, True, True, 0, 0)).decode())
    assert found['callguard_refused_by_limit_total{direction="inbound"}'] == 500
    assert capsys.readouterr().out.count("the gate is full") == 1
