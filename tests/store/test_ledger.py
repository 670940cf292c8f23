"""Evidence as a ledger: numbered in the order of its commits, hashed into a tree, and of nobody that can be told."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection, IntegrityError, connect

import pytest

from callguard.core.checkpoint import Checkpoint, Note
from callguard.core.decide import Callback, Facts, Scope, decide
from callguard.core.evidence import Value, canonical, entry
from callguard.core.incidents import Incident
from callguard.core.merkle import fold, verify_inclusion
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.database import open_to_write, prepare
from callguard.store.dial_records import DialRecord, NewOptOut
from callguard.store.ledger import append, size_of, tree
from callguard.store.migrations import known, migrate
from callguard.store.queries import Transaction

from .legs import CONTROLLERS, START, given, make_leg

NUMBER = "+390612345678"
LATER = START + timedelta(hours=1)
OLD = """
INSERT INTO controllers VALUES ('acme', 'Acme Energy');
INSERT INTO subjects VALUES ('s-random', 'acme', '+390612345678', NULL);
INSERT INTO legs (leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction, started_at,
    saved_at, outcome, granted, recording, file, files)
VALUES ('l', 'call', 'channel', 'linkedid', 'acme', 's-random', 'service', 'en', 'inbound', 0, 5, 'refused', '', 0,
    NULL, 'mixed');
INSERT INTO agents VALUES ('a-random', 'anne');
INSERT INTO incidents VALUES ('i', 'acme', 'l', 'recording.foreign', 30, '{"stopped":1}');
"""


def old_entry(kind: str, at: int, **fields: Value) -> str:
    return entry(kind, at, salt=bytes(16), **fields).decode()


def entries(database: Connection) -> list[tuple[int, int, bytes, str]]:
    return database.execute("SELECT seq, noted_at, leaf, body FROM ledger ORDER BY seq").fetchall()


async def test_every_commit_appends_what_it_records_and_the_tree_is_that_of_the_rows(
    store: Store, database: Connection
) -> None:
    before = time.time_ns() // 1_000_000
    leg = make_leg(given())
    await store.save(leg)
    await store.withdraw(leg.leg_id, LATER, "key")
    await store.recording_destroyed(leg.leg_id, LATER, "withdrawn")
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "key")
    await store.opt_out_all("acme", [NewOptOut("+390698765432", Scope.ALL)], START, "import")
    await store.agent_grants_it("anne", "agreement 7", START)
    await store.incident(Incident.RECORDING_FOREIGN, START, {"stopped": 1}, leg.leg_id)
    found = entries(database)
    assert [json.loads(body)["kind"] for *_, body in found] == [
        "gate", "withdrawn", "recording.destroyed", "optout.added", "optout.added", "agent.granted", "incident",
    ]  # fmt: skip
    assert [seq for seq, *_ in found] == list(range(7))
    for _, noted, leaf, body in found:
        written = b'{"entry":' + body.encode() + b',"noted":' + str(noted).encode() + b"}"
        assert canonical(json.loads(written)) == written
        assert sha256(b"\x00" + written).digest() == leaf
        assert before <= noted <= time.time_ns() // 1_000_000
    named = database.execute(
        "SELECT seq FROM evidence UNION ALL SELECT seq FROM subject_evidence UNION ALL SELECT seq FROM agent_evidence "
        "UNION ALL SELECT seq FROM incidents"
    ).fetchall()
    assert sorted(named) == [(seq,) for seq in range(7)]


async def test_no_entry_says_whose_it_is(store: Store, database: Connection) -> None:
    """Neither a number in any form nor a subject's id: rows beside the ledger have that, and can be emptied."""
    leg = make_leg(given())
    await store.save(leg)
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "key", reason="by Ms Rossi")
    shown = "+390698765432"
    facts = Facts(number=NUMBER, calls="marketing", purpose=None, campaign=None, at=START, opt_outs=(), registries=(),
                  caller_id=shown, callback=Callback(True, START, 30))  # fmt: skip
    await store.decided(DialRecord.of("dialled", "acme", "sales", facts, decide(facts)))
    await store.agent_grants_it("anne", "agreement 7", START)
    text = str(entries(database))
    ids = database.execute("SELECT subject_id FROM subjects UNION SELECT agent_id FROM agents").fetchall()
    assert len(ids) == 2
    for secret in (NUMBER[1:], NUMBER[3:], shown[1:], "Rossi", "anne", *(one for (one,) in ids)):
        assert secret not in text
    # The decision itself has what its entry leaves out.
    decision = await store.decision("dialled")
    assert decision is not None and shown in json.dumps(decision.facts)


async def test_who_an_entry_is_of_can_be_taken_away_and_nothing_else(store: Store, database: Connection) -> None:
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "key")
    await store.agent_grants_it("anne", "agreement 7", START)
    before = entries(database)
    database.execute("UPDATE subject_evidence SET subject_id = NULL")
    database.execute("UPDATE agent_evidence SET agent_id = NULL")
    assert entries(database) == before
    for change in (
        "UPDATE subject_evidence SET subject_id = (SELECT subject_id FROM subjects)",
        "UPDATE subject_evidence SET kind = 'optout.ended'",
        "UPDATE agent_evidence SET at = 7",
        "UPDATE ledger SET body = NULL",
        "DELETE FROM ledger",
        "INSERT OR REPLACE INTO ledger_nodes VALUES (1, 0, randomblob(32)), (1, 0, randomblob(32))",
    ):
        with pytest.raises(IntegrityError, match=r"append-only|UNIQUE"):
            database.execute("PRAGMA recursive_triggers = ON")
            database.execute(change)


