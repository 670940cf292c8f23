"""Faults under load, the short version: `make faults` does each of them alone, at 20 calls/s and many times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from callguard.demo.agent import Agent
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Silence, Tone
from callguard.demo.sipp import call
from callguard.demo.tones import CALLER_AFTER_STOP, CALLER_BEFORE
from callguard.demo.tree import Tree
from tests.faults import faults, steps
from tests.faults.bed import bed
from tests.faults.callers import KEY_AFTER_MS
from tests.faults.judge import rows_of
from tests.faults.pair import TURNS, either_dies, second
from tests.faults.trial import tried, until

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
            place, [steps.killed, faults.ari_cut, faults.store_locked, faults.ami_cut, steps.killed], rate=RATE
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


async def test_a_no_that_callguard_hears_too_late_counts(pbx: Pbx) -> None:
    """Pressed after the yes and before the call goes on: Asterisk knows it when it starts the recording."""
    async with bed(pbx) as place, Agent(pbx.agent_port) as agent:
        place.ari.delay_s = 0.3
        await call(
            pbx, "1000",
            (Tone(CALLER_BEFORE, KEY_AFTER_MS + 600), Key("1"), Silence(60), Key("*"), Silence(60), Key("9"),
             Tone(CALLER_AFTER_STOP, 3_000)),
        )  # fmt: skip
        async with asyncio.timeout(15):
            # A caller whom an earlier load left on the PBX may reach this phone too, past the gate.
            calls = 1
            while (state := (await agent.called(calls)).header("X-Callguard-Consent")) is None:
                calls += 1
        assert state.startswith("refused; ")

        async def settled() -> bool:
            return all(row.ended or not row.recording for row in rows_of(place.store).values())

        assert await until(settled, 15)
        (row,) = rows_of(place.store).values()
        assert (row.outcome, row.recording) == ("given", True)  # what was committed before the no
        assert not row.kept
        assert not list(place.recordings.glob("*.wav"))
