"""What has happened in a call and could not be carried out is not forgotten when the call ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from callguard.agents import Agents
from callguard.core.agents import NOT_ASKED, AgentVerdict
from callguard.core.conversation import Why
from callguard.core.incidents import Incident
from callguard.core.model import Basis, Purpose
from callguard.current import Current
from callguard.errors import Disconnected, Refused, StoreError
from callguard.leg import Subject
from callguard.store import Store
from callguard.store.records import OpenRecording, Segment
from callguard.store.times import from_ms
from callguard.talks import Talks
from callguard.telephony.ami import NAMED_INSIDE, PAUSED, WITHDRAWN, LiveChannel, Overtaken, Session
from callguard.telephony.ari_wire import BridgeMembers, Transferred
from callguard.watchdog import Watchdog

LEG, ANA, AGENT, STRANGER = "01a20262-bf4b-7521-b7cf-f0be338aba68", "pbx-1", "pbx-2", "pbx-3"
OTHER_LEG, OTHER = "01a20262-bf4b-7521-b7cf-f0be338aba69", "pbx-9"


class Keeping:
    """A store that keeps segments, or does not."""

    def __init__(self) -> None:
        self.broken = False
        self.ended: list[tuple[int, Why, bool]] = []
        self.cut_ms: list[int] = []
        self.ended_at: list[datetime] = []
        self.began_at: list[datetime | None] = []
        self.begun: list[int] = []
        self.expected: list[OpenRecording] = []
        self.known: tuple[Segment, ...] = ()
        self.incidents: list[str] = []
        self.details: list[dict[str, object]] = []
        self.beside: list[tuple[str, str]] = []

    async def heard_beside(self, leg_id: str, others: Collection[str], at: datetime) -> None:
        if self.broken:
            raise StoreError("locked")
        self.beside += [(leg_id, other) for other in sorted(others)]

    async def segment_ended(
        self, leg_id: str, number: int, began_at: datetime | None, at: datetime, why: Why, cut_ms: int
    ) -> None:
        if self.broken:
            raise StoreError("locked")
        self.ended.append((number, why, cut_ms > 0))
        self.cut_ms.append(cut_ms)
        self.ended_at.append(at)
        self.began_at.append(began_at)

    async def segment_begun(self, leg_id: str, number: int, at: datetime, why: Why) -> None:
        self.begun.append(number)

    async def segments(self, leg_id: str) -> tuple[Segment, ...]:
        return self.known

    async def expected_recordings(self) -> list[OpenRecording]:
        return self.expected

    async def expected_recording(self, leg_id: str) -> OpenRecording | None:
        return next((one for one in self.expected if one.leg_id == leg_id), None)

    async def subject_of_leg(self, leg_id: str) -> None:
        return None

    async def incident(self, kind: str, at: datetime, detail: dict[str, object], leg_id: str) -> None:
        if self.broken:
            raise StoreError("locked")
        self.incidents.append(kind)
        self.details.append(detail)


class Telephony:
    """A manager session: what channels are, and what was started and stopped."""

    def __init__(self) -> None:
        self.stands = {AGENT: "house", STRANGER: ""}
        self.picked_up: set[str] = set()
        self.of_ana: dict[str, str] = {}
        self.done: list[str] = []
        self.asked = asyncio.Event()
        self.channels: list[LiveChannel] = []
        self.waiting: frozenset[str] = frozenset()
        self.meanwhile: Callable[[], None] = lambda: None
        self.fails: list[Exception] = []
        self.runs = True
        # Whether the call ends with whom is asked about and is gone, and whether it has.
        self.ends = self.over = False

    async def live(self) -> list[LiveChannel]:
        self.meanwhile()
        return self.channels

    async def holding(self) -> frozenset[str]:
        return self.waiting

    async def variable(self, channel: str, name: str) -> str:
        self.asked.set()
        if channel == ANA and not self.over:
            return self.of_ana.get(name, "")
        if channel not in self.stands:
            self.over = self.ends
            raise Refused(404, "gone")
        return self.stands[channel]

    async def variables(self, channel: str, *names: str) -> list[str]:
        said = [await self.variable(channel, name) for name in names]
        return [
            "" if name == NAMED_INSIDE and channel in self.picked_up else one
            for name, one in zip(names, said, strict=True)
        ]

    async def start_recording(self, channel: str, file: str, *, two: bool) -> None:
        self.done.append(f"start {file.rpartition('/')[2]}")
        if self.fails:
            raise self.fails.pop()

    async def stop_recording(self, channel: str) -> None:
        self.done.append("stop")
        if not self.runs:
            raise Refused(404, "nothing of ours is recorded there")


class NoneAsked:
    async def may_be_recorded(self, profile: str, channel: str, now: datetime) -> AgentVerdict:
        return NOT_ASKED


class Counting:
    """How many recorders of ours are expected."""

    def __init__(self) -> None:
        self.expected = 0

    def expect(self, channel: str, leg_id: str) -> None:
        self.expected += 1

    def expect_no_more(self, channel: str) -> None:
        self.expected -= 1


class Call:
    """One recorded leg, and who comes and goes."""

    def __init__(self) -> None:
        self.alone = True
        self.store, self.telephony, self.watchdog = Keeping(), Telephony(), Counting()
        recording = SimpleNamespace(folder=SimpleNamespace(in_asterisk="/r"), pause_on_hold=False)
        config = SimpleNamespace(recording=recording, asterisk=SimpleNamespace(inside=(), app="callguard"))
        self.recording = recording
        self.talks = Talks(
            cast(Current, SimpleNamespace(config=config)), cast(Store, self.store), cast(Watchdog, self.watchdog),
            cast(Agents, NoneAsked()), lambda: self.alone,
        )  # fmt: skip
        self.session = cast(Session, self.telephony)
        self.members: tuple[str, ...] = ()
        self.at = round(time.time() * 1000) - 60_000

    async def catch_up(self) -> None:
        """As when a connection has just been made."""
        await self.talks.catch_up(self.session)

    def lost(self) -> None:
        self.talks.session = None
        self.talks.lost()

    def listed(self, bridge: str, *channels: str) -> list[LiveChannel]:
        return [LiveChannel(one, f"PJSIP/{one}-1", "x", bridge) for one in channels]

    def was_recorded(self) -> None:
        """By an earlier process; its call goes on."""
        purpose = Purpose("recording.quality", Basis.CONSENT)
        now = datetime.now(UTC)
        self.store.expected.append(OpenRecording(LEG, LEG, ANA, "acme", LEG, "mixed", now, (purpose,), None, None))

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
    await one.catch_up()
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


@pytest.mark.parametrize("over", [True, False])
async def test_who_goes_as_callguard_comes_back_is_in_doubt_only_while_the_call_goes_on(call: Call, over: bool) -> None:
    """A call that ends just then is one of those that ended while nobody watched."""
    call.was_recorded()
    call.telephony.channels = call.listed("b", AGENT, ANA)
    del call.telephony.stands[AGENT]
    call.telephony.ends = over
    call.lost()
    await call.catch_up()
    await call.talks.over(LEG)
    assert call.store.ended == ([] if over else [(0, Why.STRANGER, True)])


async def test_who_has_the_variables_of_the_phone_that_rang_and_not_its_name_is_a_stranger(call: Call) -> None:
    call.follow()
    call.telephony.picked_up.add(AGENT)
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]


async def test_a_stranger_who_was_known_stays_one_when_the_call_ends(call: Call) -> None:
    call.was_recorded()
    call.telephony.channels = call.listed("b", AGENT, STRANGER, ANA)
    del call.telephony.stands[AGENT]
    call.telephony.ends = True
    call.lost()
    await call.catch_up()
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
        await call.talks.settled(LEG)
    assert await call.talks.keep_only([]) == {LEG}
    call.store.broken = False
    assert not await call.talks.keep_only([])
    assert call.store.ended == [(0, Why.STRANGER, True)]
    await call.talks.over(LEG)  # it is forgotten


async def test_without_a_manager_session_what_happens_waits_for_the_next(call: Call) -> None:
    call.follow()
    call.talks.session = None
    call.come(AGENT, ANA)
    call.come(STRANGER)
    assert call.telephony.done == []
    call.talks.session = call.session
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


async def test_in_a_busy_pbx_who_comes_while_the_channels_are_listed_has_come_then(call: Call) -> None:
    """However much happens meanwhile: nothing is cut off that was captured before."""
    call.follow()
    call.come(AGENT, ANA)
    call.lost()

    def meanwhile() -> None:
        for _ in range(20):
            call.come("pbx-7")
            call.go("pbx-7")
        call.at = round(time.time() * 1000) - 500
        call.come(STRANGER)
        call.telephony.channels = call.listed("b", AGENT, ANA, STRANGER)

    call.telephony.meanwhile = meanwhile
    call.telephony.stands["pbx-7"] = "inside"
    await call.catch_up()
    await call.talks.over(LEG)
    ended = dict(zip([why for _, why, _ in call.store.ended], call.store.cut_ms, strict=True))
    assert ended.keys() == {Why.TRANSFER, Why.STRANGER}
    assert ended[Why.STRANGER] < 1_500
    assert [one["kept"] for one in call.store.details] == [True]  # of before they were listed nobody knows


async def test_who_was_listed_and_went_meanwhile_is_not_there_any_more(call: Call) -> None:
    call.was_recorded()
    call.telephony.channels = call.listed("b", AGENT, ANA)
    call.members = (AGENT, ANA)

    def meanwhile() -> None:
        call.go(AGENT)
        call.come(STRANGER)
        call.go(STRANGER)
        call.come(AGENT)

    call.telephony.meanwhile = meanwhile
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert [(number, why) for number, why, _ in call.store.ended] == [(0, Why.STRANGER)]
    assert [one for one in call.telephony.done if one != "stop"] == [f"start {LEG}.1"]


async def test_what_is_told_after_a_gap_does_not_make_the_gap_shorter(call: Call) -> None:
    """Somebody came while nobody listened; that another call is told of just after does not say when."""
    call.follow()
    call.come(AGENT, ANA)
    began = call.at
    call.lost()
    at = round(time.time() * 1000)
    call.talks.heed(BridgeMembers("c", at, "mixing", ("pbx-8",), "pbx-8", "PJSIP/pbx-8-1", True))
    call.telephony.channels = call.listed("b", AGENT, ANA, STRANGER)
    await call.catch_up()
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]
    assert call.store.cut_ms[0] >= at - began
    assert call.store.cut_ms[0] < 120_000  # and not all of it


async def test_a_gap_is_no_longer_than_since_the_connection_has_last_answered(call: Call) -> None:
    call.follow()
    at = round(time.time() * 1000)
    call.talks.heed(BridgeMembers("c", at, "mixing", ("pbx-8",), "pbx-8", "PJSIP/pbx-8-1", True))
    call.come(AGENT, ANA)  # a minute ago
    call.talks.heard_until(time.time())
    call.lost()
    call.talks.heard_until(time.time() + 60)  # nothing is heard now
    call.telephony.channels = call.listed("b", AGENT, ANA, STRANGER)
    await call.catch_up()
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]
    assert 2_000 <= call.store.cut_ms[0] < 20_000


async def test_calls_that_are_parked_are_in_nobodys_company_when_callguard_comes_back(call: Call) -> None:
    call.was_recorded()
    call.telephony.channels = call.listed("lot", ANA, STRANGER)
    call.telephony.waiting = frozenset({"lot"})
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert call.store.ended == []
    assert not call.store.incidents


async def test_with_a_stranger_in_the_call_when_callguard_comes_back_nobody_knows_since_when(call: Call) -> None:
    call.was_recorded()
    call.telephony.channels = call.listed("b", ANA, STRANGER)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]
    assert call.store.incidents == [Incident.RECORDING_UNWATCHED]


@pytest.mark.parametrize(
    ("there", "on_the_channel", "kept"),
    [
        (AGENT, {}, True),
        (AGENT, {"SIPTRANSFER": "yes"}, False),
        (AGENT, {"BLINDTRANSFER": "PJSIP/agent-1"}, False),
        (STRANGER, {}, False),
        (STRANGER, {"SIPTRANSFER": "yes"}, False),
    ],
)
async def test_what_was_recorded_while_callguard_was_away_is_an_incident_and_stays_where_nobody_came(
    call: Call, there: str, on_the_channel: dict[str, str], kept: bool
) -> None:
    call.was_recorded()
    call.telephony.of_ana = {"CG_MIXMONITOR": "0x1", **on_the_channel}
    call.telephony.channels = call.listed("b", ANA, there)
    call.lost()
    call.store.broken = True
    await call.catch_up()
    with pytest.raises(StoreError):
        await call.talks.settled(LEG)
    call.store.broken = False
    await call.talks.settled(LEG)
    assert call.store.incidents == [Incident.RECORDING_UNWATCHED]
    (detail,) = call.store.details
    assert (detail["segment"], detail["kept"]) == (0, kept)
    assert str(detail["from"]) <= str(detail["to"])
    assert [cut > 3_600_000 for cut in call.store.cut_ms] == ([] if kept else [True])
    begins = [one for one in call.telephony.done if one.startswith("start")]
    assert begins == ([f"start {LEG}.1"] if not kept and there == AGENT else [])
    assert call.talks.watched() == {LEG}
    await call.talks.over(LEG)
    assert call.talks.watched() == {LEG}
    assert not call.talks.watched()


@pytest.mark.parametrize("on", [True, False])
async def test_a_pause_that_was_pressed_while_callguard_was_away_ended_it_then(call: Call, on: bool) -> None:
    call.was_recorded()
    halted = round(time.time() * 1000) - 5_000
    call.telephony.of_ana = {"CG_MIXMONITOR": "0x1", "CG_HALTED": f"0x1-{halted}", "CG_PAUSED": "" if on else "yes"}
    call.telephony.runs = False  # the key has ended it
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert (call.store.ended, call.store.ended_at) == ([(0, Why.AGENT, False)], [from_ms(halted)])
    begins = [one for one in call.telephony.done if one.startswith("start")]
    assert begins == ([f"start {LEG}.1"] if on else [])
    assert [one["kept"] for one in call.store.details] == [True]


async def test_a_recorder_that_began_after_the_pause_is_not_the_one_that_it_ended(call: Call) -> None:
    call.was_recorded()
    call.telephony.of_ana = {"CG_MIXMONITOR": "0x2", "CG_HALTED": "0x1-1795384427123"}
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert (call.store.ended, call.telephony.done) == ([], [])
    # Another grant of an agent's changes nothing of when it began, which nobody saw.
    call.members = (ANA, AGENT)
    call.talks.ask_again(datetime.now(UTC))
    call.come(STRANGER)
    await call.talks.settled(LEG)
    assert [(number, why) for number, why, _ in call.store.ended] == [(0, Why.STRANGER)]
    assert call.store.began_at == [None]


async def test_nothing_was_recorded_while_callguard_was_away_where_nothing_had_begun(call: Call) -> None:
    call.was_recorded()
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert call.store.incidents == []


@pytest.mark.parametrize("begun", [False, True])
async def test_a_recording_that_waited_for_the_agent_is_taken_up_where_it_had_not_begun(
    call: Call, begun: bool
) -> None:
    call.was_recorded()
    call.telephony.of_ana = {"CG_RECORDING": "held", "CG_MIXMONITOR": "0x1" if begun else ""}
    call.telephony.channels = call.listed("", ANA)
    call.lost()
    await call.catch_up()
    call.come(ANA, AGENT)
    await call.talks.settled(LEG)
    assert [one for one in call.telephony.done if one != "stop"] == ([] if begun else [f"start {LEG}"])


async def test_a_recording_that_waited_for_the_agent_is_not_begun_after_the_key_that_stops_it(call: Call) -> None:
    call.was_recorded()
    call.telephony.of_ana = {"CG_RECORDING": "held", "CG_PRESSED": "1*9"}
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert call.telephony.done == []


@pytest.mark.parametrize(("by", "why"), [(WITHDRAWN, Why.WITHDRAWN), (PAUSED, Why.AGENT)])
async def test_nothing_stays_of_what_was_begun_after_the_key(call: Call, by: str, why: Why) -> None:
    """The key goes down between the order and its answer: what was begun has ended again, and is cut off as a whole."""
    call.follow(recorded=False)
    call.come(AGENT, ANA)
    call.telephony.fails = [Overtaken(by)]
    assert call.talks.agreed(LEG, ["recording.quality"])
    await call.talks.settled(LEG)
    assert call.store.ended == [(0, why, True)]
    assert call.watchdog.expected == 1  # it has begun


@pytest.mark.parametrize("runs", [True, False])
async def test_what_runs_when_a_withdrawal_is_heard_of_is_cut_off_from_the_withdrawal_on(
    call: Call, runs: bool
) -> None:
    """It was begun just before; what the key itself has ended keeps what it had until then."""
    call.follow()
    call.come(AGENT, ANA)
    call.telephony.runs = runs
    call.talks.withdrawn(LEG, datetime.fromtimestamp((call.at + 1_000) / 1000, UTC))
    await call.talks.settled(LEG)
    assert call.telephony.done == ["stop"]
    assert call.store.ended == ([(0, Why.WITHDRAWN, True)] if runs else [])


@pytest.mark.parametrize(("late_ms", "cut"), [(400, False), (1_400, True)])
async def test_keys_that_asterisk_made_out_late_withdraw_from_the_first_of_them_on(
    call: Call, late_ms: int, cut: bool
) -> None:
    """The key itself has ended the recording, but only when an agent's key was worked off."""
    call.follow()
    call.come(AGENT, ANA)
    call.telephony.runs = False
    call.talks.withdrawn(LEG, datetime.fromtimestamp((call.at + 1_000) / 1000, UTC), late_ms)
    await call.talks.settled(LEG)
    assert call.store.ended == ([(0, Why.WITHDRAWN, True)] if cut else [])


