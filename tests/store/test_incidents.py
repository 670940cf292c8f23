"""Incidents are kept once and for good; a recording that is set aside is neither kept nor destroyed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import Connection, IntegrityError, connect

import pytest

from callguard.core.evidence import Kind, Value
from callguard.core.incidents import Incident
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.database import open_to_write, prepare
from callguard.store.migrations import known, migrate

from .legs import CONTROLLERS, START, given, make_leg, refused
from .test_recordings import END, LATER, kept, kinds, last_body

FOREIGN = Incident.RECORDING_FOREIGN
DETAIL: dict[str, Value] = {"channel": "1764.7", "stopped": 1, "file": None}


async def test_an_incident_is_kept_once_and_newest_first(store: Store) -> None:
    counted: list[Incident] = []
    store.on_incident = counted.append
    leg = make_leg(refused())
    await store.save(leg)
    nobodys = await store.incident(FOREIGN, START, DETAIL)
    legs = await store.incident(FOREIGN, LATER, DETAIL, leg.leg_id)
    named = await store.incident(FOREIGN, END, DETAIL, controller="zeta")
    assert await store.incident(FOREIGN, START, DETAIL) == nobodys
    assert counted == [FOREIGN] * 3
    found = await store.incidents(10)
    assert [one.incident_id for one in found] == [legs, named, nobodys]
    assert [(one.controller, one.leg_id, one.call_id) for one in found] == [
        ("acme", leg.leg_id, leg.call_id),
        ("zeta", None, None),
        (None, None, None),
    ]
    assert (found[2].kind, found[2].at, found[2].detail) == (FOREIGN, START, DETAIL)
    (detail,) = await store.call(leg.call_id)
    assert detail.incidents == (found[0],)
    assert await store.incidents(1) == found[:1]


async def test_an_incident_stays(store: Store, database: Connection) -> None:
    await store.incident(FOREIGN, START, DETAIL)
    for change in ("UPDATE incidents SET kind = 'none'", "DELETE FROM incidents"):
        with pytest.raises(IntegrityError, match="append-only"):
            database.execute(change)


async def test_what_cannot_be_kept_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no leg"):
        await store.incident(FOREIGN, START, DETAIL, "another leg")
    with pytest.raises(StoreError, match="does not take this"):
        await store.incident(FOREIGN, START, DETAIL, controller="nobody")
    with pytest.raises(StoreError, match="no integer beyond"):
        await store.incident(FOREIGN, START, {"size": 2**60})
    assert await store.incidents(10) == ()


async def test_a_kept_recording_is_set_aside_and_is_not_due_any_more(store: Store) -> None:
    leg = make_leg(given())
    await store.save(leg)
    await store.recording_kept(leg.leg_id, kept(leg), END)
    for _ in range(2):
        await store.quarantine(leg.leg_id, LATER, "foreign")
    assert await store.due(LATER) == ()
    (recording,) = await store.recordings(10)
    assert (recording.state, recording.quarantined_at, recording.reason) == ("quarantined", LATER, "foreign")
    assert (recording.files, recording.ended_at) == (kept(leg).files, END)
    assert await kinds(store, leg) == [Kind.GATE, Kind.RECORDING_KEPT, Kind.RECORDING_QUARANTINED]
    assert (await last_body(store, leg))["reason"] == "foreign"
    # Whoever has looked into it may destroy it.
    await store.recording_destroyed(leg.leg_id, LATER, "looked into")
    await store.quarantine(leg.leg_id, LATER, "foreign")
    assert (await store.recordings(10))[0].state == "destroyed"


async def test_a_recording_that_still_ran_is_set_aside_and_is_not_expected_any_more(store: Store) -> None:
    leg = make_leg(given())
    await store.save(leg)
    await store.quarantine(leg.leg_id, END, "foreign")
    assert await store.expected_recordings() == ()
    await store.recording_kept(leg.leg_id, kept(leg), None)
    (recording,) = await store.recordings(10)
    assert (recording.state, recording.ended_at, recording.files) == ("quarantined", END, ())


async def test_what_the_third_schema_held_is_kept_with_its_guards(path: Path) -> None:
    prepare(path)
    async with open_to_write(path) as database:
        await migrate(database, path, known()[:3])
    with closing(connect(path, isolation_level=None)) as database:
        database.executescript("""
            INSERT INTO controllers VALUES ('acme', 'Acme Energy');
            INSERT INTO subjects VALUES ('s', 'acme', '+390612345678', NULL);
            INSERT INTO legs VALUES ('l', 'call', 'channel', 'linkedid', 'acme', 's', 'service', 'en', 'inbound', 0, 5,
                'given', 'recording.quality', 1, 'file', 'mixed', NULL, 9, NULL, 0);
            INSERT INTO recordings VALUES ('l', 'acme', 'destroyed', 9, 4, NULL, 11, 'withdrawn');
            INSERT INTO recording_files VALUES ('l', 'file.wav', 84, 'ab');
        """)
        before = set(database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        (recording,) = await store.recordings(10)
    assert (recording.state, recording.duration_ms, recording.reason) == ("destroyed", 4, "withdrawn")
    assert [file.name for file in recording.files] == ["file.wav"]
    with closing(connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        names = set(database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        assert before < names
        assert list(database.execute("PRAGMA foreign_key_check")) == []
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            database.execute("DELETE FROM recordings")
        with pytest.raises(IntegrityError, match="CHECK"):
            database.execute("UPDATE recordings SET state = 'quarantined', destroyed_at = NULL")
