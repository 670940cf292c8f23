"""Opt-outs as a CSV file (RFC 4180): what a line says, what is wrong with it, and how one is written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, TextIO

from callguard.cli.options import aware, campaign_name, no_number, purpose_id
from callguard.core.decide import Scope
from callguard.errors import InputError
from callguard.numbers import to_e164
from callguard.store.records import NewOptOut

if TYPE_CHECKING:
    from _csv import Writer

    from callguard.store.records import StoredOptOut

COLUMNS = ("number", "scope", "purpose", "campaign", "since", "until", "reason")
DEFAULT_SCOPE = Scope.MARKETING
LONGEST_REASON = 200

# A spreadsheet takes a cell that begins so for a formula, and an apostrophe before it for "this is text".
_FORMULA = re.compile(r"'*[=+@-]")
_ESCAPED = re.compile(r"'+[=+@-]")


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
    text = _text(data, name)
    heading = re.split(r"[\r\n]", text, maxsplit=1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in heading else ",", strict=True)
    found, columns, line = Lines(), None, 1
    try:
        for cells in reader:
            if columns is None:
                columns = _columns(cells, name)
            elif any(map(str.strip, cells)):
                found.read += 1
                try:
                    if len(cells) != len(columns):
                        raise InputError(f"has {len(cells)} fields, and the heading has {len(columns)}")
                    _keep(found, _opt_out(dict(zip(columns, cells, strict=True)), region, now), now)
                except InputError as error:
                    found.problems.append(InputError(str(error), file=name, line=line))
                yield found
            line = reader.line_num + 1
    except csv.Error as error:
        # What follows cannot be told apart from what is quoted.
        found.problems.append(InputError(f"is no CSV from here on: {error}", file=name, line=line))
        yield found
    if columns is None:
        raise InputError("is empty: a heading is needed, such as number,scope,until", file=name)


def writer(file: TextIO) -> Writer:
    """What writes a file that `lines` reads; its heading is written."""
    made = csv.writer(file)
    made.writerow(COLUMNS)
    return made


def row(one: StoredOptOut) -> tuple[str, ...]:
    """An opt-out as a line of the file."""
    reason = one.reason or ""
    return (
        one.number,
        one.scope,
        one.purpose or "",
        one.campaign or "",
        _written(one.since),
        "" if one.until is None else _written(one.until),
        f"'{reason}" if _FORMULA.match(reason) else reason,
    )


def _text(data: bytes, name: str) -> str:
    wrong, where = "a NUL character, which no text has", data.find(b"\0")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong, where = "is not UTF-8: have it saved as CSV in UTF-8", error.start
    if where >= 0:
        raise InputError(wrong, file=name, line=data.count(b"\n", 0, where) + 1)
    return text


def _columns(cells: list[str], name: str) -> list[str]:
    """The names in the heading; what else stands there is not repeated: without a heading it is a number."""
    columns = [cell.strip().lower() for cell in cells]
    for place, column in enumerate(columns, start=1):
        if column not in COLUMNS:
            raise InputError(f"is none of {', '.join(COLUMNS)}", file=name, line=1, field=f"column {place}")
        if column in columns[: place - 1]:
            raise InputError("is there twice", file=name, line=1, field=column)
    if "number" not in columns:
        raise InputError("no column has this name", file=name, line=1, field="number")
    return columns


def _opt_out(cells: dict[str, str], region: str | None, now: datetime) -> NewOptOut:
    """What a line says.

    Raises:
        InputError: the first thing that is wrong with it, by its column. No number is in it.
    """
    said = {column: cell.strip() or None for column, cell in cells.items()}
    number = to_e164(said.get("number") or "", region)
    if number is None:
        raise InputError(no_number(region), field="number")
    try:
        scope = Scope((said.get("scope") or DEFAULT_SCOPE).lower())
    except ValueError as error:
        raise InputError(f"is none of {', '.join(Scope)}", field="scope") from error
    purpose, campaign = purpose_id(said.get("purpose"), "purpose"), campaign_name(said.get("campaign"), "campaign")
    for column, given, its_scope in (("purpose", purpose, Scope.PURPOSE), ("campaign", campaign, Scope.CAMPAIGN)):
        if (given is not None) != (scope is its_scope):
            raise InputError(f"goes with scope {its_scope}, which needs it", field=column)
    since = _moment(said.get("since"), "since", timedelta())
    # The last day is part of it.
    until = _moment(said.get("until"), "until", timedelta(days=1))
    if since is not None and since > now:
        raise InputError("is in the future", field="since")
    if since is not None and until is not None and until <= since:
        raise InputError("is not after since", field="until")
    # Not what was stripped: a reason is somebody's own words.
    reason = cells.get("reason") or None
    if reason is not None and _ESCAPED.match(reason):
        reason = reason[1:]
    check_reason(reason, "reason")
    return NewOptOut(number, scope, purpose, campaign, since, until, reason)


def check_reason(reason: str | None, field: str) -> None:
    """Refuse a reason that would spoil a list. Raises: InputError."""
    if reason is not None and not (reason.isprintable() and len(reason) <= LONGEST_REASON):
        raise InputError(f"one line of at most {LONGEST_REASON} characters is needed", field=field)


def _keep(found: Lines, one: NewOptOut, now: datetime) -> None:
    if one.until is not None and one.until <= now:
        found.over += 1
        return
    what = (one.number, one.scope, one.purpose, one.campaign)
    before = found.opt_outs.get(what)
    if before is None or (before.until is not None and (one.until is None or one.until > before.until)):
        found.opt_outs[what] = one


def _moment(given: str | None, field: str, later: timedelta) -> datetime | None:
    """A time with its offset, or a day's beginning in this machine's time zone, so much later."""
    if given is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", given, re.ASCII):
            return aware(datetime.combine(date.fromisoformat(given) + later, time())).astimezone(UTC)
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            # As precise as the store.
            return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
    except (ValueError, OverflowError):
        pass
    raise InputError("a day such as 2027-01-31 or a time such as 2027-01-31T09:30+01:00 is needed", field=field)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
