"""Dial decisions: kept once for each call, proved, and without the number."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from sqlite3 import Connection
from typing import Any

import pytest

from callguard.core.decide import Facts, OptOut, Registered, Scope, decide
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.dial_records import DialRecord
from callguard.store.times import to_ms

from .legs import START
from .test_opt_outs import LATER, NUMBER, proofs

OPT_OUT = OptOut(Scope.MARKETING, None, None, START, LATER, "key")
REGISTERED = Registered("us", date(2026, 11, 20), 31, listed=False)
SEEN = Facts(NUMBER, "marketing", None, "spring", START, (OPT_OUT,), (REGISTERED,))


def dial(facts: Facts = SEEN, call_id: str = "call") -> DialRecord:
    return DialRecord.of(call_id, "acme", "sales", facts, decide(facts))


async def test_a_decision_is_what_was_decided_and_what_it_saw(store: Store, database: Connection) -> None:
    await store.decided(dial())
    (decision,) = await store.decisions(10)
    assert (decision.call_id, decision.controller, decision.profile, decision.at) == ("call", "acme", "sales", START)
    assert (decision.allow, decision.rules) == (False, ("optout.marketing",))
    assert decision.facts == {
        "calls": "marketing",
        "purpose": None,
        "campaign": "spring",
        "opt_outs": [
            {
                "scope": "marketing",
                "purpose": None,
                "campaign": None,
                "source": "key",
                "since": to_ms(START),
                "until": to_ms(LATER),
            }
        ],
        "registries": [{"registry": "us", "list_date": "2026-11-20", "max_age_days": 31, "listed": False}],
    }
    assert database.execute("SELECT subject_id, number FROM subjects").fetchall() == [(decision.subject_id, NUMBER)]


async def test_an_allowed_call_needs_no_rule(store: Store) -> None:
    await store.decided(dial(replace(SEEN, opt_outs=())))
    (decision,) = await store.decisions(10)
    assert (decision.allow, decision.rules) == (True, ())


async def test_a_decision_is_proved_and_names_no_number(store: Store, database: Connection) -> None:
    await store.decided(dial())
    (proof,) = proofs(database)
    (decision,) = await store.decisions(1)
    assert (proof["kind"], proof["decision"], proof["call"]) == ("dial.decided", decision.decision_id, "call")
    assert (proof["allow"], proof["rules"], proof["facts"]) == (False, ["optout.marketing"], decision.facts)
    holding = [line.split('"')[1] for line in database.iterdump() if NUMBER[1:] in line]
    assert holding == ["subjects"]


async def test_what_is_no_number_is_nobody(store: Store, database: Connection) -> None:
    await store.decided(dial(replace(SEEN, number=None, opt_outs=())))
    (decision,) = await store.decisions(1)
    assert (decision.subject_id, decision.rules) == (None, ("number.invalid",))
    assert database.execute("SELECT subject_id FROM subject_evidence").fetchall() == [(None,)]
    assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (0,)


async def test_a_call_is_decided_once(store: Store, database: Connection) -> None:
    await store.decided(dial())
    before = list(database.iterdump())
    await store.decided(dial())
    await store.decided(dial(replace(SEEN, number="+390698765432", opt_outs=())))
    assert list(database.iterdump()) == before


async def test_the_latest_decisions_come_first_and_no_more_than_asked(store: Store) -> None:
    for second in (1, 2, 0):
        await store.decided(dial(replace(SEEN, at=START + timedelta(seconds=second)), f"call {second}"))
    assert [decision.call_id for decision in await store.decisions(2)] == ["call 2", "call 1"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"number": "911"}, id="a number that is not E.164"),
        pytest.param({"controller": "nobody"}, id="an unknown controller"),
        pytest.param({"rules": ()}, id="denied by no rule"),
        pytest.param({"facts": {"share": 0.5}}, id="a fact that has no canonical form"),
    ],
)
async def test_what_makes_no_sense_is_refused_whole(
    store: Store, database: Connection, changes: dict[str, Any]
) -> None:
    before = list(database.iterdump())
    with pytest.raises(StoreError):
        await store.decided(replace(dial(), **changes))
    assert list(database.iterdump()) == before


async def test_facts_are_kept_in_their_canonical_form(store: Store, database: Connection) -> None:
    await store.decided(replace(dial(), facts={"b": 1, "a": "ñ"}))
    (text,) = database.execute("SELECT facts FROM decisions").fetchone()
    assert text == '{"a":"ñ","b":1}'
    assert json.loads(text) == (await store.decisions(1))[0].facts
