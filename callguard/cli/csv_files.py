"""Files of many lines, read and written by commands: read whole or not at all, and written for their owner only."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol, TextIO, TypeAlias, TypeVar

import typer

from callguard.cli.options import INPUT, STDIN
from callguard.errors import InputError, SetupError

LARGEST = 64 << 20
"""In bytes: more than so many lines have."""

SHOWN = 20
"""So many bad lines are told of."""

OUTPUT = "standard output"

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check and count; keep nothing.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
NewFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to make; - is standard output.", show_default=False)
]

Tell: TypeAlias = Callable[[str, int, int], None]


class Found(Protocol):
    """What was read of a file so far.

    Attributes:
        read: how many lines, without heading and empty ones.
        problems: each with the line that it stands in.
    """

    read: int
    problems: list[InputError]


F = TypeVar("F", bound=Found)


def name_of(file: Path) -> str:
    """What errors call a file."""
    return INPUT if str(file) == STDIN else str(file)


def data_of(file: Path, name: str) -> bytes:
    """What a file holds, or standard input. Raises: InputError."""
    try:
        if str(file) == STDIN:
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=name) from error
    if len(data) > LARGEST:
        raise InputError(f"is larger than {LARGEST >> 20} MiB: split it", file=name)
    return data


def whole(read_so_far: Iterator[F], nothing: F, data: bytes, name: str, most: int, tell: Tell) -> F:
    """What a file says.

    Args:
        read_so_far: the same after each line.
        nothing: the same of a file that has no line.
        most: so many lines at most.

    Raises:
        InputError: a line is bad, or there are too many. What is bad is on standard error by then.
    """
    found, expected = nothing, data.count(b"\n")
    for found in read_so_far:
        if found.read % 1000 == 0:
            tell("Checking", found.read, expected)
        if found.read > most:
            raise InputError(f"has more than {most} lines, so nothing is kept: split it", file=name)
    refuse(found.problems, name)
    return found


def refuse(problems: Sequence[InputError], name: str) -> None:
    """Tell which lines of a file are bad, if any.

    Raises:
        InputError: there are some. What is bad is on standard error by then.
    """
    if problems:
        for problem in problems[:SHOWN]:
            typer.echo(str(problem), err=True)
        bad, more = len(problems), len(problems) - SHOWN
        raise InputError(
            f"{bad} bad {'line' if bad == 1 else 'lines'}{f', {more} of them not shown' if more > 0 else ''}, "
            "so nothing is kept",
            file=name,
        )


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output in UTF-8, with the line ends that CSV has."""
    sys.stdout.flush()
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        yield out
        out.flush()
        sys.stdout.flush()
    except OSError as error:
        # Whoever read it has gone. What is left is not to be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SetupError(f"{OUTPUT}: cannot be written: {error.strerror}") from error
    finally:
        out.detach()
