"""Where a number is of: country, states that it could be of, time zones that it could be in.

The number is all that is known. People move with theirs, above all in North America, where a state's whole law goes by
the area code here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from callguard.core.decide import Place
from callguard.core.windows import zone_of
from callguard.numbers import REGIONS, block, calling_code, country, first_of

_UNKNOWN_ZONE = "Etc/Unknown"


@dataclass(frozen=True, slots=True)
class Areas:
    """The states of a country by the area codes of their numbers.

    Attributes:
        by_code: a state, and its time zones where these are more than its numbers tell.
    """

    by_code: Mapping[str, tuple[str, tuple[str, ...]]]

    def of(self, national: str) -> tuple[str, tuple[str, ...]] | None:
        """The state of a number without its country code."""
        return next((self.by_code[national[:n]] for n in range(6, 0, -1) if national[:n] in self.by_code), None)


class Places:
    """What policies know of places.

    Args:
        zones: of each country, for numbers of which no closer one is known.
        territories: countries by their numbers, and the one whose law is taken for them.
        areas: the states of a country.
    """

    def __init__(
        self, zones: Mapping[str, tuple[str, ...]], territories: Mapping[str, str], areas: Mapping[str, Areas]
    ) -> None:
        self._zones = zones
        self._territories = territories
        self._areas = areas
        # Looking a number up takes 0.1 ms; those that are called come from few blocks.
        self._cached = lru_cache(maxsize=65_536)(self._of)

    def learn(self) -> None:
        """Read ahead what is read with the first number of each country: of those that policies are about, and of those
        that share their codes, for among these a number is looked for."""
        codes = {calling_code(country) for country in self._zones}
        for region in REGIONS:
            if calling_code(region) in codes and (example := phonenumbers.example_number(region)) is not None:
                self.of(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))

    def of(self, number: str) -> Place:
        """Where a number in E.164 is of."""
        return self._cached(*block(number))

    def _of(self, begins: str, length: int) -> Place:
        where = country(begins.ljust(length, "0"))
        law_of = self._territories.get(where or "", where)
        parsed = first_of(begins, length)
        named = timezone.time_zones_for_number(parsed)
        zones = tuple(zone for zone in named if zone != _UNKNOWN_ZONE and _is_known(zone))
        fallback = self._zones.get(law_of or "", ())
        # Of a number in no area the plan's zones are named: those of all countries that share its code.
        if len(zones) < len(named) or not zones:
            zones = (*zones, *fallback)
        areas: frozenset[str] | None = None
        if where != law_of:
            areas = frozenset()  # a territory is none of the states
        elif states := self._areas.get(law_of or ""):
            found = states.of(phonenumbers.national_significant_number(parsed))
            if found:
                areas, zones = frozenset({found[0]}), (*zones, *found[1])
        return Place(law_of, areas, tuple(dict.fromkeys(zones)))


def _is_known(zone: str) -> bool:
    try:
        zone_of(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name that this machine has no more
        return False
    return True
