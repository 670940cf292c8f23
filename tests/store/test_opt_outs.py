"""Opt-outs: kept once, ended by their subject, proved, and seen by every other process at its next look."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any

import pytest

from callguard.core.decide import Scope
from callguard.core.evidence import canonical
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.dial_records import OptOutSource, StoredOptOut
from callguard.store.times import to_ms

from .legs import CONTROLLERS, START, given, make_leg

NUMBER = "+390612345678"
LATER = START + timedelta(minutes=1)
LAST = START + timedelta(minutes=2)
KINDS: list[tuple[Scope, dict[str, Any]]] = [
    (Scope.ALL, {}),
    (Scope.MARKETING, {}),
    (Scope.PURPOSE, {"purpose": "marketing.calls"}),
    (Scope.CAMPAIGN, {"campaign": "spring"}),
]


async def scopes(store: Store) -> list[Scope]:
    return [one.scope for one in await store.opt_outs("acme", NUMBER, LAST)]


def proofs(database: Connection) -> list[dict[str, Any]]:
    rows = database.execute(
        "SELECT kind, at, controller, body FROM subject_evidence JOIN ledger USING (seq) ORDER BY seq"
    )
    bodies = []
    for kind, at, controller, text in rows:
        body = json.loads(text)
        assert canonical(body) == text.encode()
        assert len(bytes.fromhex(body["salt"])) == 16
        assert (body["kind"], body["at"], body["controller"]) == (kind, at, controller)
        # Whose it is can be taken away from the entry, which stays.
        assert "subject" not in body
        bodies.append(body)
    return bodies


@pytest.mark.parametrize(("scope", "what"), KINDS)
async def test_what_was_said_is_kept(store: Store, scope: Scope, what: dict[str, Any]) -> None:
    assert await store.opt_out("acme", NUMBER, scope, START, "request", reason="by letter", until=LAST, **what)
    kept = StoredOptOut(
        controller="acme",
        number=NUMBER,
        scope=scope,
        purpose=what.get("purpose"),
        campaign=what.get("campaign"),
        source="request",
        reason="by letter",
        since=START,
        until=LAST,
    )
    assert await store.opt_outs("acme", NUMBER, START) == (kept,)
    assert await store.opt_outs("acme", NUMBER, LAST) == ()
    assert await store.opt_outs("acme", NUMBER, START - timedelta(milliseconds=1)) == ()


@pytest.mark.parametrize(("scope", "what"), KINDS)
async def test_the_same_again_adds_nothing(
    store: Store, database: Connection, scope: Scope, what: dict[str, Any]
) -> None:
    assert await store.opt_out("acme", NUMBER, scope, START, "key", **what)
    before = list(database.iterdump())
    assert not await store.opt_out("acme", NUMBER, scope, LATER, "command", reason="again", **what)
    assert not await store.opt_out("acme", NUMBER, scope, LATER, "command", until=LAST, **what)
    assert list(database.iterdump()) == before


async def test_one_that_lasts_longer_is_something_new(store: Store) -> None:
    assert await store.opt_out("acme", NUMBER, Scope.ALL, START, "key", until=LATER)
    assert await store.opt_out("acme", NUMBER, Scope.ALL, START, "key", until=LAST)
    assert await store.opt_out("acme", NUMBER, Scope.ALL, START, "key")
    assert [one.until for one in await store.opt_outs("acme", NUMBER, START)] == [None, LAST, LATER]


async def test_different_ones_stand_beside_each_other_newest_first(store: Store) -> None:
    for second, (scope, what) in enumerate(KINDS):
        assert await store.opt_out("acme", NUMBER, scope, START + timedelta(seconds=second), "key", **what)
    assert await store.opt_out("acme", NUMBER, Scope.CAMPAIGN, LATER, "key", campaign="autumn")
    assert await scopes(store) == [Scope.CAMPAIGN, Scope.CAMPAIGN, Scope.PURPOSE, Scope.MARKETING, Scope.ALL]


@pytest.mark.parametrize(("scope", "what"), KINDS)
async def test_an_opt_in_ends_exactly_its_scope(store: Store, scope: Scope, what: dict[str, Any]) -> None:
    for one, its in KINDS:
        await store.opt_out("acme", NUMBER, one, START, "key", **its)
    await store.opt_out("acme", NUMBER, Scope.CAMPAIGN, START, "key", campaign="autumn")
    await store.opt_out("acme", NUMBER, Scope.PURPOSE, START, "key", purpose="survey.calls")
    before = await store.opt_outs("acme", NUMBER, LATER)
    assert await store.opt_in("acme", NUMBER, scope, LATER, "key", **what)
    ended = [one for one in before if one not in await store.opt_outs("acme", NUMBER, LATER)]
    assert [(one.scope, one.purpose, one.campaign) for one in ended] == [
        (scope, what.get("purpose"), what.get("campaign"))
    ]
    assert not await store.opt_in("acme", NUMBER, scope, LAST, "key", **what)


async def test_that_it_was_stays_known(store: Store) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    await store.opt_in("acme", NUMBER, Scope.MARKETING, LATER, "key")
    (was,) = await store.opt_outs("acme", NUMBER, START)
    assert was.until == LATER
    assert await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "key")
    assert len(await store.opt_outs("acme", NUMBER, LATER)) == 1


async def test_an_opt_in_does_not_end_what_was_said_after_it(store: Store) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "key")
    assert not await store.opt_in("acme", NUMBER, Scope.MARKETING, START, "import")
    assert await scopes(store) == [Scope.MARKETING]


async def test_who_never_opted_out_is_not_made_by_opting_in(store: Store, database: Connection) -> None:
    assert not await store.opt_in("acme", NUMBER, Scope.MARKETING, START, "command")
    assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (0,)


@pytest.mark.parametrize(("source", "ends"), [("typed_unverified", False), ("key", True), ("command", True)])
async def test_a_number_that_anybody_may_have_typed_undoes_nobodys_opt_out(
    store: Store, source: OptOutSource, ends: bool
) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    assert await store.opt_in("acme", NUMBER, Scope.MARKETING, LATER, source) is ends
    assert await scopes(store) == ([] if ends else [Scope.MARKETING])


async def test_what_was_typed_does_not_stand_in_for_the_subjects_own(store: Store) -> None:
    assert await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "typed_unverified")
    assert not await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "typed_unverified")
    assert await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "key")
    assert not await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "typed_unverified")
    assert await store.opt_in("acme", NUMBER, Scope.MARKETING, LATER, "typed_unverified")
    assert [one.source for one in await store.opt_outs("acme", NUMBER, LAST)] == ["key"]


async def test_an_opt_out_is_for_one_controller_and_one_number(store: Store) -> None:
    other = "+390698765432"
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "key")
    await store.opt_out("zeta", NUMBER, Scope.ALL, LATER, "key")
    await store.opt_out("acme", other, Scope.ALL, LAST, "key")

    async def seen(controller: str | None, number: str | None) -> list[tuple[str, str]]:
        return [(one.controller, one.number) for one in await store.opt_outs(controller, number, LAST)]

    assert await seen("acme", NUMBER) == [("acme", NUMBER)]
    assert await seen("zeta", other) == []
    assert await seen(None, NUMBER) == [("zeta", NUMBER), ("acme", NUMBER)]
    assert await seen("acme", None) == [("acme", other), ("acme", NUMBER)]
    assert await seen(None, None) == [("acme", other), ("zeta", NUMBER), ("acme", NUMBER)]


async def test_a_caller_and_who_opts_out_are_one_subject(store: Store, database: Connection) -> None:
    await store.save(make_leg(given()))
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (1,)


async def test_each_change_is_proved_without_number_and_without_words(store: Store, database: Connection) -> None:
    await store.opt_out(
        "acme", NUMBER, Scope.CAMPAIGN, START, "request", campaign="spring", reason="Ms Rossi", until=LAST
    )
    await store.opt_in("acme", NUMBER, Scope.CAMPAIGN, LATER, "command", campaign="spring")
    added, ended = proofs(database)
    (opt_out_id,) = database.execute("SELECT opt_out_id FROM opt_outs").fetchone()
    what = {"opt_out": opt_out_id, "scope": "campaign", "purpose": None, "campaign": "spring"}
    assert added.items() >= {**what, "kind": "optout.added", "source": "request", "until": to_ms(LAST)}.items()
    assert ended.items() >= {**what, "kind": "optout.ended", "source": "command", "at": to_ms(LATER)}.items()
    holding = {line.split('"')[1] for line in database.iterdump() if NUMBER[1:] in line or "Rossi" in line}
    assert holding == {"subjects", "opt_outs"}


@pytest.mark.parametrize("change", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
async def test_its_evidence_is_not_rewritten(store: Store, database: Connection, change: str) -> None:
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "key")
    with pytest.raises(IntegrityError, match="append-only"):
        database.execute(change.format("subject_evidence"))
    assert len(proofs(database)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"number": "0612345678"}, id="a national number"),
        pytest.param({"number": "anonymous"}, id="a word as a number"),
        pytest.param({"controller": "nobody"}, id="an unknown controller"),
        pytest.param({"until": START}, id="an end that is no later than the beginning"),
        pytest.param({"purpose": "marketing.calls"}, id="a purpose that the scope is not about"),
        pytest.param({"scope": Scope.PURPOSE}, id="a scope without its purpose"),
        pytest.param({"scope": Scope.CAMPAIGN, "purpose": "x"}, id="a scope with another's"),
    ],
)
async def test_what_makes_no_sense_is_refused_whole(
    store: Store, database: Connection, changes: dict[str, Any]
) -> None:
    before = list(database.iterdump())
    arguments: dict[str, Any] = {
        "controller": "acme",
        "number": NUMBER,
        "scope": Scope.ALL,
        "at": START,
        "source": "key",
    } | changes
    with pytest.raises(StoreError) as caught:
        await store.opt_out(**arguments)
    assert str(arguments["number"]) not in str(caught.value)
    assert list(database.iterdump()) == before


async def test_the_looks_before_a_dial_and_in_each_call_read_no_table_from_end_to_end(
    store: Store, database: Connection
) -> None:
    from callguard.store.columns import Columns
    from callguard.store.queries import sql

    Columns().register(database)
    for query in ("subject_of", "may_be_known", "known_of_number", "remembered"):
        parameters = {"controller": "acme", "subject_id": "x", "number": NUMBER, "at": 0, "since": 0}
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql(query)}", parameters)]
        # `one` and `whose` are the few that the question itself has found.
        assert [step for step in plan if step.startswith("SCAN") and step not in ("SCAN one", "SCAN whose")] == []


async def test_the_service_sees_at_once_what_a_command_keeps(path: Path, store: Store) -> None:
    async with Store.open(path, gate=None, controllers=CONTROLLERS) as command:
        await command.opt_out("acme", NUMBER, Scope.MARKETING, START, "command")
        assert await scopes(store) == [Scope.MARKETING]
        await command.opt_in("acme", NUMBER, Scope.MARKETING, LATER, "command")
        assert await scopes(store) == []


async def test_commands_and_service_write_at_once_and_nobody_is_fenced(path: Path, store: Store) -> None:
    legs = [make_leg(given()) for _ in range(20)]
    numbers = [f"+39061234{number:04d}" for number in range(6)]

    async def keep(number: str) -> bool:
        async with Store.open(path, gate=None, controllers=CONTROLLERS) as command:
            return await command.opt_out("acme", number, Scope.MARKETING, START, "command")

    results = await asyncio.gather(*map(store.save, legs), *map(keep, numbers))
    assert results == [None] * 20 + [True] * 6
    await store.save(make_leg(given()))
    assert {one.number for one in await store.opt_outs("acme", None, START)} == set(numbers)


async def test_the_same_opt_out_from_two_processes_is_kept_once(path: Path, store: Store) -> None:
    async with Store.open(path, gate=None, controllers=CONTROLLERS) as command:
        results = await asyncio.gather(
            *(one.opt_out("acme", NUMBER, Scope.ALL, START, "key") for one in (store, command) * 5)
        )
    assert sorted(results) == [False] * 9 + [True]
    assert await scopes(store) == [Scope.ALL]


async def test_a_clock_that_is_set_back_makes_no_opt_out_void(store: Store) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "key")
    await store.opt_out("acme", NUMBER, Scope.CAMPAIGN, START, "key", campaign="spring", until=LATER)
    assert [one.scope for one in (await store.known("acme", NUMBER, START, None)).opt_outs] == [
        Scope.MARKETING,
        Scope.CAMPAIGN,
    ]
    assert [one.scope for one in (await store.known("acme", NUMBER, LATER, None)).opt_outs] == [Scope.MARKETING]


async def test_what_a_dial_asks_is_told_newest_first(store: Store) -> None:
    for at, scope in ((START, Scope.ALL), (LATER, Scope.MARKETING)):
        await store.opt_out("acme", NUMBER, scope, at, "key")
    known = await store.known("acme", NUMBER, LATER, START - timedelta(days=1))
    assert [one.scope for one in known.opt_outs] == [Scope.MARKETING, Scope.ALL]
    assert known.refusals == (LATER, START)
