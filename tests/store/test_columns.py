"""Personal columns are encrypted: what is written, what is found, and who may open them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callguard.core.decide import Scope
from callguard.core.evidence import Value
from callguard.core.grants import Channel
from callguard.core.model import Basis
from callguard.errors import InputError, StoreError
from callguard.keys.fault import CannotOpen
from callguard.keys.master import MasterKey, Masters
from callguard.store import Store
from callguard.store.columns import MARK, UNREADABLE, Locked
from callguard.store.dial_records import DialRecord, NewGrant, NewOptOut
from callguard.store.reader import Reader

from .legs import CONTROLLERS, START, given, make_leg, refused

MASTERS = Masters(MasterKey.new())
NUMBER, OTHER, SHOWN, CALLED = "+491701234567", "+491707654321", "+493012345678", "+493087654321"
CALL, DIAL = "0192f0c1-0000-7000-8000-00000000000a", "0192f0c1-0000-7000-8000-00000000000b"
AGENT, REASON, PROOF = "Grete Muster", "rang Mrs Musterfrau back", "contract 4711 of Musterfrau"
IN_CLEAR = (NUMBER, OTHER, SHOWN, CALLED, AGENT, "Musterfrau")


def store_in(path: Path, masters: Masters | None = MASTERS, gate: str | None = "callguard") -> Any:
    return Store.open(path, gate=gate, controllers=CONTROLLERS, keys=lambda: masters)


def decision(number: str, call_id: str) -> DialRecord:
    facts: dict[str, Value] = {"calls": "marketing", "caller_id": {"number": SHOWN, "shown": True, "ours": True}}
    return DialRecord(call_id, "acme", number, "sales", START, True, (), facts)


async def filled(store: Store) -> str:
    """Something in each column that can hold a person's data. Returns: a leg's id."""
    leg = make_leg(given(), number=NUMBER, leg_id="leg", call_id=CALL)
    await store.save(leg)
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "agent", reason=REASON)
    await store.opt_out_all("acme", [NewOptOut(OTHER, Scope.ALL, reason=REASON)], START, "import")
    await store.grant_all("acme", [a_grant()], START, "import")
    await store.decided(decision(NUMBER, DIAL))
    await store.called(CALLED, START)
    await store.agent_grants_it(AGENT, "works-council-7", START)
    await store.hold(leg.call_id, REASON, START)
    await store.mark_unlawful(leg.call_id, REASON, START)
    await store.release(leg.call_id, REASON, START + timedelta(hours=1))
    return leg.leg_id


def a_grant(number: str = NUMBER) -> NewGrant:
    return NewGrant(number, "marketing.calls", Basis.CONSENT, Channel.PHONE, START, None, PROOF)


async def answers(store: Reader, leg_id: str) -> dict[str, object]:
    """What the store says of them."""
    now = START + timedelta(hours=2)
    known = await store.known("acme", NUMBER, now, START - timedelta(days=1))
    (subject,) = await store.subjects(None, NUMBER)
    dealt = await store.dealings(None, NUMBER)
    return {
        "known": (len(known.opt_outs), known.opt_outs[0].reason, known.opt_outs[0].number, known.attempts),
        "grant": (known.grants[0].evidence, known.grants[0].number, known.grants[0].ended),
        "of leg": await store.subject_of_leg(leg_id),
        "subject": (subject.number, len(subject.legs), subject.opt_outs[0].reason, subject.grants[0].evidence),
        "shown": subject.decisions[0].facts["caller_id"],
        "dealings": (len(dealt.decisions), len(dealt.legs), dealt.opt_outs[0].number),
        "called": (await store.last_called(CALLED), await store.last_called(OTHER)),
        "agents": tuple(one.name for one in await store.agent_grants()),
        "listed": {one.number for one in await store.opt_outs(None, None, now)},
        "of number": len(await store.opt_outs("acme", OTHER, now)),
        "grants": (len(await store.grants(None, NUMBER)), len(await store.grants(None, OTHER))),
        "replayed": [number async for _, number in store.each_decision(START - timedelta(days=1))],
        "allowed": await store.was_allowed(NUMBER, START, now),
        "nobody": await store.known("acme", "+491700000000", now, None),
    }


async def number_of(store: Reader, leg_id: str) -> str | None:
    subject = await store.subject_of_leg(leg_id)
    assert subject is not None
    return subject.number


def bytes_of(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in (path, path.with_name(path.name + "-wal")) if one.exists())


def found_in_clear(path: Path) -> list[str]:
    data = bytes_of(path)
    return [text for text in IN_CLEAR if text.encode() in data]


async def test_nothing_personal_stands_in_the_file_and_everything_is_answered_as_without_keys(path: Path) -> None:
    async with store_in(path.with_name("clear.db"), None) as clear:
        expected = await answers(clear, await filled(clear))
        assert found_in_clear(path.with_name("clear.db")) == list(IN_CLEAR)
    async with store_in(path) as store:
        leg_id = await filled(store)
        assert found_in_clear(path) == []
        assert await answers(store, leg_id) == expected
    assert found_in_clear(path) == []
    async with Reader.reading(path, lambda: MASTERS) as reader:
        assert await answers(reader, leg_id) == expected


async def test_a_number_is_one_subject_and_what_is_there_is_not_added_again(path: Path) -> None:
    async with store_in(path) as store:
        await filled(store)
        assert not await store.opt_out("acme", OTHER, Scope.ALL, START, "import")
        assert await store.opt_out_all("acme", [NewOptOut(OTHER, Scope.ALL)], START, "import") == 0
        assert await store.grant_all("acme", [a_grant()], START, "import") == 0
        assert not await store.agent_grants_it(AGENT, "works-council-7", START)
        assert await store.hold(CALL, REASON, START) == ("leg",)
        await store.save(make_leg(refused(), number=OTHER))
        assert (await store.remembered("acme", OTHER, START - timedelta(days=1))).refused
        assert await store.opt_in("acme", OTHER, Scope.ALL, START + timedelta(hours=1), "command")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*), COUNT(DISTINCT number) FROM subjects").fetchone() == (2, 2)
        assert database.execute("SELECT COUNT(*) FROM callbacks").fetchone() == (1,)


async def test_a_withheld_number_stays_nobody(path: Path) -> None:
    async with store_in(path) as store:
        await store.save(make_leg(given(), number=None))
        await store.save(make_leg(given(), number=None))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT number FROM subjects").fetchall() == [(None,), (None,)]


async def test_without_the_key_nothing_is_opened_and_the_gate_is_left_to_who_has_it(path: Path) -> None:
    async with store_in(path) as store:
        leg_id = await filled(store)
        with pytest.raises(InputError, match=r"callguard\.db: its numbers and names are encrypted.*\[keys\]"):
            async with store_in(path, None):
                pass
        with pytest.raises(CannotOpen, match="none of the master keys opens its key"):
            async with store_in(path, Masters(MasterKey.new())):
                pass
        with pytest.raises(InputError, match="are encrypted"):
            async with Reader.reading(path):
                pass
        await store.save(make_leg(given()))  # the gate is its own still
        assert await number_of(store, leg_id) == NUMBER
    async with Reader.reading(path, locked=True) as reader:  # the ledger is for everybody
        assert await number_of(reader, leg_id) == UNREADABLE
        assert len(await reader.calls(9)) == 2


async def test_a_value_that_was_changed_is_told_and_loses_nothing_else(path: Path) -> None:
    async with store_in(path) as store:
        leg_id = await filled(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        (was,) = database.execute("SELECT reason FROM opt_outs ORDER BY opt_out_id LIMIT 1").fetchone()
        assert was.startswith(MARK)
        for changed in (was[:-6] + "AAAA" + was[-2:], was[:9], MARK, MARK + "x" + was[3:], MARK + "sä"):
            database.execute("UPDATE opt_outs SET reason = ?", (changed,))
            async with Reader.reading(path, lambda: MASTERS) as reader:
                (subject,) = await reader.subjects("acme", NUMBER)
                assert (subject.number, subject.opt_outs[0].reason) == (NUMBER, UNREADABLE)
    assert leg_id


async def test_who_has_no_key_writes_nothing_from_the_moment_on_that_there_is_one(path: Path) -> None:
    async with store_in(path, None, gate="b") as other, store_in(path, None) as store:
        await filled(store)
        await store.use_keys(MASTERS)
        with pytest.raises(Locked, match=r"name the master key in \[keys\]"):
            await other.decided(decision(NUMBER, "another"))
        with pytest.raises(Locked):
            await other.opt_out_all("acme", [NewOptOut(NUMBER, Scope.MARKETING)], START, "import")
        await store.decided(decision(NUMBER, "mine"))
        await other.use_keys(MASTERS)
        await other.decided(decision(NUMBER, "another"))
        assert await store.count_decisions(START) == 3


async def test_keys_begin_beside_calls_and_none_is_lost(path: Path) -> None:
    async with store_in(path, None) as store:
        legs = [make_leg(given(), number=f"+4917012345{n:02}") for n in range(60)]
        saving = [asyncio.create_task(store.save(leg)) for leg in legs[:30]]
        async with asyncio.TaskGroup() as group:
            group.create_task(store.use_keys(MASTERS))
            for leg in legs[30:]:
                saving.append(group.create_task(store.save(leg)))
                await asyncio.sleep(0)
        await asyncio.gather(*saving)
        for leg in legs:
            assert await number_of(store, leg.leg_id) == leg.number
            await store.save(make_leg(refused(), number=leg.number))  # in the clear or not, they are one
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (60,)
    with pytest.raises(InputError):
        async with store_in(path, None):
            pass


async def test_a_reload_without_the_key_or_with_a_wrong_one_changes_nothing(path: Path) -> None:
    async with store_in(path) as store:
        await filled(store)
        with pytest.raises(InputError, match="are encrypted"):
            await store.use_keys(None)
        with pytest.raises(CannotOpen):
            await store.use_keys(Masters(MasterKey.new()))
        assert (await store.known("acme", NUMBER, START, None)).opt_outs[0].reason == REASON


async def test_a_new_master_key_wraps_the_data_keys_anew(path: Path) -> None:
    new = Masters(MasterKey.new(), [MASTERS.current])
    async with store_in(path) as store:
        leg_id = await filled(store)
    async with store_in(path, new) as store:
        await store.rewrap_data_keys([new.data_rewrapped(key) for key in await store.data_keys()])
        assert {key.master for key in await store.data_keys()} == {new.current.id}
    async with store_in(path, Masters(new.current)) as store:
        assert await number_of(store, leg_id) == NUMBER
    with pytest.raises(CannotOpen):
        async with store_in(path):
            pass


async def test_a_data_key_of_another_kind_or_store_is_none(path: Path) -> None:
    async with store_in(path) as store:
        await filled(store)
    shutil.copy(path, path.with_name("copy.db"))
    for change in (
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE kind = 'proof')",
        "DELETE FROM data_keys WHERE kind = 'index'",
    ):
        shutil.copy(path.with_name("copy.db"), path)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(change)
        with pytest.raises(CannotOpen, match="data key for"):
            async with store_in(path):
                pass


async def test_a_list_that_was_made_ready_before_the_keys_is_not_added(path: Path) -> None:
    async with store_in(path, None, gate="b") as other, store_in(path, None) as store:
        many = [NewOptOut(f"+49170{n:07}", Scope.ALL) for n in range(2000)]
        begun: list[asyncio.Task[None]] = []

        def tell(ready: int) -> None:
            if not begun:
                begun.append(asyncio.get_running_loop().create_task(store.use_keys(MASTERS)))

        with pytest.raises(StoreError):
            await other.opt_out_all("acme", many, START, "import", tell)
        await begun[0]
        assert await store.opt_outs(None, None, START) == ()
