"""What is counted, what it is called, what it costs, and that nobody can be found in it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from callguard.core.commands import Ask
from callguard.core.events import Answered, Cause
from callguard.core.model import Outcome, Prompt
from callguard.metrics import LOST, GateState, Metrics

STATE = GateState(3, 1_000, True, True, True, 2, 1)
OPERATE = Path(__file__).parent.parent / "docs" / "operate.md"


def prompt(part: str) -> Prompt:
    return Prompt(f"service/{part}", "en", "1", "/p", 1_000, {})


NOTICE = Ask((prompt("essential"),), frozenset({"2"}), 0)
QUESTION = Ask((prompt("question-1"),), frozenset({"1", "2"}), 2_000)
NUMBER = Ask((prompt("optout-number"),), frozenset(), 15_000, 18)


def values(text: str) -> dict[str, float]:
    """Samples by name and labels."""
    lines = (line for line in text.splitlines() if line.startswith("callguard_"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_legs_part_in_it() -> None:
    metrics = Metrics()
    seen = metrics.leg("inbound", "service")
    seen.asked(NOTICE, Answered(Cause.SILENCE))  # all of it was played; nothing had been asked
    seen.asked(QUESTION, Answered(Cause.KEY, "1", dropped=2))
    seen.asked(QUESTION, Answered(Cause.SILENCE))
    seen.asked(NOTICE, Answered(Cause.HANGUP))
    seen.asked(QUESTION, Answered(Cause.HANGUP))
    seen.asked(QUESTION, Answered(Cause.KEY, "*9"))
    seen.asked(NUMBER, Answered(Cause.KEY, "34600000099"))
    seen.asked(QUESTION, Answered(Cause.FAILED))
    seen.sounded(40)
    seen.committed(0.004, early_keys=2)
    seen.left(Outcome.GIVEN, 0.06)
    seen.left(LOST)
    text = metrics.text(STATE).decode()
    found = values(text)

    def count(name: str, **labels: str) -> float:
        labels |= {"direction": "inbound", "profile": "service"}
        return found[name + "{" + ",".join(f'{label}="{labels[label]}"' for label in sorted(labels)) + "}"]

    assert count("callguard_keys_total", meaning="yes") == 1
    assert count("callguard_keys_total", meaning="no") == 1
    assert count("callguard_keys_total", meaning="other") == 3
    assert count("callguard_early_keys_total") == 2
    assert count("callguard_silences_total") == 1
    assert count("callguard_hangups_in_notice_total") == 1
    assert count("callguard_prompts_failed_total") == 1
    assert count("callguard_outcomes_total", state="given") == 1
    assert count("callguard_outcomes_total", state="lost") == 1
    assert count("callguard_first_sound_seconds_bucket", le="0.05") == 1
    assert count("callguard_first_sound_seconds_bucket", le="0.02") == 0
    assert count("callguard_key_to_outcome_seconds_count") == 1
    assert found["callguard_store_commit_seconds_count"] == 1
    assert (found["callguard_calls_in_gate"], found["callguard_recordings_overdue"]) == (3, 1)
    assert "60000" not in text
    assert "process_cpu_seconds_total" in text


def test_two_services_in_one_process_do_not_share_counters() -> None:
    one, other = Metrics(), Metrics()
    one.orphans.inc()
    assert values(other.text(STATE).decode())["callguard_orphans_total"] == 0


def test_operate_md_lists_exactly_these_metrics() -> None:
    listed = set(re.findall(r"^\| `(callguard_\w+)`", OPERATE.read_text(encoding="utf-8"), re.MULTILINE))
    told = set(re.findall(r"^# HELP (callguard_\w+)", Metrics().text(STATE).decode(), re.MULTILINE))
    assert listed == told


def test_a_call_costs_little() -> None:
    """Of the 2 ms of CPU that a call may cost, these are to take at most 0.03; the rest is room for a slow machine."""
    metrics = Metrics()
    calls = 2_000
    began = time.process_time()
    for _ in range(calls):
        seen = metrics.leg("inbound", "service")
        seen.asked(NOTICE, Answered(Cause.SILENCE))
        seen.sounded(40)
        seen.asked(QUESTION, Answered(Cause.KEY, "1"))
        seen.committed(0.004, early_keys=0)
        seen.left(Outcome.GIVEN, 0.06)
    assert (time.process_time() - began) / calls < 0.000_1


def test_the_age_of_each_list_and_of_each_controllers_receipts() -> None:
    ages = {("us", ""): 2.0, ("rpo", "acme"): float("inf")}
    found = values(Metrics().text(replace(STATE, list_ages=ages)).decode())
    assert found['callguard_registry_list_age_days{controller="",registry="us"}'] == 2
    assert found['callguard_registry_list_age_days{controller="acme",registry="rpo"}'] == float("inf")
