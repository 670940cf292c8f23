"""The policies: those that are shipped, and a site's own beside them, read once and checked whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from callguard.config import Config
from callguard.core.law import UNKNOWN, Law, Policy
from callguard.errors import InputError
from callguard.policies.place import Areas, Places
from callguard.policies.rules import AnyRule, Area
from callguard.sections import Model, Region
from callguard.toml_file import first_fault, line_of, read_toml

SHIPPED = Path(__file__).parent


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{text!r} is no time zone of this machine's, such as Europe/Rome") from error
    return text


Zone = Annotated[str, AfterValidator(_zone)]


class AreaModel(Model):
    """A state: the area codes of its numbers, and its time zones where these do not tell them."""

    codes: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}$")], ...]
    zones: tuple[Zone, ...] = ()


class PolicyModel(Model):
    """A policy's file.

    Attributes:
        territories: countries by their numbers that this one's law is taken for.
        areas: the states that a number can be known to be of.
    """

    country: Region
    name: str = ""
    zones: tuple[Zone, ...] = ()
    territories: tuple[Region, ...] = ()
    areas: Annotated[dict[Area, AreaModel], Field(default_factory=dict)]
    rule: Annotated[tuple[AnyRule, ...], Field(default=())]


@dataclass(frozen=True, slots=True)
class Lawbook:
    """The law that applies here, and where numbers are of."""

    law: Law
    places: Places

    def learn(self) -> None:
        """Look up ahead what the first dials would have to wait for: this year's holidays and the next's, and places.

        It takes 0.2 s, more than a dial should wait and more than a start can spare, so it is no part of `load`.
        """
        self.places.learn()
        today = datetime.now(UTC).date()
        for country in self.law.asks_holidays_of():
            is_holiday(country, today)
            is_holiday(country, today + timedelta(days=366))


NO_LAW = Lawbook(Law(), Places({}, {}, {}))
"""Knows of no country, so that nobody may be called for marketing."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    text: str
    model: PolicyModel
    own: bool

    def wrong(self, problem: str, rule: int, field: str) -> InputError:
        return InputError(
            problem, file=self.path, line=line_of(self.text, ("rule", rule, field)), field=f"rule.{rule}.{field}"
        )


def read(path: Path, *, own: bool) -> _File:
    """Read and check a policy's file by itself.

    Args:
        own: whether it is a site's own; only such a one has exemptions.

    Raises:
        InputError: one line with file, line and field.
    """
    text, data = read_toml(path)
    try:
        model = PolicyModel.model_validate(data)
    except ValidationError as error:
        first, where = first_fault(error)
        where = _place(where)
        message = _words(first)
        if first["type"].startswith("union_tag"):
            where = (*where, "kind")
        if named := re.match(r"(valid_to): (.*)", message):
            where, message = (*where, named[1]), named[2]
        raise InputError(message, file=path, line=line_of(text, where), field=".".join(map(str, where))) from error
    file = _File(path, text, model, own)
    seen: set[str] = set()
    for number, rule in enumerate(model.rule):
        if rule.id in seen:
            raise file.wrong(f"{rule.id} is there already", number, "id")
        seen.add(rule.id)
        if rule.kind == "exemption" and not own:
            raise file.wrong("only a site's own policy has exemptions", number, "kind")
        for area in sorted(rule.areas - model.areas.keys()):
            if not own:
                raise file.wrong(f"there is no [areas.{area}] in this file", number, "areas")
    return file


def _words(fault: ErrorDetails) -> str:
    """What is wrong, in our own words where a library's are about its own."""
    match fault["type"]:
        case "extra_forbidden":
            return "there is no such setting"
        case "union_tag_invalid":
            context = fault["ctx"]
            return f"there is no kind {context['tag']!r}; there are: {context['expected_tags'].replace(chr(39), '')}"
        case "union_tag_not_found":
            return "is missing: it says what the rule is about"
        case kind if kind.startswith("date"):
            return "a day such as 2027-01-31 is needed"
    return fault["msg"].removeprefix("Value error, ")


