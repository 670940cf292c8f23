"""Holds, marks and what they keep or end: histories, with evidence, and decided before any file is removed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from sqlite3 import Connection, IntegrityError
from typing import Any

import pytest

from callguard.core.decide import Scope
from callguard.core.evidence import Kind
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState, Purpose
from callguard.core.retention import Contract, Facts, Rule, Start, Trigger, judge
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.dial_records import NewEnding, NewGrant
from callguard.store.records import LegRecord

from .legs import CONTRACT, QUALITY, START, given, make_leg
from .test_recordings import END, LATER, kept, kinds, last_body

INTEREST = Purpose("recording.security", Basis.LEGITIMATE_INTERESTS, required=True)
NUMBER = "+390612345678"
MUCH_LATER = LATER + timedelta(days=30)


async def recorded(store: Store, *purposes: Purpose, **changes: Any) -> LegRecord:
    leg = make_leg(*map(given, purposes or (QUALITY,)), **changes)
    await store.save(leg)
    await store.recording_kept(leg.leg_id, kept(leg), None)
    return leg


async def facts(store: Store, leg: LegRecord) -> Facts:
    (one,) = await store.kept([leg.leg_id])
    assert (one.leg_id, one.call_id, one.controller) == (leg.leg_id, leg.call_id, "acme")
    return one.facts


async def test_what_is_known_of_a_recording_is_what_it_was_made_for_and_when(store: Store) -> None:
    leg = await recorded(store)
    one = await facts(store, leg)
    purposes = tuple(replace(purpose, required=False) for purpose in (QUALITY,))
    assert one == Facts(purposes, leg.saved_at, END)
    assert await store.kept(["another leg"]) == ()
    assert (await store.kept_legs("", 9), await store.kept_legs(leg.leg_id, 9)) == ((leg.leg_id,), ())
    assert await store.count_kept() == 1
    assert (await store.kept([leg.leg_id]))[0].files == (f"{leg.file}.wav",)


async def test_many_are_looked_at_page_by_page_and_each_once(store: Store) -> None:
    legs = sorted([(await recorded(store)).leg_id for _ in range(5)])
    first = await store.kept_legs("", 3)
    assert [*first, *await store.kept_legs(first[-1], 3)] == legs
    assert [one.leg_id for one in await store.kept(legs)] == legs


async def test_a_withdrawal_in_the_call_is_known_with_the_time_that_it_leaves(store: Store) -> None:
    leg = await recorded(store)
    await store.withdraw(leg.leg_id, END, "key")
    assert (await facts(store, leg)).withdrawn_at == END
    await store.destroy_by(leg.leg_id, LATER)
    assert (await facts(store, leg)).withdrawn_at == LATER


@pytest.mark.parametrize("way", ["withdraw", "object_to"])
async def test_an_objection_is_known_whether_it_stopped_the_recording_or_not(store: Store, way: str) -> None:
    leg = await recorded(store, INTEREST)
    await getattr(store, way)(leg.leg_id, END, "key")
    verdict = judge(await facts(store, leg), {}, LATER)
    assert (verdict.destroy, verdict.reason, verdict.due_at) == (True, Trigger.OBJECTION, END)


async def test_what_is_taken_back_beside_the_call_is_known_of_this_person_and_controller_alone(store: Store) -> None:
    leg = await recorded(store)
    others = [await recorded(store, controller="zeta"), await recorded(store, number="+390612345679")]
    withheld = await recorded(store, number=None)
    await store.opt_out("acme", NUMBER, Scope.PURPOSE, LATER, "command", purpose=QUALITY.id)
    assert judge(await facts(store, leg), {}, LATER).reason is Trigger.WITHDRAWAL
    for one in (*others, withheld):
        (found,) = await store.kept([one.leg_id])
        assert found.facts.endings == ()


async def test_contracts_are_known_with_what_ends_them(store: Store) -> None:
    leg = await recorded(store, CONTRACT)
    granted = [
        NewGrant(NUMBER, "supply", Basis.CONTRACT, Channel.CONTRACT, START, until, evidence)
        for until, evidence in ((None, "one"), (LATER, "two"))
    ]
    await store.grant_all("acme", granted, LATER, "command")
    await store.grant_all(
        "acme",
        [NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, "three")],
        LATER,
        "command",
    )
    one = await facts(store, leg)
    assert set(one.contracts) == {Contract(None), Contract(LATER)}
    # Who wants no calls has a contract still.
    await store.opt_out("acme", NUMBER, Scope.ALL, LATER, "command")
    await store.opt_out("acme", NUMBER, Scope.PURPOSE, LATER, "command", purpose="supply")
    assert set((await facts(store, leg)).contracts) == {Contract(None), Contract(LATER)}
    over = NewEnding(NUMBER, GrantState.REVOKED, "supply", "over", MUCH_LATER)
    await store.grant_all("acme", [over], MUCH_LATER, "command")
    one = await facts(store, leg)
    assert set(one.contracts) == {Contract(MUCH_LATER), Contract(LATER)}
    rules = {CONTRACT.id: Rule(1, Start.CONTRACT_END)}
    assert judge(one, rules, MUCH_LATER).due_at == MUCH_LATER + timedelta(days=1)


async def test_a_held_recording_is_not_due_and_is_again_when_the_hold_ends(store: Store) -> None:
    leg = await recorded(store)
    await store.destroy_by(leg.leg_id, END)
    assert await store.hold(leg.call_id, "claim 7", LATER, until=MUCH_LATER) == (leg.leg_id,)
    assert await store.due(MUCH_LATER - timedelta(milliseconds=1)) == ()
    assert not await store.begin_destroying(leg.leg_id, LATER, "withdrawn")
    assert await store.is_held(leg.leg_id, LATER) and not await store.is_held(leg.leg_id, MUCH_LATER)
    assert [one.leg_id for one in await store.due(MUCH_LATER)] == [leg.leg_id]
    assert await store.begin_destroying(leg.leg_id, MUCH_LATER, "withdrawn")


async def test_a_hold_and_its_release_are_histories_with_evidence_and_no_words_in_it(
    store: Store, database: Connection
) -> None:
    leg = await recorded(store)
    for _ in range(2):  # said twice, it is one
        await store.hold(leg.call_id, "claim of Ana", LATER)
    body = await last_body(store, leg)
    (hold,) = (await store.holds([leg.leg_id]))[leg.leg_id]
    assert (hold.reason, hold.since, hold.until, hold.released_at) == ("claim of Ana", LATER, None, None)
    said = sha256(f"{hold.hold_id} claim of Ana".encode()).hexdigest()
    assert (body["hold"], body["until"], body["reason_sha256"]) == (hold.hold_id, None, said)
    assert await store.release(leg.call_id, "settled", MUCH_LATER) == (hold.hold_id,)
    assert await store.release(leg.call_id, "settled", MUCH_LATER) == ()
    assert not await store.is_held(leg.leg_id, MUCH_LATER)
    assert await kinds(store, leg) == [
        Kind.GATE, Kind.RECORDING_KEPT, Kind.RECORDING_HELD, Kind.RECORDING_RELEASED,
    ]  # fmt: skip
    for table in ("recording_holds", "recording_releases"):
        with pytest.raises(IntegrityError, match="history"):
            database.execute(f"DELETE FROM {table}")
        database.execute(f"UPDATE {table} SET reason = NULL")
    assert (await store.holds([leg.leg_id]))[leg.leg_id][0].reason == "(erased)"
    with pytest.raises(IntegrityError, match="history"):
        database.execute("UPDATE recording_holds SET until = 9")


async def test_a_shorter_hold_shortens_no_other(store: Store) -> None:
    leg = await recorded(store)
    await store.hold(leg.call_id, "one", LATER)
    await store.hold(leg.call_id, "two", LATER, until=MUCH_LATER)
    (first, second) = (await store.holds([leg.leg_id]))[leg.leg_id]
    assert await store.is_held(leg.leg_id, MUCH_LATER)
    assert await store.release(leg.call_id, "over", LATER, hold_id=second.hold_id) == (second.hold_id,)
    assert await store.is_held(leg.leg_id, MUCH_LATER)
    assert await store.release(leg.call_id, "over", LATER, hold_id=first.hold_id) == (first.hold_id,)
    with pytest.raises(StoreError, match="ends after it begins"):
        await store.hold(leg.call_id, "past", LATER, until=LATER)


async def test_what_is_being_destroyed_cannot_be_held_any_more_and_is_finished(store: Store) -> None:
    leg = await recorded(store)
    ends = ({"purpose": QUALITY.id, "ended_by": "time"},)
    assert await store.begin_destroying(leg.leg_id, LATER, "time", ends)
    assert await store.hold(leg.call_id, "too late", LATER) == ()
    assert [(one.leg_id, one.reason) for one in await store.due(LATER)] == [(leg.leg_id, "time")]
    assert await store.begin_destroying(leg.leg_id, LATER, "withdrawn")
    for _ in range(2):
        await store.recording_destroyed(leg.leg_id, LATER, "time")
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_KEPT, Kind.RECORDING_DESTROYED]
    body = await last_body(store, leg)
    assert (body["reason"], body["ends"]) == ("time", [{"purpose": QUALITY.id, "ended_by": "time"}])
    assert not await store.begin_destroying(leg.leg_id, LATER, "time")
    assert (await store.due(LATER), await store.kept([leg.leg_id])) == ((), ())


async def test_what_is_unlawful_is_due_at_once_and_said_once(store: Store, database: Connection) -> None:
    leg = await recorded(store, CONTRACT)
    for _ in range(2):
        assert await store.mark_unlawful(leg.call_id, "the wrong line", LATER) == (leg.leg_id,)
    assert [(one.leg_id, one.reason) for one in await store.due(LATER)] == [(leg.leg_id, "unlawful")]
    assert judge(await facts(store, leg), {}, LATER).reason is Trigger.UNLAWFUL
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_KEPT, Kind.RECORDING_UNLAWFUL]
    assert "wrong line" not in json.dumps(await last_body(store, leg))
    with pytest.raises(IntegrityError, match="history"):
        database.execute("UPDATE unlawful_recordings SET at = 1")
    with pytest.raises(IntegrityError, match="history"):
        database.execute("DELETE FROM unlawful_recordings")


async def test_a_call_can_be_held_while_it_is_recorded_and_one_leg_of_it_alone(store: Store) -> None:
    first, second = make_leg(given(), call_id="call"), make_leg(given(), call_id="call")
    for leg in (first, second):
        await store.save(leg)
    assert await store.hold("call", "claim", END, leg_id=first.leg_id) == (first.leg_id,)
    assert set(await store.hold("call", "claim", END)) == {first.leg_id, second.leg_id}
    assert len((await store.holds([first.leg_id]))[first.leg_id]) == 1
    assert await store.hold("another call", "claim", END) == ()
    assert await store.mark_unlawful("call", "claim", END, leg_id="another leg") == ()


async def test_what_nothing_proves_and_what_was_recorded_without_basis_is_found(
    store: Store, database: Connection
) -> None:
    leg = await recorded(store)
    paper = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, "form 17")
    await store.grant_all("acme", [paper], LATER, "command")
    assert (await store.unproved_grants(), await store.baseless_legs()) == ((), ())
    database.execute("UPDATE subject_grants SET evidence = NULL")
    (unproved,) = await store.unproved_grants()
    assert (unproved.purpose, unproved.basis, unproved.call_id) == ("marketing.calls", Basis.CONSENT, None)
    database.execute("UPDATE legs SET granted = 'recording.other'")
    (baseless,) = await store.baseless_legs()
    assert (baseless.call_id, baseless.granted) == (leg.call_id, ("recording.other",))
    assert (await facts(store, leg)).purposes == ()
    database.execute("UPDATE legs SET recording = 0")
    assert [one.granted for one in await store.baseless_legs()] == [()]
    # Evidence cannot be removed; a grant that never had any can be there.
    database.execute(
        "INSERT INTO legs SELECT 'x', 'x', 'x', 'x', controller, subject_id, profile, language, direction, started_at, "
        "saved_at, 'given', '', 0, NULL, files, NULL, NULL, NULL, 0, NULL FROM legs"
    )
    database.execute(
        "INSERT INTO grants (leg_id, subject_id, controller, purpose, basis, state, valid_from, reason) "
        "SELECT 'x', subject_id, controller, 'recording.quality', 'consent', 'given', 1, 'key' FROM legs "
        "WHERE leg_id = 'x'"
    )
    assert [one.call_id for one in await store.unproved_grants()] == ["x", None]
