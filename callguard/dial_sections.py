"""The sections of ``callguard.toml`` about who may be called: registries, the law, and the ways out of the house."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from callguard.controller import Line
from callguard.core.decide import Calls
from callguard.core.grants import Voids
from callguard.core.model import Basis
from callguard.numbers import calling_code
from callguard.sections import DAY_S, E164, HttpUrl, Model, Name, Region, RuleId


class QuerySettings(Model):
    """Where a registry is asked about a number, and how long one waits.

    Attributes:
        within_ms: an answer that is later denies. Somebody waits meanwhile, and the dialplan 2 s at most.
        number: as it is sent: in E.164, or the SHA-256 of that.
        secret_file: has the token that is sent as ``Authorization: Bearer``.
        cache_s: so long an answer may be used again; 0 asks each time.
    """

    url: HttpUrl
    within_ms: Annotated[int, Field(ge=50, le=1_000)] = 500
    number: Literal["plain", "sha256"] = "plain"
    secret_file: Path | None = None
    cache_s: Annotated[int, Field(ge=0, le=DAY_S)] = 0


class Registry(Model):
    """A national registry of numbers that may not be called.

    Attributes:
        mode: its whole list is kept here as a file; or numbers are submitted to it by each controller, and its answers
            are kept; or it is asked at each dial.
        format: of the files that are imported: lines ``area,number``, as the United States and Canada give them out, or
            one number in E.164 a line.
        country: whose numbers it is for; several where they share a registry.
        max_age_days: since the date of the list, or of the answer; an older one denies. Not of one that is asked.
        calls: which calls it is asked about.
        areas: the area codes that the list has, where it has not all of them: a number of another denies.
        file: where the list in force is kept; beside the store by default.
        voids: which consents of a number's subject an entry voids: those of before it, all, or none.
        spares: other bases whose grants count in spite of an entry.
        query: only of one that is asked.
    """

    mode: Literal["full", "scrub", "query"] = "full"
    format: Literal["nanp", "e164"]
    country: Annotated[
        tuple[Region, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
        Field(min_length=1),
    ]
    max_age_days: Annotated[int, Field(ge=1, le=366)]
    calls: Literal["marketing", "all"] = "marketing"
    areas: tuple[Annotated[str, StringConstraints(pattern=r"^[2-9][0-9]{2}$")], ...] = ()
    file: Path | None = None
    voids: Voids = "earlier"
    spares: frozenset[Basis] = frozenset()
    query: QuerySettings | None = None

    @model_validator(mode="after")
    def _an_entry_is_an_objection(self) -> Self:
        for basis, why in (
            (Basis.CONSENT, "voids says what becomes of consents"),
            (Basis.LEGITIMATE_INTERESTS, "an entry is the objection to them"),
        ):
            if basis in self.spares:
                raise ValueError(f"spares: {basis}: {why}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _has_what_its_mode_needs(cls, data: Any) -> Any:
        mode = data.get("mode", "full") if isinstance(data, dict) else "full"
        if mode not in ("scrub", "query"):
            return data
        if "file" in data:
            raise ValueError("file: is for a registry whose whole list is kept")
        if data.get("format", "e164") != "e164":
            raise ValueError("format: numbers are submitted and asked about in e164")
        if mode == "query" and "max_age_days" in data:
            raise ValueError("max_age_days: it is asked at each dial: query.cache_s says how long an answer is kept")
        # What was answered at a dial is of that day.
        return {"format": "e164", **({"max_age_days": 1} if mode == "query" else {}), **data}

    @model_validator(mode="after")
    def _is_asked_where_it_can_be(self) -> Self:
        if (self.mode == "query") != (self.query is not None):
            raise ValueError('query: is needed with mode = "query", and only there')
        return self

    def has(self, number: str) -> bool:
        """Whether a number in E.164 is of an area that its list is about."""
        return not self.areas or number[2:5] in self.areas

    @property
    def calling_codes(self) -> tuple[str, ...]:
        """What the numbers of its countries begin with, such as ``+1``."""
        return _calling_codes(self.country)

    def is_asked(self, calls: Calls, number: str) -> bool:
        """Whether it has to be asked about such a call to a number in E.164."""
        return self.calls in (calls, "all") and number.startswith(self.calling_codes)

    @model_validator(mode="after")
    def _areas_are_of_the_north_american_plan(self) -> Self:
        if self.format == "nanp" and self.calling_codes != ("+1",):
            raise ValueError("country: nanp is for numbers of the North American Numbering Plan, +1")
        if self.format != "nanp" and self.areas:
            raise ValueError("areas: are those of the North American Numbering Plan, and for nanp only")
        return self


@lru_cache(maxsize=256)
def _calling_codes(countries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(calling_code, countries)))


class Processor(Model):
    """Who works for controllers under a contract, and on their instructions alone (GDPR Art. 28).

    Attributes:
        name: as a register of processing has it.
        controllers: for which of them, by id.
        contract: its reference.
        task: what they do with which data.
        country: where they are; needed where ``[processing]`` says in which countries data may be.
    """

    name: Line
    controllers: Annotated[frozenset[Name], Field(min_length=1)]
    contract: Line
    task: Line | None = None
    country: Region | None = None


class Law(Model):
    """Which rules of law a dial is judged by beside those that are in force and verified: these always are.

    Attributes:
        adopt: ids of shipped rules that are voluntary, proposed or unverified, and are kept here all the same.
        policies: a folder of policies of one's own (``*.toml``), which add rules to the shipped ones.
    """

    adopt: tuple[RuleId, ...] = ()
    policies: Path | None = None


class Paths(Model):
    """The ways on which calls leave the house.

    Attributes:
        staff: the house's own people's numbers outside it (Follow-me), in E.164: exempt from all that is asked before a
            dial but their own opt-outs.
        trunks: patterns, as the shell's, of the channels by which calls leave, such as ``PJSIP/trunk-*``: what is
            originated straight to one, past the dialplan, is hung up.
    """

    staff: frozenset[E164] = frozenset()
    trunks: tuple[Line, ...] = ()
