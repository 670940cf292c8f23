"""The rules of a policy's file, one model for each kind, and what the core makes of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from callguard.core import provisions
from callguard.core.model import Basis
from callguard.core.provisions import Provision, Status
from callguard.core.windows import Week, Window
from callguard.sections import Model, RuleId

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Area = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,3}$")]
# Seven digits at least: an exemption is for some phones, never for a country.
Numbers = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")]
Purpose = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,59}$")]


class RuleModel(Model, ABC):
    """What all kinds have; see `core.provisions.Provision`."""

    id: RuleId
    source: Line
    status: Status = Status.IN_FORCE
    verified: bool = False
    calls: Literal["marketing", "all"] = "marketing"
    valid_from: date | None = None
    valid_to: date | None = None
    areas: frozenset[Area] = frozenset()
    purposes: tuple[Purpose, ...] = ()
    lifted_by: frozenset[Basis] = frozenset()

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to: {self.valid_to} is before valid_from, {self.valid_from}")
        return self

    def common(self, own: bool) -> dict[str, Any]:
        """The attributes that every provision has."""
        return {
            "id": self.id, "source": self.source, "status": self.status, "verified": self.verified, "calls": self.calls,
            "valid_from": self.valid_from, "valid_to": self.valid_to, "areas": self.areas, "purposes": self.purposes,
            "lifted_by": frozenset(map(str, self.lifted_by)), "own": own,
        }  # fmt: skip

    @abstractmethod
    def provision(self, own: bool) -> Provision:
        """What the core judges by."""


def _windows(texts: Iterable[str]) -> tuple[Window, ...]:
    windows = []
    for text in texts:
        found = _WINDOW.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no window such as 09:00-20:30")
        opens, opens_minute, closes, closes_minute = map(int, found.groups())
        try:
            windows.append(Window(opens * 60 + opens_minute, closes * 60 + closes_minute))
        except ValueError as error:
            raise ValueError(f"{text}: {error}") from error
    windows.sort(key=lambda one: one.opens)
    for one, following in pairwise(windows):
        if following.opens < one.closes:
            raise ValueError("two windows of one day overlap")
    return tuple(windows)


def _days(name: str) -> range:
    first, _, last = name.partition("-")
    if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
        raise ValueError(f"{name!r} is no day: mon to sun, days such as mon-fri, holiday, eve")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)


def _week(given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    week_of(given)
    return given


def week_of(given: dict[str, tuple[str, ...]]) -> Week:
    """A week of windows by days. A day that is not named is closed.

    Raises:
        ValueError: a day is none or named twice, or a window is none or overlaps another one.
    """
    days: dict[int, tuple[Window, ...]] = {}
    for name, texts in given.items():
        if name in ("holiday", "eve"):
            continue
        for day in _days(name):
            if day in days:
                raise ValueError(f"{DAYS[day]} is named twice")
            days[day] = _windows(texts)
    special = {name: _windows(given[name]) for name in ("holiday", "eve") if name in given}
    return Week(tuple(days.get(day, ()) for day in range(7)), special.get("holiday"), special.get("eve"))


class Hours(RuleModel):
    kind: Literal["hours"]
    windows: Annotated[dict[str, tuple[str, ...]], Field(min_length=1), AfterValidator(_week)]
    days_off: frozenset[date] = frozenset()

    def provision(self, own: bool) -> Provision:
        return provisions.Hours(**self.common(own), week=week_of(self.windows), days_off=self.days_off)


class Cap(RuleModel):
    kind: Literal["cap"]
    most: Annotated[int, Field(ge=1, le=1_000)]
    days: Annotated[int, Field(ge=1, le=366)] | None = None
    hours: Annotated[int, Field(ge=1, le=8_784)] | None = None

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.days is None) == (self.hours is None):
            raise ValueError("a time is needed, in days or in hours")
        return self

    def provision(self, own: bool) -> Provision:
        within = timedelta(days=self.days or 0, hours=self.hours or 0)
        return provisions.Cap(**self.common(own), most=self.most, within=within)


class Silence(RuleModel):
    kind: Literal["silence"]
    days: Annotated[int, Field(ge=1, le=3_660)]

    def provision(self, own: bool) -> Provision:
        return provisions.Silence(**self.common(own), days=self.days)


class BasisNeeded(RuleModel):
    kind: Literal["basis"]
    any_of: Annotated[frozenset[Basis], Field(min_length=1)]

    def provision(self, own: bool) -> Provision:
        return provisions.BasisNeeded(**self.common(own), any_of=frozenset(map(str, self.any_of)))


class RecordedMessage(RuleModel):
    kind: Literal["recorded_message"]

    def provision(self, own: bool) -> Provision:
        return provisions.RecordedMessage(**self.common(own))


class CallerId(RuleModel):
    kind: Literal["caller_id"]
    prefixes: tuple[Prefix, ...] = ()

    def provision(self, own: bool) -> Provision:
        return provisions.CallerId(**self.common(own), prefixes=self.prefixes)


class Freshness(RuleModel):
    kind: Literal["registry"]
    days: Annotated[int, Field(ge=1, le=366)] | None = None

    def provision(self, own: bool) -> Provision:
        return provisions.Freshness(**self.common(own), days=self.days)


class Exemption(RuleModel):
    kind: Literal["exemption"]
    calls: Literal["marketing", "all"] = "all"
    lifts: Annotated[frozenset[RuleId], Field(min_length=1)]
    numbers: Annotated[tuple[Numbers, ...], Field(min_length=1)]

    def provision(self, own: bool) -> Provision:
        return provisions.Exemption(**self.common(own), lifts=self.lifts, numbers=self.numbers)


class Recording(RuleModel):
    kind: Literal["recording"]
    calls: Literal["marketing", "all"] = "all"
    parties: Literal["one", "all"]
    agents: bool = False
    systematic: bool = True

    def provision(self, own: bool) -> Provision:
        return provisions.Recording(
            **self.common(own), parties=self.parties, agents=self.agents, systematic=self.systematic
        )


class ProofRetention(RuleModel):
    kind: Literal["proof"]
    years: Annotated[int, Field(ge=1, le=100)]

    def provision(self, own: bool) -> Provision:
        return provisions.ProofRetention(**self.common(own), years=self.years)


class OptOutOffer(RuleModel):
    kind: Literal["optout"]
    within_s: Annotated[int, Field(ge=1, le=60)] | None = None
    honour_days: Annotated[int, Field(ge=0, le=366)] | None = None
    hang_up: bool = False

    def provision(self, own: bool) -> Provision:
        return provisions.OptOutOffer(
            **self.common(own), within_s=self.within_s, honour_days=self.honour_days, hang_up=self.hang_up
        )


AnyRule: TypeAlias = Annotated[
    Hours | Cap | Silence | BasisNeeded | RecordedMessage | CallerId | Freshness | Exemption | Recording
    | ProofRetention | OptOutOffer,
    Field(discriminator="kind"),
]  # fmt: skip