def _place(where: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where a fault is, without the kind that stands between a rule and its field in what pydantic says."""
    return (*where[:2], *where[3:]) if where[0] == "rule" and len(where) > 2 else where


def load(config: Config) -> Lawbook:
    """The shipped policies and the configuration's own.

    Raises:
        InputError: a file of them is wrong, or the configuration adopts what there is not.
    """
    return load_from(config.law.policies, config.law.adopt, lambda problem, field: config.wrong(problem, "law", field))


def load_from(folder: Path | None, adopt: Iterable[str], wrong: Callable[[str, str], InputError]) -> Lawbook:
    """The shipped policies and those of a folder.

    Args:
        folder: None for the shipped ones alone.
        wrong: makes the error for a folder that is none (``policies``) or a rule that there is not (``adopt``).

    Raises:
        InputError: that, or a file is wrong.
    """
    own: list[Path] = []
    if folder is not None:
        if not folder.is_dir():
            raise wrong(f"there is no folder {folder}", "policies")
        own = sorted(folder.glob("*.toml"))
    files = (*_shipped(), *(read(path, own=True) for path in own))
    _check_together(files)
    ids, adopted = {rule.id for file in files for rule in file.model.rule}, frozenset(adopt)
    for one in sorted(adopted - ids):
        raise wrong(f"there is no rule {one!r}: see `callguard policy show`", "adopt")
    return _lawbook(files, adopted)


@cache
def _shipped() -> tuple[_File, ...]:
    return tuple(read(path, own=False) for path in sorted(SHIPPED.glob("*.toml")))


def lint(paths: Iterable[Path]) -> None:
    """Check files as a site's own, each by itself and all of them together with those shipped.

    Raises:
        InputError: one line with file, line and field.
    """
    _check_together((*_shipped(), *(read(path, own=True) for path in paths)))


def _check_together(files: Iterable[_File]) -> None:
    """Whatever is wrong only between files."""
    where: dict[str, Path] = {}
    files = tuple(files)
    for file in files:
        for number, rule in enumerate(file.model.rule):
            if rule.id in where:
                raise file.wrong(f"{rule.id} is in {where[rule.id]} already", number, "id")
            where[rule.id] = file.path
    countries = {file.model.country for file in files if file.model.zones}
    areas = {(file.model.country, area) for file in files for area in file.model.areas}
    for file in files:
        if file.model.country not in countries:
            raise InputError("are needed: no other policy has this country's", file=file.path, field="zones")
        for number, rule in enumerate(file.model.rule):
            for area in sorted(rule.areas):
                if (file.model.country, area) not in areas:
                    raise file.wrong(f"there is no [areas.{area}] of {file.model.country}", number, "areas")
            if rule.kind == "exemption":
                for lifted in sorted(rule.lifts - where.keys() - {UNKNOWN}):
                    raise file.wrong(f"there is no rule {lifted!r}", number, "lifts")
            if file.own and rule.kind == "hours" and {"holiday", "eve"} & rule.windows.keys():
                _check_holidays(file, number)


def _check_holidays(file: _File, number: int) -> None:
    """Where none were known, each day would count as a working day."""
    if not _has_holidays(file.model.country):
        raise file.wrong(
            f"the holidays of {file.model.country} are not known: name them as days_off", number, "windows"
        )


def _lawbook(files: tuple[_File, ...], adopted: frozenset[str]) -> Lawbook:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path.name} {len(file.text)}\n{file.text}".encode())
    digest.update(" ".join(sorted(adopted)).encode())
    policies = tuple(
        Policy(
            file.model.country,
            file.model.name,
            file.model.zones,
            tuple(rule.provision(file.own) for rule in file.model.rule),
        )
        for file in files
    )
    zones: dict[str, tuple[str, ...]] = {}
    countries: dict[str, str] = {}
    areas: dict[str, Areas] = {}
    for file in files:
        model = file.model
        zones[model.country] = tuple(dict.fromkeys((*zones.get(model.country, ()), *model.zones)))
        countries |= dict.fromkeys(model.territories, model.country)
        if model.areas:
            by_code = {code: (area, one.zones) for area, one in model.areas.items() for code in one.codes}
            areas[model.country] = Areas(by_code)
    law = Law(policies, adopted, is_holiday, digest.hexdigest()[:16])
    return Lawbook(law, Places(zones, countries, areas))


def is_holiday(country: str, day: date) -> bool:
    """Whether a day is a national holiday; those of regions and towns are not known (`days_off` names them)."""
    return day in _holidays(country, day.year)


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    import holidays  # all its countries are loaded with the first

    return frozenset(holidays.country_holidays(country, years=year) if _has_holidays(country) else ())


def _has_holidays(country: str) -> bool:
    """Whether a country's holidays are known; where not, no rule asks for them."""
    from holidays import list_supported_countries

    return country in list_supported_countries()
