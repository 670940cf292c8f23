"""What is pressed against what is wanted."""

from __future__ import annotations

import pytest

from callguard.core.keys import BETWEEN_KEYS_MS, Keypad

WANTED = ("1", "2", "*9")
PROTECTING = ("2", "*9")


def press(keys: str, every_ms: int = 100) -> tuple[bool, Keypad]:
    keypad = Keypad(WANTED, PROTECTING)
    complete = False
    for at, key in enumerate(keys):
        complete = keypad.press(key, (at + 1) * every_ms)
    return complete, keypad


@pytest.mark.parametrize(("keys", "complete"), [("1", True), ("2", True), ("*9", True), ("*", False), ("7", False)])
def test_a_wanted_sequence_is_complete(keys: str, complete: bool) -> None:
    assert press(keys)[0] is complete


@pytest.mark.parametrize(("keys", "complete", "dropped"), [("*1", False, 2), ("*2", True, 1), ("**9", True, 1)])
def test_a_stray_key_before_it_costs_a_yes_and_never_a_no(keys: str, complete: bool, dropped: int) -> None:
    done, keypad = press(keys)
    assert (done, keypad.dropped) == (complete, dropped)


def test_keys_far_apart_do_not_belong_together() -> None:
    assert press("*9", BETWEEN_KEYS_MS + 1)[0] is False
    assert press("*9", BETWEEN_KEYS_MS)[0] is True


def test_when_its_first_key_went_down() -> None:
    keypad = Keypad(WANTED, PROTECTING)
    keypad.press("*", 1_000, 80)
    keypad.press("9", 1_300, 90)
    assert keypad.first_down == 920
