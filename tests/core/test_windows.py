"""Calling hours by the clock of who is called, where that clock is changed and where a number has several."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callguard.core.windows import LOOK_AHEAD_DAYS, Week, Window

ROME, NEW_YORK, HOWE, MADRID, CANARY = (
    "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Europe/Madrid", "Atlantic/Canary",
)  # fmt: skip
OFFICE = Week((*((Window(9 * 60, 20 * 60),) for _ in range(5)), (Window(10 * 60, 19 * 60),), ()), holidays=())
MINUTE = timedelta(minutes=1)
CHRISTMAS = date(2026, 12, 25)


def never(day: date) -> bool:
    return False


def christmas(day: date) -> bool:
    return day == CHRISTMAS


def at(text: str, zone: str = ROME) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23T08:59:59", False),
        ("2026-11-23T09:00", True),
        ("2026-11-23T19:59:59", True),
        ("2026-11-23T20:00", False),
        ("2026-11-28T10:00", True),
        ("2026-11-28T09:59", False),
        ("2026-11-29T12:00", False),
        ("2026-12-25T12:00", False),
    ],
)
def test_a_window_is_open_from_its_first_minute_until_just_before_its_end(when: str, is_open: bool) -> None:
    assert OFFICE.is_open(ROME, at(when), christmas) is is_open


@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-30", "2026-10-24", "2026-10-26"])
@pytest.mark.parametrize(("hour", "minutes"), [(9, 0), (20, 0)])
def test_summer_time_moves_the_hours_with_the_clock(day: str, hour: int, minutes: int) -> None:
    every_day = Week(tuple((Window(9 * 60, 20 * 60),) for _ in range(7)))
    edge = at(f"{day}T{hour:02}:00")
    assert every_day.is_open(ROME, edge, never) is (hour == 9)
    assert every_day.is_open(ROME, edge - timedelta(seconds=1), never) is (hour == 20)


def test_a_number_of_two_zones_may_be_called_when_both_are_open() -> None:
    assert OFFICE.next_open((MADRID, CANARY), at("2026-11-23T08:30", MADRID), never) == at("2026-11-23T09:00", CANARY)
    closing = at("2026-11-23T20:00", MADRID)
    assert OFFICE.next_open((CANARY,), closing, never) == closing
    assert OFFICE.next_open((MADRID, CANARY), closing, never) == at("2026-11-24T09:00", CANARY)


def test_zones_that_are_never_open_together_have_no_next_time() -> None:
    morning = Week(tuple((Window(9 * 60, 10 * 60),) for _ in range(7)))
    assert morning.next_open((ROME, NEW_YORK), at("2026-11-23T08:30"), never) is None
    assert Week(((),) * 7).next_open((ROME,), at("2026-11-23T08:30"), never) is None


def test_after_a_holiday_and_a_weekend_comes_monday() -> None:
    thursday_night = at("2026-12-24T21:00")
    assert OFFICE.next_open((ROME,), thursday_night, christmas) == at("2026-12-26T10:00")


def test_the_day_before_a_holiday_has_its_own_hours_unless_it_is_closed_anyway() -> None:
    week = Week(OFFICE.days, holidays=(), eves=(Window(10 * 60, 19 * 60),))
    assert [week.is_open(ROME, at(f"2026-12-24T{hour}"), christmas) for hour in ("09:30", "10:00", "19:00")] == [
        False, True, False,
    ]  # fmt: skip
    assert not week.is_open(ROME, at("2026-11-29T12:00"), lambda day: day == date(2026, 11, 30))


@pytest.mark.parametrize(("opens", "closes"), [(600, 600), (600, 540), (-1, 60), (0, 1441)])
def test_a_window_that_makes_no_sense_is_none(opens: int, closes: int) -> None:
    with pytest.raises(ValueError, match="opens before it closes"):
        Window(opens, closes)


windows = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda two: two[0] < two[1]).map(
    lambda two: (Window(*two),)
)  # fmt: skip
weeks = st.builds(Week, st.lists(st.just(()) | windows, min_size=7, max_size=7).map(tuple))
# Around the changes of the clock in Rome, New York and on Lord Howe Island (half an hour), to the second.
changes = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ]
)  # fmt: skip
moments = st.builds(lambda change, off: change + timedelta(seconds=off), changes, st.integers(-100_000, 100_000))


@settings(max_examples=60, deadline=None)
@given(weeks, st.lists(st.sampled_from([ROME, NEW_YORK, HOWE]), min_size=1, max_size=2, unique=True), moments)
@example(Week(tuple((Window(150, 165),) for _ in range(7))), [ROME], datetime(2026, 3, 29, 0, 50, tzinfo=UTC))
@example(Week(tuple((Window(60, 150),) for _ in range(7))), [ROME], datetime(2026, 10, 25, 0, 40, tzinfo=UTC))
def test_the_next_time_is_open_everywhere_and_none_before_it_is(week: Week, zones: list[str], now: datetime) -> None:
    opens = week.next_open(zones, now, never)
    if opens is None:
        hours = (now + timedelta(hours=hour) for hour in range(24 * (LOOK_AHEAD_DAYS - 2)))
        assert not any(all(week.is_open(zone, moment, never) for zone in zones) for moment in hours)
        return
    assert opens >= now
    assert all(week.is_open(zone, opens, never) for zone in zones)
    moment = now
    while moment < min(opens, now + timedelta(days=2)):
        assert not all(week.is_open(zone, moment, never) for zone in zones)
        moment += 7 * MINUTE
    if opens > now:
        assert not all(week.is_open(zone, opens - timedelta(seconds=1), never) for zone in zones)