async def test_what_ran_when_a_withdrawal_was_heard_of_is_cut_off_also_when_it_is_saved_later(call: Call) -> None:
    """The second time nothing runs any more, and that is no word on the first."""
    call.follow()
    call.come(AGENT, ANA)
    call.store.broken = True
    call.talks.withdrawn(LEG, datetime.fromtimestamp((call.at + 1_000) / 1000, UTC))
    with pytest.raises(StoreError, match="not saved"):
        await call.talks.settled(LEG)
    call.store.broken, call.telephony.runs = False, False
    await call.talks.settled(LEG)
    assert call.store.ended == [(0, Why.WITHDRAWN, True)]
    assert call.telephony.done == ["stop"]


async def test_a_hold_that_ends_with_the_key_takes_nothing_up(call: Call) -> None:
    """Asterisk ends it to play the confirmation, and tells of that before it tells of the key."""
    call.follow()
    call.come(AGENT, ANA)
    call.talks.paused(LEG, Why.HOLD)
    await call.talks.settled(LEG)
    call.telephony.of_ana = {WITHDRAWN: "1795384427"}
    call.telephony.runs = False
    call.talks.resumed(LEG, Why.HOLD)
    call.talks.withdrawn(LEG, datetime.now(UTC))
    await call.talks.settled(LEG)
    assert (call.store.begun, [why for _, why, _ in call.store.ended]) == ([], [Why.HOLD])
    assert call.watchdog.expected == 0


