"""What the dialplan tells after the gate: of one leg in its order, of several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from callguard.after import After
from callguard.agents import Agents
from callguard.core.model import Basis, Heard, Prompt, Purpose
from callguard.core.profile import Flow
from callguard.current import Current
from callguard.errors import Disconnected, StoreError
from callguard.store import Store
from callguard.store.records import Informed, LegSubject, OpenRecording
from callguard.talks import Talks
from callguard.telephony.ami import PRESSED, Session
from callguard.telephony.ami_events import KeyPressed, Notice, Reply, Told
from callguard.telephony.ami_wire import WantsKey
from callguard.telephony.holds import Holds
from callguard.telephony.recording import Recordings
from callguard.telephony.withdrawal import KEPT_KEYS, Withdrawals
from callguard.unasked import Unasked
from callguard.watchdog import Watchdog
from tests.core.flows import QUALITY, flow

ANA, BEN = "01a20262-bf4b-7521-b7cf-f0be338aba68", "01a20263-25cb-7456-868a-4e7d3ddd507c"
AT = datetime(2026, 11, 22, tzinfo=UTC)


class Telling:
    """A session that tells what a test puts in; None ends it."""

    def __init__(self) -> None:
        self.say: asyncio.Queue[Notice | KeyPressed | None] = asyncio.Queue()
        self.wanted: WantsKey | None = None
        self.left: list[Notice] = []
        self.set: dict[str, str] = {}
        self.presses = 0

    def only_keys(self, wanted: WantsKey) -> None:
        """Kept, to be asked by the test."""
        self.wanted = wanted

    async def __aiter__(self) -> AsyncIterator[Notice | KeyPressed]:
        while (told := await self.say.get()) is not None:
            yield told
        raise Disconnected("over")

    async def stop_recording(self, channel: str) -> None:
        """Nothing to stop."""

    async def variable(self, channel: str, name: str) -> str:
        """What a test has set."""
        return self.set.get(name, "")

    async def variables(self, channel: str, *names: str) -> list[str]:
        """What a test has set."""
        return [self.set.get(name, "") for name in names]

    async def press(self, channel: str, keys: str) -> None:
        """A feature hears the second time only."""
        self.presses += 1
        if self.presses == 2:
            self.set["CG_WITHDRAWN"] = "1795384427"

    async def marks(self) -> list[Notice]:
        """What was left while nobody listened."""
        return self.left


class Slow:
    """Recordings whose work takes as long as a test lets it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.let = {ANA: asyncio.Event(), BEN: asyncio.Event()}
        self.locked = False
        self.at: list[datetime] = []

    async def ended(self, leg_id: str) -> None:
        await self._work("ended", leg_id)

    async def withdrawn(self, leg_id: str, at: datetime, *, before: bool, source: str, finish: bool) -> None:
        self.at.append(at)
        await self._work("withdrawn", leg_id)

    async def make_way(self, leg_id: str) -> None:
        """Nothing to remove."""

    async def _work(self, what: str, leg_id: str) -> None:
        self.begun.put_nowait(what)
        if self.locked:
            raise StoreError("the store is locked")
        await self.let[leg_id].wait()
        self.done.append(f"{what} {'ana' if leg_id == ANA else 'ben'}")


class Nothing:
    """A store and a watchdog that find what a test says when a session begins, mostly nothing."""

    def __init__(self, expected: tuple[OpenRecording, ...] = ()) -> None:
        self._expected = expected

    async def expected_recordings(self) -> tuple[OpenRecording, ...]:
        """What is being recorded."""
        return self._expected

    async def expected_recording(self, leg_id: str) -> None:
        """None."""

    async def look(self, session: Session) -> None:
        """Nothing to find."""


class Knowing(Nothing):
    """A store of somebody who knows a version of the notice, and what it was told to commit."""

    def __init__(self, knows: str) -> None:
        super().__init__()
        self._knows = knows
        self.agreed: list[tuple[list[str], str | None]] = []

    async def subject_of_leg(self, leg_id: str) -> LegSubject:
        """Somebody."""
        return LegSubject("acme", "sales", "+34600000001")

    async def informed(self, controller: str, number: str, profile: str | None, since: datetime) -> Informed:
        """What any of the controller's profiles has told them."""
        assert profile is None
        return Informed(self._knows)

    async def agree(self, *_: object, heard: tuple[Heard, ...], knows: str | None) -> bool:
        """Committed; that it is recorded is another test's."""
        self.agreed.append(([one.prompt.id for one in heard], knows))
        return False


