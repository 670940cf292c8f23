"""Asterisk's own record of calls (CDR), as cdr_csv writes it to Master.csv: which of them a trunk was called for.

Source: the columns of cdr_csv.c, in this order since Asterisk 1.0; what follows the sixteenth is left to its settings.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from callguard.errors import InputError

COLUMNS = 16
DST, CHANNEL, DSTCHANNEL, LASTDATA, START, END = 2, 5, 6, 8, 9, 11
# One number dialled, in what Dial was given: PJSIP/TRUNK/sip:NUMBER@…, PJSIP/NUMBER@TRUNK, TECHNOLOGY/TRUNK/NUMBER.
_NUMBER = re.compile(r"[^/]+/(?:[^/]*/)?(?:sips?:)?([^@/:]+)(?:@.*)?")


@dataclass(frozen=True, slots=True)
class TrunkCall:
    """A call that went out by a trunk.

    Attributes:
        line: in the file.
        dialled: what may be the number called: what Dial was given, then what was dialled in the dialplan.
        start: aware, whole seconds, as `end`.
        channel: who called; `trunk` is the trunk's channel.
    """

    line: int
    dialled: tuple[str, ...]
    start: datetime
    end: datetime
    channel: str
    trunk: str


def trunk_calls(file: Path, trunks: Sequence[str], *, utc: bool) -> Iterator[TrunkCall]:
    """The calls that went out by a channel of one of these names (patterns, as the shell's), in the file's order.

    Args:
        utc: its times are UTC (usegmtime in cdr.conf); this machine's time otherwise.

    Raises:
        InputError: the file cannot be read, there is nothing in it, or a line is none of a CDR's; those before have
            been given.
    """
    try:
        with file.open(encoding="utf-8", errors="replace", newline="") as text:
            for row in (rows := csv.reader(text, strict=True)):
                if len(row) < COLUMNS:
                    raise InputError(f"{len(row)} columns, where a CDR has {COLUMNS}", file=file, line=rows.line_num)
                if any(fnmatchcase(row[DSTCHANNEL], pattern) for pattern in trunks):
                    start, end = (_time(row[at], utc, file, rows.line_num) for at in (START, END))
                    yield TrunkCall(rows.line_num, _dialled(row), start, end, row[CHANNEL], row[DSTCHANNEL])
            if not rows.line_num:
                raise InputError("is empty: no call is recorded in it, so nothing can be said", file=file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", file=file, line=rows.line_num) from error


def _dialled(row: Sequence[str]) -> tuple[str, ...]:
    numbers = [found[1] for one in row[LASTDATA].split(",")[0].split("&") if (found := _NUMBER.fullmatch(one))]
    return tuple(dict.fromkeys([*numbers, row[DST]]))


def _time(text: str, utc: bool, file: Path, line: int) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no time of a CDR", file=file, line=line) from error
    return at.replace(tzinfo=UTC) if utc else at.astimezone()
