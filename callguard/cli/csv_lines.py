"""CSV files (RFC 4180) as spreadsheets and other programs write them: a heading, and a line for each person."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

from callguard.cli.options import aware, no_number, reading
from callguard.errors import InputError

LONGEST_TEXT = 200

Cells: TypeAlias = dict[str, str]

# A spreadsheet takes a cell that begins so for a formula, and an apostrophe before it for "this is text".
_FORMULA = re.compile(r"'*[=+@-]")
_ESCAPED = re.compile(r"'+[=+@-]")


def rows(
    data: bytes, name: str, columns: Sequence[str], needed: Sequence[str]
) -> Iterator[tuple[int, Cells | InputError]]:
    """Read a file: of each line that is not empty its number, and its cells by column or what is wrong with it.

    Args:
        name: what errors call the file.
        columns: that there may be, in any order.
        needed: those of them that there have to be.

    Raises:
        InputError: it is not UTF-8, or its heading is not one: no line of it can be read.
    """
    text = _text(data, name)
    heading = re.split(r"[\r\n]", text, maxsplit=1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in heading else ",", strict=True)
    named, line = None, 1
    try:
        for cells in reader:
            if named is None:
                named = _named(cells, name, columns, needed)
            elif not any(map(str.strip, cells)):
                pass
            elif len(cells) == len(named):
                yield line, dict(zip(named, cells, strict=True))
            else:
                yield line, InputError(f"has {len(cells)} fields, and the heading has {len(named)}")
            line = reader.line_num + 1
    except csv.Error as error:
        # What follows cannot be told apart from what is quoted.
        yield line, InputError(f"is no CSV from here on: {error}")
    if named is None:
        raise InputError(f"is empty: a heading is needed, such as {','.join(needed or columns)}", file=name)


def number_in(said: str | None, region: str | None, *, blocks: bool = False) -> str:
    """The number of a line in E.164; or a block, as `options.number_from` says it.

    Raises:
        InputError: it is none. What stands there is not repeated.
    """
    number = reading(blocks)(said or "", region)
    if number is None:
        raise InputError(no_number(said or "", region, blocks=blocks), field="number")
    return number


def moment_in(given: str | None, field: str, later: timedelta) -> datetime | None:
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
    except OverflowError as error:
        raise InputError("is out of reach: where there is no end, leave it empty", field=field) from error
    except ValueError:
        pass
    raise InputError("a day such as 2027-01-31 or a time such as 2027-01-31T09:30+01:00 is needed", field=field)


def check_text(text: str | None, field: str) -> None:
    """Refuse somebody's words that would spoil a list. Raises: InputError."""
    if text is not None and not (text.isprintable() and len(text) <= LONGEST_TEXT):
        raise InputError(f"one line of at most {LONGEST_TEXT} characters is needed", field=field)


def text_in(cell: str | None) -> str | None:
    """Somebody's words, as `text_out` wrote them; None for none."""
    return cell[1:] if cell and _ESCAPED.match(cell) else cell or None


def text_out(text: str) -> str:
    """Somebody's words for a cell, which no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def moment_out(moment: datetime | None) -> str:
    """A moment for a cell, as precise as the store; empty for none."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _text(data: bytes, name: str) -> str:
    wrong, where = "a NUL character, which no text has", data.find(b"\0")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong, where = "is not UTF-8: have it saved as CSV in UTF-8", error.start
    if where >= 0:
        raise InputError(wrong, file=name, line=data.count(b"\n", 0, where) + 1)
    return text


def _named(cells: list[str], name: str, columns: Sequence[str], needed: Sequence[str]) -> list[str]:
    """The names in the heading; what else stands there is not repeated: without a heading it is a number."""
    named = [cell.strip().lower() for cell in cells]
    for place, column in enumerate(named, start=1):
        if column not in columns:
            raise InputError(f"is none of {', '.join(columns)}", file=name, line=1, field=f"column {place}")
        if column in named[: place - 1]:
            raise InputError("is there twice", file=name, line=1, field=column)
    for column in needed:
        if column not in named:
            raise InputError("no column has this name", file=name, line=1, field=column)
    return named
