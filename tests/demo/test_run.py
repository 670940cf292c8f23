"""The demo's verdict: it must be able to say that something is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard.demo.run import NAMES, Row, chosen, judged
from callguard.demo.scenarios import SCENARIOS, Scenario
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
AGREES, REFUSES = BY_NAME["agrees"], BY_NAME["refuses"]


def good(scenario: Scenario) -> Row:
    return Row(
        name=scenario.name, pressed=scenario.pressed, outcome=scenario.outcome or "not reached",
        granted=scenario.granted, file="", recording_ms=None if scenario.tones is None else 2_500,
        tones=tuple(NAMES[hz] for hz in scenario.tones or ()), first_sound_ms=300, wrong=(),
    )  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_as_it_should_be_is_so(scenario: Scenario) -> None:
    assert judged(good(scenario), scenario, set(scenario.tones or ())).wrong == ()


@pytest.mark.parametrize(
    ("row", "found", "said"),
    [
        (replace(good(AGREES), outcome="unknown"), {CALLER_AFTER_YES, AGENT}, "outcome should be given"),
        (replace(good(AGREES), granted=""), {CALLER_AFTER_YES, AGENT}, "granted should be recording.quality"),
        (replace(good(AGREES), recording_ms=None), set(), "there should be a recording"),
        (good(AGREES), {CALLER_BEFORE, CALLER_AFTER_YES, AGENT}, "tones should be after yes, agent"),
        (good(AGREES), {CALLER_AFTER_YES, AGENT, CALLER_AFTER_STOP}, "tones should be after yes, agent"),
        (good(AGREES), {CALLER_AFTER_YES}, "tones should be after yes, agent"),
        (replace(good(AGREES), first_sound_ms=None), {CALLER_AFTER_YES, AGENT}, "nothing was heard"),
    ],
)
def test_what_is_not_is_said(row: Row, found: set[int], said: str) -> None:
    assert judged(row, AGREES, found).wrong == (said,)


def test_a_recording_of_who_refused_is_wrong() -> None:
    row = replace(good(REFUSES), recording_ms=40)
    assert judged(row, REFUSES, set()).wrong == ("there should be no recording",)


def test_without_a_name_all_calls_are_made_and_with_names_those_with_what_they_need() -> None:
    everything = [call.name for call in chosen(())]
    assert len(everything) == len(set(everything)) > len(SCENARIOS)
    assert [call.name for call in chosen(["refuses", "agrees"])] == ["agrees", "refuses"]
    assert [call.name for call in chosen(["opted out: not called"])] == ["called: opts out", "opted out: not called"]
