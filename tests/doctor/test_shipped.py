"""The dialplan that is loaded, held against the one that is shipped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard.doctor.facts import Step
from callguard.doctor.shipped import differences, steps
from callguard.shipped import shipped

TEXT = """; a comment
[callguard-a]
exten => s,1,Set(X=$[1 + (2)])
 same => n(label),NoOp(a\\;b)
exten => _do[n]e-.,1,Return
[callguard-emergency]
exten => x112,1,NoOp()
"""
PARSED = (
    Step("callguard-a", "s", "1", "Set", "X=$[1 + (2)]"),
    Step("callguard-a", "s", "2", "NoOp", "a;b"),
    Step("callguard-a", "_do[n]e-.", "1", "Return", ""),
    Step("callguard-emergency", "x112", "1", "NoOp", ""),
)


def test_a_dialplan_is_read_as_asterisk_lists_it() -> None:
    assert steps(TEXT) == PARSED


def test_the_shipped_dialplan_is_read_whole() -> None:
    text = (shipped("dialplan") / "callguard.conf").read_text(encoding="utf-8")
    written = [line for line in text.splitlines() if line.lstrip().startswith(("exten =>", "same =>"))]
    assert len(steps(text)) == len(written)


@pytest.mark.parametrize("line", ["exten => s,n,NoOp()", "include => others", "same => n,NoOp() ; why"])
def test_what_it_cannot_read_it_does_not_pass_over(line: str) -> None:
    with pytest.raises(ValueError, match="not written as our dialplan is"):
        steps(f"[callguard-a]\n{line}\n")


def test_each_step_that_is_changed_missing_or_added_is_a_difference() -> None:
    added = Step("callguard-a", "s", "3", "Hangup", "")
    changed = replace(PARSED[0], data="X=3")
    assert differences((changed, PARSED[2], added), PARSED) == [
        "s@callguard-a, priority 1", "s@callguard-a, priority 2", "s@callguard-a, priority 3",
    ]  # fmt: skip


def test_an_administrators_contexts_and_further_emergency_numbers_are_none() -> None:
    own = (Step("mine", "s", "1", "Dial", "PJSIP/1"), Step("callguard-emergency", "x061", "1", "NoOp", ""))
    assert differences((*PARSED[:3], *own), PARSED) == []
