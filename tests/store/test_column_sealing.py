"""What was in the store before there were keys is encrypted beside the calls, wherever that is broken off."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from callguard.column_sealing import ColumnSealing
from callguard.core.decide import Scope
from callguard.errors import StoreError
from callguard.store import column_sealing
from callguard.store.columns import MARK
from callguard.store.dial_records import NewOptOut
from callguard.store.reader import Reader

from .legs import START, given, make_leg, refused
from .test_columns import MASTERS, NUMBER, OTHER, REASON, answers, filled, found_in_clear, store_in

MANY = [NewOptOut(f"+49172{n * 7919 % 10**7:07}", Scope.ALL, reason=f"{REASON} {n}") for n in range(3000)]


async def in_the_clear(path: Path, others: int = 0) -> tuple[str, dict[str, object]]:
    """A store from before there were keys. Returns: a leg, and what is answered of it."""
    async with store_in(path, None) as store:
        leg_id = await filled(store)
        await store.opt_out_all("acme", MANY[:others], START, "import")
        await store.opt_out_all("zeta", MANY[:others], START, "import")
        answered = await answers(store, leg_id)
    assert found_in_clear(path)
    return leg_id, answered


async def test_nothing_of_it_is_left_in_the_file_and_everything_is_answered_as_before(path: Path) -> None:
    leg_id, expected = await in_the_clear(path, 3000)
    async with store_in(path) as store:
        assert await answers(store, leg_id) == expected
        assert await store.clear_columns() == 6000 * 2 + 11
        await ColumnSealing(store).look()
        assert (await store.columns_to_seal(), await store.clear_columns()) == ((), 0)
        assert found_in_clear(path) == []
        assert b"+49172" not in path.read_bytes()
        assert await answers(store, leg_id) == expected
    assert found_in_clear(path) == []
    with closing(sqlite3.connect(path)) as database:
        for query in ("SELECT number FROM subjects", "SELECT name FROM agents", "SELECT number FROM callbacks"):
            assert all(text.startswith(MARK) for (text,) in database.execute(query))
        assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (6002,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("most", [1, 2])
async def test_it_goes_on_where_it_was_broken_off(path: Path, most: int) -> None:
    """A copy of the files at any moment is what a crash leaves."""
    leg_id, expected = await in_the_clear(path)
    number, step, left = path.with_name("copy.db"), 0, True
    async with store_in(path) as store:
        while left:
            left = await store.seal_columns(most)
            for end in ("", "-wal"):
                shutil.copy(path.with_name(path.name + end), number.with_name(number.name + end))
            async with store_in(number) as copy:
                assert await answers(copy, leg_id) == expected, step
                await ColumnSealing(copy).look()
                assert await answers(copy, leg_id) == expected, step
                assert await copy.clear_columns() == 0
            assert found_in_clear(number) == []
            step += 1
    assert step > 9


async def test_calls_go_on_meanwhile_and_a_person_stays_one(path: Path) -> None:
    await in_the_clear(path, 200)
    async with store_in(path) as store:
        for n, one in enumerate(MANY[:200]):
            await store.seal_columns(3)
            await store.save(make_leg(refused(), number=one.number, started_at=START, saved_at=START))
            assert (await store.remembered("acme", one.number, START - timedelta(days=1))).refused, n
            assert not await store.opt_out("acme", one.number, Scope.ALL, START, "import"), n
            if n % 10 == 0:
                (subject,) = await store.subjects("acme", one.number)
                assert (subject.number, len(subject.legs)) == (one.number, 1)
        await store.called("+493087654321", START + timedelta(days=1))
        await ColumnSealing(store).look()
        assert await store.last_called("+493087654321") == START + timedelta(days=1)
        assert await store.clear_columns() == 0
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*) FROM subjects WHERE controller = 'acme'").fetchone() == (202,)


async def test_rows_that_were_moved_meanwhile_are_found(path: Path) -> None:
    await in_the_clear(path, 300)
    async with store_in(path) as store:
        for _ in range(3):
            await store.seal_columns(100)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE columns_to_seal SET done = last")  # as if a row had been moved to before it
        await ColumnSealing(store).look()
        assert await store.columns_to_seal()
        await ColumnSealing(store).look()
        assert (await store.columns_to_seal(), await store.clear_columns()) == ((), 0)


async def test_a_large_store_is_rewritten_by_the_command_and_by_nobody_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_the_clear(path, 300)
    monkeypatch.setattr(column_sealing, "AT_ONCE_BYTES", 0)
    async with store_in(path) as store:
        assert not await store.clean()
        await ColumnSealing(store).look()
        assert await store.columns_to_seal() == (column_sealing.PAGES,)
        await ColumnSealing(store).look()
    async with store_in(path, gate=None) as command:
        assert await command.clean()
        assert await command.columns_to_seal() == ()
        assert await command.clean()
    assert found_in_clear(path) == []


async def test_the_database_is_made_anew_when_nobody_is_in_the_gate(path: Path) -> None:
    await in_the_clear(path)
    asked, empty = asyncio.Event(), asyncio.Event()

    async def nobody_calls() -> None:
        asked.set()
        await empty.wait()

    async with store_in(path) as store, asyncio.TaskGroup() as group:
        looking = group.create_task(ColumnSealing(store, nobody_calls).look())
        await asked.wait()
        assert (await store.columns_to_seal(), looking.done()) == ((column_sealing.PAGES,), False)
        empty.set()
        await looking
        assert await store.columns_to_seal() == ()


async def test_who_reads_just_now_is_waited_for(path: Path) -> None:
    await in_the_clear(path)
    async with store_in(path) as store:
        while await store.seal_columns(100):
            pass
        with closing(sqlite3.connect(path, isolation_level=None)) as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT COUNT(*) FROM subjects").fetchall()
            with pytest.raises(StoreError, match="another program"):
                await store.columns_sealed()
            assert await store.columns_to_seal() == (column_sealing.PAGES,)
        assert await store.columns_sealed()


async def test_without_keys_nothing_is_sealed(path: Path) -> None:
    leg_id, expected = await in_the_clear(path)
    async with store_in(path, None) as store:
        await ColumnSealing(store).look()
        assert not await store.seal_columns(100)
    async with store_in(path, gate=None) as command:  # a command begins nothing: the service may not have the keys yet
        assert await answers(command, leg_id) == expected
        assert await command.data_keys() == ()
    assert found_in_clear(path)


async def test_keys_that_come_with_a_reload_seal_what_is_there(path: Path) -> None:
    leg_id, expected = await in_the_clear(path)
    async with store_in(path, None) as store:
        work = ColumnSealing(store)
        await store.use_keys(MASTERS)
        await store.save(make_leg(given(), number=OTHER))
        await work.look()
        assert (await store.clear_columns(), found_in_clear(path)) == (0, [])
        assert await answers(store, leg_id) == expected
    async with Reader.reading(path, lambda: MASTERS) as reader:
        assert (await reader.subjects(None, NUMBER))[0].number == NUMBER
