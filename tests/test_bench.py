"""What the bench says of its own figures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.__main__ import GATE, RATE, SLOW_RATE, WAITING, _verdict
from tests.bench.watching import UNWATCHED, WATCHED


def results(**waiting: Any) -> dict[str, Any]:
    """A run in which everything that was asked for was met, but for what is given."""
    rates = {(GATE, RATE): 1.8, (GATE, SLOW_RATE): 2.0, ("bare FastAGI", RATE): 1.1, ("bare asyncari", SLOW_RATE): 20.0}
    good = {"calls": WAITING, "failed": 0, "asterisk_died": False, "resident_mb": 68.5}
    return {
        "cost": [{"gate": gate, "rate": rate, "gate_ms": ms} for (gate, rate), ms in rates.items()],
        "held": [{"failed": 0, "lost": 0}],
        "highest_rate": 200,
        "watching": [{"gate": WATCHED, "gate_ms": 5.2}, {"gate": UNWATCHED, "gate_ms": 5.0}],
        "waiting": good | waiting,
    }


def test_a_run_that_meets_everything_says_so() -> None:
    assert {met for _, _, met in _verdict(results())} == {True}


@pytest.mark.parametrize(
    ("waiting", "measured"),
    [
        ({"failed": 3}, "68.5 MB with 1000, 3 failed"),
        ({"failed": 1000, "asterisk_died": True}, "68.5 MB with 1000, 1000 failed: Asterisk died"),
        ({"calls": 990}, "68.5 MB with 990, 0 failed"),
        ({"resident_mb": 151.0}, "151.0 MB with 1000, 0 failed"),
    ],
)
def test_calls_that_did_not_wait_well_are_no_figure_that_was_met(waiting: dict[str, Any], measured: str) -> None:
    assert [(said, met) for _, said, met in _verdict(results(**waiting)) if not met] == [(measured, False)]
