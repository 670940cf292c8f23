"""A leg is kept: who, what was given, and what proves it."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any

import pytest

from callguard.core.evidence import Kind, canonical
from callguard.core.model import Basis, GrantState, Outcome
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.database import open_to_read, open_to_write
from callguard.store.records import Grant, LegRecord, SavedLeg
from callguard.store.times import from_ms, to_ms

from .legs import CONTRACT, PROMPT, QUALITY, START, given, make_leg, refused

TABLES = ("subjects", "legs", "grants", "evidence", "recordings")
SAVED_AT = START + timedelta(seconds=11)


def counts(database: Connection) -> dict[str, int]:
    return {table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES}


async def test_the_leg_is_what_was_saved(store: Store) -> None:
    leg = make_leg(given(), refused(CONTRACT), outcome=Outcome.PARTIAL)
    await store.save(leg)
    saved = await store.outcome(leg.channel, leg.linkedid)
    assert saved is not None
    assert saved == SavedLeg(
        leg_id=leg.leg_id,
        call_id=leg.call_id,
        channel=leg.channel,
        linkedid=leg.linkedid,
        controller="acme",
        subject_id=saved.subject_id,
        profile="service",
        language="en",
        direction="inbound",
        started_at=START,
        saved_at=SAVED_AT,
        outcome=Outcome.PARTIAL,
        granted=("recording.quality",),
        recording=True,
        file=leg.file,
        files="mixed",
        withdrawn_at=None,
        recording_ended_at=None,
    )


async def test_a_leg_without_a_grant_has_none(store: Store) -> None:
    leg = make_leg(refused())
    await store.save(leg)
    saved = await store.outcome(leg.channel, leg.linkedid)
    assert saved is not None
    assert (saved.granted, saved.recording, saved.file) == ((), False, None)


@pytest.mark.parametrize("other", ["channel", "linkedid"])
async def test_another_channel_has_no_outcome(store: Store, other: str) -> None:
    leg = make_leg(given())
    await store.save(leg)
    asked = {"channel": leg.channel, "linkedid": leg.linkedid} | {other: "1763802000.7"}
    assert await store.outcome(**asked) is None


async def test_each_answer_is_a_grant(store: Store) -> None:
    leg = make_leg(given(), given(CONTRACT))
    await store.save(leg)
    (detail,) = await store.call(leg.call_id)
    assert detail.grants == (
        Grant(QUALITY.id, Basis.CONSENT, GrantState.GIVEN, SAVED_AT, None, "key"),
        Grant(CONTRACT.id, Basis.CONTRACT, GrantState.GIVEN, SAVED_AT, None, "informed"),
    )


async def test_the_evidence_proves_the_asking(store: Store) -> None:
    leg = make_leg(given(), early_keys=2)
    await store.save(leg)
    (detail,) = await store.call(leg.call_id)
    (proof,) = detail.evidence
    body = json.loads(proof.body)
    assert re.fullmatch("[0-9a-f]{32}", body.pop("salt"))
    assert (proof.kind, proof.at) == (Kind.GATE, SAVED_AT)
    assert body == {
        "format": 1,
        "kind": "gate",
        "at": to_ms(SAVED_AT),
        "leg": leg.leg_id,
        "call": leg.call_id,
        "controller": "acme",
        "profile": "service",
        "language": "en",
        "direction": "inbound",
        "started_at": to_ms(START),
        "heard": [
            {
                "prompt": PROMPT.id,
                "language": "en",
                "version": "3",
                "sha256": {"wav": "ab" * 32, "wav16": "cd" * 32},
                "length_ms": 9_000,
                "heard_ms": 9_000,
            }
        ],
        "answers": [
            {"purpose": QUALITY.id, "basis": "consent", "state": "given", "key": "1", "reason": "key"},
        ],
        "early_keys": 2,
        "outcome": "given",
        "granted": [QUALITY.id],
        "recording": True,
    }
    assert canonical(json.loads(proof.body)) == proof.body


async def test_the_same_facts_leave_different_evidence(store: Store) -> None:
    legs = [make_leg(given(), call_id="call"), make_leg(given(), call_id="call")]
    for leg in legs:
        await store.save(leg)
    bodies = [detail.evidence[0].body.replace(detail.leg.leg_id.encode(), b"") for detail in await store.call("call")]
    salts = [json.loads(body)["salt"] for body in bodies]
    assert len(set(salts)) == 2
    assert len({body.replace(salt.encode(), b"") for body, salt in zip(bodies, salts, strict=True)}) == 1


async def subjects_of(store: Store, *legs: LegRecord) -> list[str]:
    for leg in legs:
        await store.save(leg)
    saved = [await store.outcome(leg.channel, leg.linkedid) for leg in legs]
    return [leg.subject_id for leg in saved if leg]


async def test_a_number_is_one_subject_for_a_controller(store: Store) -> None:
    first, second = await subjects_of(store, make_leg(given()), make_leg(refused()))
    assert first == second


async def test_the_same_number_is_someone_else_for_another_controller(store: Store) -> None:
    first, second = await subjects_of(store, make_leg(given()), make_leg(given(), controller="zeta"))
    assert first != second


async def test_a_withheld_number_is_nobody(store: Store, database: Connection) -> None:
    first, second = await subjects_of(store, make_leg(given(), number=None), make_leg(given(), number=None))
    assert first != second
    assert database.execute("SELECT DISTINCT number, name FROM subjects").fetchall() == [(None, None)]


async def test_a_number_stands_in_one_place(store: Store, database: Connection) -> None:
    leg = make_leg(given())
    await store.save(leg)
    assert leg.number is not None
    digits = leg.number.removeprefix("+")
    holding = [line.split('"')[1] for line in database.iterdump() if digits in line]
    assert holding == ["subjects"]


async def test_a_number_is_in_no_log(store: Store, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with open_to_read(path) as reading:
            await reading.execute_fetchall("SELECT :number", {"number": "+390612345678"})
        await store.save(make_leg(given()))
        with pytest.raises(StoreError):
            await store.save(make_leg(given(), controller="nobody"))
        await store.calls(1)
    assert "390612345678" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"granted": ("marketing.calls",)}, id="granted what nobody gave"),
        pytest.param({"granted": ()}, id="recorded for no purpose"),
        pytest.param({"file": None}, id="recorded into no file"),
        pytest.param({"number": "anonymous"}, id="a word as a number"),
        pytest.param({"number": "0612345678"}, id="a national number"),
        pytest.param({"number": "+39061234567\n"}, id="a number with a line end"),
        pytest.param({"number": "+٣٩٠٦١٢٣٤٥"}, id="digits that are not ASCII"),
        pytest.param(
            {"started_at": datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)}, id="a time without a time zone"
        ),
        pytest.param({"language": "\ud800"}, id="half a surrogate pair in evidence"),
        pytest.param({"channel": "\ud800"}, id="half a surrogate pair elsewhere"),
        pytest.param({"controller": "nobody"}, id="an unknown controller"),
        pytest.param({"direction": "sideways"}, id="an unknown direction"),
        pytest.param({"linkedid": None}, id="a leg without a linkedid"),
    ],
)
async def test_what_contradicts_itself_is_refused_whole(
    store: Store, database: Connection, changes: dict[str, Any]
) -> None:
    with pytest.raises(StoreError) as caught:
        await store.save(make_leg(given(), **changes))
    assert str(changes.get("number")) not in str(caught.value)
    assert set(counts(database).values()) == {0}
    await store.save(make_leg(given()))


@pytest.mark.parametrize("same", [("leg_id",), ("channel", "linkedid")])
async def test_a_leg_is_saved_once(store: Store, database: Connection, same: tuple[str, ...]) -> None:
    leg = make_leg(given())
    await store.save(leg)
    before = counts(database)
    changes = {name: getattr(leg, name) for name in same}
    with pytest.raises(StoreError, match="UNIQUE"):
        await store.save(replace(make_leg(refused()), number="+390698765432", **changes))
    assert counts(database) == before


@pytest.mark.parametrize("table", ["evidence", "grants"])
@pytest.mark.parametrize("change", ["UPDATE {} SET leg_id = leg_id", "DELETE FROM {}"])
async def test_history_is_not_rewritten(store: Store, database: Connection, table: str, change: str) -> None:
    await store.save(make_leg(given()))
    with pytest.raises(IntegrityError, match=r"append-only|history"):
        database.execute(change.format(table))
    assert counts(database)[table] == 1


async def test_history_is_not_replaced_by_the_store_itself(store: Store, path: Path, database: Connection) -> None:
    await store.save(make_leg(given()))
    replacing = "INSERT OR REPLACE INTO ledger SELECT seq, noted_at, leaf, '{}' FROM ledger"
    async with open_to_write(path) as writing:
        with pytest.raises(IntegrityError, match="append-only"):
            await writing.transact(lambda transaction: transaction.execute(replacing))
    assert database.execute("SELECT COUNT(*) FROM ledger WHERE body = '{}'").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("INSERT INTO opt_outs VALUES ('1', 'acme', {}, 'purpose', NULL, NULL, 'key', NULL, 0, NULL, 0)"),
        pytest.param("INSERT INTO opt_outs VALUES ('1', 'acme', {}, 'all', 'p', NULL, 'key', NULL, 0, NULL, 0)"),
        pytest.param("INSERT INTO opt_outs VALUES ('1', 'acme', {}, 'campaign', NULL, NULL, 'key', NULL, 0, NULL, 0)"),
        pytest.param("INSERT INTO opt_outs VALUES ('1', 'nobody', {}, 'all', NULL, NULL, 'key', NULL, 0, NULL, 0)"),
        pytest.param("INSERT INTO opt_outs VALUES ('1', 'acme', 'nobody', 'all', NULL, NULL, 'key', NULL, 0, NULL, 0)"),
    ],
)
async def test_an_opt_out_says_what_it_is_out_of(store: Store, database: Connection, statement: str) -> None:
    await store.save(make_leg(given()))
    database.execute("PRAGMA foreign_keys = ON")
    subject = "(SELECT subject_id FROM subjects)"
    with pytest.raises(IntegrityError):
        database.execute(statement.format(subject))
    database.execute(
        f"INSERT INTO opt_outs VALUES ('1', 'acme', {subject}, 'marketing', NULL, NULL, 'key', NULL, 0, NULL, 0)"
    )


def test_a_time_is_kept_to_the_millisecond() -> None:
    moment = datetime(2026, 11, 22, 10, 0, 0, 250_999, tzinfo=timezone(timedelta(hours=1)))
    assert to_ms(moment) == 1_795_338_000_250
    assert from_ms(1_795_338_000_250) == datetime(2026, 11, 22, 9, 0, 0, 250_000, tzinfo=UTC)
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
