"""Recordings that nothing keeps any more are destroyed: by the service, and by ``callguard recordings purge``.

Broken off anywhere and begun again, nothing else is destroyed and nothing is said twice: that a recording's files are
about to be removed is committed before, and that they are gone after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from callguard.config import Config
from callguard.core.retention import Verdict, judge
from callguard.errors import StoreError
from callguard.store.records import DueRecording
from callguard.store.retention_reader import KeptRecording, RetentionReader
from callguard.telephony.recording import Recordings

log = structlog.get_logger()

LOOK_EVERY_S = 60.0
# So many are judged at once, about 4 ms of CPU, so that calls wait for no more than that.
PAGE = 100
# So many pages are judged in each look; the next one goes on from there.
PAGES = 50
# So many share the commits of what is destroyed.
TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording that is kept, and what becomes of it."""

    recording: KeptRecording
    verdict: Verdict


async def judged(reader: RetentionReader, config: Config, legs: Sequence[str], now: datetime) -> tuple[Judged, ...]:
    """What becomes of those of these legs' recordings that are kept."""
    rules = {
        controller: {purpose: term.rule for purpose, term in terms.items()}
        for controller, terms in config.retention.items()
    }
    return tuple(Judged(one, judge(one.facts, rules.get(one.controller, {}), now)) for one in await reader.kept(legs))


async def pages(reader: RetentionReader, config: Config, after: str, now: datetime) -> AsyncIterator[Sequence[Judged]]:
    """What becomes of all recordings that are kept, from the one of a leg after `after` on, a page at a time."""
    while legs := await reader.kept_legs(after, PAGE):
        after = legs[-1]
        yield await judged(reader, config, legs, now)


class Retention:
    """Destroys what nothing keeps.

    Args:
        config: the configuration in force.
        recordings: those of its folder; what lies in others is left to the callguard that has them.
    """

    def __init__(self, config: Callable[[], Config], store: RetentionReader, recordings: Recordings) -> None:
        self._config = config
        self._store = store
        self._recordings = recordings
        self._after = ""

    async def keep_looking(self) -> None:
        """Look now and every minute, for as long as the service runs."""
        while True:
            try:
                await self.look()
            except (StoreError, OSError) as error:
                log.error("recordings whose time is over are not all destroyed, trying again", problem=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Destroy what is due among the next recordings, and begin anew behind the last one.

        Raises:
            OSError: some files cannot be removed; they are tried again when it is their turn.
        """
        faults: list[OSError] = []
        looked = 0
        async for page in pages(self._store, self._config(), self._after, datetime.now(UTC)):
            self._after = page[-1].recording.leg_id if page else self._after
            done = await self.destroy([one for one in page if one.verdict.destroy])
            faults += [fault for _, fault in done if isinstance(fault, OSError)]
            looked += 1
            if looked == PAGES:
                break
        else:
            self._after = ""
        if faults:
            raise faults[0]

    async def destroy(self, overdue: Sequence[Judged]) -> list[tuple[Judged, bool | OSError]]:
        """Destroy these, unless they are held since.

        Returns:
            Each, with whether it is destroyed, or why its files cannot be removed; that keeps no other.

        Raises:
            StoreError: nothing more can be written.
        """
        done: list[tuple[Judged, bool | OSError]] = []
        for first in range(0, len(overdue), TOGETHER):
            some = overdue[first : first + TOGETHER]
            done += zip(some, await asyncio.gather(*map(self._destroy, some)), strict=True)
        return done

    async def _destroy(self, one: Judged) -> bool | OSError:
        leg_id = one.recording.leg_id
        due = DueRecording(
            leg_id,
            one.recording.files,
            one.recording.folder,
            one.verdict.reason or "",
            tuple(end.as_json() for end in one.verdict.ends),
        )
        try:
            return await self._recordings.destroy(due)
        except OSError as error:
            return error
