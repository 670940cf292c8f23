"""A recording from its basis to its end: expected, then kept, absent or destroyed; each said once, in any order."""

from __future__ import annotations

import json
from datetime import timedelta
from sqlite3 import Connection
from typing import Any

import pytest

from callguard.core.conversation import Why
from callguard.core.evidence import Kind
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.records import DueRecording, Kept, LegRecord, OpenRecording, RecordedFile, StoredRecording

from .legs import QUALITY, START, given, make_leg, refused
from .test_save import SAVED_AT, counts

END = START + timedelta(seconds=60)
LATER = START + timedelta(seconds=90)


def kept(leg: LegRecord) -> Kept:
    names = [f"{leg.file}.wav"] if leg.files == "mixed" else [f"{leg.file}-in.wav", f"{leg.file}-out.wav"]
    return Kept(tuple(RecordedFile(name, 784_044, "ef" * 32) for name in names), 49_000, END)


@pytest.fixture
async def leg(store: Store) -> LegRecord:
    leg = make_leg(given(), files="two")
    await store.save(leg)
    return leg


async def kinds(store: Store, leg: LegRecord) -> list[Kind]:
    (detail,) = await store.call(leg.call_id)
    return [proof.kind for proof in detail.evidence]


async def last_body(store: Store, leg: LegRecord) -> dict[str, Any]:
    (detail,) = await store.call(leg.call_id)
    body: dict[str, Any] = json.loads(detail.evidence[-1].body)
    return body


async def test_only_what_was_started_is_expected(store: Store, leg: LegRecord) -> None:
    await store.save(make_leg(refused()))
    expected = OpenRecording(
        leg_id=leg.leg_id,
        call_id=leg.call_id,
        channel=leg.channel,
        controller="acme",
        file=leg.file or "",
        files="two",
        started_at=SAVED_AT,
        purposes=(QUALITY,),
        withdrawn_at=None,
        ended_at=None,
    )
    assert await store.expected_recordings() == (expected,)
    assert await store.expected_recording(leg.leg_id) == expected
    assert await store.expected_recording("another leg") is None


async def test_expected_recordings_come_oldest_first(store: Store) -> None:
    newer, older = make_leg(given(), saved_at=END), make_leg(given())
    await store.save(newer)
    await store.save(older)
    assert [one.leg_id for one in await store.expected_recordings()] == [older.leg_id, newer.leg_id]


async def test_a_kept_recording_has_its_files_and_its_proof(store: Store, leg: LegRecord) -> None:
    await store.recording_kept(leg.leg_id, kept(leg), None)
    assert await store.expected_recordings() == ()
    assert await store.recordings(10) == (
        StoredRecording(
            leg_id=leg.leg_id,
            call_id=leg.call_id,
            controller="acme",
            state="kept",
            ended_at=END,
            duration_ms=49_000,
            destroy_at=None,
            destroyed_at=None,
            reason=None,
            files=kept(leg).files,
        ),
    )
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_KEPT]
    body = await last_body(store, leg)
    assert body["files"] == [
        {"name": f"{leg.file}-{side}.wav", "size": 784_044, "sha256": "ef" * 32} for side in ("in", "out")
    ]
    assert (body["duration_ms"], body["destroy_at"], body["withdrawn"]) == (49_000, None, False)


async def test_the_proof_of_a_recording_says_that_it_was_withdrawn(store: Store, leg: LegRecord) -> None:
    await store.withdraw(leg.leg_id, END, "key")
    await store.recording_kept(leg.leg_id, kept(leg), LATER)
    assert (await last_body(store, leg))["withdrawn"] is True


async def test_a_recording_that_never_began_has_no_row(store: Store, leg: LegRecord) -> None:
    await store.recording_absent(leg.leg_id, END)
    assert await store.expected_recordings() == ()
    assert await store.recordings(10) == ()
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_ABSENT]


async def test_a_destroyed_recording_keeps_hash_and_times(store: Store, leg: LegRecord) -> None:
    await store.recording_kept(leg.leg_id, kept(leg), None)
    await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")
    (recording,) = await store.recordings(10)
    assert (recording.state, recording.files, recording.ended_at) == ("destroyed", kept(leg).files, END)
    assert (recording.duration_ms, recording.destroyed_at, recording.reason) == (49_000, LATER, "withdrawn")
    (detail,) = await store.call(leg.call_id)
    assert (detail.recording, detail.leg.recording_ended_at) == (recording, END)
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_KEPT, Kind.RECORDING_DESTROYED]
    assert (await last_body(store, leg))["reason"] == "withdrawn"


async def test_what_is_destroyed_before_it_had_a_row_gets_one(store: Store, leg: LegRecord) -> None:
    await store.withdraw(leg.leg_id, END, "key")
    await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")
    assert await store.expected_recordings() == ()
    (recording,) = await store.recordings(10)
    assert (recording.state, recording.files, recording.duration_ms) == ("destroyed", (), None)
    assert (recording.ended_at, recording.destroyed_at) == (LATER, LATER)


@pytest.mark.parametrize("end", ["kept", "absent", "destroyed"])
async def test_each_end_is_said_once(store: Store, database: Connection, leg: LegRecord, end: str) -> None:
    async def say() -> None:
        if end == "kept":
            await store.recording_kept(leg.leg_id, kept(leg), LATER)
        elif end == "absent":
            await store.recording_absent(leg.leg_id, END)
        else:
            await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")

    await say()
    before = list(database.iterdump())
    await say()
    assert list(database.iterdump()) == before


