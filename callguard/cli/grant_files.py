"""``callguard grant import``, ``export``, ``suspend`` and ``check``: grants and CSV files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import ForOption, hands_over, reads
from callguard.cli.csv_files import (
    SHOWN,
    DryRunOption,
    ForceOption,
    NewFileArgument,
    data_of,
    name_of,
    refuse,
    standard_output,
    whole,
)
from callguard.cli.new_file import new_text
from callguard.cli.options import (
    DEFAULT_CONFIG,
    EXIT_DENIED,
    INPUT,
    STDIN,
    ConfigOption,
    ControllerOption,
    JsonOption,
    RegionOption,
    numbers_from,
    one_of,
    purpose_id,
    region_for,
    warn_of_unknown,
)
from callguard.cli.progress import progress
from callguard.cli.sharing import RecipientOption, refuse_unshared
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.grants import Reported, counts
from callguard.errors import InputError

if TYPE_CHECKING:
    from typing import TextIO

    from callguard.cli.grant_csv import Asked
    from callguard.store.dial_records import StoredGrant
    from callguard.store.reader import Reader

MOST = 30_000
"""So many are added at once: the store is locked for half a second meanwhile, and calls wait a second for it."""


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV in UTF-8, with a heading: number, purpose, basis, channel, since, evidence, and until where you "
            "have it. - is standard input.",
            show_default=False,
        ),
    ],
    controller: ControllerOption = None,
    dry_run: DryRunOption = False,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep the grants of a CSV file: all of them, or where a line is bad none at all; the next dial sees them.

    What was ended since it was given stays ended, however often it is imported.
    """
    from callguard.cli.grant_csv import Lines, grant_lines

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    national = region_for(settings, region)
    name, now = name_of(file), datetime.now(UTC)
    data = data_of(file, name)
    with progress("Reading") as tell:
        found = whole(grant_lines(data, name, national, now), Lines(), data, name, MOST, tell)
        grants, new = tuple(found.grants), None
        if not dry_run:
            new = write(
                settings,
                lambda store: store.grant_all(
                    for_whom, grants, now, "import", lambda ready: tell("Making ready", ready, len(grants))
                ),
            )
        elif settings.store.path.exists():
            read(settings, _usable)
    already = None if new is None else len(grants) - new
    said = {"read": found.read, "added": new, "already": already, "repeated": found.repeated, "over": found.over}
    if print_json:
        typer.echo(json.dumps({"controller": for_whom, "dry_run": dry_run, **said}, indent=2))
    elif dry_run:
        typer.echo(
            f"Nothing is kept: {found.read} read, {found.repeated} repeated, {found.over} over already, none bad"
        )
    else:
        typer.echo(
            f"{found.read} read, {new} added, {already} there already, {found.repeated} repeated, "
            f"{found.over} over already: grants for {for_whom}"
        )
    for purpose in sorted({one.purpose for one in grants})[:SHOWN]:
        warn_of_unknown(settings, for_whom, purpose, None)


async def _usable(reader: Reader) -> None:
    """To have opened it says that the import would find its store, of this schema and with its keys."""