class AgentFirst:
    """A configuration in force since ever."""

    config = SimpleNamespace(asterisk=SimpleNamespace(app="callguard"))
    flow = flow(QUALITY, agent_first=True, notices=("1", "2"), changed=("2",))

    def flow_when_begun(self, profile: str, leg_id: str) -> Flow:
        """The only one."""
        return self.flow

    def essential(self, profile: str, wav_sha256: str) -> Prompt:
        """Whatever was heard."""
        return self.flow.essential("en")


class Listening:
    def __init__(
        self, expected: tuple[OpenRecording, ...] = (), store: Nothing | None = None, current: object = None
    ) -> None:
        self.session, self.recordings = Telling(), Slow()
        self.withdrawals, self.holds = Withdrawals(), Holds()
        listener = After(
            cast(Current, current),
            cast(Store, store or Nothing(expected)),
            cast(Recordings, self.recordings),
            self.withdrawals,
            self.holds,
            cast(Watchdog, Nothing()),
            Talks(cast(Current, current), cast(Store, Nothing()), cast(Watchdog, None), cast(Agents, None)),
            cast(Unasked, None),
        )
        self.listening = asyncio.create_task(listener.listen(cast(Session, self.session)))

    async def over(self) -> None:
        self.session.say.put_nowait(None)
        with pytest.raises(Disconnected, match="over"):
            await self.listening


@pytest.fixture
async def after(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listening]:
    monkeypatch.setattr("callguard.after.AGAIN_S", 0.01)
    async with asyncio.timeout(5):
        yield Listening()


def ended(leg_id: str) -> Notice:
    return Notice(Told.ENDED, leg_id, None)


async def test_one_leg_does_not_wait_for_another(after: Listening) -> None:
    after.session.say.put_nowait(ended(ANA))
    after.session.say.put_nowait(ended(BEN))
    assert [await after.recordings.begun.get() for _ in range(2)] == ["ended", "ended"]
    after.recordings.let[BEN].set()
    after.recordings.let[ANA].set()
    await after.over()
    assert sorted(after.recordings.done) == ["ended ana", "ended ben"]


async def test_a_withdrawal_that_could_not_be_saved_is_saved_when_it_can_be(
    after: Listening,
) -> None:
    """Though the call is over meanwhile, and no new session begins."""
    after.recordings.locked = True
    after.recordings.let[ANA].set()
    after.session.say.put_nowait(Notice(Told.WITHDRAWN, ANA, AT))
    after.session.say.put_nowait(ended(ANA))
    assert {await after.recordings.begun.get() for _ in range(3)} == {"withdrawn", "ended"}
    after.recordings.locked = False
    while not after.recordings.done:
        await after.recordings.begun.get()
    await after.over()
    assert after.recordings.done == ["withdrawn ana"]


async def test_of_one_leg_the_order_is_kept(after: Listening) -> None:
    after.session.say.put_nowait(Notice(Told.WITHDRAWN, ANA, AT))
    after.session.say.put_nowait(ended(ANA))
    after.session.say.put_nowait(ended(BEN))
    assert [await after.recordings.begun.get() for _ in range(2)] == ["withdrawn", "ended"]
    after.recordings.let[BEN].set()
    after.recordings.let[ANA].set()
    await after.over()
    assert after.recordings.done.index("withdrawn ana") < after.recordings.done.index("ended ana")
    assert len(after.recordings.done) == 3


async def test_a_withdrawal_by_key_does_not_wait_for_calls_that_have_ended(after: Listening) -> None:
    after.withdrawals.follow("pbx-1.1", BEN)
    after.session.say.put_nowait(ended(ANA))
    for digit in "*9":
        after.session.say.put_nowait(KeyPressed("pbx-1.1", "PJSIP/ben-1", digit, 80))
    assert [await after.recordings.begun.get() for _ in range(2)] == ["ended", "withdrawn"]
    after.recordings.let[BEN].set()
    after.recordings.let[ANA].set()
    await after.over()


@pytest.mark.parametrize("marked", [True, False])
async def test_the_time_of_a_withdrawal_is_that_of_its_mark_where_there_is_one(
    after: Listening, monkeypatch: pytest.MonkeyPatch, marked: bool
) -> None:
    """It was made while nobody listened; of keys that only the dialplan kept nobody knows when they were pressed."""
    await after.over()
    purpose = Purpose("recording.quality", Basis.CONSENT)
    back = Listening((OpenRecording(ANA, ANA, "pbx-1.1", "acme", ANA, "mixed", AT, (purpose,), None, None),))
    back.recordings.let[ANA].set()
    back.session.set = {PRESSED: "1*9"}
    back.session.left = [Notice(Told.WITHDRAWN, ANA, AT)] if marked else []
    assert await back.recordings.begun.get() == "withdrawn"
    await back.over()
    assert (back.recordings.at == [AT]) is marked


