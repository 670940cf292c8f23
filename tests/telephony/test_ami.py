"""What the dialplan tells by user events, and how it is read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from callguard.telephony.ami import Notice, Reply, Told, _take

LEG = "01a20262-bf4b-7521-b7cf-f0be338aba68"
ESSENTIAL, QUESTION = "ab" * 32, "cd" * 32


def told(**fields: str) -> Notice | None:
    """What comes of an event; a header that it has not is empty, as panoramisk gives it."""
    manager: Any = SimpleNamespace(notices=asyncio.Queue())
    empty = dict.fromkeys(("userevent", "leg", "at", "mark", "channel", "which", "heard", "after"), "")
    _take(manager, SimpleNamespace(**{**empty, "leg": LEG, "at": "1795344000", **fields}))
    return None if manager.notices.empty() else manager.notices.get_nowait()


@pytest.mark.parametrize(
    ("at", "source", "before"),
    [("1795344000", "key", False), ("1795344000-agent", "agent", False), ("1795344000-before", "key", True)],
)
def test_who_stopped_and_when(at: str, source: str, before: bool) -> None:
    notice = told(userevent="CallguardWithdrawn", at=at, mark="yes")
    assert notice is not None
    assert (notice.told, notice.source, notice.before, notice.marked) == (Told.WITHDRAWN, source, before, True)
    assert notice.at is not None


def test_a_yes_to_the_notice_heard_again() -> None:
    heard = f"en-{ESSENTIAL}-{QUESTION}"
    notice = told(userevent="CallguardReplied", which="1", heard=heard, after="420", channel="PJSIP/outside-1")
    assert notice is not None
    assert notice.channel == "PJSIP/outside-1"
    assert notice.reply == Reply(1, "en", (ESSENTIAL, QUESTION), 420)


@pytest.mark.parametrize(
    "change",
    [{"which": "0"}, {"which": "4"}, {"which": ""}, {"after": "-1"}, {"after": ""}, {"heard": f"en-{ESSENTIAL}"},
     {"heard": "en"}, {"heard": f"en-{ESSENTIAL}-{'zz' * 32}"}],
)  # fmt: skip
def test_a_yes_that_is_told_in_another_way_is_none(change: dict[str, str]) -> None:
    fields = {"which": "1", "heard": f"en-{ESSENTIAL}-{QUESTION}", "after": "420", **change}
    notice = told(userevent="CallguardReplied", **fields)
    assert notice is not None
    assert notice.reply is None


def test_what_names_no_leg_or_is_not_ours_is_dropped() -> None:
    assert told(userevent="CallguardReplied", leg="x") is None
    assert told(userevent="CallguardSomething") is None
