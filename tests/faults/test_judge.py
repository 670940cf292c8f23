"""The judge sees each kind of harm, and none where there is none: a table of zeros is worth what this shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from tests.faults.bed import PROMPT_HZ
from tests.faults.callers import KEY_AFTER_MS, Called, Kind, Reached
from tests.faults.judge import LONGEST_WAIT_S, Row, Verdict, judge, steps_at

GIVEN = Called("+1", Kind.YES, 10.0, 10.1, 20.1, None, (Reached(12.0, "given", "a"),))
REFUSED = Called("+2", Kind.NO, 10.0, 10.1, 20.1, None, (Reached(12.0, "refused", "b"),))
UNASKED = Called("+3", Kind.SILENT, 10.0, 10.1, 20.1, None, (Reached(10.0, "error", ""),))
CALLS = (GIVEN, REFUSED, UNASKED)
ROWS = {
    "a": Row("a", "+1", "given", recording=True, saved=11.9, ended=True, kept=True),
    "b": Row("b", "+2", "refused", recording=False, saved=11.8, ended=False, kept=False),
}
FILES = {"a": {CALLER_AFTER_YES: 16_000, AGENT: 6_400}}


def test_a_load_that_went_well_is_clean() -> None:
    verdict = judge(CALLS, ROWS, FILES)
    assert verdict == Verdict(calls=3, gated=2, recorded=1)
    assert verdict.clean
    assert (verdict + verdict).calls == 6


@pytest.mark.parametrize(
    "call",
    [
        replace(GIVEN, ended=None, dropped=15.0),
        replace(GIVEN, ended=None),  # refused, or no answer
    ],
)
def test_a_call_that_did_not_end_by_its_caller_is_dropped(call: Called) -> None:
    verdict = judge((call, REFUSED), ROWS, FILES)
    assert verdict.dropped == ("+1",)
    assert not verdict.clean
    assert judge((call, REFUSED), ROWS, FILES, pbx_died=True).clean


@pytest.mark.parametrize(
    "rows",
    [
        {"b": ROWS["b"]},
        ROWS | {"a": replace(ROWS["a"], number="+9")},
        ROWS | {"a": replace(ROWS["a"], outcome="refused")},
        ROWS | {"a": replace(ROWS["a"], kept=False)},
    ],
)
def test_what_an_agent_was_told_of_and_the_store_does_not_know_is_lost(rows: dict[str, Row]) -> None:
    assert [one.split()[0] for one in judge(CALLS, rows, FILES).lost] == ["a"]


def test_a_recording_that_came_to_nothing_is_lost_unless_there_was_no_room_for_it() -> None:
    assert [one.split()[0] for one in judge(CALLS, ROWS, {}).lost] == ["a"]
    assert judge(CALLS, ROWS, {}, no_room=True).clean
    assert judge((replace(GIVEN, kind=Kind.STOPS), REFUSED, UNASKED), ROWS, {}).clean  # destroyed


@pytest.mark.parametrize("hz", [CALLER_BEFORE, CALLER_AFTER_STOP, PROMPT_HZ])
def test_sound_from_before_the_yes_or_after_the_no_is_unlawful(hz: int) -> None:
    assert judge(CALLS, ROWS, {"a": FILES["a"] | {hz: 320}}).unlawful_bytes == 320


def test_of_who_withdraws_no_more_is_heard_than_the_time_to_stop_takes() -> None:
    stops = (replace(GIVEN, kind=Kind.STOPS), REFUSED, UNASKED)
    assert judge(stops, ROWS, {"a": FILES["a"] | {CALLER_AFTER_STOP: 2_400}}).clean
    assert judge(stops, ROWS, {"a": FILES["a"] | {CALLER_AFTER_STOP: 2_720}}).unlawful_bytes == 2_720
    assert judge(stops, ROWS, {"a": FILES["a"] | {CALLER_BEFORE: 320}}).unlawful_bytes == 320


def test_any_sound_of_who_gave_nothing_or_is_not_known_is_unlawful() -> None:
    for leg in ("b", "nobody"):
        assert judge(CALLS, ROWS, FILES | {leg: {AGENT: 640}}).unlawful_bytes == 640
    gave = ROWS | {"b": replace(ROWS["b"], recording=True, outcome="given", ended=True, kept=True)}
    verdict = judge(CALLS, gave, FILES | {"b": {CALLER_AFTER_YES: 640}})
    assert (len(verdict.lost), verdict.unlawful_bytes) == (1, 640)


def test_who_waits_for_longer_than_the_gate_can_take_is_stuck() -> None:
    waits = replace(UNASKED, reached=(), ended=10.0 + LONGEST_WAIT_S + 1)
    assert judge((waits,), {}, {}).stuck == ("+3",)
    assert judge((waits,), {}, {}, restarts=[12.0]).clean  # asked anew
    assert judge((replace(waits, ended=14.0),), {}, {}).clean
    assert judge((), {"a": replace(ROWS["a"], ended=False)}, FILES).stuck == ("a",)
    assert judge(CALLS, ROWS, {"a": FILES["a"] | {0: 640}}).stuck == ("a cannot be read",)
    assert judge((), {}, {}, left=["2 channels"]).stuck == ("2 channels",)


def test_the_step_of_a_call_is_told_from_its_times() -> None:
    key = 10.1 + KEY_AFTER_MS / 1000
    rows = {"a": replace(ROWS["a"], saved=key + 0.15)}
    call = replace(GIVEN, reached=(Reached(key + 0.2, "given", "a"),))
    for moment, step in (
        (10.05, "before the answer"), (10.5, "in the notice"), (key + 0.1, "key to commit"),
        (key + 0.17, "commit to MixMonitor"), (15.0, "in the call"),
    ):  # fmt: skip
        assert {name for name, calls in steps_at(moment, [call], rows).items() if calls} == {step}
    assert not any(steps_at(9.0, [call], rows).values())
    assert not any(steps_at(21.0, [call], rows).values())