async def test_so_many_keys_that_no_more_were_kept_are_a_withdrawal_for_who_did_not_listen(after: Listening) -> None:
    await after.over()
    purpose = Purpose("recording.quality", Basis.CONSENT)
    back = Listening((OpenRecording(ANA, ANA, "pbx-1.1", "acme", ANA, "mixed", AT, (purpose,), None, None),))
    back.recordings.let[ANA].set()
    back.session.set = {PRESSED: "5" * KEPT_KEYS}
    assert await back.recordings.begun.get() == "withdrawn"
    await back.over()


async def test_where_no_feature_heard_the_key_it_is_pressed_again_until_one_does(
    after: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While something is said to the person none does."""
    monkeypatch.setattr("callguard.after.FEATURE_S", 0.001)
    monkeypatch.setattr("callguard.after.TOLD_S", 0.001)
    after.session.set["BRIDGEPEER"] = "PJSIP/agent-1"
    after.recordings.let[BEN].set()
    after.withdrawals.follow("pbx-1.1", BEN)
    for digit in "*9":
        after.session.say.put_nowait(KeyPressed("pbx-1.1", "PJSIP/ben-1", digit, 80))
    while "CG_WITHDRAWN" not in after.session.set:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert after.session.presses == 2
    await after.over()


async def test_of_keys_only_those_are_read_that_somebody_waits_for(after: Listening) -> None:
    after.withdrawals.follow("pbx-1.1", BEN)
    after.session.say.put_nowait(ended(ANA))
    await after.recordings.begun.get()
    assert after.session.wanted is not None
    with after.holds.following("pbx-1.2"):
        assert [after.session.wanted(f"pbx-1.{one}", "9") for one in (1, 2, 3)] == [True, True, False]
    assert not after.session.wanted("pbx-1.2", "9")
    assert after.session.wanted("pbx-1.3", "1")  # a yes in the call is asked about afterwards
    after.recordings.let[ANA].set()
    await after.over()


async def test_what_is_being_worked_off_is_finished_when_the_session_is_over(after: Listening) -> None:
    after.session.say.put_nowait(ended(ANA))
    await after.recordings.begun.get()
    after.session.say.put_nowait(None)
    await asyncio.sleep(0)
    after.recordings.let[ANA].set()
    with pytest.raises(Disconnected):
        await after.listening
    assert after.recordings.done == ["ended ana"]


async def test_a_fault_with_one_call_is_not_the_end_of_all(after: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    called = asyncio.Event()

    async def broken(leg_id: str) -> None:
        called.set()
        raise ValueError(leg_id)

    with monkeypatch.context() as patched:
        patched.setattr(after.recordings, "ended", broken)
        after.session.say.put_nowait(ended(ANA))
        await called.wait()
    after.session.say.put_nowait(ended(BEN))
    await after.recordings.begun.get()
    after.recordings.let[BEN].set()
    await after.over()
    assert after.recordings.done == ["ended ben"]


CHANGE = "00"  # as each sound of `flow`


@pytest.mark.parametrize(
    ("knows", "changes", "agreed"),
    [
        ("1", None, []), ("2", None, [([], None)]),
        ("1", (), []), ("1", ("99",), []), ("1", (CHANGE,), [(["p/essential", "p/change-2"], "2")]),
        ("2", (), [(["p/essential"], "2")]),
    ],
)  # fmt: skip
async def test_a_yes_counts_after_what_has_changed_since_the_notice_that_they_know(
    knows: str, changes: tuple[str, ...] | None, agreed: list[tuple[list[str], str | None]]
) -> None:
    """R12, whatever the dialplan makes of it: at the agent's words (no reply), and in the notice heard again."""
    async with asyncio.timeout(5):
        after = Listening(store=(store := Knowing(knows)), current=AgentFirst())
        reply = None if changes is None else Reply(1, "en", ("aa", "bb"), 900, changes)
        after.session.say.put_nowait(KeyPressed("1.1", "PJSIP/bea-1", "1", 100))
        told = Told.AGREED if reply is None else Told.REPLIED
        after.session.say.put_nowait(Notice(told, ANA, datetime.now(UTC), channel="PJSIP/bea-1", reply=reply))
        after.session.say.put_nowait(ended(ANA))
        after.recordings.let[ANA].set()
        assert await after.recordings.begun.get() == "ended"
        await after.over()
    assert store.agreed == agreed
