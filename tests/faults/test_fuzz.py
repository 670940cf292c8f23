"""Hostile peers, in short; ``python -m tests.faults.fuzz`` does a hundred thousand cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from callguard.core import gate
from callguard.core.model import Heard
from callguard.telephony import ami_wire, ari_door
from tests.faults import fuzz

SHORT = {
    "ARI messages": 1_500, "AMI events": 600, "AGI blocks and numbers": 800, "the gate": 300,
    "whole legs by ARI": 120, "whole legs by AGI": 150, "ARI on sockets": 60, "AMI on sockets": 40,
}  # fmt: skip
SEED = 20_261_122


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_nothing_that_a_peer_sends_does_harm(name: str) -> None:
    target, _ = fuzz.TARGETS[name]
    cases, wrong = target(SHORT[name], SEED)
    assert cases == SHORT[name]
    assert wrong == []


async def _never(_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


def _sum_of_parts(flow: Any, state: Any, event: Any) -> Any:
    """As the gate once did: three beginnings of the notice passed for all of it."""
    heard = sum(part.heard_ms for part in event.heard)
    whole = tuple(Heard(part.prompt, heard) for part in event.heard)
    return _silence(flow, state, replace(event, heard=whole))


_silence = gate._silence
SABOTAGE: dict[str, tuple[str, object, str, Callable[..., Any], int]] = {
    "a no that comes late is not heard": (
        "whole legs by ARI", ari_door.AriDoor, "refused_meanwhile", _never, 200,
    ),
    "beginnings add up to a notice": ("whole legs by AGI", gate, "_silence", _sum_of_parts, 200),
    "a yes is taken at any time": ("whole legs by ARI", gate, "_heard_enough_ms", lambda *_: -(2**60), 200),
    "every event over AMI is taken": ("AMI events", ami_wire, "is_asterisks", _always, 100),
}  # fmt: skip


@pytest.mark.parametrize("name", SABOTAGE)
def test_what_is_broken_on_purpose_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, where, attribute, broken, cases = SABOTAGE[name]
    monkeypatch.setattr(where, attribute, broken)
    _, wrong = fuzz.TARGETS[target][0](cases, SEED)
    assert wrong


def test_a_seed_finds_again_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_wire, "is_asterisks", _always)
    first, again = (fuzz.ami_events(60, 7) for _ in range(2))
    assert first == again
    assert first[1]


def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--cases", "20", "--seed", "3", "--only", "AGI blocks and numbers"]) == 0
    assert "20 cases with seed 3, 0 went wrong" in capsys.readouterr().out
