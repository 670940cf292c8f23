"""Opt-outs as a CSV file (RFC 4180): what a line says, what is wrong with it, and how one is written."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from callguard.cli.csv_lines import check_text, moment_in, moment_out, number_in, rows, text_in, text_out
from callguard.cli.options import campaign_name, purpose_id
from callguard.core.decide import Scope
from callguard.errors import InputError
from callguard.store.dial_records import NewOptOut

if TYPE_CHECKING:
    from _csv import Writer

    from callguard.store.dial_records import StoredOptOut

COLUMNS = ("number", "scope", "purpose", "campaign", "since", "until", "reason")
DEFAULT_SCOPE = Scope.MARKETING


@dataclass(slots=True)
class Lines:
    """What a file says.

    Attributes:
        opt_outs: by number, scope, purpose and campaign: of several lines for the same, the one that lasts longest.
        read: how many lines there are, without heading and empty ones.
        over: how many of them are over already.
        problems: each with the line that it stands in.
    """

    opt_outs: dict[tuple[str, Scope, str | None, str | None], NewOptOut] = field(default_factory=dict)
    read: int = 0
    over: int = 0
    problems: list[InputError] = field(default_factory=list)

    @property
    def repeated(self) -> int:
        """How many lines say no more than another one."""
        return self.read - self.over - len(self.opt_outs)


def lines(data: bytes, name: str, region: str | None, now: datetime) -> Iterator[Lines]:
    """Read a file, one line after another; each time, what was read so far.

    Args:
        name: what errors call the file.
        region: that numbers in national format belong to; see `numbers.to_e164`.

    Raises:
        InputError: it is not UTF-8, or its heading is not one: no line of it can be read.
    """
    found = Lines()
    for line, cells in rows(data, name, COLUMNS, ("number",)):
        found.read += 1
        try:
            if isinstance(cells, InputError):
                raise cells
            _keep(found, _opt_out(cells, region, now), now)
        except InputError as error:
            found.problems.append(InputError(str(error), file=name, line=line))
        yield found


def writer(file: TextIO) -> Writer:
    """What writes a file that `lines` reads; its heading is written."""
    made = csv.writer(file)
    made.writerow(COLUMNS)
    return made


def row(one: StoredOptOut) -> tuple[str, ...]:
    """An opt-out as a line of the file."""
    return (
        one.number,
        one.scope,
        one.purpose or "",
        one.campaign or "",
        moment_out(one.since),
        moment_out(one.until),
        text_out(one.reason or ""),
    )


def _opt_out(cells: dict[str, str], region: str | None, now: datetime) -> NewOptOut:
    """What a line says.

    Raises:
        InputError: the first thing that is wrong with it, by its column. No number is in it.
    """
    said = {column: cell.strip() or None for column, cell in cells.items()}
    number = number_in(said.get("number"), region, blocks=True)
    try:
        scope = Scope((said.get("scope") or DEFAULT_SCOPE).lower())
    except ValueError as error:
        raise InputError(f"is none of {', '.join(Scope)}", field="scope") from error
    purpose, campaign = purpose_id(said.get("purpose"), "purpose"), campaign_name(said.get("campaign"), "campaign")
    for column, given, its_scope in (("purpose", purpose, Scope.PURPOSE), ("campaign", campaign, Scope.CAMPAIGN)):
        if (given is not None) != (scope is its_scope):
            raise InputError(f"goes with scope {its_scope}, which needs it", field=column)
    since = moment_in(said.get("since"), "since", timedelta())
    # The last day is part of it.
    until = moment_in(said.get("until"), "until", timedelta(days=1))
    if since is not None and since > now:
        raise InputError("is in the future", field="since")
    if since is not None and until is not None and until <= since:
        raise InputError("is not after since", field="until")
    # Not what was stripped: a reason is somebody's own words.
    reason = text_in(cells.get("reason"))
    check_text(reason, "reason")
    return NewOptOut(number, scope, purpose, campaign, since, until, reason)


def _keep(found: Lines, one: NewOptOut, now: datetime) -> None:
    if one.until is not None and one.until <= now:
        found.over += 1
        return
    what = (one.number, one.scope, one.purpose, one.campaign)
    before = found.opt_outs.get(what)
    if before is None or (before.until is not None and (one.until is None or one.until > before.until)):
        found.opt_outs[what] = one
