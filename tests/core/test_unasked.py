"""What a call that was originated straight to a trunk calls, and whether that was allowed."""

from __future__ import annotations

import pytest

from callguard.core.unasked import ALLOWED_S, number_called, was_allowed

NOW = "1795346190"


@pytest.mark.parametrize(
    ("dialled", "uri", "number"),
    [
        ("600000001@trunk", "", "600000001"),
        ("+34600000001@trunk", "sip:112@127.0.0.1", "+34600000001"),
        ("trunk/sip:600000001@sip.example", "", "600000001"),
        ("trunk/sips:600000001@sip.example:5061;transport=tls", "", "600000001"),
        ("trunk/sip:600000001", "", "600000001"),
        ("g1/600000001", "", "600000001"),
        ("user:secret@peer/600000001@context", "", "600000001"),
        ("trunk", "sip:600000001@127.0.0.1:5060", "600000001"),
        ("trunk", "<sip:112@127.0.0.1>", "112"),
        ("trunk", "", ""),
        ("trunk", "sip:127.0.0.1:5060", ""),
        ("112%20@trunk", "", ""),
        ("112;x@trunk", "", ""),
        ("", "", ""),
    ],
)
def test_the_number_is_the_one_that_the_trunk_gets(dialled: str, uri: str, number: str) -> None:
    assert number_called(dialled, uri) == number


@pytest.mark.parametrize(
    ("allowed", "now", "holds"),
    [
        (f"600000001:{NOW}", NOW, True),
        (f"600000001:{int(NOW) - ALLOWED_S}", NOW, True),
        (f"600000001:{int(NOW) - ALLOWED_S - 1}", NOW, False),
        (f"600000002:{NOW}", NOW, False),
        ("600000001:", NOW, False),
        (f"600000001:{NOW}", "", False),
        ("", NOW, False),
    ],
)
def test_what_the_guard_has_allowed_holds_for_that_number_and_for_ten_seconds(
    allowed: str, now: str, holds: bool
) -> None:
    assert was_allowed("600000001", allowed, now) is holds


def test_no_number_was_never_allowed() -> None:
    assert not was_allowed("", f":{NOW}", NOW)
