"""What is asked of the manager, apart from the wire."""

from __future__ import annotations

from typing import Any, cast

import pytest

from callguard.telephony.ami import Session


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
