"""What the registries of a configuration say of a number, by the lists that are in force at that moment."""

from __future__ import annotations

from collections.abc import Callable, Set
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from callguard.config import Config
from callguard.core.decide import Calls, Registered, list_age_days
from callguard.dial_sections import Registry
from callguard.errors import InputError
from callguard.numbers import country
from callguard.registry.number_set import NumberSet
from callguard.registry.opened import Opened
from callguard.registry.query import Query
from callguard.registry.receipts import Receipts


class Lists:
    """Each list is opened once, and again when its file was replaced. To be closed, in the loop that it is asked in.

    A list is read to its end before it is believed, beside the event loop. A new one's predecessor answers meanwhile;
    without one, who asks waits.

    Args:
        told: what is wrong with a list, in one line; once for each file.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._lists: dict[str, Opened[NumberSet]] = {}
        # By registry and controller.
        self._receipts: dict[tuple[str, str], Opened[Receipts]] = {}
        self._queries: dict[str, Query] = {}
        self._of: tuple[Config, tuple[tuple[str, Registry, Path], ...]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._keep_only(set())

    async def say(self, config: Config, calls: Calls, controller: str, number: str) -> tuple[Registered, ...]:
        """What each registry that is asked about calls of this kind, of this controller, says of a number in E.164.

        A registry is asked about all that share its country code, for which country a number belongs to is not always
        known: where it lists the number, that counts. What it does not list is its business only in its own country,
        or where no country is known.
        """
        asked = [one for one in self._all(config) if one[1].is_asked(calls, number)]
        if not asked:
            return ()
        where = country(number)
        said = []
        for name, one, file in asked:
            is_theirs = where is None or where in one.country
            if one.mode == "full":
                found = await self._by_list(name, one, file, number)
            elif one.mode == "scrub":
                found = await self._by_receipt(name, one, config.receipts_file(name, controller), controller, number)
            elif is_theirs:
                found = await self._by_query(name, one, number)
            else:
                continue
            if found.listed or is_theirs:
                said.append(found)
        return tuple(said)

    async def open(self, config: Config) -> None:
        """Open what a configuration needs ahead of the first question, and let go of others.

        Who asks a registry begins anew: its settings, or what its secret's file says, may have changed.
        """
        queries, self._queries = self._queries, {}
        await self._keep_only(config.registries.keys())
        for name, one in config.registries.items():
            if one.mode == "full":
                await self._list(name).get(config.registry_file(name))
            elif one.mode == "query":
                await self._query(name, one).ready()
            for controller in config.screened_for(name):
                await self._received(name, controller).get(config.receipts_file(name, controller))
        for asked in queries.values():
            await asked.close()

    async def ages(self, config: Config, at: datetime) -> dict[tuple[str, str], float]:
        """How many days old each list is, or the latest receipt, by registry and controller; none for a whole list.

        Infinitely old where there is none that can be read.
        """
        found: dict[tuple[str, str], NumberSet | Receipts | None] = {}
        for name, one in config.registries.items():
            if one.mode == "full":
                found[name, ""] = await self._list(name).get(config.registry_file(name))
            for controller in config.screened_for(name):
                path = config.receipts_file(name, controller)
                found[name, controller] = await self._received(name, controller).get(path)
        return {
            names: float("inf") if one is None else list_age_days(one.head.list_date, at)
            for names, one in found.items()
        }

    def _all(self, config: Config) -> tuple[tuple[str, Registry, Path], ...]:
        """The registries of a configuration, each with the file of its whole list; made once for each configuration."""
        if self._of is None or self._of[0] is not config:
            found = tuple((name, one, config.registry_file(name)) for name, one in config.registries.items())
            self._of = config, found
        return self._of[1]

    async def _by_list(self, name: str, one: Registry, path: Path, number: str) -> Registered:
        numbers = await self._list(name).get(path)
        try:
            if numbers is not None:
                listed = number in numbers
                screened = listed or one.has(number)
                return _said(name, one, numbers.head.list_date, listed=listed, screened=screened)
        except InputError as error:  # the file was cut short, or the disk fails
            self._told(str(error))
        return _said(name, one, None)

    async def _by_receipt(self, name: str, one: Registry, path: Path, controller: str, number: str) -> Registered:
        held = self._received(name, controller)
        receipts = await held.get(path)
        screened = not held.is_missing
        try:
            if receipts is not None:
                if answer := receipts.answer(number):
                    return _said(name, one, answer.day, listed=answer.listed)
                screened = False
        except InputError as error:
            self._told(str(error))
        return _said(name, one, None, screened=screened)

    async def _by_query(self, name: str, one: Registry, number: str) -> Registered:
        listed = await self._query(name, one).listed(number)
        return _said(name, one, datetime.now(UTC).date(), listed=listed is True, answered=listed is not None)

    def _list(self, name: str) -> Opened[NumberSet]:
        if name not in self._lists:
            self._lists[name] = Opened(lambda path: NumberSet.verified(path, name), self._denies(name))
        return self._lists[name]

    def _received(self, name: str, controller: str) -> Opened[Receipts]:
        if (name, controller) not in self._receipts:
            opened = Opened(lambda path: Receipts(path, name, controller), self._denies(name))
            self._receipts[name, controller] = opened
        return self._receipts[name, controller]

    def _query(self, name: str, one: Registry) -> Query:
        if name not in self._queries:
            if one.query is None:
                raise TypeError("a registry that is asked at each dial has an address")
            self._queries[name] = Query(name, one.query, self._told)
        return self._queries[name]

    def _denies(self, name: str) -> Callable[[str], None]:
        return lambda problem: self._told(f"the calls that registry {name} is asked about are denied: {problem}")

    async def _keep_only(self, names: Set[str]) -> None:
        for name in self._lists.keys() - names:
            self._lists.pop(name).close()
        for key in [key for key in self._receipts if key[0] not in names]:
            self._receipts.pop(key).close()
        for name in self._queries.keys() - names:
            await self._queries.pop(name).close()


def _said(
    name: str, one: Registry, day: date | None, *, listed: bool = False, screened: bool = True, answered: bool = True
) -> Registered:
    return Registered(
        name, day, one.max_age_days, listed, voids=one.voids, spares=one.spares, screened=screened, answered=answered
    )