async def test_two_processes_number_their_entries_in_the_order_of_their_commits(path: Path) -> None:
    async with (
        Store.open(path, gate="one", controllers=CONTROLLERS) as one,
        Store.open(path, gate="other", controllers=CONTROLLERS) as other,
    ):
        await asyncio.gather(*(store.save(make_leg(given())) for _ in range(150) for store in (one, other)))
        with closing(connect(path)) as database:
            found = entries(database)
            assert [seq for seq, *_ in found] == list(range(300))
            times = [noted for _, noted, *_ in found]
            assert times == sorted(times)
            leaves = [leaf for _, _, leaf, _ in found]
            ((level, number, node),) = database.execute("SELECT * FROM ledger_nodes").fetchall()
    assert (level, number, node) == (1, 0, fold(leaves[:256], 8)[0])


async def test_the_nodes_of_every_level_are_kept_as_they_become_complete(path: Path) -> None:
    async with Store.open(path, gate="one", controllers=CONTROLLERS):
        pass
    async with open_to_write(path) as database:
        bodies = [f'{{"at":{number}}}' for number in range(65_536 + 700)]
        cuts = [0, 1, 255, 256, 257, 60_000, 65_535, 65_536, len(bodies)]
        for first, end in pairwise(cuts):
            numbers = await database.transact(partial(append, bodies=bodies[first:end]))
            assert numbers == range(first, end)
        await database.transact(check_the_tree)


def check_the_tree(transaction: Transaction) -> None:
    leaves = [row["leaf"] for row in transaction.fetch("ledger_leaves", first=0, end=10**6)]
    size, grown = size_of(transaction), tree(transaction)
    (top,) = transaction.fetch("ledger_tile", level=2, first=0, end=10)
    assert top["hash"] == fold(leaves[:65_536], 16)[0]
    for index in (0, 65_535, 65_536, size - 1):
        assert verify_inclusion(leaves[index], index, size, grown.inclusion(index, size), grown.root(size))


async def test_a_checkpoint_is_signed_once_and_only_of_what_begins_with_the_last(
    store: Store, path: Path, database: Connection
) -> None:
    def signer(size: int, root: bytes) -> str:
        return Checkpoint("acme", size, root).text + "\n\N{EM DASH} acme c2lnbmF0dXJl\n"

    first, new = await store.checkpoint(START, signer)
    assert new and Checkpoint.of(Note.of(first).text).size == 0
    for _ in range(3):
        await store.save(make_leg(given()))
    second, new = await store.checkpoint(START, signer)
    assert new and Checkpoint.of(Note.of(second).text).size == 3
    assert await store.checkpoint(LATER, signer) == (second, False)
    database.executescript("DROP TRIGGER ledger_no_update; UPDATE ledger SET leaf = zeroblob(32) WHERE seq = 1;")
    await store.save(make_leg(given()))
    with pytest.raises(StoreError, match="not the one that was signed last"):
        await store.checkpoint(LATER, signer)
    database.executescript("DROP TRIGGER ledger_no_delete; DELETE FROM ledger WHERE seq > 0;")
    with pytest.raises(StoreError, match="not the one that was signed last"):
        await store.checkpoint(LATER, signer)
    assert database.execute("SELECT COUNT(*) FROM checkpoints").fetchone() == (2,)


async def test_what_an_older_store_has_comes_in_in_order_of_time_and_names_nobody_any_more(path: Path) -> None:
    prepare(path)
    async with open_to_write(path) as database:
        await migrate(database, path, known()[:9])
    gate = old_entry("gate", 20, leg="l", call="call")
    facts: Value = {"caller_id": {"number": "+390698765432", "shown": True}}
    dial = old_entry("dial.decided", 10, subject="s-random", call="dialled", facts=facts)
    with closing(connect(path, isolation_level=None)) as database:
        database.executescript(OLD)
        database.execute("INSERT INTO evidence VALUES (1, 'l', 'acme', 'gate', 20, ?)", (gate,))
        database.execute("INSERT INTO subject_evidence VALUES (1, 'acme', 's-random', 'dial.decided', 10, ?)", (dial,))
        agent = old_entry("agent.granted", 5, agent="a-random", grant="g")
        database.execute("INSERT INTO agent_evidence VALUES (1, 'a-random', 'agent.granted', 5, ?)", (agent,))
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        (detail,) = await store.call("call")
        assert [one.body for one in detail.evidence] == [gate.encode()]
        assert [one.incident_id for one in await store.incidents(10)] == ["i"]
    with closing(connect(path)) as database:
        found = entries(database)
        bodies = [json.loads(body) for *_, body in found]
        assert [(body["kind"], body["at"]) for body in bodies[:4]] == [
            ("agent.granted", 5), ("dial.decided", 10), ("gate", 20), ("incident", 30),
        ]  # fmt: skip
        assert (bodies[4]["kind"], bodies[4]["brought_in"]) == ("ledger.begun", 4)
        assert [noted for _, noted, *_ in found[:4]] == [5, 10, 20, 30]
        assert "random" not in str(found) and "390698765432" not in str(found)
        assert database.execute("SELECT subject_id, call_id FROM subject_evidence").fetchall() == [
            ("s-random", "dialled")
        ]
        assert database.execute("SELECT agent_id FROM agent_evidence").fetchall() == [("a-random",)]
        assert not database.execute("SELECT name FROM sqlite_master WHERE name LIKE '%before%'").fetchall()