@pytest.mark.parametrize("error", [Refused(0, "no such channel"), Disconnected("over")])
async def test_a_recorder_that_has_not_begun_is_expected_no_more(call: Call, error: Exception) -> None:
    """Or somebody else's next one would pass for it."""
    call.follow(recorded=False)
    call.come(AGENT, ANA)
    call.telephony.fails = [error]
    assert call.talks.agreed(LEG, ["recording.quality"])
    while call.telephony.fails:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert call.watchdog.expected == 0
    assert not await call.talks.keep_only([ANA])
    await call.talks.settled(LEG)
    assert call.watchdog.expected == (1 if isinstance(error, Disconnected) else 0)


async def test_one_call_that_cannot_be_saved_keeps_no_other_from_being_finished(call: Call) -> None:
    call.follow()
    subject = Subject(OTHER_LEG, OTHER_LEG, OTHER, OTHER, "acme", "service", "inbound", None, None, 0, "mixed")
    call.talks.follow(subject, ("recording.quality",), recorded=True)
    call.come(AGENT, ANA)
    call.store.broken = True
    call.come(STRANGER)
    assert await call.talks.keep_only([]) == {LEG}
    assert not call.talks.agreed(OTHER_LEG, [])  # it is forgotten


async def test_who_may_be_heard_beside_the_subject_is_kept_once_and_those_of_the_house_are_not(call: Call) -> None:
    call.follow()
    subject = Subject(OTHER_LEG, OTHER_LEG, OTHER, OTHER, "acme", "service", "inbound", None, None, 0, "mixed")
    call.talks.follow(subject, ("recording.quality",), recorded=True)
    elsewhere = "pbx-7"  # whom another gate has asked
    call.telephony.stands[elsewhere] = "leg:recording.quality"
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    assert call.store.beside == []
    call.come(OTHER, elsewhere)
    call.go(elsewhere)
    call.come(elsewhere)
    await call.talks.settled(LEG)
    await call.talks.settled(OTHER_LEG)
    assert sorted(call.store.beside) == [(LEG, OTHER_LEG), (LEG, elsewhere), (OTHER_LEG, LEG), (OTHER_LEG, elsewhere)]


