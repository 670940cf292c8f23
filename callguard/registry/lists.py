"""What the registries of a configuration say of a number, by the lists that are in force at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self, TypeAlias

from callguard.config import Config
from callguard.core.decide import Calls, Registered, list_age_days
from callguard.errors import InputError
from callguard.numbers import country
from callguard.registry.number_set import NumberSet

# What tells one file from the next of the same name; None where there is none.
_Seen: TypeAlias = tuple[Path, int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Held:
    seen: _Seen
    numbers: NumberSet | None


class Lists:
    """Each list is opened once, and again when its file was replaced. To be closed, in the loop that it is asked in.

    A list is read to its end before it is believed, beside the event loop. A new one's predecessor answers meanwhile;
    without one, who asks waits.

    Args:
        told: what is wrong with a list, in one line; once for each file.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._held: dict[str, _Held] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keep_only(set())

    async def say(self, config: Config, calls: Calls, number: str) -> tuple[Registered, ...]:
        """What each registry that is asked about calls of this kind says of a number in E.164.

        A registry is asked about all that share its country code, for which country a number belongs to is not always
        known: where it lists the number, that counts. What it does not list is its business only in its own country,
        or where no country is known.
        """
        asked = [(name, one) for name, one in config.registries.items() if one.is_asked(calls, number)]
        if not asked:
            return ()
        where = country(number)
        said = []
        for name, one in asked:
            numbers = await self._list(name, config.registry_file(name))
            # Looked into before anything else is awaited: after that it may have been closed.
            listed = False
            try:
                listed = numbers is not None and number in numbers
            except InputError as error:  # the file was cut short, or the disk fails
                self._told(str(error))
                numbers = None
            if listed or where is None or where in one.country:
                list_date = None if numbers is None else numbers.head.list_date
                said.append(Registered(name, list_date, one.max_age_days, listed, None, one.voids, one.spares))
        return tuple(said)

    async def open(self, config: Config) -> None:
        """Open the lists of a configuration ahead of the first question, and let go of others."""
        self._keep_only(config.registries.keys())
        for name in config.registries:
            await self._list(name, config.registry_file(name))

    async def ages(self, config: Config, at: datetime) -> dict[str, float]:
        """How many days old each list is; infinitely old where there is none that can be read."""
        lists = {name: await self._list(name, config.registry_file(name)) for name in config.registries}
        return {
            name: float("inf") if numbers is None else list_age_days(numbers.head.list_date, at)
            for name, numbers in lists.items()
        }

    async def _list(self, name: str, path: Path) -> NumberSet | None:
        seen = _seen(path)
        held = self._held.get(name)
        if held is None or held.seen != seen:
            if name not in self._opening:
                self._opening[name] = asyncio.create_task(self._open(name, path))
            if held is None or held.numbers is None or seen is None:
                await asyncio.shield(self._opening[name])
                held = self._held[name]
        return held.numbers

    async def _open(self, name: str, path: Path) -> None:
        try:
            seen = _seen(path)
            numbers = None
            try:
                numbers = await asyncio.to_thread(NumberSet.verified, path, name)
            except InputError as error:
                self._told(f"the calls that registry {name} is asked about are denied: {error}")
            before = self._held.get(name)
            self._held[name] = _Held(seen, numbers)
            if before is not None and before.numbers is not None:
                before.numbers.close()
        finally:
            del self._opening[name]

    def _keep_only(self, names: Set[str]) -> None:
        for name in self._held.keys() - names:
            numbers = self._held.pop(name).numbers
            if numbers is not None:
                numbers.close()


def _seen(path: Path) -> _Seen:
    try:
        about = path.stat()
    except OSError:
        return None
    return path, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
