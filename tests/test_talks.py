"""What has happened in a call and could not be carried out is not forgotten when the call ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from types import SimpleNamespace
from typing import cast

import pytest

from callguard.agents import Agents
from callguard.core.agents import NOT_ASKED, AgentVerdict
from callguard.core.conversation import Why
from callguard.current import Current
from callguard.errors import Refused, StoreError
from callguard.leg import Subject
from callguard.store import Store
from callguard.talks import Talks
from callguard.telephony.ami import Session
from callguard.telephony.ari_wire import BridgeMembers
from callguard.watchdog import Watchdog

LEG, ANA, AGENT, STRANGER = "01a20262-bf4b-7521-b7cf-f0be338aba68", "pbx-1", "pbx-2", "pbx-3"


class Keeping:
    """A store that keeps segments, or does not."""

    def __init__(self) -> None:
        self.broken = False
        self.ended: list[tuple[int, Why, bool]] = []
        self.begun: list[int] = []

    async def segment_ended(
        self, leg_id: str, number: int, began_at: datetime | None, at: datetime, why: Why, cut_ms: int
    ) -> None:
        if self.broken:
            raise StoreError("locked")
        self.ended.append((number, why, cut_ms > 0))

    async def segment_begun(self, leg_id: str, number: int, at: datetime, why: Why) -> None:
        self.begun.append(number)


class Telephony:
    """A manager session: what channels are, and what was started and stopped."""

    def __init__(self) -> None:
        self.stands = {AGENT: "inside", STRANGER: ""}
        self.done: list[str] = []
        self.asked = asyncio.Event()

    async def variable(self, channel: str, name: str) -> str:
        self.asked.set()
        if channel not in self.stands:
            raise Refused(404, "gone")
        return self.stands[channel]

    async def start_recording(self, channel: str, file: str, *, two: bool) -> None:
        self.done.append(f"start {file.rpartition('/')[2]}")

    async def stop_recording(self, channel: str) -> None:
        self.done.append("stop")


class NoneAsked:
    async def may_be_recorded(self, profile: str, channel: str, now: datetime) -> AgentVerdict:
        return NOT_ASKED


class Nothing:
    def expect(self, channel: str, leg_id: str) -> None:
        """Nobody watches."""


class Call:
    """One recorded leg, and who comes and goes."""

    def __init__(self) -> None:
        self.store, self.telephony = Keeping(), Telephony()
        recording = SimpleNamespace(folder=SimpleNamespace(in_asterisk="/r"), pause_on_hold=False)
        config = SimpleNamespace(recording=recording, asterisk=SimpleNamespace(inside=()))
        self.talks = Talks(
            cast(Current, SimpleNamespace(config=config)), cast(Store, self.store), cast(Watchdog, Nothing()),
            cast(Agents, NoneAsked()),
        )  # fmt: skip
        self.talks.session = cast(Session, self.telephony)
        self.members: tuple[str, ...] = ()
        self.at = 1_000

    def follow(self, *, recorded: bool = True) -> None:
        subject = Subject(LEG, LEG, ANA, ANA, "acme", "service", "inbound", None, None, 0, "mixed")
        self.talks.follow(subject, ("recording.quality",) if recorded else (), recorded=recorded)

    def come(self, *channels: str) -> None:
        for channel in channels:
            self.members = (*self.members, channel)
            self._tell(channel, True)

    def go(self, channel: str) -> None:
        self.members = tuple(one for one in self.members if one != channel)
        self._tell(channel, False)

    def _tell(self, channel: str, entered: bool) -> None:
        self.at += 10
        self.talks.heed(BridgeMembers("b", self.at, "mixing", self.members, channel, f"PJSIP/{channel}-1", entered))


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    one = Call()
    working = asyncio.create_task(one.talks.keep_working())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        yield one
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def test_a_call_is_not_over_before_what_came_last_is_carried_out(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    call.come(STRANGER)
    call.go(ANA)
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]
    assert call.telephony.done == ["stop"]


async def test_who_is_gone_before_it_is_known_who_they_were_may_not_be_heard(call: Call) -> None:
    call.follow()
    del call.telephony.stands[STRANGER]
    call.come(AGENT, ANA)
    call.come(STRANGER)
    call.go(STRANGER)
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]


async def test_what_could_not_be_saved_keeps_the_recording_from_being_finished(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    call.store.broken = True
    call.come(STRANGER)
    with pytest.raises(StoreError, match="not saved"):
        await call.talks.over(LEG)
    with pytest.raises(StoreError, match="not saved"):
        await call.talks.keep_only([])
    call.store.broken = False
    await call.talks.keep_only([])
    assert call.store.ended == [(0, Why.STRANGER, True)]
    await call.talks.over(LEG)  # it is forgotten


async def test_without_a_manager_session_what_happens_waits_for_the_next(call: Call) -> None:
    call.follow()
    session, call.talks.session = call.talks.session, None
    call.come(AGENT, ANA)
    call.come(STRANGER)
    assert call.telephony.done == []
    call.talks.session = session
    await call.talks.keep_only([ANA])
    await call.talks.over(LEG)
    assert call.telephony.done == ["stop"]


async def test_a_yes_in_the_call_looks_at_who_is_there_when_it_is_acted_upon(call: Call) -> None:
    call.follow(recorded=False)
    call.come(AGENT, ANA)
    assert not call.telephony.asked.is_set()  # nobody is recorded, so nobody is asked about
    assert call.talks.agreed(LEG, ["recording.quality"])
    call.come(STRANGER)
    call.go(STRANGER)
    await call.talks.over(LEG)
    assert [one for one in call.telephony.done if one != "stop"] == [f"start {LEG}", f"start {LEG}.1"]
    assert call.store.ended == [(0, Why.STRANGER, True)]