async def test_that_it_cannot_be_kept_who_is_heard_keeps_no_recording_going(call: Call) -> None:
    """A stranger ends it all the same, and it is kept when the store is back."""
    call.follow()
    subject = Subject(OTHER_LEG, OTHER_LEG, OTHER, OTHER, "acme", "service", "inbound", None, None, 0, "mixed")
    call.talks.follow(subject, ("recording.quality",), recorded=True)
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    call.store.broken = True
    call.come(OTHER)
    call.come(STRANGER)
    with suppress(StoreError):
        await call.talks.settled(LEG)
    call.store.broken = False
    await call.talks.keep_only([ANA, OTHER])
    await call.talks.settled(LEG)
    assert (LEG, OTHER_LEG) in call.store.beside
    assert (1, Why.STRANGER, True) in call.store.ended  # with each new party begins a segment


@pytest.mark.parametrize("app", ["callguard", "callguard--2", "callguard-b"])
async def test_each_gate_follows_the_legs_that_it_answered_for(call: Call, app: str) -> None:
    call.was_recorded()
    call.telephony.of_ana = {"CG_APP": app}
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.members = (ANA, AGENT)
    ours = app != "callguard-b"
    assert await call.talks.follows(call.session, LEG, "") == ours
    assert await call.talks.follows(call.session, OTHER_LEG, ANA) == ours
    call.lost()
    await call.catch_up()
    call.come(STRANGER)
    await call.talks.settled(LEG)
    assert bool(call.telephony.done) == ours


