"""The hours in which somebody may be called, by the clock on their own wall.

Summer time is part of that clock: an hour that a zone skips is no time at all, and one that it has twice counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

IsHoliday: TypeAlias = Callable[[date], bool]

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
LOOK_AHEAD_DAYS = 30
"""Who may not be called within these days is not told when; no law has so long a night."""

zone_of = lru_cache(maxsize=1024)(ZoneInfo)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a clock on the wall shows: there, and in words with its zone."""

    there: datetime
    words: str


def clocks(zones: tuple[str, ...], at: datetime) -> tuple[Clock, ...]:
    """What the clocks on the walls show at an aware moment, to the minute: the first zone of those that show the same.

    A number that could be in all zones of North America has 38 of them, and a handful of clocks.
    """
    return _clocks(zones, at.replace(second=0, microsecond=0))


@lru_cache(maxsize=4096)
def _clocks(zones: tuple[str, ...], minute: datetime) -> tuple[Clock, ...]:
    shown: dict[datetime, tuple[str, datetime]] = {}
    for zone in zones:
        there = minute.astimezone(zone_of(zone))
        shown.setdefault(there.replace(tzinfo=None, fold=0), (zone, there))
    return tuple(Clock(there, f"{there:%A %Y-%m-%d %H:%M} {zone}") for zone, there in shown.values())


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens` until just before `closes`, both in minutes since midnight.

    Raises:
        ValueError: it ends before it begins, or is of no day.
    """

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= 24 * 60:
            raise ValueError("it opens before it closes, within one day")


@dataclass(frozen=True, slots=True)
class Week:
    """The windows of each day.

    Attributes:
        days: Monday's first.
        holidays: those of a holiday, whatever its day of the week; None where a holiday is a day like others.
        eves: those of a day before a holiday, unless it is closed anyway; None where it is a day like others.
    """

    days: tuple[tuple[Window, ...], ...]
    holidays: tuple[Window, ...] | None = None
    eves: tuple[Window, ...] | None = None

    @property
    def knows_holidays(self) -> bool:
        """Whether holidays, or the days before them, are other days."""
        return self.holidays is not None or self.eves is not None

    def of(self, day: date, is_holiday: IsHoliday) -> tuple[Window, ...]:
        """The windows of a day."""
        usual = self.days[day.weekday()]
        if self.holidays is not None and is_holiday(day):
            return self.holidays
        if self.eves is not None and usual and is_holiday(day + _DAY):
            return self.eves
        return usual

    def is_open(self, zone: str, at: datetime, is_holiday: IsHoliday) -> bool:
        """Whether an aware moment is in one of its windows there."""
        return self.is_open_by(at.astimezone(zone_of(zone)), is_holiday)

    def is_open_by(self, there: datetime, is_holiday: IsHoliday) -> bool:
        """Whether what a clock on the wall shows is in one of its windows."""
        minute = there.hour * 60 + there.minute
        return any(window.opens <= minute < window.closes for window in self.of(there.date(), is_holiday))

    def next_open(self, zones: Iterable[str], at: datetime, is_holiday: IsHoliday) -> datetime | None:
        """The first moment from `at` on that is in a window in all of the zones; None where there is none for long."""
        zones, moment, end = tuple(zones), at, at + LOOK_AHEAD_DAYS * _DAY
        while moment < end:
            later = max((self._next(zone, moment, end, is_holiday) for zone in zones), default=moment)
            if later == moment:
                return moment
            moment = later
        return None

    def _next(self, zone: str, at: datetime, end: datetime, is_holiday: IsHoliday) -> datetime:
        if self.is_open(zone, at, is_holiday):
            return at
        day = at.astimezone(zone_of(zone)).date()
        while datetime.combine(day, time(), UTC) < end + _DAY:
            for moment in self._openings(zone, day, is_holiday):
                if moment > at:
                    return moment
            day += _DAY
        return end

    def _openings(self, zone: str, day: date, is_holiday: IsHoliday) -> Iterator[datetime]:
        """When it opens on a day; where the clock is changed on that day, each minute in which it is open."""
        there = zone_of(zone)
        midnight = datetime.combine(day, time(), there).astimezone(UTC)
        following = datetime.combine(day + _DAY, time(), there).astimezone(UTC)
        if following - midnight == _DAY:
            for window in sorted(self.of(day, is_holiday), key=lambda one: one.opens):
                yield midnight + window.opens * _MINUTE
            return
        moment = midnight
        while moment < following:
            if self.is_open(zone, moment, is_holiday):
                yield moment
            moment += _MINUTE
