"""Withdrawal: what was given on consent is taken back, once; the rest is objected to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from sqlite3 import Connection

from callguard.core.evidence import Kind
from callguard.core.model import GrantState
from callguard.store import Store
from callguard.store.records import OpenRecording

from .legs import CONTRACT, QUALITY, START, given, make_leg, refused
from .test_recordings import kept
from .test_save import SAVED_AT, counts

LATER = START + timedelta(seconds=30)


async def test_consent_is_taken_back_and_the_rest_stands(store: Store) -> None:
    leg = make_leg(given(), given(CONTRACT))
    await store.save(leg)
    assert await store.withdraw(leg.leg_id, LATER, "key") == OpenRecording(
        leg_id=leg.leg_id,
        call_id=leg.call_id,
        channel=leg.channel,
        controller="acme",
        file=leg.file or "",
        files="mixed",
        started_at=SAVED_AT,
        purposes=(QUALITY, replace(CONTRACT, required=False)),
        withdrawn_at=LATER,
        ended_at=None,
    )
    (detail,) = await store.call(leg.call_id)
    history = [(grant.purpose, grant.state, grant.valid_from, grant.reason) for grant in detail.grants]
    assert history == [
        (QUALITY.id, GrantState.GIVEN, SAVED_AT, "key"),
        (CONTRACT.id, GrantState.GIVEN, SAVED_AT, "informed"),
        (QUALITY.id, GrantState.WITHDRAWN, LATER, "key"),
    ]
    assert detail.leg.withdrawn_at == LATER
    proof = json.loads(detail.evidence[1].body)
    assert (detail.evidence[1].kind, detail.evidence[1].at) == (Kind.WITHDRAWN, LATER)
    assert (proof["withdrawn"], proof["objected"], proof["source"]) == ([QUALITY.id], [CONTRACT.id], "key")


async def test_a_second_time_adds_nothing(store: Store, database: Connection) -> None:
    leg = make_leg(given(), given(CONTRACT))
    await store.save(leg)
    first = await store.withdraw(leg.leg_id, LATER, "key")
    before = counts(database)
    assert await store.withdraw(leg.leg_id, LATER + timedelta(seconds=9), "agent") == first
    assert counts(database) == before


async def test_an_objection_alone_is_noted(store: Store, database: Connection) -> None:
    leg = make_leg(given(CONTRACT))
    await store.save(leg)
    recording = await store.withdraw(leg.leg_id, LATER, "key")
    assert recording is not None
    assert recording.withdrawn_at == LATER
    assert counts(database) == {"subjects": 1, "legs": 1, "grants": 1, "evidence": 2, "recordings": 0}


async def test_where_nothing_was_given_it_is_noted_once_that_no_is_no(store: Store, database: Connection) -> None:
    leg = make_leg(refused())
    await store.save(leg)
    assert await store.withdraw(leg.leg_id, LATER, "key") is None
    (detail,) = await store.call(leg.call_id)
    assert detail.leg.withdrawn_at == LATER
    assert [grant.state for grant in detail.grants] == [GrantState.REFUSED]
    proof = json.loads(detail.evidence[-1].body)
    assert (proof["kind"], proof["withdrawn"], proof["objected"]) == ("withdrawn", [], [])
    before = counts(database)
    assert await store.withdraw(leg.leg_id, LATER + timedelta(seconds=1), "key") is None
    assert counts(database) == before


async def test_an_unknown_leg_has_nothing_to_withdraw(store: Store) -> None:
    assert await store.withdraw("no such leg", LATER, "key") is None


async def test_another_leg_of_the_call_is_left_alone(store: Store) -> None:
    mine = make_leg(given())
    other = make_leg(given(), call_id=mine.call_id)
    await store.save(mine)
    await store.save(other)
    await store.withdraw(mine.leg_id, LATER, "key")
    still = await store.expected_recording(other.leg_id)
    assert still is not None
    assert still.withdrawn_at is None


async def test_a_recording_that_ended_first_is_still_named(store: Store) -> None:
    leg = make_leg(given())
    await store.save(leg)
    await store.recording_kept(leg.leg_id, kept(leg), None)
    recording = await store.withdraw(leg.leg_id, LATER, "key")
    assert recording is not None
    assert recording.ended_at == kept(leg).ended_at


async def test_a_recording_that_is_gone_is_not(store: Store) -> None:
    destroyed, absent = make_leg(given()), make_leg(given())
    await store.save(destroyed)
    await store.recording_destroyed(destroyed.leg_id, LATER, "asked for")
    await store.save(absent)
    await store.recording_absent(absent.leg_id, LATER)
    assert await store.withdraw(destroyed.leg_id, LATER, "key") is None
    assert await store.withdraw(absent.leg_id, LATER, "key") is None
    (detail,) = await store.call(absent.call_id)
    assert detail.grants[-1].state is GrantState.WITHDRAWN
