"""Times: aware in Python, integer milliseconds since 1970-01-01T00:00:00Z in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds, rounded down.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


def from_ms_or_none(milliseconds: int | None) -> datetime | None:
    """The moment, where there is one."""
    return None if milliseconds is None else from_ms(milliseconds)
