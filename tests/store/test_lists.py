"""Lists of opt-outs: all of it or none, nothing twice, and others write while it is made ready."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection, connect

import pytest

from callguard.core.decide import Scope
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store import staged as module
from callguard.store.dial_records import NewOptOut, OptOutSource
from callguard.store.times import to_ms

from .legs import CONTROLLERS, START, given, make_leg

NUMBERS = ("+390612345678", "+390612345679", "+390698765432")
LIST = tuple(NewOptOut(number, Scope.MARKETING) for number in NUMBERS)
LATER = START + timedelta(minutes=1)


def counted(database: Connection) -> tuple[int, ...]:
    tables = ("subjects", "opt_outs", "subject_evidence")
    return tuple(database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables)


async def numbers(store: Store) -> set[str]:
    return {one.number for one in await store.opt_outs("acme", None, LATER)}


async def test_a_list_is_kept_and_each_of_it_proved(store: Store, database: Connection) -> None:
    assert await store.opt_out_all("acme", LIST, START, "import") == 3
    assert await numbers(store) == set(NUMBERS)
    assert counted(database) == (3, 3, 3)
    (one,) = await store.opt_outs("acme", NUMBERS[0], LATER)
    assert (one.scope, one.source, one.since, one.until, one.reason) == (Scope.MARKETING, "import", START, None, None)
    for opt_out_id, subject_id, at, body in database.execute(
        "SELECT o.opt_out_id, o.subject_id, e.at, l.body FROM opt_outs AS o JOIN subject_evidence AS e "
        "ON e.subject_id = o.subject_id JOIN ledger AS l ON l.seq = e.seq"
    ):
        proof = json.loads(body)
        said = {"kind": "optout.added", "opt_out": opt_out_id, "source": "import"}
        assert proof.items() >= said.items()
        assert subject_id not in body
        assert at == to_ms(START)
    assert not [line for line in database.iterdump() if "evidence" in line and NUMBERS[0][1:] in line]


async def test_what_stands_already_is_not_kept_twice(store: Store, database: Connection) -> None:
    await store.opt_out("acme", NUMBERS[0], Scope.MARKETING, START, "key")
    assert await store.standing("acme", LIST, LATER, "import") == 1
    assert await store.opt_out_all("acme", LIST, LATER, "import") == 2
    assert await store.standing("acme", LIST, LATER, "import") == 3
    assert await store.opt_out_all("acme", LIST, LATER, "import") == 0
    assert counted(database) == (3, 3, 3)


@pytest.mark.parametrize("source", ["key", "typed_unverified"])
@pytest.mark.parametrize("until", [None, LATER, LATER + timedelta(days=1)])
@pytest.mark.parametrize("other", [None, LATER, LATER + timedelta(days=1)])
async def test_a_list_keeps_what_the_same_would_alone(
    store: Store, source: OptOutSource, until: datetime | None, other: datetime | None
) -> None:
    """By one rule, whether the store or a dry run looks at it."""
    for controller in ("acme", "zeta"):
        await store.opt_out(controller, NUMBERS[0], Scope.ALL, START, source, until=until)
    wish = NewOptOut(NUMBERS[0], Scope.ALL, until=other)
    counts = 1 - await store.standing("acme", [wish], START, "import")
    alone = await store.opt_out("zeta", NUMBERS[0], Scope.ALL, START, "import", until=wish.until)
    assert (await store.opt_out_all("acme", [wish], START, "import"), counts) == (alone, alone)


async def test_one_person_with_several_is_one_subject_who_may_have_called_before(
    store: Store, database: Connection
) -> None:
    await store.save(make_leg(given(), number=NUMBERS[1]))
    several = [replace(one, scope=scope) for one in LIST[:2] for scope in (Scope.ALL, Scope.MARKETING)]
    assert await store.opt_out_all("acme", several, START, "import") == 4
    assert counted(database) == (2, 4, 4)


async def test_what_is_said_of_each_is_kept_of_it(store: Store, database: Connection) -> None:
    said = NewOptOut(
        NUMBERS[0], Scope.CAMPAIGN, None, "spring", START - timedelta(days=9), LATER, "by letter; Ms Rossi"
    )
    await store.opt_out_all("acme", [said], START, "import")
    (one,) = await store.opt_outs("acme", NUMBERS[0], START)
    assert (one.campaign, one.since, one.until, one.reason) == (said.campaign, said.since, said.until, said.reason)
    ((at, body),) = database.execute("SELECT at, body FROM subject_evidence JOIN ledger USING (seq)")
    assert (at, json.loads(body)["since"]) == (to_ms(START), to_ms(START - timedelta(days=9)))
    assert "Rossi" not in body


@pytest.mark.parametrize(
    "bad",
    [
        NewOptOut("912345678", Scope.ALL),
        NewOptOut(NUMBERS[2], Scope.PURPOSE),
        NewOptOut(NUMBERS[2], Scope.ALL, campaign="spring"),
        NewOptOut(NUMBERS[2], Scope.ALL, since=LATER),
        NewOptOut(NUMBERS[2], Scope.ALL, until=START),
    ],
)
async def test_with_one_that_cannot_be_kept_none_is(store: Store, database: Connection, bad: NewOptOut) -> None:
    with pytest.raises(StoreError):
        await store.opt_out_all("acme", [*LIST[:2], bad], START, "import")
    assert counted(database) == (0, 0, 0)
    assert await store.opt_out_all("acme", LIST, START, "import") == 3


async def test_for_a_controller_that_nobody_knows_none_is_kept(store: Store, database: Connection) -> None:
    with pytest.raises(StoreError):
        await store.opt_out_all("nobody", LIST, START, "import")
    assert counted(database) == (0, 0, 0)


async def test_others_write_while_a_list_is_made_ready(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 1)
    told = []
    with closing(connect(path, isolation_level=None, timeout=0)) as other:

        def write(ready: int) -> None:
            told.append(ready)
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE controllers SET name = name")
            other.execute("COMMIT")

        assert await store.opt_out_all("acme", LIST, START, "import", write) == 3
    assert told == [1, 2, 3]


async def test_who_calls_while_a_list_is_made_ready_is_one_subject(
    store: Store, path: Path, database: Connection
) -> None:
    """The list was ready to make a subject of them; it is made ready anew."""
    told = []

    def calls(ready: int) -> None:
        told.append(ready)
        if len(told) == 1:
            database.execute(
                "INSERT INTO subjects (subject_id, controller, number) VALUES ('caller', 'acme', ?)", (NUMBERS[1],)
            )

    assert await store.opt_out_all("acme", LIST, START, "import", calls) == 3
    assert told == [3, 3]
    assert counted(database) == (3, 3, 3)
    assert database.execute("SELECT COUNT(*) FROM opt_outs WHERE subject_id = 'caller'").fetchone() == (1,)


async def test_against_others_who_always_come_first_it_gives_up(store: Store, database: Connection) -> None:
    made = iter(NUMBERS)

    def calls(ready: int) -> None:
        number = next(made)
        database.execute(
            "INSERT INTO subjects (subject_id, controller, number) VALUES (?, 'acme', ?)", (number, number)
        )

    with pytest.raises(StoreError, match="others write about the same numbers"):
        await store.opt_out_all("acme", LIST, START, "import", calls)
    assert counted(database) == (3, 0, 0)


async def test_a_list_waits_for_no_lock_where_nothing_is_new(path: Path) -> None:
    async with Store.open(path, gate=None, controllers=CONTROLLERS) as store:
        await store.opt_out_all("acme", LIST, START, "import")
        with closing(connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await store.opt_out_all("acme", LIST, START, "import") == 0
            with pytest.raises(StoreError, match="locked"):
                await store.opt_out_all("acme", [NewOptOut("+390600000000", Scope.ALL)], START, "import")


async def test_each_opt_out_of_one_controller_can_be_gone_through(store: Store) -> None:
    await store.opt_out_all("acme", LIST, START, "import")
    await store.opt_out_all("zeta", LIST[:1], START, "import")
    await store.opt_in("acme", NUMBERS[2], Scope.MARKETING, LATER, "key")
    assert {one.number async for one in store.each_opt_out("acme", LATER)} == set(NUMBERS[:2])
