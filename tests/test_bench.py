"""What the bench says of its own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench import dial, sealing
from tests.bench.__main__ import GATE, RATE, SLOW_RATE, WAITING, _verdict
from tests.bench.watching import UNWATCHED, WATCHED

MACHINE = {
    "load": 1.0, "wake_p50_ms": 0.1, "wake_p99_ms": 0.5, "wake_most_ms": 2.0, "fsync_p50_ms": 1.0, "fsync_p99_ms": 9.0,
    "fsync_most_ms": 20.0,
}  # fmt: skip


def decisions(**ours: float) -> dict[str, Any]:
    """Decisions as they were asked for, but for what is given; without the peer that has to be installed."""
    good = {
        "p50_ms": 0.25, "p99_ms": 0.9, "most_ms": 1.2, "cpu_ms": 0.2, "decisions": 500, "in_a_row_ms": 0.2,
        "in_a_row_cpu_ms": 0.2, "handed_p50_ms": 0.3, "handed_p99_ms": 1.2, "kept_p50_ms": 30.0, "kept_p99_ms": 55.0,
        "kept_cpu_ms": 0.9, "peer_in_a_row_cpu_ms": 0.2, "peer_p50_ms": 0.3, "peer_p99_ms": 1.0, "peer_most_ms": 2.0,
        "machine": MACHINE,
    }  # fmt: skip
    looked = {"ms": 0.05, "asterisk_cpu_ms": 0.05, "others_cpu_ms": 0.0}
    return {"count": 1_000_000, "ours": good | ours, "peers": {"loop": looked, "db_exists": looked}}


def history() -> dict[str, Any]:
    """What people and evidence of ten million calls were asked for, and how fast that came."""
    timed = {"p50_ms": 5.0, "p99_ms": 15.0, "most_ms": 20.0}
    asked = ("history", "often", "proof", "history_alone", "often_alone", "proof_alone")
    rates = {"entries": 25_000_000, "verify_per_s": 210_000, "entries_only_per_s": 300_000, "read_per_s": 900_000}
    return {"calls": 10_000_000, "often_legs": 207, **rates} | {
        f"{name}_{figure}": ms for name in asked for figure, ms in timed.items()
    }


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
        "registry": {
            "count": 10_000_000, "bytes": 8e7, "imported": {"seconds": 5.0, "peak_mb": 200.0},
            "looked_up": {"peak_mb": 100.0}, "updated": {"seconds": 4.0, "added": 1, "deleted": 1},
            "decided": {"peak_mb": 100.0, "beside_most_ms": 3.0, "alone_most_ms": 2.0},
        },
        "evidence": history(),
        "dial": decisions(),
    }  # fmt: skip


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


def test_decisions_are_met_by_both_figures_or_not_at_all() -> None:
    asked = [dial.verdict(decisions(**more))[0][2] for more in ({}, {"p50_ms": 0.31}, {"p99_ms": 1.1})]
    assert asked == [True, False, False]


def test_a_peer_that_is_not_there_is_said_to_be_left_out() -> None:
    found = decisions()
    *_, own, postgres = dial.told(found)
    assert own.startswith("DB_EXISTS, 100000 entries, in a row: 0.000 ms") and "left out" in postgres
    found["peers"]["agi"] = found["peers"]["loop"] | {"ms": 2.05, "row_p50_ms": 0.3, "row_p99_ms": 0.8}
    assert "in a row: 2.000 ms" in dial.told(found)[-1] and "p99 0.80 ms" in dial.told(found)[-1]


def test_what_encrypting_costs_is_measured(tmp_path: Path) -> None:
    found = sealing.measured(tmp_path, calls=3, seconds=1, people=5)
    assert all(figure > 0 for figure in found.values())
    assert found["ratio"] == pytest.approx(found["mb_per_cpu_s"] / 3.2)
