"""The one writer: groups, faults, fences, locks, cancellation, and death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import Connection

import pytest

from callguard.core.decide import Scope
from callguard.errors import StoreError
from callguard.store import Fenced, Store
from callguard.store.records import LegRecord
from callguard.store.writer import Damaged

from .legs import CONTROLLERS, QUALITY, given, make_leg
from .test_decisions import dial
from .test_recordings import END, kept

ROOT = Path(__file__).parents[2]
PACKAGE = __package__ or ""
LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def commits(path: Path) -> int:
    """Transactions in the write-ahead log: frames that end one name the size of the database (sqlite.org/walformat)."""
    log = path.with_name(path.name + "-wal").read_bytes()
    frames = range(32, len(log), 24 + int.from_bytes(log[8:12]))
    return sum(
        int.from_bytes(log[frame + 4 : frame + 8]) != 0 for frame in frames if log[16:24] == log[frame + 8 :][:8]
    )


def saved(database: Connection) -> set[str]:
    """The legs that are there, each whole."""
    whole = """
        SELECT leg_id FROM legs JOIN subjects USING (subject_id)
        WHERE leg_id IN (SELECT leg_id FROM grants) AND leg_id IN (SELECT leg_id FROM evidence)
    """
    legs = {leg_id for (leg_id,) in database.execute("SELECT leg_id FROM legs")}
    assert legs == {leg_id for (leg_id,) in database.execute(whole)}
    for table in ("grants", "evidence"):
        assert legs == {leg_id for (leg_id,) in database.execute(f"SELECT leg_id FROM {table}")}
    return legs


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another process holds the database's write lock."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKER, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def writing_begins() -> None:
    """The writer takes what has come; where the database is locked, it is then in the middle of a group."""
    for _ in range(5):
        await asyncio.sleep(0)


async def save_all(store: Store, legs: list[LegRecord]) -> list[BaseException | None]:
    return await asyncio.gather(*map(store.save, legs), return_exceptions=True)


async def test_what_waits_together_is_committed_together(store: Store, path: Path, database: Connection) -> None:
    legs = [make_leg(given()) for _ in range(100)]
    before = commits(path)
    assert await save_all(store, legs) == [None] * 100
    assert commits(path) - before <= 2
    assert saved(database) == {leg.leg_id for leg in legs}


async def test_calls_one_after_the_other_share_no_commit(store: Store, path: Path) -> None:
    before = commits(path)
    for _ in range(3):
        await store.save(make_leg(given()))
    assert commits(path) - before == 3


async def test_a_bad_record_harms_nobody_else(store: Store, database: Connection) -> None:
    legs = [make_leg(given()) for _ in range(20)]
    for bad in (0, 7, 8, 19):
        legs[bad] = make_leg(given(), controller="nobody")
    results = await save_all(store, legs)
    assert [index for index, result in enumerate(results) if isinstance(result, StoreError)] == [0, 7, 8, 19]
    assert saved(database) == {leg.leg_id for leg, result in zip(legs, results, strict=True) if result is None}
    assert len(saved(database)) == 16


async def test_a_bad_action_harms_nobody_else(store: Store) -> None:
    leg, late = make_leg(given()), make_leg(given())
    await store.save(leg)
    results = await asyncio.gather(
        store.recording_kept(leg.leg_id, kept(leg), None),
        store.recording_kept("no such leg", kept(leg), None),
        store.save(late),
        store.recording_absent(late.leg_id, END),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StoreError, type(None), type(None)]
    assert [recording.leg_id for recording in await store.recordings(10)] == [leg.leg_id]
    assert await store.expected_recordings() == ()


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_a_cancelled_caller_leaves_its_leg_whole_or_not_at_all(
    store: Store, database: Connection, turns: int
) -> None:
    legs = [make_leg(given()) for _ in range(30)]
    tasks = [asyncio.create_task(store.save(leg)) for leg in legs]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [None] * 15
    await store.save(make_leg(given()))
    assert saved(database).issuperset(leg.leg_id for leg, result in zip(legs, results, strict=True) if result is None)


async def test_who_gives_up_before_the_turn_comes_is_not_written(
    path: Path, store: Store, database: Connection
) -> None:
    async with locked(path):
        first = asyncio.create_task(store.save(make_leg(given())))
        await writing_begins()
        second = asyncio.create_task(store.save(make_leg(given())))
        await asyncio.sleep(0)
        second.cancel()
    await first
    await store.save(make_leg(given()))
    assert second.cancelled()
    assert len(saved(database)) == 2


async def test_closing_writes_what_came_while_a_group_was_written(path: Path) -> None:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store, locked(path):
        saving = [asyncio.create_task(store.save(make_leg(given())))]
        await writing_begins()
        saving.append(asyncio.create_task(store.save(make_leg(given()))))
        await asyncio.sleep(0)
    assert await asyncio.gather(*saving) == [None, None]


async def test_closing_writes_what_waits(path: Path) -> None:
    legs = [make_leg(given()) for _ in range(5)]
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        first = asyncio.create_task(store.save(legs[0]))
        await first
        tasks = [asyncio.create_task(store.save(leg)) for leg in legs[1:]]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [None] * 4
    with pytest.raises(StoreError, match="closed"):
        await store.save(make_leg(given()))
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        assert {leg.leg_id for leg in await store.calls(10)} == {leg.leg_id for leg in legs}


@asynccontextmanager
async def leaving(path: Path, leg: LegRecord) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Task[None]]]:
    """A task that is leaving a locked store, and another that still waits for its leg to be saved there."""
    opened: asyncio.Future[Store] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def serve() -> None:
        async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
            opened.set_result(store)
            await leave.wait()

    service = asyncio.create_task(serve())
    store = await opened
    async with locked(path):
        saving = asyncio.create_task(store.save(leg))
        await asyncio.sleep(0)
        leave.set()
        await asyncio.sleep(0)
        yield service, saving


async def test_a_close_that_is_cancelled_still_answers_those_who_wait(path: Path) -> None:
    async with leaving(path, make_leg(given())) as (service, saving):
        service.cancel()
        with pytest.raises(StoreError, match="locked"):
            await saving
        with pytest.raises(asyncio.CancelledError):
            await service


async def test_a_close_that_is_cancelled_twice_promises_nothing(path: Path) -> None:
    async with leaving(path, make_leg(given())) as (service, saving):
        service.cancel()
        await asyncio.sleep(0)
        service.cancel()
        for task in (saving, service):
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("another", [False, True], ids=["removed", "another in its place"])
async def test_a_file_that_is_gone_keeps_nothing_and_says_so(path: Path, store: Store, another: bool) -> None:
    await store.save(make_leg(given()))
    path.rename(path.with_name("moved"))
    if another:
        path.touch()
    for attempt in (store.save(make_leg(given())), store.opt_out("acme", "+390612345678", Scope.ALL, END, "key")):
        with pytest.raises(StoreError, match="removed or replaced"):
            await attempt


async def test_a_process_that_was_replaced_writes_nothing(path: Path, store: Store, database: Connection) -> None:
    leg = make_leg(given())
    await store.save(leg)
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as newer:
        before = list(database.iterdump())
        for attempt in (
            store.save(make_leg(given())),
            store.withdraw(leg.leg_id, END, "key"),
            store.recording_kept(leg.leg_id, kept(leg), None),
            store.recording_absent(leg.leg_id, END),
            store.recording_destroyed(leg.leg_id, END, "withdrawn"),
            store.destroy_by(leg.leg_id, END),
            store.agree(leg.leg_id, END, (QUALITY,), "1", "file"),
            store.opt_out("acme", "+390612345678", Scope.ALL, END, "key"),
            store.opt_in("acme", "+390612345678", Scope.ALL, END, "key"),
            store.decided(dial()),
        ):
            with pytest.raises(Fenced):
                await attempt
        assert list(database.iterdump()) == before
        await newer.save(make_leg(given()))
    with pytest.raises(Fenced):
        await store.save(make_leg(given()))
    assert len(saved(database)) == 2


async def test_a_group_that_is_fenced_is_fenced_whole(path: Path, store: Store, database: Connection) -> None:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS):
        results = await save_all(store, [make_leg(given()) for _ in range(10)])
    assert [type(result) for result in results] == [Fenced] * 10
    assert saved(database) == set()


async def test_gates_of_other_names_do_not_disturb_each_other(path: Path, store: Store) -> None:
    mine, theirs = make_leg(given()), make_leg(given())
    async with Store.open(path, gate="callguard-2", controllers=CONTROLLERS) as other:
        await asyncio.gather(store.save(mine), other.save(theirs))
        assert await store.outcome(theirs.channel, theirs.linkedid) is not None
        assert await other.outcome(mine.channel, mine.linkedid) is not None


async def test_a_locked_database_is_given_up_in_time_and_used_again_later(
    path: Path, store: Store, database: Connection
) -> None:
    async with locked(path):
        start = time.monotonic()
        results = await save_all(store, [make_leg(given()) for _ in range(10)])
        waited = time.monotonic() - start
    assert all(isinstance(result, StoreError) and "locked" in str(result) for result in results)
    assert 0.9 < waited < 2.5
    assert saved(database) == set()
    leg = make_leg(given())
    await store.save(leg)
    assert saved(database) == {leg.leg_id}


async def test_a_locked_database_can_be_read(path: Path, store: Store) -> None:
    leg = make_leg(given())
    await store.save(leg)
    async with locked(path):
        assert await store.outcome(leg.channel, leg.linkedid) is not None


async def test_a_locked_database_cannot_be_opened(path: Path, store: Store) -> None:
    async with locked(path):
        with pytest.raises(StoreError, match="another program has locked it"):
            async with Store.open(path, gate="callguard", controllers=CONTROLLERS):
                pass
    await store.save(make_leg(given()))


async def test_what_was_saved_survives_a_kill(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{PACKAGE}.saver", path, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    printed = [await process.stdout.readline() for _ in range(100)]
    os.kill(process.pid, signal.SIGKILL)
    printed += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    promised = {line.decode().strip() for line in printed if line.endswith(b"\n")}
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        there = {leg.leg_id for leg in await store.calls(100_000)}
    assert len(promised) >= 100
    assert promised <= there


async def test_a_damaged_file_is_written_to_no_more(path: Path, store: Store, database: Connection) -> None:
    await store.save(make_leg(given()))
    database.execute("PRAGMA user_version = 1")  # nobody goes on with pages that were read before
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (len(whole) - 4_096))
    with pytest.raises(Damaged, match=r"damaged \(.*\): stop callguard, put a backup"):
        await store.save(make_leg(given()))
    path.write_bytes(whole)
    results = await save_all(store, [make_leg(given()) for _ in range(3)])
    assert [type(result) for result in results] == [Damaged] * 3
    with pytest.raises(Damaged):
        await store.writable()
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as again:
        await again.save(make_leg(given()))
    assert len(saved(database)) == 2


async def test_whether_it_can_be_written_is_found_by_writing(store: Store, database: Connection) -> None:
    before = list(database.iterdump())
    ((version,),) = database.execute("PRAGMA data_version")
    await store.writable()
    ((after,),) = database.execute("PRAGMA data_version")
    assert after != version
    assert list(database.iterdump()) == before
