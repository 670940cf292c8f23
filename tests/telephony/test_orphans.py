"""Who waits for a gate that died, and how long it takes to find all of them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from callguard.errors import Refused
from callguard.telephony.ari import Client
from callguard.telephony.orphans import Orphan, find_orphans
from tests.faults.virtual import run_virtually

ANSWER_S = 0.02
WAITING = [f"waiting-{number}" for number in range(80)]


class Asterisk:
    """Its answers take their time, each."""

    def __init__(self) -> None:
        self.channels = self.applications = cast(Any, self)

    async def channel_ids(self) -> list[str]:
        return [*WAITING, "watched", "gone"]

    def get(self, channel_id: str) -> Any:
        return Channel(channel_id)


class Channel:
    def __init__(self, channel_id: str) -> None:
        self.id = channel_id

    async def running(self) -> str:
        await asyncio.sleep(ANSWER_S)
        if self.id == "gone":
            raise Refused(404, "no such channel")
        return "Dial" if self.id == "watched" else "Stasis"

    async def get_variable(self, variable: str) -> str:
        await asyncio.sleep(ANSWER_S)
        return f"inbound:service:{self.id}:-" if variable == "CG_ARGS" else "+34600000001"


def test_many_who_wait_are_found_at_once() -> None:
    async def find() -> tuple[list[Orphan], float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        return await find_orphans(cast(Client, Asterisk())), loop.time() - began

    found, took_s = run_virtually(find())
    assert [one.channel for one in found] == WAITING
    assert found[0].args == ("inbound", "service", "waiting-0", "-")
    assert took_s < 5 * ANSWER_S
