"""What a number is remembered to have refused: its last answer by key, where that was a no."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from callguard.core.model import Answer, Basis, GrantState, Purpose
from callguard.store import Store
from callguard.store.records import Remembered

from .legs import QUALITY, START, given, make_leg, refused

NUMBER = "+390612345678"
DAY = timedelta(days=1)
TRAINING = Purpose("recording.training", Basis.CONSENT)
# What ends a question without a key, or is no answer to it.
NO_ANSWERS = [
    Answer(QUALITY, GrantState.UNKNOWN, "", "silence"),
    Answer(QUALITY, GrantState.UNKNOWN, "", "hangup"),
    Answer(QUALITY, GrantState.UNKNOWN, "", "failed"),
    Answer(QUALITY, GrantState.UNKNOWN, "3", "limit"),
    Answer(QUALITY, GrantState.REFUSED, "", "remembered"),
    Answer(replace(QUALITY, basis=Basis.CONTRACT), GrantState.GIVEN, "", "informed"),
]


async def answer(store: Store, at: datetime, *answers: Answer, version: str | None = "3", **changes: str | None) -> str:
    leg = make_leg(*answers, saved_at=at, notice_version=version, **changes)
    await store.save(leg)
    return leg.leg_id


async def remembered(store: Store, since: datetime = START) -> frozenset[tuple[str, str | None]]:
    return (await store.remembered("acme", NUMBER, since)).refused


async def test_a_no_is_remembered_with_the_notice_that_was_heard(store: Store) -> None:
    await answer(store, START, refused())
    assert await remembered(store) == {(QUALITY.id, "3")}


async def test_a_no_to_an_unversioned_notice_is_remembered_too(store: Store) -> None:
    await answer(store, START, refused(), version=None)
    assert await remembered(store) == {(QUALITY.id, None)}


async def test_the_version_stands_with_each_answer(store: Store) -> None:
    leg = make_leg(refused(), given(TRAINING), notice_version="7")
    await store.save(leg)
    (detail,) = await store.call(leg.call_id)
    assert [grant.notice_version for grant in detail.grants] == ["7", "7"]


async def test_a_later_yes_cancels_it_and_a_later_no_renews_it(store: Store) -> None:
    await answer(store, START, refused())
    await answer(store, START + DAY, given())
    assert await remembered(store) == frozenset()
    await answer(store, START + 2 * DAY, refused(), version="4")
    assert await remembered(store) == {(QUALITY.id, "4")}


async def test_what_is_saved_late_does_not_come_after_what_was_said_later(store: Store) -> None:
    await answer(store, START + DAY, given())
    await answer(store, START, refused())
    assert await remembered(store) == frozenset()


async def test_of_two_answers_in_one_moment_the_last_one_saved_holds(store: Store) -> None:
    await answer(store, START, given())
    await answer(store, START, refused())
    assert await remembered(store) == {(QUALITY.id, "3")}


@pytest.mark.parametrize("other", NO_ANSWERS, ids=lambda other: str(other.reason))
async def test_what_is_no_answer_is_not_remembered_and_cancels_nothing(store: Store, other: Answer) -> None:
    await answer(store, START, other)
    assert await remembered(store) == frozenset()
    await answer(store, START + DAY, refused())
    await answer(store, START + 2 * DAY, other)
    assert await remembered(store) == {(QUALITY.id, "3")}


async def test_a_withdrawal_is_no_refusal_and_cancels_none(store: Store) -> None:
    await store.withdraw(await answer(store, START, given()), START + DAY, "key")
    assert await remembered(store) == frozenset()
    await store.withdraw(await answer(store, START + 2 * DAY, refused()), START + 3 * DAY, "key")
    assert await remembered(store) == {(QUALITY.id, "3")}


async def test_a_yes_in_the_call_cancels_it(store: Store) -> None:
    leg_id = await answer(store, START, refused())
    assert await store.agree(leg_id, START + DAY, (QUALITY,), "1", "file")
    assert await remembered(store) == frozenset()


async def test_each_purpose_is_remembered_for_itself(store: Store) -> None:
    await answer(store, START, refused(), refused(TRAINING))
    await answer(store, START + DAY, given(TRAINING), version="4")
    assert await remembered(store) == {(QUALITY.id, "3")}


async def test_it_is_forgotten_in_time(store: Store) -> None:
    await answer(store, START, refused())
    assert await remembered(store, START) != frozenset()
    assert await remembered(store, START + timedelta(milliseconds=1)) == frozenset()


async def test_it_is_of_one_number_and_one_controller(store: Store) -> None:
    await answer(store, START, refused(), number="+390698765432")
    await answer(store, START, refused(), controller="zeta")
    assert await remembered(store) == frozenset()


async def test_a_withheld_number_has_refused_nothing(store: Store) -> None:
    await answer(store, START, refused(), number=None)
    assert await store.remembered("acme", None, START) == Remembered()