async def test_whose_a_leg_was_that_is_gone_is_in_doubt_only_beside_another_gate(call: Call) -> None:
    assert await call.talks.follows(call.session, LEG, "gone")
    call.alone = False
    assert not await call.talks.follows(call.session, LEG, "gone")
    call.follow()
    assert await call.talks.follows(call.session, LEG, "gone")


def begins(call: Call) -> list[str]:
    """How each segment after the first was begun."""
    return [one for one in call.telephony.done if one.startswith("start")]


async def test_a_hold_is_over_when_somebody_is_there_who_holds_nobody(call: Call) -> None:
    """Of one who puts the person on hold and leaves the bridge, as in an attended transfer, no end of it is told."""
    call.recording.pause_on_hold = True
    call.follow()
    call.come(AGENT, ANA)
    call.talks.held(AGENT, on=True)
    await call.talks.settled(LEG)
    call.go(AGENT)
    assert call.store.ended == [(0, Why.HOLD, False)]
    assert begins(call) == []
    call.come(AGENT)  # is back, and Asterisk said so before the bridge did
    await call.talks.settled(LEG)
    assert begins(call) == [f"start {LEG}.1"]


@pytest.mark.parametrize("over", ["one has gone", "both have taken back"])
async def test_of_two_who_hold_the_last_one_ends_it(call: Call, over: str) -> None:
    call.recording.pause_on_hold = True
    call.telephony.stands[OTHER] = "inside"
    call.follow()
    call.come(AGENT, ANA)
    call.come(OTHER)
    await call.talks.settled(LEG)
    begun = len(begins(call))
    call.talks.held(AGENT, on=True)
    call.talks.held(OTHER, on=True)
    if over == "one has gone":
        call.go(AGENT)
    else:
        call.talks.held(AGENT, on=False)
    await call.talks.settled(LEG)
    assert len(begins(call)) == begun
    call.talks.held(OTHER, on=False)
    await call.talks.settled(LEG)
    assert len(begins(call)) == begun + 1


