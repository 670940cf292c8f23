"""What Asterisk tells by AMI, and how it is read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from callguard.telephony.ami_events import Held, KeyPressed, Notice, Originated, Reply, Told, mark, read

LEG = "01a20262-bf4b-7521-b7cf-f0be338aba68"
ESSENTIAL, QUESTION = "ab" * 32, "cd" * 32


def told(**fields: str) -> Notice | None:
    """What comes of an event; a header that it has not is empty, as panoramisk gives it."""
    empty = dict.fromkeys(("userevent", "leg", "at", "mark", "channel", "which", "heard", "after", "changes"), "")
    event = read(SimpleNamespace(event="UserEvent", **{**empty, "leg": LEG, "at": "1795344000", **fields}))
    assert event is None or isinstance(event, Notice)
    return event


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
    changed = told(userevent="CallguardReplied", which="1", heard=heard, after="420", changes=f"{QUESTION}-{ESSENTIAL}")
    assert changed is not None
    assert changed.reply == Reply(1, "en", (ESSENTIAL, QUESTION), 420, (QUESTION, ESSENTIAL))


@pytest.mark.parametrize(
    "change",
    [{"which": "0"}, {"which": "4"}, {"which": ""}, {"after": "-1"}, {"after": ""}, {"heard": f"en-{ESSENTIAL}"},
     {"heard": "en"}, {"heard": f"en-{ESSENTIAL}-{'zz' * 32}"}, {"changes": f"{ESSENTIAL}-"}],
)  # fmt: skip
def test_a_yes_that_is_told_in_another_way_is_none(change: dict[str, str]) -> None:
    fields = {"which": "1", "heard": f"en-{ESSENTIAL}-{QUESTION}", "after": "420", **change}
    notice = told(userevent="CallguardReplied", **fields)
    assert notice is not None
    assert notice.reply is None


def test_what_names_no_leg_or_is_not_ours_is_dropped() -> None:
    assert told(userevent="CallguardReplied", leg="x") is None
    assert told(userevent="CallguardSomething") is None


def test_a_mark_says_what_the_event_said() -> None:
    heard = told(userevent="CallguardWithdrawn", at="1795344000-agent", mark="yes")
    assert heard is not None
    assert mark(Told.WITHDRAWN, LEG, "1795344000-agent") == replace(heard, channel="")
    for leg_id, text in ((LEG, ""), (LEG, "soon"), (LEG, "1795344000-other"), ("x", "1795344000")):
        assert mark(Told.WITHDRAWN, leg_id, text) is None


@pytest.mark.parametrize(("said", "held_ms"), [("120", 120), ("", 0), ("-1", 0), ("9" * 10, 0)])
def test_how_long_a_key_was_held(said: str, held_ms: int) -> None:
    event = SimpleNamespace(event="DTMFEnd", uniqueid="1.2", channel="PJSIP/a-1", digit="9", durationms=said)
    assert read(event) == KeyPressed("1.2", "PJSIP/a-1", "9", held_ms)


@pytest.mark.parametrize(("name", "on"), [("Hold", True), ("Unhold", False)])
def test_hold_and_its_end(name: str, on: bool) -> None:
    assert read(SimpleNamespace(event=name, uniqueid="1.2")) == Held("1.2", on)


def test_a_call_that_a_channel_has_made_is_none_that_was_originated() -> None:
    fields = {"event": "DialBegin", "destchannel": "PJSIP/trunk-00000001", "dialstring": "600000001@trunk"}
    assert read(SimpleNamespace(channel="", **fields)) == Originated("PJSIP/trunk-00000001", "600000001@trunk")
    assert read(SimpleNamespace(channel="PJSIP/agent-00000001", **fields)) is None