async def test_what_is_destroyed_stays_destroyed(store: Store, database: Connection, leg: LegRecord) -> None:
    await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")
    before = list(database.iterdump())
    await store.recording_kept(leg.leg_id, kept(leg), None)
    await store.recording_absent(leg.leg_id, END)
    assert list(database.iterdump()) == before


async def test_what_is_kept_is_not_absent(store: Store, database: Connection, leg: LegRecord) -> None:
    await store.recording_kept(leg.leg_id, kept(leg), None)
    before = list(database.iterdump())
    await store.recording_absent(leg.leg_id, END)
    assert list(database.iterdump()) == before


async def test_a_file_that_turns_up_late_is_kept_all_the_same(store: Store, leg: LegRecord) -> None:
    await store.recording_absent(leg.leg_id, END)
    await store.recording_kept(leg.leg_id, kept(leg), None)
    (recording,) = await store.recordings(10)
    assert recording.state == "kept"


async def test_what_nobody_allowed_cannot_be_kept_but_destroyed(store: Store, database: Connection) -> None:
    leg = make_leg(refused())
    await store.save(leg)
    before = counts(database)
    with pytest.raises(StoreError, match="nobody allowed"):
        await store.recording_kept(leg.leg_id, kept(leg), None)
    await store.recording_absent(leg.leg_id, END)
    assert counts(database) == before
    await store.recording_destroyed(leg.leg_id, LATER, "no basis")
    assert (await store.recordings(10))[0].state == "destroyed"


async def test_a_kept_recording_has_a_file(store: Store, leg: LegRecord) -> None:
    with pytest.raises(StoreError, match="has a file"):
        await store.recording_kept(leg.leg_id, Kept((), 0, END), None)
    assert await store.expected_recording(leg.leg_id) is not None


async def test_an_unknown_leg_has_no_recording(store: Store) -> None:
    leg = make_leg(given())
    for attempt in (
        store.recording_kept(leg.leg_id, kept(leg), None),
        store.recording_absent(leg.leg_id, END),
        store.recording_destroyed(leg.leg_id, LATER, "withdrawn"),
        store.destroy_by(leg.leg_id, LATER),
    ):
        with pytest.raises(StoreError, match="there is no leg"):
            await attempt


async def test_a_recording_falls_due(store: Store, leg: LegRecord) -> None:
    for_good = make_leg(given())
    await store.save(for_good)
    await store.recording_kept(for_good.leg_id, kept(for_good), None)
    await store.recording_kept(leg.leg_id, kept(leg), LATER)
    assert await store.due(LATER - timedelta(milliseconds=1)) == ()
    files = tuple(file.name for file in kept(leg).files)
    assert await store.due(LATER) == (DueRecording(leg.leg_id, files),)
    await store.recording_destroyed(leg.leg_id, LATER, "due")
    assert await store.due(LATER) == ()


async def test_destruction_can_be_hastened_and_not_put_off(store: Store, leg: LegRecord) -> None:
    await store.recording_kept(leg.leg_id, kept(leg), None)
    for asked, set_to in ((LATER, LATER), (END, END), (LATER, END)):
        await store.destroy_by(leg.leg_id, asked)
        assert (await store.recordings(1))[0].destroy_at == set_to


async def test_the_latest_come_first_and_no_more_than_asked(store: Store) -> None:
    legs = [make_leg(given(), started_at=START + timedelta(seconds=second)) for second in range(3)]
    for second, leg in enumerate(legs):
        await store.save(leg)
        ended = Kept(kept(leg).files, 1, END + timedelta(seconds=second))
        await store.recording_kept(leg.leg_id, ended, None)
    newest = [leg.leg_id for leg in reversed(legs)]
    assert [leg.leg_id for leg in await store.calls(2)] == newest[:2]
    assert [recording.leg_id for recording in await store.recordings(2)] == newest[:2]


async def test_a_call_shows_its_legs_apart(store: Store) -> None:
    legs = [
        make_leg(given(), call_id="call"),
        make_leg(refused(), call_id="call", started_at=START + timedelta(seconds=1)),
    ]
    for leg in legs:
        await store.save(leg)
    await store.recording_kept(legs[0].leg_id, kept(legs[0]), None)
    first, second = await store.call("call")
    assert (first.leg.leg_id, second.leg.leg_id) == (legs[0].leg_id, legs[1].leg_id)
    assert (len(first.grants), len(first.evidence), first.recording is not None) == (1, 2, True)
    assert (len(second.grants), len(second.evidence), second.recording is not None) == (1, 1, False)
    assert await store.call("another call") == ()


async def test_no_more_is_cut_off_than_there_has_been_of_the_leg(store: Store, leg: LegRecord) -> None:
    """Where nobody knows since when somebody was there, all of it goes; how much that is can be read by a person."""
    await store.segment_ended(leg.leg_id, 0, None, END, Why.TRANSFER, cut_ms=1_795_394_097_422)
    (segment,) = await store.segments(leg.leg_id)
    assert segment.cut_ms == (END - START) // timedelta(milliseconds=1)
    assert (await last_body(store, leg))["cut_ms"] == segment.cut_ms
