"""``callguard optout import`` and ``export``: opt-outs from a CSV file, and into one."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from callguard import config
from callguard.cli.options import (
    DEFAULT_CONFIG,
    INPUT,
    MOST,
    STDIN,
    ConfigOption,
    ControllerOption,
    JsonOption,
    RegionOption,
    one_of,
    region_for,
    warn_of_unknown,
)
from callguard.cli.progress import progress
from callguard.cli.stores import read, write
from callguard.errors import InputError, SetupError

if TYPE_CHECKING:
    from callguard.cli.optout_csv import Lines
    from callguard.store.reader import Reader

LARGEST = 64 << 20
"""In bytes: more than so many lines have."""

SHOWN = 20
"""So many bad lines are told of."""

OUTPUT = "standard output"


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV in UTF-8, with a heading: number, and as you have them scope, purpose, campaign, since, until, "
            "reason. - is standard input.",
            show_default=False,
        ),
    ],
    controller: ControllerOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count; keep nothing.")] = False,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep the opt-outs of a CSV file: all of them, or where a line is bad none at all; the next dial sees them."""
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    national = region_for(settings, region)
    name = INPUT if str(file) == STDIN else str(file)
    data = data_of(file, name)
    now = datetime.now(UTC)
    with progress("Reading") as tell:
        found = _checked(data, name, national, now, tell)
        opt_outs = tuple(found.opt_outs.values())
        if not dry_run:
            new = write(
                settings,
                lambda store: store.opt_out_all(
                    for_whom, opt_outs, now, "import", lambda ready: tell("Making ready", ready, len(opt_outs))
                ),
            )
        elif settings.store.path.exists():
            new = len(opt_outs) - read(settings, lambda reader: reader.standing(for_whom, opt_outs, now, "import"))
        else:
            new = len(opt_outs)
    said = {
        "read": found.read,
        "added": new,
        "already": len(opt_outs) - new,
        "repeated": found.repeated,
        "over": found.over,
    }
    if print_json:
        typer.echo(json.dumps({"controller": for_whom, "dry_run": dry_run, **said}, indent=2))
    else:
        begin = "Nothing is kept, but would be: " if dry_run else ""
        typer.echo(
            f"{begin}{found.read} read, {new} added, {said['already']} there already, {found.repeated} repeated, "
            f"{found.over} over already: opt-outs for {for_whom}"
        )
    for purpose, campaign in sorted({(one.purpose or "", one.campaign or "") for one in opt_outs})[:SHOWN]:
        warn_of_unknown(settings, for_whom, purpose or None, campaign or None)


def export(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file to make; - is standard output.", show_default=False),
    ],
    controller: ControllerOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the opt-outs in force to a CSV file, which only you can read and `optout import` takes."""
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    if str(file) == STDIN:
        with standard_output() as out:
            read(settings, lambda reader: _write(reader, out, for_whom))
    else:
        with new_file(file, force) as out:
            written = read(settings, lambda reader: _write(reader, out, for_whom))
        typer.echo(f"{file}: {written} opt-outs for {for_whom}")


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


def _checked(data: bytes, name: str, region: str | None, now: datetime, tell: Callable[[str, int, int], None]) -> Lines:
    """What the file says.

    Raises:
        InputError: a line is bad, or there are too many. What is bad is on standard error by then.
    """
    from callguard.cli.optout_csv import Lines, lines

    found, expected = Lines(), data.count(b"\n")
    for found in lines(data, name, region, now):
        if found.read % 1000 == 0:
            tell("Checking", found.read, expected)
        if found.read > MOST:
            raise InputError(f"has more than {MOST} lines, so nothing is kept: split it", file=name)
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


async def _write(reader: Reader, out: TextIO, controller: str) -> int:
    """How many were written."""
    from callguard.cli.optout_csv import row, writer

    to, written = writer(out), 0
    async with aclosing(reader.each_opt_out(controller, datetime.now(UTC))) as found:
        async for one in found:
            to.writerow(row(one))
            written += 1
    return written


@contextmanager
def new_file(file: Path, force: bool) -> Iterator[TextIO]:
    """A file for its owner only, which is there once it is whole; without force none is replaced."""
    if file.exists() and not force:
        raise InputError("is there already: --force replaces it", file=file)
    made: Path | None = None
    try:
        # In its own folder, so that giving it its name is one step; mode 0600.
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        made = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
        if force:
            made.replace(file)
        else:
            os.link(made, file)
    except FileExistsError as error:
        raise InputError("is there already: --force replaces it", file=file) from error
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file) from error
    finally:
        if made is not None:
            made.unlink(missing_ok=True)


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
