"""A TOML file that people write: what is in it, and where in it a fault is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from callguard.errors import InputError


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text, and what it says.

    Raises:
        InputError: it cannot be read, or is not TOML.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error
    try:
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line_number = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8, as TOML has to be", file=path, line=line_number) from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise InputError(f"not TOML: {error}", file=path, line=int(line[1]) if line else None) from error


def first_fault(error: ValidationError) -> tuple[ErrorDetails, tuple[int | str, ...]]:
    """The fault to tell of, and the setting that it is in."""
    # A name that is not known is mostly a known one mistyped, so it explains a missing one.
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    return first, tuple(part for part in first["loc"] if part != "[key]")


def line_of(text: str, where: Sequence[str | int]) -> int | None:
    """In a TOML file's text, the line of a setting, or of the nearest table above it that is written there."""
    # A quoted name with dots in it, such as a purpose's, is looked for as if each part were a table.
    where = [piece for part in where for piece in (part.split(".") if isinstance(part, str) else (part,))]
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    best: tuple[int, int] = (0, 0)
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[{1,2})\s*([\w.\"'-]+)\s*\]", line):
            table = tuple(part.strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            here = table
        elif key := re.match(r"\s*([\w.\"'+*#-]+)\s*=", line):
            here = (*table, *(part.strip("\"'") for part in key[1].split(".")))
        else:
            continue
        if len(here) > best[0] and tuple(where[: len(here)]) == here:
            best = (len(here), number)
    return best[1] or None