async def test_who_left_while_nobody_listened_holds_nobody_any_more(call: Call) -> None:
    call.recording.pause_on_hold = True
    call.telephony.stands[OTHER] = "inside"
    call.follow()
    call.come(AGENT, ANA)
    call.talks.held(AGENT, on=True)
    await call.talks.settled(LEG)
    call.lost()
    call.telephony.channels = call.listed("b", ANA, OTHER)
    await call.catch_up()
    await call.talks.settled(LEG)
    assert begins(call) == [f"start {LEG}.1"]


@pytest.mark.parametrize("what", ["nobody was found", "the call is over", "a transfer was noted", "an agent was found"])
async def test_what_was_recorded_while_ari_was_away_is_an_incident_unless_it_is_cut_off(call: Call, what: str) -> None:
    """A stranger may have come and gone, or the call have ended with them: nobody was told."""
    call.follow()
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    call.talks.heard_until(time.time())
    heard = time.time() - 60  # by Asterisk's clock, as the events have told it
    call.lost()
    call.lost()  # the manager's connection comes back later than ARI's, which was lost once more meanwhile
    call.telephony.channels = call.listed("b", AGENT, ANA)
    if what == "the call is over":
        call.telephony.channels, call.telephony.over = [], True
    elif what == "a transfer was noted":
        call.telephony.of_ana = {"SIPTRANSFER": "yes"}
    elif what == "an agent was found":
        call.telephony.channels = call.listed("b", OTHER, ANA)
        call.telephony.stands[OTHER] = "inside"
    call.store.broken = True
    await call.catch_up()
    call.store.broken = False
    await call.talks.over(LEG)
    noted = what == "a transfer was noted"
    assert call.store.incidents == ([] if noted else [Incident.RECORDING_UNWATCHED])
    assert [one["kept"] for one in call.store.details] == ([] if noted else [True])
    for detail in call.store.details:
        assert heard - 3 < datetime.fromisoformat(str(detail["from"])).timestamp() < heard + 1
    assert [(why, cut) for _, why, cut in call.store.ended] == (
        [(Why.TRANSFER, True)] if noted else [(Why.TRANSFER, False)] if what == "an agent was found" else []
    )


