"""What is asked of the manager, apart from the wire."""

from __future__ import annotations

import re
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callguard.telephony.ami import NO_LIMIT_S, Overtaken, Session


class Said(Session):
    """A session whose channel says one thing."""

    def __init__(self, value: str) -> None:
        super().__init__(cast(Any, None))
        self.value = value
        self.asked: list[str] = []

    async def variable(self, channel: str, name: str) -> str:
        self.asked.append(name)
        return self.value


async def test_several_variables_are_one_question() -> None:
    session = Said("0x7f\x01\x01/srv/a b.wav")
    assert await session.variables("1.1", "CG_MIXMONITOR", "CG_LEG", "FILE") == ["0x7f", "", "/srv/a b.wav"]
    assert session.asked == ["EVAL(${CG_MIXMONITOR}\x01${CG_LEG}\x01${FILE})"]


@pytest.mark.parametrize("value", ["", "a", "a\x01b\x01c", f"{'x' * 900}\x01b"])
async def test_what_may_not_be_told_apart_or_be_cut_is_asked_for_one_by_one(value: str) -> None:
    session = Said(value)
    assert await session.variables("1.1", "A", "B") == [value, value]
    assert session.asked == ["EVAL(${A}\x01${B})", "A", "B"]


@pytest.mark.parametrize("number", ["", "112;x", "112)", "1" * 41, "112@trunk"])
async def test_what_is_no_number_is_no_emergency_number_and_not_asked_about(number: str) -> None:
    session = Said("1")
    assert not await session.passes(number)
    assert session.asked == []


async def test_the_dialplan_knows_the_emergency_numbers() -> None:
    session = Said("1")
    assert await session.passes("112")
    assert session.asked == ["DIALPLAN_EXISTS(callguard-emergency,x112,1)"]
    assert not await Said("0").passes("600000001")


class Manager:
    """Answers each action, and sets what a channel's variables are asked for."""

    def __init__(self, **channel: str) -> None:
        self.channel = {"CG_MIXMONITOR": "0x7f", **channel}
        self.sent: list[dict[str, str]] = []
        self.protocol = SimpleNamespace(closed=False)

    async def send_action(self, action: dict[str, str]) -> Any:
        self.sent.append(action)
        value = action.get("Variable", "")
        for name in re.findall(r"\$\{(\w+)\}", value):
            value = value.replace(f"${{{name}}}", self.channel.get(name, ""))
        value = value[5:-1] if value.startswith("EVAL(") else self.channel.get(value, "")
        return SimpleNamespace(success=True, value=value)


@pytest.mark.parametrize(
    ("channel", "begins"),
    [
        ({"CG_PRESSED": "5"}, True),
        ({"CG_KEYS": "ask", "CG_PRESSED": "*9"}, False),
        ({"CG_KEYS": "stop", "CG_PRESSED": "5*94"}, False),
        ({"CG_KEYS": "object", "CG_PRESSED": "*9", "CG_OBJECTED": "1795384427"}, True),
        ({"CG_WITHDRAWN": "1795384427"}, False),
        ({"CG_PAUSED": "yes"}, False),
    ],
)
async def test_nothing_goes_on_that_was_begun_after_a_no(channel: dict[str, str], begins: bool) -> None:
    """Also after one that no feature could hear, and that stands among the keys only."""
    manager = Manager(**channel)
    session = Session(cast(Any, manager))
    with nullcontext() if begins else pytest.raises(Overtaken):
        await session.start_recording("1.1", "/r/a", two=False)
    assert ("StopMixMonitor" in {one["Action"] for one in manager.sent}) is not begins


@pytest.mark.parametrize(("own", "seconds"), [("99.504", "99"), ("0", str(NO_LIMIT_S)), ("", str(NO_LIMIT_S))])
async def test_the_limit_that_was_there_before_the_gate_is_put_back(own: str, seconds: str) -> None:
    """Asterisk tells what is left of it with its milliseconds."""
    manager = Manager(CG_LIMIT=own)
    await Session(cast(Any, manager)).lift_lease("1.1")
    assert manager.sent[-2]["Timeout"] == seconds
    assert manager.sent[-1]["Variable"] == "CG_HELD"


async def test_a_pattern_of_channels_is_not_hung_up() -> None:
    with pytest.raises(ValueError, match="not a channel's name"):
        await Said("").hang_up("/.*/")