def suspend(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NUMBER",
            help="The phone number; - reads a list from standard input, one number in each line.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        Reported | None, typer.Option(help="What was reported of the number; of a file, of the lines that do not say.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="A file with a heading: number, and reason and at if you have them."
        ),
    ] = None,
    controller: ControllerOption = None,
    region: RegionOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Suspend what was granted on a number that is nobody's, or somebody else's now: from a file all, or none at all.

    It is kept of a number without grants too: whatever older ones are imported later do not count.
    """
    from callguard.cli.grant_csv import Lines, reported_lines, suspension

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    national, now = region_for(settings, region), datetime.now(UTC)
    if (file is None) == (not words):
        raise InputError("say a number, or a file with --csv", field="NUMBER")
    with progress("Reading") as tell:
        if file is not None:
            name = name_of(file)
            data = data_of(file, name)
            reported = reported_lines(data, name, national, now, reason)
            endings = tuple(whole(reported, Lines(), data, name, MOST, tell).endings)
        elif reason is None:
            raise InputError(f"say which: {', '.join(Reported)}", field="--reason")
        else:
            numbers = numbers_from(words or [], national)
            if len(numbers) > MOST:
                raise InputError(f"more than {MOST} at once: split the list", file=INPUT, field="NUMBER")
            endings = tuple(suspension(number, reason, None) for number in numbers)
        new = write(
            settings, lambda store: store.grant_all(for_whom, endings, now, "command" if file is None else "import")
        )
    typer.echo(f"Suspended what was granted on {new} of {len(endings)} numbers, for {for_whom}")


def export(
    file: NewFileArgument,
    controller: ControllerOption = None,
    recipient: RecipientOption = None,
    force: ForceOption = False,
    for_what: ForOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the grants that count now to a CSV file, which only you can read and `grant import` takes.

    It is for the controller itself. Handing it to others needs a basis of its own: with --to, exit code 3 where that
    is missing.
    """
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    now = datetime.now(UTC)

    async def of(reader: Reader) -> tuple[StoredGrant, ...]:
        found = tuple(one for one in await reader.grants(for_whom, None) if counts(one, now))
        await refuse_unshared(reader, settings, for_whom, recipient, (one.number for one in found), now)
        return found

    with hands_over(settings, "grant export", for_what):
        grants = read(settings, of)
    keep = partial(reads, settings, "grant export", for_what, Read(controller=for_whom, to=recipient))
    if str(file) == STDIN:
        keep()
        with standard_output() as out:
            _write(out, grants)
    else:
        with new_text(file, force) as out:
            _write(out, grants)
            keep()  # before the file has its name
        typer.echo(f"{file}: {len(grants)} grants for {for_whom}")


def check(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV in UTF-8, with a heading: number, contract (the evidence of a grant), or both. - is standard "
            "input.",
            show_default=False,
        ),
    ],
    purpose: Annotated[str | None, typer.Option(help="Only a basis for this purpose is one.")] = None,
    controller: ControllerOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say which of the numbers or contracts of a file have a basis now. Exit code 0: all; 3: not all.

    Whether somebody may be called is more than that: see callguard check.
    """
    from callguard.cli.grant_csv import asked

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    purpose_id(purpose)
    name, now = name_of(file), datetime.now(UTC)
    wanted, problems = asked(data_of(file, name), name, region_for(settings, region))
    refuse(problems, name)
    found = read(settings, lambda reader: reader.grants(for_whom, None))
    grants = [one for one in found if counts(one, now) and purpose in (None, one.purpose)]
    reads(settings, "grant check", for_what, Read(controller=for_whom))
    answers = _answers(wanted, grants)
    missing = sum(not bases for _, bases in answers)
    if print_json:
        rows = [
            {
                "line": one.line,
                "number": one.number,
                "contract": one.contract,
                "bases": [{"purpose": grant.purpose, "basis": grant.basis} for grant in bases],
            }
            for one, bases in answers
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        table = tables.table("Line", "Number", "Contract", "Basis", numbers="Number")
        for one, bases in answers:
            said = ", ".join(dict.fromkeys(f"{grant.basis} for {grant.purpose}" for grant in bases))
            tables.add(table, one.line, one.number, one.contract, said or "none")
        tables.show(table)
        typer.echo(f"{len(answers) - missing} of {len(answers)} have a basis")
    if missing:
        raise typer.Exit(EXIT_DENIED)


def _answers(wanted: list[Asked], grants: list[StoredGrant]) -> list[tuple[Asked, list[StoredGrant]]]:
    """The grants of each one: of both its number and its contract, where both are said."""
    by_number: dict[str, list[StoredGrant]] = {}
    by_contract: dict[str, list[StoredGrant]] = {}
    for grant in grants:
        by_number.setdefault(grant.number, []).append(grant)
        by_contract.setdefault(grant.evidence, []).append(grant)
    answers = []
    for one in wanted:
        of_number = by_number.get(one.number, []) if one.number is not None else by_contract.get(one.contract or "", [])
        answers.append((one, [grant for grant in of_number if one.contract in (None, grant.evidence)]))
    return answers


def _write(out: TextIO, grants: tuple[StoredGrant, ...]) -> None:
    from callguard.cli.grant_csv import row, writer

    writer(out).writerows(map(row, grants))