async def test_what_was_not_recorded_while_ari_was_away_is_no_incident(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    call.talks.paused(LEG)
    await call.talks.settled(LEG)
    call.telephony.of_ana = {PAUSED: "yes"}
    call.lost()
    call.telephony.channels = call.listed("b", AGENT, ANA)
    await call.catch_up()
    await call.talks.over(LEG)
    assert call.store.incidents == []


async def test_a_recording_is_not_finished_before_it_is_told_who_was_there_at_its_end(call: Call) -> None:
    """Over a connection that a firewall has forgotten nothing is told, and nobody says so for ten seconds."""
    asked = 0

    async def untold() -> None:
        nonlocal asked
        asked += 1
        raise Disconnected("no answer")

    call.follow()
    call.come(AGENT, ANA)
    call.talks.all_told = untold
    with pytest.raises(StoreError, match="not told yet: no answer"):
        await call.talks.over(LEG)
    assert await call.talks.keep_only([]) == {LEG}
    call.lost()
    call.telephony.over = True
    await call.catch_up()

    async def told() -> None:
        call.talks.heard_until(time.time())

    call.talks.all_told = told
    assert not await call.talks.keep_only([])
    assert (asked, call.store.incidents) == (2, [Incident.RECORDING_UNWATCHED])


async def test_who_withdraws_at_another_gate_is_not_heard_on_in_a_recording_of_ours(call: Call) -> None:
    call.telephony.stands[OTHER] = "leg:recording.quality"
    call.follow()
    call.come(AGENT, ANA)
    call.come(OTHER)
    await call.talks.settled(LEG)
    ended = len(call.store.ended)
    call.telephony.stands[OTHER] = "leg:"
    call.talks.withdrawn(OTHER_LEG, datetime.now(UTC))
    await call.talks.settled(LEG)
    assert call.store.ended[ended:] == [(1, Why.STRANGER, True)]


def takes_the_place_of_the_agent(call: Call, channel: str, by: str) -> None:
    """Of a second one, in whose company somebody else is already: told of are only an end and a transfer."""
    call.talks.heed(BridgeMembers("c", call.at, "mixing", ("pbx-7",), "pbx-7", "PJSIP/pbx-7-1", True))
    call.talks.heed(BridgeMembers("c", call.at, "mixing", ("pbx-7", by), by, f"PJSIP/{by}-1", True))
    call.go(ANA)
    call.go(AGENT)
    call.telephony.channels = call.listed("c", by, channel)
    call.telephony.stands["pbx-7"] = "inside"


async def test_whose_company_a_transfer_has_changed_without_a_word_is_looked_up(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    takes_the_place_of_the_agent(call, ANA, STRANGER)
    told = asyncio.Event()

    async def all_told() -> None:
        told.set()

    call.talks.all_told = all_told
    call.talks.transferred(Transferred(call.at, ANA))
    await told.wait()
    await asyncio.sleep(0)
    await call.talks.settled(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]
    # And what is told from then on is no surprise.
    call.talks.heed(BridgeMembers("c", call.at, "mixing", (ANA,), STRANGER, f"PJSIP/{STRANGER}-1", False))
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]


async def test_a_transfer_is_looked_into_once_there_is_a_session_again(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    takes_the_place_of_the_agent(call, ANA, STRANGER)

    async def untold() -> None:
        call.talks.all_told = told
        lost.set()
        raise Disconnected("no answer")

    async def told() -> None:
        again.set()

    lost, again = asyncio.Event(), asyncio.Event()
    call.talks.all_told = untold
    call.talks.transferred(Transferred(call.at, ANA))
    await lost.wait()
    assert call.telephony.done == []
    await call.catch_up()
    await again.wait()
    await asyncio.sleep(0)
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.STRANGER, True)]


@pytest.mark.parametrize("who_goes_first", [ANA, STRANGER])
async def test_who_was_in_company_that_nobody_told_of_loses_what_was_recorded_in_it(
    call: Call, who_goes_first: str
) -> None:
    call.at = round(time.time() * 1000)
    call.follow()
    call.come(AGENT, ANA)
    takes_the_place_of_the_agent(call, ANA, STRANGER)
    call.at += 30_000
    (stays,) = {ANA, STRANGER} - {who_goes_first}
    name = f"PJSIP/{who_goes_first}-1"
    call.talks.heed(BridgeMembers("c", call.at, "mixing", (stays,), who_goes_first, name, False))
    await call.talks.over(LEG)
    assert call.store.ended == [(0, Why.TRANSFER, True)]
    assert 30_000 <= call.store.cut_ms[0] < 32_000  # since they left the agent, by Asterisk's clock


async def test_a_pause_does_not_make_it_known_who_was_there(call: Call) -> None:
    call.at = round(time.time() * 1000)
    call.follow()
    call.come(AGENT, ANA)
    call.at += 30_000
    call.talks.heed(BridgeMembers("c", call.at, "mixing", ("pbx-7",), "pbx-7", "PJSIP/pbx-7-1", True))
    call.talks.paused(LEG)
    call.talks.resumed(LEG)
    await call.talks.settled(LEG)
    call.at += 10_000
    call.talks.heed(BridgeMembers("b", call.at, "mixing", (AGENT, ANA), STRANGER, f"PJSIP/{STRANGER}-1", False))
    await call.talks.over(LEG)
    (_, paused), (_, cut) = zip(call.store.ended, call.store.cut_ms, strict=True)
    assert paused < 1_000 and 40_000 <= cut < 42_000


