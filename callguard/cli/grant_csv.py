"""Grants as CSV files: what a line says, what is wrong with it, and how one is written."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO, TypeVar

from callguard.cli.csv_lines import (
    Cells,
    check_text,
    moment_in,
    moment_out,
    number_in,
    rows,
    text_in,
    text_out,
)
from callguard.cli.options import purpose_id
from callguard.core.grants import Channel, Reported
from callguard.core.model import Basis, GrantState
from callguard.errors import InputError
from callguard.store.dial_records import NewEnding, NewGrant

if TYPE_CHECKING:
    from _csv import Writer

    from callguard.store.dial_records import StoredGrant

COLUMNS = ("number", "purpose", "basis", "channel", "since", "until", "evidence")
NEEDED = tuple(column for column in COLUMNS if column != "until")
REPORTED = ("number", "reason", "at")
ASKED = ("number", "contract")

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(slots=True)
class Lines:
    """What a file says.

    Attributes:
        grants: each once; a file about numbers that are reported has `endings` instead.
        read: how many lines there are, without heading and empty ones.
        over: how many of them are over already.
        problems: each with the line that it stands in.
    """

    grants: dict[NewGrant, None] = field(default_factory=dict)
    endings: dict[NewEnding, None] = field(default_factory=dict)
    read: int = 0
    over: int = 0
    problems: list[InputError] = field(default_factory=list)

    @property
    def repeated(self) -> int:
        """How many lines say what another one says."""
        return self.read - self.over - len(self.grants) - len(self.endings)


@dataclass(frozen=True, slots=True)
class Asked:
    """One of whom it is asked whether there is a basis: by number, by contract (a grant's evidence), or both."""

    line: int
    number: str | None
    contract: str | None


def grant_lines(data: bytes, name: str, region: str | None, now: datetime) -> Iterator[Lines]:
    """Read a file of grants, one line after another; each time, what was read so far.

    Raises:
        InputError: no line of it can be read.
    """
    found = Lines()
    for line, cells in rows(data, name, COLUMNS, NEEDED):
        found.read += 1
        try:
            one = _grant(_known(cells), region, now)
            if one.until is not None and one.until <= now:
                found.over += 1
            else:
                found.grants[one] = None
        except InputError as error:
            found.problems.append(InputError(str(error), file=name, line=line))
        yield found


def reported_lines(
    data: bytes, name: str, region: str | None, now: datetime, reason: Reported | None
) -> Iterator[Lines]:
    """As `grant_lines`, of a file of numbers that are reported.

    Args:
        reason: of the lines that say none.
    """
    found = Lines()
    for line, cells in rows(data, name, REPORTED, ("number",)):
        found.read += 1
        try:
            said = _stripped(_known(cells))
            why = _one_of(Reported, said.get("reason") or reason, "reason")
            at = moment_in(said.get("at"), "at", timedelta())
            if at is not None and at > now:
                raise InputError("is in the future", field="at")
            found.endings[suspension(number_in(said.get("number"), region), why, at)] = None
        except InputError as error:
            found.problems.append(InputError(str(error), file=name, line=line))
        yield found


def asked(data: bytes, name: str, region: str | None) -> tuple[list[Asked], list[InputError]]:
    """Whom a file asks about, and what is wrong with it.

    Raises:
        InputError: no line of it can be read.
    """
    found: list[Asked] = []
    problems: list[InputError] = []
    for line, cells in rows(data, name, ASKED, ()):
        try:
            said = _stripped(_known(cells))
            written, contract = said.get("number"), said.get("contract")
            if not (written or contract):
                raise InputError("neither a number nor a contract is there")
            found.append(Asked(line, number_in(written, region) if written else None, text_in(contract)))
        except InputError as error:
            problems.append(InputError(str(error), file=name, line=line))
    return found, problems


def suspension(number: str, reason: Reported, at: datetime | None) -> NewEnding:
    """A number is nobody's, or somebody else's, from a moment on (None: now): whatever was granted on it."""
    return NewEnding(number, GrantState.SUSPENDED, None, reason.value, at)


def writer(file: TextIO) -> Writer:
    """What writes a file that `grant_lines` reads; its heading is written."""
    made = csv.writer(file)
    made.writerow(COLUMNS)
    return made


def row(one: StoredGrant) -> tuple[str, ...]:
    """A grant as a line of the file."""
    moments = (moment_out(one.since), moment_out(one.until))
    return (one.number, one.purpose, one.basis, one.channel, *moments, text_out(one.evidence))


def granted_purpose(given: str | None, field: str) -> str:
    """The id of a purpose that can be granted beside a call.

    Raises:
        InputError: it is none, or one that each call asks for itself.
    """
    purpose = purpose_id(given, field)
    if purpose is None:
        raise InputError("is missing: a grant without a purpose is none (GDPR Art. 6(1)(a))", field=field)
    if purpose.startswith("recording."):
        raise InputError("recordings are asked for in each call; a grant beside it is not looked at", field=field)
    return purpose


def evidence_of(given: str | None, number: str, field: str) -> str:
    """A reference to where the proof is.

    Raises:
        InputError: there is none, or it is no reference.
    """
    if not given:
        raise InputError("is missing: what cannot be shown was not granted (GDPR Art. 7(1))", field=field)
    check_text(given, field)
    if number[1:] in re.sub(r"\D", "", given):
        raise InputError("is the number itself; where the proof is has to stand here", field=field)
    return given


def _grant(cells: Cells, region: str | None, now: datetime) -> NewGrant:
    """What a line says.

    Raises:
        InputError: the first thing that is wrong with it, by its column. No number is in it.
    """
    said = _stripped(cells)
    number = number_in(said.get("number"), region)
    purpose = granted_purpose(said.get("purpose"), "purpose")
    basis = _one_of(Basis, said.get("basis"), "basis")
    channel = _one_of(Channel, said.get("channel"), "channel")
    since = moment_in(said.get("since"), "since", timedelta())
    # The last day is part of it.
    until = moment_in(said.get("until"), "until", timedelta(days=1))
    if since is None:
        raise InputError("is missing: when it was given decides what ends it", field="since")
    if since > now:
        raise InputError("is in the future", field="since")
    if until is not None and until <= since:
        raise InputError("is not after since", field="until")
    evidence = evidence_of(text_in(said.get("evidence")), number, "evidence")
    return NewGrant(number, purpose, basis, channel, since, until, evidence)


def _known(cells: Cells | InputError) -> Cells:
    if isinstance(cells, InputError):
        raise cells
    return cells


def _stripped(cells: Cells) -> dict[str, str | None]:
    return {column: cell.strip() or None for column, cell in cells.items()}


def _one_of(choices: type[Choice], said: str | None, field: str) -> Choice:
    try:
        return choices((said or "").lower())
    except ValueError as error:
        raise InputError(f"is none of {', '.join(choices)}", field=field) from error
