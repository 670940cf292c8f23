"""Opt-outs of blocks: each number in one is opted out, and no other; none of it is in the ledger."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from sqlite3 import Connection, connect

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callguard.core.blocks import Block
from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.columns import Columns
from callguard.store.dial_records import NewGrant, NewOptOut
from callguard.store.queries import sql
from tests.core.test_blocks import BLOCKS, NUMBERS

from .legs import CONTROLLERS, START
from .test_at_once import at_once
from .test_opt_outs import LAST, LATER, NUMBER, proofs

COMPANY, RANGE, ELSEWHERE = "+390612345*", "+390612345000-+390612345999", "+390612346000"
FORM = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START - timedelta(days=1), None, "form 17")


@asynccontextmanager
async def a_store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        async with Store.open(Path(folder) / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
            yield store


# A number that is as long as the one prefix and shorter than the other.
@example([Block("+4900"), Block("+49000")], ["+4900"])
@settings(max_examples=40, deadline=None)
@given(st.lists(BLOCKS, unique_by=str, max_size=30), st.lists(NUMBERS, min_size=1, max_size=30))
def test_a_number_is_opted_out_just_where_a_block_covers_it(blocks: Sequence[Block], numbers: Sequence[str]) -> None:
    """However blocks nest and overlap, and in whichever way they were added and are asked for."""

    async def ask() -> None:
        async with a_store() as store:
            half = len(blocks) // 2
            await store.opt_out_all("acme", [NewOptOut(str(one), Scope.ALL) for one in blocks[:half]], START, "import")
            for one in blocks[half:]:
                await store.opt_out("acme", str(one), Scope.ALL, START, "command")
            for number in numbers:
                expected = sorted(str(one) for one in blocks if one.covers(number))
                known = await store.known("acme", number, LATER, None)
                assert sorted(one.number for one in known.opt_outs) == expected
                for controller in ("acme", None):
                    assert sorted(one.number for one in await store.opt_outs(controller, number, LATER)) == expected
                    assert sorted(one.number for one in await store.opt_outs_ever(controller, number)) == expected
                assert (await store.known("zeta", number, LATER, None)).opt_outs == ()

    asyncio.run(ask())


@pytest.mark.parametrize("block", [COMPANY, RANGE])
async def test_a_block_is_kept_proved_and_ended_as_a_number_is(store: Store, database: Connection, block: str) -> None:
    until = LAST + timedelta(days=1)
    opt_out = partial(store.opt_out, purpose="marketing.calls", reason="by letter", until=until)
    assert await opt_out("acme", block, Scope.PURPOSE, START, "request")
    assert not await opt_out("acme", block, Scope.PURPOSE, START, "request")
    (one,) = await store.opt_outs("acme", NUMBER, START)
    assert (one.number, one.block, one.reason, one.until) == (block, Block.of(block), "by letter", until)
    assert await store.opt_in("acme", block, Scope.PURPOSE, LATER, "command", purpose="marketing.calls")
    assert await store.opt_outs("acme", NUMBER, LATER) == ()
    assert [one["kind"] for one in proofs(database)] == ["optout.added", "optout.ended"]


async def test_no_number_of_a_block_is_in_the_ledger_nor_in_a_decision(store: Store, path: Path) -> None:
    await store.opt_out_all("acme", [NewOptOut(COMPANY, Scope.ALL), NewOptOut(RANGE, Scope.ALL)], START, "import")
    await store.opt_out("acme", "+3906123456-+3906123499", Scope.ALL, START, "command")
    with connect(path) as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM ledger")]
    assert len(bodies) == 3
    for body in bodies:
        said = json.loads(body)
        assert said.keys() == {
            "format", "kind", "at", "salt", "controller", "opt_out", "source", "until", "scope", "purpose", "campaign",
        }  # fmt: skip
        assert "3906123" not in "".join(str(value) for name, value in said.items() if name not in ("salt", "opt_out"))


async def test_whoever_opts_out_alone_is_not_opted_in_with_the_block_and_the_other_way_round(store: Store) -> None:
    await store.opt_out("acme", COMPANY, Scope.MARKETING, START, "command")
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    assert await store.opt_in("acme", NUMBER, Scope.MARKETING, LATER, "command")
    assert not await store.opt_in("acme", NUMBER, Scope.MARKETING, LATER, "command")
    assert [one.number for one in await store.opt_outs("acme", NUMBER, LATER)] == [COMPANY]
    await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, "key")
    assert await store.opt_in("acme", COMPANY, Scope.MARKETING, LAST, "command")
    assert [one.number for one in await store.opt_outs("acme", NUMBER, LAST)] == [NUMBER]


async def test_a_block_ends_what_was_granted_before_it_and_is_a_refusal(store: Store) -> None:
    await store.grant_all("acme", [FORM], START, "import")
    long_ago = START - timedelta(days=30)

    async def state() -> set[GrantState]:
        """By every way in which it is asked."""
        known = await store.known("acme", NUMBER, LAST, long_ago)
        listed = *await store.grants_of("acme", NUMBER), *await store.grants("acme", None), *known.grants
        (told,) = await store.subjects("acme", NUMBER)
        return {one.state(LAST) for one in (*listed, *told.grants)}

    assert await state() == {GrantState.GIVEN}
    await store.opt_out("acme", RANGE, Scope.MARKETING, START, "command")
    assert await state() == {GrantState.WITHDRAWN}
    await store.opt_in("acme", RANGE, Scope.MARKETING, LATER, "command")
    assert await state() == {GrantState.WITHDRAWN}
    assert (await store.known("acme", NUMBER, LAST, long_ago)).refusals == (START,)
    assert await store.looked_back("acme", NUMBER, long_ago) == ((), (START,))
    await store.opt_out("acme", COMPANY, Scope.MARKETING, LATER, "command")
    await store.opt_in("acme", COMPANY, Scope.MARKETING, LAST, "command", mistake=True)
    assert (await store.known("acme", NUMBER, LAST, long_ago)).refusals == (START,)


async def test_blocks_are_asked_in_the_loop_too_and_by_index(store: Store, database: Connection) -> None:
    blocks = [NewOptOut(f"+39061{number:04}*", Scope.ALL) for number in range(2_000)]
    blocks += [NewOptOut(f"+3906{number:06}-+3906{number + 17:06}", Scope.ALL) for number in range(0, 9_000, 9)]
    await store.opt_out_all("acme", [*blocks, NewOptOut(COMPANY, Scope.ALL)], START, "import")
    (one,) = at_once(store.known("acme", NUMBER, LATER, START)).opt_outs
    assert one.number == COMPANY
    assert at_once(store.known("acme", ELSEWHERE, LATER, START)).opt_outs == ()
    Columns().register(database)
    plan = database.execute(
        f"EXPLAIN QUERY PLAN {sql('known_of_number')}", {"controller": "acme", "number": NUMBER, "at": 0, "since": 0}
    )
    assert [row[3] for row in plan if " b " in row[3]] == [
        "SEARCH b USING INDEX sqlite_autoindex_block_prefixes_1 (controller=? AND prefix=?)"
    ]


@pytest.mark.parametrize("number", ["+39061*2", "*", "+3906123-+3906123", "+3907-+3906", "0612345*"])
async def test_what_is_neither_a_number_nor_a_block_is_refused(store: Store, number: str) -> None:
    for add in (
        store.opt_out("acme", number, Scope.ALL, START, "command"),
        store.opt_out_all("acme", [NewOptOut(number, Scope.ALL)], START, "command"),
    ):
        with pytest.raises(StoreError) as refused:
            await add
        assert number not in str(refused.value)


async def test_a_grant_is_of_no_block(store: Store) -> None:
    with pytest.raises(StoreError, match="is not E\\.164"):
        await store.grant_all(
            "acme", [NewGrant(COMPANY, "x", Basis.CONSENT, Channel.PAPER, START, None, "y")], LATER, "import"
        )
