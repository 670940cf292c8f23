"""Asterisk's clock by its events, also where ours is set."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from callguard.telephony import clock
from callguard.telephony.clock import Clock


class Clocks(SimpleNamespace):
    """Ours, in seconds: the one that is set, and the one that only runs on."""

    wall = 1_000_000.0
    running = 50.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def later(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    ours = Clocks()
    monkeypatch.setattr(clock, "time", ours)
    return ours


def test_it_is_told_by_the_event_that_came_fastest(clocks: Clocks) -> None:
    asterisks = Clock()
    assert asterisks.now() == 1_000_000_000
    for took in (40, 3, 200):
        asterisks.told(round(clocks.wall * 1000) - 5_000 - took)
    clocks.later(2.0)
    assert asterisks.now() == 1_000_002_000 - 5_003


@pytest.mark.parametrize("hours", [1, -1])
def test_when_ours_is_set_what_it_was_compared_with_before_counts_no_more(clocks: Clocks, hours: int) -> None:
    asterisks = Clock()
    asterisks.told(round(clocks.wall * 1000) - 5)
    clocks.wall += hours * 3_600
    clocks.later(0.5)
    assert asterisks.now() == round(clocks.wall * 1000)
    asterisks.told(1_000_000_500 - 5)  # Asterisk's was not set
    assert asterisks.now() == 1_000_000_495


def test_a_process_that_stood_still_knows_no_less(clocks: Clocks) -> None:
    """The first event that it reads then was told long before."""
    asterisks = Clock()
    asterisks.told(round(clocks.wall * 1000) - 5)
    clocks.later(30.0)
    asterisks.told(1_000_000_000)
    assert asterisks.now() == 1_000_030_000 - 5
