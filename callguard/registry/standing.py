"""How the lists of a configuration stand: what is in force, how old it is, what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from callguard.config import Config
from callguard.core.decide import is_stale, list_age_days
from callguard.errors import InputError
from callguard.registry.number_set import Head, NumberSet


class State(StrEnum):
    """Only with a fresh list may those be called who are not in it."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Standing:
    """One registry's list.

    Attributes:
        head: what it says of itself; None where it is missing or unreadable.
        age_days: None likewise.
        problem: why it is missing or unreadable, else empty.
    """

    registry: str
    file: Path
    state: State
    head: Head | None
    age_days: int | None
    max_age_days: int
    problem: str = ""


def standings(config: Config, at: datetime) -> tuple[Standing, ...]:
    """All of them, each list read to its end, so that a damaged one is found: of large ones, a second each."""
    return tuple(_standing(config, name, at) for name in config.registries)


def _standing(config: Config, name: str, at: datetime) -> Standing:
    file, most = config.registry_file(name), config.registries[name].max_age_days
    try:
        with NumberSet.verified(file, name) as numbers:
            head = numbers.head
    except InputError as error:
        state = State.UNREADABLE if file.exists() else State.MISSING
        return Standing(name, file, state, None, None, most, str(error))
    state = State.STALE if is_stale(head.list_date, most, at) else State.FRESH
    return Standing(name, file, state, head, list_age_days(head.list_date, at), most)
