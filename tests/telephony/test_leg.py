"""A leg over a peer that misbehaves: whatever Asterisk or the store does, the outcome is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callguard.core.language import Signs
from callguard.core.profile import Aside, Flow, Notice, Step
from callguard.errors import Disconnected, StoreError
from callguard.leg import Leg, Subject
from callguard.store.records import LegRecord
from callguard.store.store import Store
from callguard.telephony import ari
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari_door import LEASE_MARGIN_MS, AriDoor, first_lease_ms
from tests.core.flows import FLOWS
from tests.telephony.fake_asterisk import CHANNEL, FakeAsterisk, fake_asterisk

LEG, CALL = "0192f0c1-0000-7000-8000-000000000001", "0192f0c1-0000-7000-8000-000000000002"
RECORDED = f"done-given-yes-10-{LEG}-callguard"


def closed(outcome: str) -> str:
    return f"done-{outcome}-no-00-{LEG}-callguard"


@pytest.fixture
async def fake() -> AsyncIterator[FakeAsterisk]:
    async with fake_asterisk() as peer:
        yield peer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "store.db", gate="callguard", controllers={"acme": "Acme"}) as opened:
        yield opened


@asynccontextmanager
async def leg_of(
    fake: FakeAsterisk,
    store: Store,
    flow: Flow = FLOWS["consent"],
    taken: int = 0,
    number: str | None = None,
    leaving: Callable[[Subject, Sequence[str], bool], None] | None = None,
) -> AsyncIterator[Leg]:
    """A leg that hears what the peer says to its channel, as the service would feed it."""
    async with ari.connected(fake.url, "callguard", "secret", "callguard") as client:
        subject = Subject(
            LEG, CALL, CHANNEL, "pbx-1.0", "acme", "service", "inbound", number, "ES", fake.clock_ms, "mixed", taken
        )
        door = AriDoor(client, CHANNEL, fake.clock_ms, first_lease_ms(flow), taken, callee=False)
        leg = Leg(door, store, flow, subject, leaving or (lambda *_: None))

        async def pump() -> None:
            async for event in client:
                if isinstance(event, wire.ChannelEvent) and event.channel == CHANNEL:
                    door.hear(event)

        pumping = asyncio.create_task(pump())
        try:
            yield leg
        finally:
            pumping.cancel()
            with pytest.raises((asyncio.CancelledError, Disconnected)):
                await pumping


async def test_a_yes_is_committed_before_it_is_told(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == RECORDED
    committed = await store.outcome(CHANNEL, "pbx-1.0")
    assert committed is not None
    assert committed.recording
    uris = [uri for _, uri, _ in fake.orders]
    assert uris[0].endswith("/answer")
    assert uris[-1].endswith("/continue")
    # the playback that the key interrupts is stopped, or `continue` would wait for its end
    assert fake.orders[-2][0] == "DELETE"


async def test_a_yes_before_the_essential_part_ended_is_dropped(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-essential"] = "1"
    async with leg_of(fake, store, FLOWS["informed"]) as leg:
        await leg.run()
    detail = (await store.call(CALL))[0]
    assert b'"early_keys":1' in detail.evidence[0].body


async def test_a_key_that_was_down_before_the_question_is_dropped(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    fake.key_ms = 500  # let go of 10 ms into the question
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("unknown")
    asked = [query["media"].rpartition("/")[2] for _, uri, query in fake.orders if "/play/" in uri]
    assert asked == ["p-essential", "p-question-1", "p-question-1", "p-again-1"]


async def playing(fake: FakeAsterisk, part: str, times: int = 1) -> None:
    async with asyncio.timeout(5), fake.ordered:
        await fake.ordered.wait_for(
            lambda: sum(str(query.get("media", "")).endswith(part) for _, _, query in fake.orders) >= times
        )


@pytest.mark.parametrize("status", [404, 409, 412])
async def test_a_channel_that_is_gone_ends_the_leg_without_orders(
    fake: FakeAsterisk, store: Store, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.telephony.ari_door.HANGUP_TOLD_MS", 50)
    fake.refuse["/play/"] = status
    async with leg_of(fake, store) as leg:
        async with asyncio.timeout(5):
            await leg.run()
    assert fake.result() is None


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_a_prompt_that_asterisk_refuses_closes(fake: FakeAsterisk, store: Store, status: int) -> None:
    fake.refuse["/play/"] = status
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("error")


async def test_a_prompt_cut_short_is_not_heard(fake: FakeAsterisk, store: Store) -> None:
    fake.lengths["p-essential"] = 40  # Asterisk says done, but too soon
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("error")


async def test_a_prompt_that_never_ends_closes(
    fake: FakeAsterisk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.telephony.ari_door.PLAYBACK_MARGIN_MS", -2_900)
    fake.endless = True
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("error")


async def test_a_message_that_is_no_json_or_of_another_channel_changes_nothing(
    fake: FakeAsterisk, store: Store
) -> None:
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        await fake.connected.wait()
        await fake.say("{not json")
        await fake.say('{"type": "ChannelDtmfReceived", "channel": null}')
        await fake.tell("ChannelDtmfReceived", channel={"id": "other"}, digit="2", duration_ms=20)
        await leg.run()
    assert fake.result() == RECORDED


@pytest.mark.parametrize("keys", ["12", "1*9"])
async def test_a_no_after_the_yes_while_the_lease_is_renewed_is_a_no(
    fake: FakeAsterisk, store: Store, keys: str
) -> None:
    fake.turn_keys = (f"lease-{200 + LEASE_MARGIN_MS}", keys)  # between the question and the wait for its answer
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("refused")


@pytest.mark.parametrize("keys", ["12", "1*9", "1**9"])
async def test_a_no_right_after_the_yes_is_a_no(fake: FakeAsterisk, store: Store, keys: str) -> None:
    fake.keys["p-question-1"] = keys
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("refused")
    detail = (await store.call(CALL))[0]
    assert [str(grant.state) for grant in detail.grants] == ["given", "withdrawn"]


@pytest.mark.parametrize(("keys", "outcome"), [("*2", "refused"), ("**9", "refused"), ("*1", "unknown")])
async def test_a_stray_star_costs_a_yes_its_effect_and_never_a_no(
    fake: FakeAsterisk, store: Store, keys: str, outcome: str
) -> None:
    fake.keys["p-question-1"] = keys
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed(outcome)


async def test_nine_opts_out_and_nine_again_opts_in(fake: FakeAsterisk, store: Store) -> None:
    number = "+34600000001"
    fake.keys["p-question-1"], fake.keys["p-optout-done"] = "9", "9"
    async with leg_of(fake, store, number=number) as leg:
        await leg.run()
    assert fake.result() == closed("unknown")
    assert await store.opt_outs("acme", number, datetime.now(UTC)) == ()
    fake.keys["p-question-1"] = "9"
    fake.orders.clear()
    async with leg_of(fake, store, number=number) as leg:
        await leg.run()
    (opt_out,) = await store.opt_outs("acme", number, datetime.now(UTC))
    assert (opt_out.scope, opt_out.source) == ("marketing", "key")


async def test_a_withheld_number_is_typed_and_so_marked(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"], fake.keys["p-optout-number"] = "9", "600000001#"
    async with leg_of(fake, store) as leg:
        await leg.run()
    (opt_out,) = await store.opt_outs("acme", "+34600000001", datetime.now(UTC))
    assert opt_out.source == "typed_unverified"


async def test_a_no_is_remembered_for_the_number_until_the_notice_changes(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "2"
    async with leg_of(fake, store, number="+34600000001") as leg:
        await leg.run()
    for version, first in (("1", "p-remembered"), ("2", "p-essential")):
        again = replace(FLOWS["consent"], steps=_of_version(FLOWS["consent"], version))
        fake.orders.clear()
        async with leg_of(fake, store, again, number="+34600000001") as leg:
            await leg.run()
        assert played(fake)[0].endswith(first)


def _of_version(flow: Flow, version: str) -> dict[str, tuple[Step, ...]]:
    def dated(step: Step) -> Step:
        return replace(step, essential=replace(step.essential, version=version)) if isinstance(step, Notice) else step

    return {language: tuple(map(dated, steps)) for language, steps in flow.steps.items()}


def played(fake: FakeAsterisk) -> list[str]:
    return [query["media"].removeprefix("sound:/prompts/") for _, uri, query in fake.orders if "/play/" in uri]


@pytest.mark.parametrize(("number", "begins"), [("+34600000001", "es/p-remembered"), (None, "en/p-essential")])
async def test_the_next_call_begins_in_the_language_that_was_chosen_by_key(
    fake: FakeAsterisk, store: Store, number: str | None, begins: str
) -> None:
    fake.keys["p-essential"], fake.keys["p-question-1"] = "#", "2"
    async with leg_of(fake, store, number=number) as leg:
        await leg.run()
    assert played(fake) == ["en/p-essential", "es/p-essential", "es/p-question-1"]
    fake.orders.clear()
    async with leg_of(fake, store, number=number) as leg:
        await leg.run()
    assert played(fake)[0] == begins


async def test_a_choice_that_cannot_be_read_is_none(
    fake: FakeAsterisk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("locked")

    monkeypatch.setattr(store, "remembered", fails)
    async with leg_of(fake, store, number="+34600000001") as leg:
        leg._subject = replace(leg._subject, signs=Signs(country="es"))
        await leg.run()
    assert played(fake)[0] == "es/p-essential"


def test_the_first_lease_is_long_enough_for_any_language() -> None:
    flow = FLOWS["consent"]
    assert first_lease_ms(flow) == 3_000 + LEASE_MARGIN_MS
    notice, *rest = flow.steps["es"]
    assert isinstance(notice, Notice)
    longer = Notice(replace(notice.essential, length_ms=8_000))
    assert first_lease_ms(replace(flow, steps={**flow.steps, "es": (longer, *rest)})) == 8_000 + LEASE_MARGIN_MS
    asides = {**flow.asides["es"], Aside.REMEMBERED: replace(notice.essential, length_ms=9_000)}
    assert first_lease_ms(replace(flow, asides={**flow.asides, "es": asides})) == 9_000 + LEASE_MARGIN_MS


async def test_a_store_that_fails_closes(fake: FakeAsterisk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(record: LegRecord) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "save", fails)
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert fake.result() == closed("error")


async def test_an_error_of_our_own_closes(fake: FakeAsterisk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(record: LegRecord) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "save", breaks)
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store, FLOWS["consent"]) as leg:
        await leg.run()
    assert fake.result() == closed("error")


async def test_after_the_lease_nothing_is_saved_as_given_and_nothing_is_ordered(
    fake: FakeAsterisk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that was stopped and goes on: what it wakes up with is not its own any more."""
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        monkeypatch.setattr(leg._door, "expired", lambda: True)
        await leg.run()
    assert fake.result() is None
    committed = await store.outcome(CHANNEL, "pbx-1.0")
    assert committed is not None
    assert (committed.outcome, committed.granted, committed.recording) == ("error", (), False)


