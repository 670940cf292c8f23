"""Grants beside any call: kept once and for good, ended by what is said later, proved without a number."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any

import pytest

from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.dial_records import NewEnding, NewGrant, OptOutSource, StoredGrant
from callguard.store.staged import ATTEMPTS
from callguard.store.times import to_ms

from .legs import START
from .test_opt_outs import proofs

NUMBER, OTHER = "+390612345678", "+390612345679"
DAY = timedelta(days=1)
LATER = START + timedelta(minutes=1)
LAST = START + timedelta(minutes=2)
PURPOSE = "marketing.calls"
FORM = NewGrant(NUMBER, PURPOSE, Basis.CONSENT, Channel.PAPER, START - DAY, START + DAY, "form 17")
CONTRACT = NewGrant(NUMBER, "contract.calls", Basis.CONTRACT, Channel.CONTRACT, START - DAY, None, "K-1042")
WITHDRAWN = NewEnding(NUMBER, GrantState.WITHDRAWN, PURPOSE, "withdrawn")
REASSIGNED = NewEnding(NUMBER, GrantState.SUSPENDED, None, "reassigned")


async def states(store: Store, at: datetime = LAST) -> dict[str, GrantState]:
    return {one.purpose: one.state(at) for one in await store.grants_of("acme", NUMBER)}


async def test_what_was_granted_is_kept(store: Store) -> None:
    assert await store.grant_all("acme", [FORM], START, "import") == 1
    kept = StoredGrant(
        PURPOSE, Basis.CONSENT, Channel.PAPER, START - DAY, START + DAY, "form 17",
        controller="acme", number=NUMBER, source="import",
    )  # fmt: skip
    assert await store.grants_of("acme", NUMBER) == (kept,)
    assert await store.grants(None, None) == await store.grants("acme", NUMBER) == (kept,)
    assert await store.grants_of("zeta", NUMBER) == await store.grants("zeta", None) == ()
    assert await store.grants_of("acme", OTHER) == ()


async def test_it_is_proved_without_a_number_and_without_the_reference(store: Store, database: Connection) -> None:
    await store.grant_all("acme", [FORM], START, "import")
    await store.grant_all("acme", [REASSIGNED], LATER, "command")
    given, ending = proofs(database)
    ((grant_id,),) = database.execute("SELECT subject_grant_id FROM subject_grants")
    assert given.items() >= {
        "kind": "grant.given", "grant": grant_id, "purpose": PURPOSE, "basis": "consent", "channel": "paper",
        "source": "import", "since": to_ms(START - DAY), "until": to_ms(START + DAY),
        "evidence_sha256": sha256(f"{grant_id} form 17".encode()).hexdigest(),
    }.items()  # fmt: skip
    said = {"kind": "grant.ended", "state": "suspended", "purpose": None, "reason": "reassigned", "source": "command"}
    assert ending.items() >= {**said, "ended_at": to_ms(LATER)}.items()
    dump = list(database.iterdump())
    assert [line.split('"')[1] for line in dump if NUMBER[1:] in line] == ["subjects"]
    assert [line.split('"')[1] for line in dump if "form 17" in line] == ["subject_grants"]


async def test_the_same_again_adds_nothing_also_after_it_was_withdrawn(store: Store, database: Connection) -> None:
    """A list of consents that is imported every night brings none of them back."""
    await store.grant_all("acme", [FORM], START, "import")
    await store.grant_all("acme", [WITHDRAWN], LATER, "command")
    before = list(database.iterdump())
    assert await store.grant_all("acme", [FORM], LAST, "import") == 0
    assert await store.grant_all("acme", [replace(WITHDRAWN, at=LATER)], LAST, "command") == 0
    assert list(database.iterdump()) == before
    assert await store.grant_all("acme", [replace(FORM, evidence="form 18")], LAST, "import") == 1
    assert await states(store) == {PURPOSE: GrantState.WITHDRAWN}
    assert await store.grant_all("acme", [replace(FORM, since=LAST)], LAST, "command") == 1
    assert (await store.grants_of("acme", NUMBER))[0].state(LAST) is GrantState.GIVEN


async def test_a_withdrawal_ends_its_purpose_and_a_suspension_every_one(store: Store) -> None:
    await store.grant_all("acme", [FORM, CONTRACT], START, "import")
    await store.grant_all("acme", [WITHDRAWN], LATER, "command")
    assert await states(store) == {PURPOSE: GrantState.WITHDRAWN, "contract.calls": GrantState.GIVEN}
    assert await states(store, LATER - timedelta(milliseconds=1)) == dict.fromkeys(
        (PURPOSE, "contract.calls"), GrantState.GIVEN
    )
    await store.grant_all("acme", [REASSIGNED], LATER, "command")
    assert (await states(store))["contract.calls"] is GrantState.SUSPENDED


async def test_a_number_is_reported_before_its_old_consents_are_imported(store: Store) -> None:
    await store.grant_all("acme", [REASSIGNED], START, "import")
    await store.grant_all("acme", [FORM, replace(CONTRACT, since=LATER)], LATER, "import")
    assert await states(store) == {PURPOSE: GrantState.SUSPENDED, "contract.calls": GrantState.GIVEN}


async def test_a_clock_that_was_set_back_keeps_nobody_from_withdrawing(store: Store) -> None:
    await store.grant_all("acme", [replace(FORM, since=LATER)], LATER, "command")
    await store.grant_all("acme", [WITHDRAWN], START, "command")
    assert await states(store) == {PURPOSE: GrantState.WITHDRAWN}


@pytest.mark.parametrize(
    ("source", "mistake", "state"),
    [
        ("command", False, GrantState.WITHDRAWN),
        ("command", True, GrantState.GIVEN),
        ("key", False, GrantState.GIVEN),
    ],
)
async def test_an_opt_out_takes_consents_back_for_good_unless_it_was_a_slip(
    store: Store, source: OptOutSource, mistake: bool, state: GrantState
) -> None:
    """By key it is taken back in the same call."""
    await store.grant_all("acme", [FORM], START, "import")
    await store.opt_out("acme", NUMBER, Scope.MARKETING, LATER, source)
    assert await states(store) == {PURPOSE: GrantState.WITHDRAWN}
    await store.opt_in("acme", NUMBER, Scope.MARKETING, LAST, source, mistake=mistake)
    assert await states(store) == {PURPOSE: state}
    assert [one.state(LAST) for one in await store.grants("acme", None)] == [state]


async def test_an_opt_out_that_anybody_may_have_typed_takes_nothing_back(store: Store) -> None:
    await store.grant_all("acme", [FORM], START, "import")
    await store.opt_out("acme", NUMBER, Scope.ALL, LATER, "typed_unverified")
    assert await states(store) == {PURPOSE: GrantState.GIVEN}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(FORM, number="anonymous"), "not E.164"),
        (replace(FORM, purpose=""), "for a purpose"),
        (replace(FORM, evidence=""), "has its evidence"),
        (replace(FORM, since=LATER), "has begun"),
        (replace(FORM, until=FORM.since), "ends after it begins"),
        (replace(WITHDRAWN, at=LATER), "has happened"),
    ],
)
async def test_of_a_list_with_one_that_cannot_be_kept_none_is(
    store: Store, database: Connection, bad: Any, why: str
) -> None:
    good: Any = FORM if isinstance(bad, NewGrant) else WITHDRAWN
    with pytest.raises(StoreError, match=why):
        await store.grant_all("acme", [replace(good, number=OTHER), bad], START, "import")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await store.grant_all("nobody", [good], START, "import")
    for table in ("subjects", "subject_grants", "grant_endings", "subject_evidence"):
        assert database.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)


async def test_one_person_with_several_is_one_subject(store: Store, database: Connection) -> None:
    told: list[int] = []
    listed = [FORM, CONTRACT, replace(FORM, number=OTHER)]
    assert await store.grant_all("acme", listed, START, "import", told.append) == 3
    assert told == [3]
    assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (2,)


async def test_who_is_made_by_somebody_else_meanwhile_is_no_second_subject(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes between the making ready and the adding; where it always does, the list is given up."""
    times = 0

    async def elsewhere(number: str) -> None:
        async with Store.open(path, gate=None, controllers={"acme": "Acme Energy"}) as other:
            await other.opt_out("acme", number, Scope.ALL, START, "command")

    ready = store._writer.run

    async def slowly(action: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1 and action.__name__ == "add":
            await elsewhere(NUMBER)
        return await ready(action)

    monkeypatch.setattr(store._writer, "run", slowly)
    assert await store.grant_all("acme", [FORM], LATER, "import") == 1
    assert times == 2
    assert len(await store.grants_of("acme", NUMBER)) == 1

    async def always(action: Any) -> Any:
        nonlocal times
        times += 1
        await elsewhere(f"+39061234567{times}")
        return await ready(action)

    monkeypatch.setattr(store._writer, "run", always)
    times = 0
    numbers = [replace(FORM, number=f"+39061234567{number}") for number in range(1, ATTEMPTS + 1)]
    with pytest.raises(StoreError, match="others write about the same numbers"):
        await store.grant_all("acme", numbers, LATER, "import")


@pytest.mark.parametrize("change", ["UPDATE {} SET source = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["subject_grants", "grant_endings"])
async def test_what_was_said_is_a_history(store: Store, database: Connection, change: str, table: str) -> None:
    await store.grant_all("acme", [FORM], START, "import")
    await store.grant_all("acme", [WITHDRAWN], START, "command")
    with pytest.raises(IntegrityError, match="history"):
        database.execute(change.format(table))


async def test_where_the_proof_is_can_be_erased(store: Store, database: Connection) -> None:
    await store.grant_all("acme", [FORM], START, "import")
    database.execute("UPDATE subject_grants SET evidence = NULL")
    (one,) = await store.grants_of("acme", NUMBER)
    assert (one.evidence, one.state(START)) == ("(erased)", GrantState.GIVEN)
