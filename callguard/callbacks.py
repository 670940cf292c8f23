"""The numbers that calls show: whether they are ours, and when somebody last got through to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic

import structlog

from callguard.core.decide import Callback
from callguard.current import Current
from callguard.errors import StoreError
from callguard.numbers import to_e164
from callguard.sections import Profile
from callguard.store import Store

log = structlog.get_logger()

# What proves a number for days need not be written with each call, nor asked for with each dial.
NOTED_AGAIN = timedelta(hours=1)

# Few numbers are shown or called, again and again, and parsing one is a notable part of what a call costs.
_known = lru_cache(maxsize=256)(to_e164)


class Callbacks:
    """Notes that the profiles' own numbers are called, and says of a number that is shown whether it was."""

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._store = store
        self._noted: dict[str, datetime] = {}
        # When each was last called, and until when that is taken for granted, by a clock that nobody sets.
        self._proved: dict[str, tuple[datetime, float]] = {}

    def to_note(self, profile: str, called: str) -> str | None:
        """The number of ours that a call has come to, as the trunk gave it; None where there is nothing to note."""
        ours = frozenset[str]().union(*(one.caller_ids for one in self._current.config.profiles.values()))
        settings = self._current.config.profiles.get(profile) if ours else None
        number = _known(called, settings.region) if settings is not None else None
        before = None if number is None else self._noted.get(number)
        if number not in ours or (before is not None and datetime.now(UTC) - before < NOTED_AGAIN):
            return None
        return number

    async def note(self, number: str) -> None:
        """A call has come to a number of ours."""
        now = datetime.now(UTC)
        try:
            await self._store.called(number, now)
        except StoreError as error:
            log.warning("it is not noted that one of our numbers was called", problem=str(error))
        else:
            self._noted[number] = now
            self._proved.pop(number, None)

    async def shown(self, settings: Profile, written: str | None) -> tuple[str | None, Callback | None]:
        """As `shown`. Raises: StoreError."""
        return await shown(self._last_called, settings, written)

    async def _last_called(self, number: str) -> datetime | None:
        proved, until = self._proved.get(number, (None, 0.0))
        if proved is None or monotonic() >= until:
            proved = await self._store.last_called(number)
            if proved is not None:
                self._proved[number] = proved, monotonic() + NOTED_AGAIN.total_seconds()
        return proved


async def shown(
    last_called: Callable[[str], Awaitable[datetime | None]], settings: Profile, written: str | None
) -> tuple[str | None, Callback | None]:
    """The number that a call shows, as the dialplan gives it, empty for none; and what is known of it.

    Args:
        last_called: when somebody last got through to one of the house's own numbers.

    Raises:
        StoreError: the store cannot be asked.
    """
    if settings.calls != "marketing":
        return None, None
    # What is no number, as an extension is not, is nobody's: no callee could call it back.
    number = None if written is None else _known(written, settings.region) or written
    if not settings.caller_ids:
        return number, Callback(ours=False, proved_at=None, max_age_days=settings.caller_id_days, named=False)
    if not number:
        return number, None
    ours = number in settings.caller_ids
    proved = await last_called(number) if ours else None
    return number, Callback(ours, proved, settings.caller_id_days)
