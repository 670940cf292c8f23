"""Which languages a number is remembered to have chosen by key."""

from __future__ import annotations

from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

from callguard.store import Store
from callguard.store.records import Remembered

from .legs import START, given, make_leg, refused

NUMBER = "+390612345678"
DAY = timedelta(days=1)


async def went_through(store: Store, at: datetime, language: str, *, chosen: bool = True, **changes: Any) -> None:
    leg = make_leg(given(), saved_at=at, language=language, language_chosen=chosen, **changes)
    await store.save(leg)


async def languages(store: Store, since: datetime = START) -> tuple[str, ...]:
    return (await store.remembered("acme", NUMBER, since)).languages


async def test_the_latest_choice_comes_first_and_what_was_not_chosen_does_not_count(store: Store) -> None:
    await went_through(store, START, "es")
    await went_through(store, START + 2 * DAY, "de")
    await went_through(store, START + DAY, "es")  # saved late
    await went_through(store, START + 3 * DAY, "en", chosen=False)
    assert await languages(store) == ("de", "es")
    await went_through(store, START + 4 * DAY, "es")
    assert await languages(store) == ("es", "de")


async def test_it_is_of_one_number_and_one_controller_and_in_both_directions(store: Store) -> None:
    await went_through(store, START, "de", number="+390698765432")
    await went_through(store, START, "de", controller="zeta")
    await went_through(store, START, "de", number=None)
    assert await languages(store) == ()
    assert (await store.remembered("acme", None, START)).languages == ()
    await went_through(store, START, "es", direction="outbound")
    assert await languages(store) == ("es",)


async def test_it_is_forgotten_in_time(store: Store) -> None:
    await went_through(store, START, "es")
    assert await languages(store, START + timedelta(milliseconds=1)) == ()


async def test_a_no_and_a_choice_are_told_together(store: Store) -> None:
    leg = make_leg(refused(), saved_at=START, language="es", language_chosen=True, notice_version="3")
    await store.save(leg)
    remembered = await store.remembered("acme", NUMBER, START)
    assert remembered == Remembered(frozenset({("recording.quality", "3")}), ("es",))


async def test_it_goes_with_the_subjects_number(store: Store, database: Connection) -> None:
    """Rule 10: nothing else leads from a number to what it chose."""
    await went_through(store, START, "es")
    database.execute("UPDATE subjects SET number = NULL")
    assert await languages(store) == ()