async def test_what_nobody_told_of_is_cut_off_also_where_it_is_carried_out_later(call: Call) -> None:
    """The manager's connection is away: who came, and who was there unseen, wait for it."""
    call.at = round(time.time() * 1000)
    call.telephony.stands["pbx-7"] = "inside"
    call.follow()
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    call.talks.session_lost()
    call.go(AGENT)
    call.come("pbx-7")
    call.at += 35_000
    call.talks.heed(BridgeMembers("b", call.at, "mixing", ("pbx-7", ANA), STRANGER, f"PJSIP/{STRANGER}-1", False))
    await call.catch_up()
    await call.talks.over(LEG)
    assert all(cut >= 35_000 for cut in call.store.cut_ms) and call.store.ended[0][:2] == (0, Why.TRANSFER)


async def test_of_the_house_nobody_is_asked_about_when_somebody_withdraws_at_another_gate(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    await call.talks.settled(LEG)
    call.telephony.asked.clear()
    call.talks.withdrawn(OTHER_LEG, datetime.now(UTC))
    await call.talks.settled(LEG)
    assert not call.telephony.asked.is_set()


@pytest.mark.parametrize(
    ("pressed", "keys", "goes_on"), [("1*9", "stop", False), ("1*9", "object", True), ("1", "ask", True)]
)
async def test_a_recording_that_was_interrupted_is_not_begun_after_the_key_that_was_pressed_while_callguard_was_away(
    call: Call, pressed: str, keys: str, goes_on: bool
) -> None:
    """A conference knows no features, so only the keys that the dialplan keeps say so. (An objection stops nothing.)"""
    call.was_recorded()
    call.store.expected[0] = replace(call.store.expected[0], interrupted=True)
    now = datetime.now(UTC)
    call.store.known = (Segment(0, now, None, now, Why.STRANGER, 0),)
    call.telephony.of_ana = {"CG_PRESSED": pressed, "CG_KEYS": keys}
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert (begins(call), call.store.begun) == (([f"start {LEG}.1"], [1]) if goes_on else ([], []))


async def test_no_segment_is_begun_after_the_key_that_no_feature_has_heard(call: Call) -> None:
    call.follow()
    call.come(AGENT, ANA)
    call.come(STRANGER)
    await call.talks.settled(LEG)
    call.telephony.of_ana = {"CG_PRESSED": "1*9", "CG_KEYS": "ask"}
    call.go(STRANGER)
    await call.talks.settled(LEG)
    assert (begins(call), call.store.begun) == ([], [])


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("held", [True, False])
async def test_holds_that_the_manager_could_not_tell_of_are_an_incident_where_recordings_pause_on_hold(
    call: Call, held: bool, configured: bool
) -> None:
    """Asterisk does not say who is on hold: what ran may have one in it, what paused may miss what followed."""
    call.recording.pause_on_hold = configured
    call.follow()
    call.come(AGENT, ANA)
    if held:
        call.talks.held(AGENT, on=True)
    await call.talks.settled(LEG)
    call.talks.session_lost()
    call.talks.session_lost()  # an attempt that failed
    call.store.broken = True
    await call.catch_up()
    call.store.broken = False
    await call.talks.over(LEG)
    assert call.store.incidents == ([Incident.RECORDING_HOLDS_MISSED] if configured else [])
    for detail in call.store.details:
        assert detail["recorded"] is not held
        assert str(detail["from"]) <= str(detail["to"])


async def test_a_recording_that_is_found_paused_on_hold_is_an_incident(call: Call) -> None:
    call.recording.pause_on_hold = True
    call.was_recorded()
    call.store.expected[0] = replace(call.store.expected[0], interrupted=True)
    now = datetime.now(UTC)
    call.store.known = (Segment(0, now, None, now, Why.HOLD, 0),)
    call.telephony.channels = call.listed("b", ANA, AGENT)
    call.lost()
    await call.catch_up()
    await call.talks.settled(LEG)
    assert (call.store.incidents, begins(call)) == ([Incident.RECORDING_HOLDS_MISSED], [])
    assert call.store.details[0]["recorded"] is False


async def test_of_one_gap_in_which_nothing_was_told_there_is_one_incident(call: Call) -> None:
    call.recording.pause_on_hold = True
    call.follow()
    call.come(AGENT, ANA)
    call.talks.session_lost()
    call.lost()
    call.telephony.channels = call.listed("b", AGENT, ANA)
    await call.catch_up()
    await call.talks.settled(LEG)
    assert call.store.incidents == [Incident.RECORDING_UNWATCHED]
