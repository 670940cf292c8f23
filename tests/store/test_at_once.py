"""What is asked before each dial is answered at once, as anybody left it a moment ago; what would take long is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import Connection, connect
from typing import Any

import pytest

from callguard.core.decide import Scope
from callguard.errors import InputError, StoreError
from callguard.store import Store
from callguard.store.at_once import AtOnce, open_at_once
from callguard.store.reader import Reader
from callguard.store.times import to_ms

from .legs import CONTROLLERS, START
from .test_opt_outs import LATER, NUMBER

OURS = "+390612345600"
LONG_AGO = START - timedelta(days=30)


def at_once(asked: Coroutine[Any, Any, Any]) -> Any:
    """What it comes to without giving anybody else a turn."""
    with pytest.raises(StopIteration) as ended:
        asked.send(None)
    return ended.value.value


async def test_who_asks_before_a_dial_waits_for_no_other_thread(store: Store) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    await store.called(OURS, START)
    assert [one.scope for one in at_once(store.known("acme", NUMBER, LATER, LONG_AGO)).opt_outs] == [Scope.MARKETING]
    assert at_once(store.last_called(OURS)) == START


async def test_what_another_callguard_keeps_on_the_same_store_is_seen_by_the_next_question(
    path: Path, store: Store
) -> None:
    async with Store.open(path, gate="another", controllers=CONTROLLERS) as other:
        for writes, reads in ((store, other), (other, store)):
            assert at_once(reads.known("acme", NUMBER, LATER, None)).opt_outs == ()
            await writes.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
            (one,) = at_once(reads.known("acme", NUMBER, LATER, None)).opt_outs
            assert one.scope == Scope.MARKETING
            await writes.opt_in("acme", NUMBER, Scope.MARKETING, START + timedelta(seconds=1), "key")


async def test_a_number_that_was_called_too_often_holds_nobody_up_and_is_answered_the_same(
    path: Path, store: Store, database: Connection
) -> None:
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    ((subject,),) = database.execute("SELECT subject_id FROM subjects")
    facts = json.dumps({"calls": "marketing"})
    rows = [(str(n), "acme", subject, "sales", to_ms(START) + n, 1, "", facts) for n in range(2_000)]
    database.executemany("INSERT INTO decisions VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", rows)
    asked = asyncio.create_task(store.known("acme", NUMBER, LATER, LONG_AGO))
    await asyncio.sleep(0)
    assert not asked.done()
    found = await asked
    assert (len(found.opt_outs), len(found.attempts)) == (1, 2_000)
    async with Reader.reading(path) as reader:
        assert await reader.known("acme", NUMBER, LATER, LONG_AGO) == found
    # A question is as long as it is, however many were asked before it.
    for _ in range(300):
        assert len(at_once(store.known("acme", NUMBER, LATER, None)).opt_outs) == 1


def test_who_would_have_to_wait_for_a_lock_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "locked.db"
    with closing(connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE kept (what TEXT)")
        with open_at_once(file) as asked:
            assert [row["name"] for row in asked.fetch("tables") or ()] == ["kept"]
            other.execute("BEGIN EXCLUSIVE")
            assert asked.fetch("tables") is None
            other.execute("ROLLBACK")
            assert asked.fetch("tables") is not None


async def test_what_cannot_be_read_is_an_error_and_no_answer(path: Path) -> None:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        pass
    with pytest.raises(StoreError, match="the store cannot be read"):
        await store.known("acme", NUMBER, START, None)
    with pytest.raises(InputError, match="there is no store yet"), open_at_once(path.with_name("none.db")):
        pass


def test_nothing_can_be_written_by_it(path: Path) -> None:
    with closing(connect(path)) as made:
        made.execute("CREATE TABLE gates (app TEXT, epoch BIGINT)")
    with open_at_once(path) as asked, pytest.raises(Exception, match="readonly"):
        asked.fetch("move_epochs", by=1)


def test_steps_are_counted_for_each_question_alone() -> None:
    with closing(connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE kept (what TEXT)")
        asked = AtOnce(connection, steps=50)
        assert all(asked.fetch("tables") for _ in range(100))
    with closing(connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("".join(f"CREATE TABLE kept_{n} (what TEXT);" for n in range(50)))
        asked = AtOnce(connection, steps=50)
        assert asked.fetch("tables") is None
