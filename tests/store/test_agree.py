"""A key in the call gives what the gate had not: only where nobody has said no in the call, and once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import Connection

import pytest

from callguard.core.evidence import Kind
from callguard.core.model import Answer, Basis, GrantState, Heard, Outcome, Purpose
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.records import LegRecord, OpenRecording

from .legs import CONTRACT, CONTROLLERS, PROMPT, QUALITY, START, given, make_leg, refused
from .test_recordings import kept
from .test_save import SAVED_AT

AT = START + timedelta(seconds=40)
LATER = START + timedelta(seconds=50)
TRAINING = Purpose("recording.training", Basis.CONSENT)


def unasked(*purposes: Purpose) -> LegRecord:
    """A leg whose agent speaks first."""
    answers = (Answer(purpose, GrantState.UNKNOWN, "", "silence") for purpose in purposes)
    return make_leg(*answers, direction="outbound", outcome=Outcome.UNKNOWN, heard=())


async def saved(store: Store, leg: LegRecord) -> LegRecord:
    await store.save(leg)
    return leg


async def test_a_key_in_the_call_starts_a_recording_that_is_then_expected(store: Store) -> None:
    leg = await saved(store, unasked(QUALITY))
    assert await store.expected_recordings() == ()
    assert await store.agree(leg.leg_id, AT, (QUALITY,), "1", "a-file")
    expected = OpenRecording(
        leg_id=leg.leg_id,
        call_id=leg.call_id,
        channel=leg.channel,
        controller="acme",
        file="a-file",
        files="mixed",
        started_at=AT,
        purposes=(QUALITY,),
        withdrawn_at=None,
        ended_at=None,
    )
    assert await store.expected_recordings() == (expected,)
    assert await store.expected_recording(leg.leg_id) == expected


async def test_what_was_given_is_known_and_proved(store: Store) -> None:
    leg = await saved(store, unasked())
    assert await store.agree(leg.leg_id, AT, (QUALITY, TRAINING), "1", "a-file")
    (detail,) = await store.call(leg.call_id)
    assert [(grant.purpose, grant.basis, grant.state, grant.valid_from, grant.reason) for grant in detail.grants] == [
        (QUALITY.id, Basis.CONSENT, GrantState.GIVEN, AT, "key"),
        (TRAINING.id, Basis.CONSENT, GrantState.GIVEN, AT, "key"),
    ]
    assert (detail.leg.recording, detail.leg.file, detail.leg.outcome) == (True, "a-file", Outcome.GIVEN)
    assert (detail.leg.granted, detail.leg.saved_at) == ((QUALITY.id, TRAINING.id), SAVED_AT)
    proof = detail.evidence[-1]
    body = json.loads(proof.body)
    assert (proof.kind, proof.at) == (Kind.CONSENT_GIVEN, AT)
    assert (body["given"], body["key"], body["outcome"]) == ([QUALITY.id, TRAINING.id], "1", "given")
    assert "a-file" not in proof.body.decode()


async def test_where_not_all_was_given_the_outcome_is_partial(store: Store) -> None:
    leg = await saved(store, unasked(QUALITY, TRAINING))
    assert await store.agree(leg.leg_id, AT, (TRAINING,), "1", "a-file")
    (detail,) = await store.call(leg.call_id)
    assert (detail.leg.outcome, detail.leg.granted) == (Outcome.PARTIAL, (TRAINING.id,))


async def test_who_refused_in_the_gate_may_give_in_the_call(store: Store) -> None:
    leg = await saved(store, make_leg(refused()))
    assert await store.agree(leg.leg_id, AT, (QUALITY,), "1", "a-file")
    (detail,) = await store.call(leg.call_id)
    assert [grant.state for grant in detail.grants] == [GrantState.REFUSED, GrantState.GIVEN]
    assert detail.leg.outcome is Outcome.GIVEN


async def test_what_was_given_already_is_not_given_twice(store: Store) -> None:
    leg = await saved(store, make_leg(given(), refused(TRAINING), recording=False, file=None))
    assert await store.agree(leg.leg_id, AT, (QUALITY, TRAINING, TRAINING), "1", "a-file")
    (detail,) = await store.call(leg.call_id)
    assert [grant.purpose for grant in detail.grants] == [QUALITY.id, TRAINING.id, TRAINING.id]
    assert detail.leg.granted == (QUALITY.id, TRAINING.id)
    (expected,) = await store.expected_recordings()
    assert expected.purposes == (QUALITY, TRAINING)


@pytest.mark.parametrize("case", ["unknown", "recording", "twice", "withdrawn", "kept", "destroyed"])
async def test_where_it_may_not_be_nothing_is_done(store: Store, database: Connection, case: str) -> None:
    leg = make_leg(given()) if case in ("recording", "kept") else unasked(QUALITY)
    if case != "unknown":
        await store.save(leg)
    if case == "twice":
        await store.agree(leg.leg_id, AT, (QUALITY,), "1", "first")
    elif case == "withdrawn":
        await store.withdraw(leg.leg_id, AT, "key")
    elif case == "kept":
        await store.recording_kept(leg.leg_id, kept(leg), None)
    elif case == "destroyed":
        await store.recording_destroyed(leg.leg_id, AT, "no basis")
    before = list(database.iterdump())
    assert not await store.agree(leg.leg_id, LATER, (QUALITY, TRAINING), "1", "second")
    assert list(database.iterdump()) == before


@pytest.mark.parametrize(
    ("purposes", "file"),
    [
        pytest.param((), "a-file", id="no purpose"),
        pytest.param((QUALITY,), "", id="no file"),
        pytest.param((QUALITY, CONTRACT), "a-file", id="another basis, which no key gives"),
    ],
)
async def test_what_a_key_cannot_give_is_refused(
    store: Store, database: Connection, purposes: tuple[Purpose, ...], file: str
) -> None:
    leg = await saved(store, unasked(QUALITY))
    before = list(database.iterdump())
    with pytest.raises(StoreError, match="rest on consent"):
        await store.agree(leg.leg_id, AT, purposes, "1", file)
    assert list(database.iterdump()) == before


async def test_it_can_be_withdrawn_and_kept_as_any_other(store: Store) -> None:
    leg = await saved(store, unasked(QUALITY))
    await store.agree(leg.leg_id, AT, (QUALITY,), "1", "a-file")
    recording = await store.withdraw(leg.leg_id, LATER, "key")
    assert recording is not None
    assert (recording.withdrawn_at, recording.started_at) == (LATER, AT)
    await store.recording_kept(leg.leg_id, kept(replace(leg, file="a-file")), LATER)
    assert await store.expected_recordings() == ()
    (due,) = await store.due(LATER)
    assert due.leg_id == leg.leg_id


async def test_it_is_there_when_the_store_is_opened_again(path: Path) -> None:
    leg = unasked(QUALITY)
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        await store.save(leg)
        await store.agree(leg.leg_id, AT, (QUALITY,), "1", "a-file")
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        (expected,) = await store.expected_recordings()
    assert (expected.leg_id, expected.started_at) == (leg.leg_id, AT)


HEARD = (Heard(PROMPT, 9_000),)


async def test_who_hears_the_notice_again_may_give_after_a_withdrawal_and_what_was_heard_is_proved(
    store: Store,
) -> None:
    leg = await saved(store, make_leg(given(), given(TRAINING)))
    await store.withdraw(leg.leg_id, AT, "key")
    await store.recording_kept(leg.leg_id, kept(leg), LATER)
    # As long as a file of what was withdrawn is there, and without the notice, nothing is given.
    assert not await store.agree(leg.leg_id, LATER, (QUALITY,), "1", "second", heard=HEARD)
    assert await store.withdrawn_recording(leg.leg_id) is not None
    await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")
    assert not await store.agree(leg.leg_id, LATER, (QUALITY,), "1", "second")
    assert await store.agree(leg.leg_id, LATER, (QUALITY,), "1", "second", heard=HEARD)
    (detail,) = await store.call(leg.call_id)
    assert [(grant.state, grant.notice_version) for grant in detail.grants if grant.purpose == QUALITY.id][1:] == [
        (GrantState.WITHDRAWN, None), (GrantState.GIVEN, PROMPT.version),
    ]  # fmt: skip
    assert (detail.leg.outcome, detail.leg.withdrawn_at, detail.recording) == (Outcome.PARTIAL, None, None)
    (heard,) = json.loads(detail.evidence[-1].body)["heard"]
    assert (heard["sha256"], heard["version"], heard["heard_ms"]) == (PROMPT.sha256, PROMPT.version, 9_000)
    # Of what serves which purpose, only the last yes speaks.
    (expected,) = await store.expected_recordings()
    assert (expected.purposes, expected.started_at, expected.file) == ((QUALITY,), LATER, "second")
    # The recording of before is history: in the evidence.
    assert [entry.kind for entry in detail.evidence[1:]] == [
        Kind.WITHDRAWN, Kind.RECORDING_KEPT, Kind.RECORDING_DESTROYED, Kind.INFORMED, Kind.CONSENT_GIVEN,
    ]  # fmt: skip


async def test_a_withdrawal_that_is_heard_of_only_now_does_not_undo_a_later_yes(store: Store) -> None:
    leg = await saved(store, make_leg(refused()))
    await store.agree(leg.leg_id, LATER, (QUALITY,), "1", "a-file", heard=HEARD)
    assert await store.withdraw(leg.leg_id, AT, "key") is None
    assert await store.expected_recording(leg.leg_id) is not None
    recording = await store.withdraw(leg.leg_id, LATER, "agent")
    assert recording is not None
    assert recording.withdrawn_at == LATER


async def test_while_it_is_recorded_a_yes_adds_nothing(store: Store, database: Connection) -> None:
    leg = await saved(store, make_leg(given(), refused(TRAINING), outcome=Outcome.PARTIAL))
    before = list(database.iterdump())
    assert not await store.agree(leg.leg_id, AT, (TRAINING,), "1", "second", heard=HEARD)
    assert list(database.iterdump()) == before


async def test_an_objection_is_evidence_once_and_nothing_else(store: Store) -> None:
    leg = await saved(store, make_leg(given(CONTRACT)))
    for at, source in ((AT, "key"), (AT + timedelta(seconds=3), "key"), (LATER, "agent")):
        await store.object_to(leg.leg_id, at, source)
    await store.object_to("no such leg", AT, "key")
    (detail,) = await store.call(leg.call_id)
    assert [(entry.kind, entry.at) for entry in detail.evidence[1:]] == [(Kind.OBJECTED, AT), (Kind.OBJECTED, LATER)]
    assert [json.loads(entry.body)["source"] for entry in detail.evidence[1:]] == ["key", "agent"]
    assert json.loads(detail.evidence[1].body)["objected"] == [CONTRACT.id]
    assert [grant.state for grant in detail.grants] == [GrantState.GIVEN]
    assert detail.leg.withdrawn_at is None
