"""``callguard optout import`` and ``export``: opt-outs from a CSV file, and into one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from callguard import config
from callguard.cli.access import ForOption, hands_over, reads
from callguard.cli.csv_files import (
    SHOWN,
    DryRunOption,
    ForceOption,
    NewFileArgument,
    data_of,
    name_of,
    standard_output,
    whole,
)
from callguard.cli.new_file import new_text
from callguard.cli.options import (
    DEFAULT_CONFIG,
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
from callguard.cli.sharing import RecipientOption, refuse_unshared
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.blocks import Block
from callguard.errors import InputError
from callguard.numbers import is_anybody_in

if TYPE_CHECKING:
    from callguard.store.reader import Reader


MOST_PREFIXES = 100_000
"""That the blocks of a list may come to: they are added with it at once, ten of them in the time of two or three
numbers."""
LOOKED_AT = 500
"""So many blocks of a list are looked at for whether anybody is in them: some of them take a tenth of a second."""


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV in UTF-8, with a heading: number (or a block), and as you have them scope, purpose, campaign, "
            "since, until, reason. - is standard input.",
            show_default=False,
        ),
    ],
    controller: ControllerOption = None,
    dry_run: DryRunOption = False,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep the opt-outs of a CSV file: all of them, or where a line is bad none at all; the next dial sees them."""
    from callguard.cli.optout_csv import Lines, lines

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    national = region_for(settings, region)
    name, now = name_of(file), datetime.now(UTC)
    data = data_of(file, name)
    with progress("Reading") as tell:
        found = whole(lines(data, name, national, now), Lines(), data, name, MOST, tell)
        opt_outs = tuple(found.opt_outs.values())
        refuse_long((one.number for one in opt_outs), file=name)
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
    warn_of_empty(one.number for one in opt_outs)
    for purpose, campaign in sorted({(one.purpose or "", one.campaign or "") for one in opt_outs})[:SHOWN]:
        warn_of_unknown(settings, for_whom, purpose or None, campaign or None)


def refuse_long(numbers: Iterable[str], file: str | None = None, field: str = "") -> None:
    """Refuse blocks that would lock the store for long. Raises: InputError."""
    if sum(len(block.prefixes) for number in numbers if (block := Block.of(number))) > MOST_PREFIXES:
        wrong = f"its ranges come to more than {MOST_PREFIXES} prefixes, so nothing is kept: split it"
        raise InputError(wrong, file=file, field=field)


def warn_of_empty(numbers: Iterable[str]) -> None:
    """Say of how many blocks that nobody is in them: they are mostly mistyped. They stay, for they only deny."""
    blocks = islice(filter(None, map(Block.of, numbers)), LOOKED_AT)
    if empty := sum(not is_anybody_in(block) for block in blocks):
        what = "the block" if empty == 1 else f"{empty} of the blocks"
        typer.echo(f"No number that is given out is in {what}, which denies nobody so: is it spelt right?", err=True)


def export(
    file: NewFileArgument,
    controller: ControllerOption = None,
    recipient: RecipientOption = None,
    force: ForceOption = False,
    for_what: ForOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the opt-outs in force to a CSV file, which only you can read and `optout import` takes.

    It is for the controller itself. Handing it to others needs a basis of its own: with --to, exit code 3 where that
    is missing.
    """
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    now = datetime.now(UTC)

    async def may_be_shared(reader: Reader) -> None:
        async with aclosing(reader.each_opt_out(for_whom, now)) as found:
            listed = {one.number async for one in found}
        await refuse_unshared(reader, settings, for_whom, recipient, listed, now)

    if recipient is not None:
        with hands_over(settings, "optout export", for_what):
            read(settings, may_be_shared)
    keep = partial(reads, settings, "optout export", for_what, Read(controller=for_whom, to=recipient))
    if str(file) == STDIN:
        keep()
        with standard_output() as out:
            read(settings, lambda reader: _write(reader, out, for_whom, now))
    else:
        with new_text(file, force) as out:
            written = read(settings, lambda reader: _write(reader, out, for_whom, now))
            keep()  # before the file has its name
        typer.echo(f"{file}: {written} opt-outs for {for_whom}")


async def _write(reader: Reader, out: TextIO, controller: str, now: datetime) -> int:
    """How many were written."""
    from callguard.cli.optout_csv import row, writer

    to, written = writer(out), 0
    async with aclosing(reader.each_opt_out(controller, now)) as found:
        async for one in found:
            to.writerow(row(one))
            written += 1
    return written
