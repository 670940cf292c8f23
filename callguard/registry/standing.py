"""How the lists of a configuration stand: what is in force, how old it is, what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from callguard.config import Config, secret_in
from callguard.core.decide import is_stale, list_age_days
from callguard.errors import InputError
from callguard.registry.number_set import Head, NumberSet
from callguard.registry.receipts import Receipts, ReceiptsHead


class State(StrEnum):
    """Only with a fresh list, or answer, may those be called who are not in it. Who is asked at each dial has none."""

    FRESH = "fresh"
    ASKED = "asked"
    STALE = "stale"
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Standing:
    """One registry's list, or its answers to one controller.

    Attributes:
        file: that it is in; None where it is asked at each dial.
        head: what it says of itself; None where it is missing, unreadable or asked at each dial.
        age_days: None likewise; of answers, the latest one's.
        problem: why it is missing or unreadable, else empty.
        controller: whose numbers were submitted; empty for a whole list.
    """

    registry: str
    file: Path | None
    state: State
    head: Head | ReceiptsHead | None
    age_days: int | None
    max_age_days: int
    problem: str = ""
    controller: str = ""

    @property
    def name(self) -> str:
        """What it is called where several are named."""
        return f"{self.registry} for {self.controller}" if self.controller else self.registry


def standings(config: Config, at: datetime) -> tuple[Standing, ...]:
    """All of them, each list read to its end, so that a damaged one is found: of large ones, a second each."""
    return tuple(one for name in config.registries for one in _standings(config, name, at))


def _standings(config: Config, name: str, at: datetime) -> Iterator[Standing]:
    registry = config.registries[name]
    if registry.mode == "full":
        file = config.registry_file(name)
        yield _standing(name, file, lambda: NumberSet.verified(file, name), registry.max_age_days, at)
    elif registry.query is not None:
        problem = ""
        try:
            if registry.query.secret_file is not None:
                secret_in(registry.query.secret_file, f"registries.{name}.query.secret_file")
        except InputError as error:
            problem = str(error)
        state = State.UNREADABLE if problem else State.ASKED
        yield Standing(name, None, state, None, None, registry.max_age_days, problem)
    for controller in config.screened_for(name):
        received = config.receipts_file(name, controller)
        opens = partial(Receipts, received, name, controller)
        yield replace(_standing(name, received, opens, registry.max_age_days, at), controller=controller)


def _standing(name: str, file: Path, opens: Callable[[], NumberSet | Receipts], most: int, at: datetime) -> Standing:
    try:
        with opens() as found:
            head = found.head
    except InputError as error:
        state = State.UNREADABLE if file.exists() else State.MISSING
        return Standing(name, file, state, None, None, most, str(error))
    state = State.STALE if is_stale(head.list_date, most, at) else State.FRESH
    return Standing(name, file, state, head, list_age_days(head.list_date, at), most)