@pytest.mark.parametrize("refused", [False, True])
async def test_a_hang_up_is_saved_and_not_answered(fake: FakeAsterisk, store: Store, refused: bool) -> None:
    """Also one for which an order was refused before it is told."""
    fake.endless = True
    if refused:
        fake.refuse["/play/"] = 404
    async with leg_of(fake, store) as leg:
        running = asyncio.create_task(leg.run())
        await playing(fake, "p-essential")
        await fake.tell("ChannelHangupRequest", channel={"id": CHANNEL})
        await fake.tell("StasisEnd", channel={"id": CHANNEL})
        await running
    assert fake.result() is None
    detail = (await store.call(CALL))[0]
    assert detail.grants[0].reason == "hangup"


async def test_a_connection_that_breaks_leaves_the_leg_to_its_lease(fake: FakeAsterisk, store: Store) -> None:
    fake.endless = True
    async with leg_of(fake, store) as leg:
        running = asyncio.create_task(leg.run())
        await playing(fake, "p-essential")
        assert fake.connection is not None
        fake.connection.transport.abort()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await store.outcome(CHANNEL, "pbx-1.0") is None


async def test_a_committed_outcome_is_delivered_by_the_next_process(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        await leg.run()
    fake.orders.clear()
    async with leg_of(fake, store) as again:
        await again.resume()
    assert fake.result() == RECORDED
    assert not any("/play/" in uri for _, uri, _ in fake.orders)
    assert sum(method == "DELETE" for method, _, _ in fake.orders) == 2


async def test_a_no_that_was_saved_is_not_undone_by_the_next_process(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store) as leg:
        await leg.run()
    await store.withdraw(LEG, datetime.now(UTC), "key")
    async with leg_of(fake, store) as again:
        await again.resume()
    assert fake.result() == closed("refused")


async def test_a_call_that_was_left_twice_is_not_asked_a_third_time(fake: FakeAsterisk, store: Store) -> None:
    async with leg_of(fake, store, taken=1) as leg:
        await leg.resume()
    assert fake.result() == closed("error")
    assert not any("/play/" in uri for _, uri, _ in fake.orders)


async def test_the_next_process_counts_itself_on_the_channel(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    async with leg_of(fake, store, taken=1) as leg:
        await leg.run()
    leases = [query["extension"] for _, uri, query in fake.orders if query.get("extension", "").startswith("lease")]
    assert leases
    assert {lease.split("-", 2)[2] for lease in leases} == {"1-callguard"}
    assert fake.result() == RECORDED


async def test_who_follows_the_recorded_is_told_before_the_call_leaves(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    left_when_told = []
    async with leg_of(fake, store, leaving=lambda *_: left_when_told.append(fake.result())) as leg:
        await leg.run()
    assert left_when_told == [None]


async def test_a_call_taken_elsewhere_after_the_commit_is_expected_no_more(fake: FakeAsterisk, store: Store) -> None:
    fake.keys["p-question-1"] = "1"
    fake.refuse["done"] = 409
    async with leg_of(fake, store) as leg:
        await leg.run()
    assert not await store.expected_recordings()
