"""Faults under load, the short version: `make faults` does each of them alone, at 20 calls/s and many times."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from callguard.demo.pbx import Pbx
from callguard.demo.tree import Tree
from tests.faults import faults
from tests.faults.bed import bed
from tests.faults.pair import TURNS, either_dies, second
from tests.faults.trial import tried

RATE = 5
# A machine that also runs the other tests at the same time; `make faults` holds the figures.
ANSWERED_WITHIN_S = 3.0


@pytest.fixture(scope="module")
async def pbx(tree: Tree) -> AsyncIterator[Pbx]:
    async with Pbx(tree) as running:
        yield running


async def test_one_fault_after_another(pbx: Pbx) -> None:
    async with bed(pbx) as place:
        one = await tried(
            place, [faults.killed, faults.ari_cut, faults.store_locked, faults.ami_cut, faults.killed], rate=RATE
        )
    assert one.verdict.clean, one.verdict
    assert one.verdict.recorded > 10
    assert one.steps["in the notice"] > 0
    assert one.steps["in the call"] > 0


async def test_either_of_two_callguards_may_die(pbx: Pbx) -> None:
    async with bed(pbx, supervised=False) as place, second(place) as other:
        verdict, waits = await either_dies(place, other, TURNS[:2], rate=RATE)
    assert verdict.clean, verdict
    assert verdict.recorded > 10
    assert len(waits) > 10
    assert waits[-1] < ANSWERED_WITHIN_S
