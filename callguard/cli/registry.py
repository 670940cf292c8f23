"""``callguard registry``: national lists of numbers that may not be called."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption, one_of
from callguard.cli.progress import progress
from callguard.core.decide import is_stale
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.dial_sections import Registry
    from callguard.registry.standing import Standing

app = typer.Typer(help="National lists of numbers that may not be called.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The registry, as the configuration names it.", show_default=False)
]
DateOption = Annotated[
    str | None,
    typer.Option(
        "--date",
        metavar="YYYY-MM-DD",
        help="As of which day it is; by default the day that the archive says its file is of, or the file's own.",
    ),
]


@app.command("import")
def import_(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Its whole list, as it gives it out: text, or a zip archive with one or several.",
            readable=False,
            show_default=False,
        ),
    ],
    day: DateOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take it even if it is older than the one in force, or less than half of it."),
    ] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a registry's whole list the one in force, or leave the one before; calls go on meanwhile."""
    from callguard.registry.load import load

    settings, registry = _registry(path, name)
    given = _day(day)
    with progress(f"Reading {file.name}") as tell:
        head, before = load(
            file, settings.registry_file(name), name, registry, given, force=force,
            told=lambda what, done, of: tell(f"{what} {file.name}", done, of),
        )  # fmt: skip
    said = f" (before: {before.numbers} of {before.list_date})" if before else ""
    typer.echo(f"{name}: {head.numbers} numbers of {head.list_date} are in force{said}")
    _warn_if_stale(head.list_date, registry)


@app.command("update")
def update(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What was added and deleted since, as the registry gives it out: text, or a zip archive with one.",
            readable=False,
            show_default=False,
        ),
    ],
    day: DateOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Of which day the list is that it changes; where another one is in force, it is refused.",
        ),
    ] = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring the list in force up to date by a change file, wholly or not at all; calls go on meanwhile."""
    from callguard.registry import load

    settings, registry = _registry(path, name)
    given, changed = _day(day), _day(since, "--since")
    with progress(f"Reading {file.name}") as tell:
        head, before, counted = load.update(
            file, settings.registry_file(name), name, registry, given, changed,
            told=lambda what, done, of: tell(f"{what} {file.name}", done, of),
        )  # fmt: skip
    typer.echo(
        f"{name}: {head.numbers} numbers of {head.list_date} are in force (before: {before.numbers} of "
        f"{before.list_date}): {counted.added} added, {counted.deleted} deleted"
    )
    for what, lines in (
        ("were in the list already", counted.there),
        ("were to be deleted and not in the list", counted.not_there),
        ("are about a number that a later line is about too, which counts", counted.repeated),
    ):
        if lines:
            typer.echo(f"{lines} of {counted.lines} lines {what}")
    _warn_if_stale(head.list_date, registry)


@app.command("receipt")
def receipt(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What it answered: with --submitted, the numbers of these that it lists; else all numbers, each with "
            ",listed or ,callable after it. Text, or a zip archive with one.",
            readable=False,
            show_default=False,
        ),
    ],
    controller: Annotated[
        str | None, typer.Option(help="For whom they were submitted; needed where there are several.")
    ] = None,
    day: Annotated[str, typer.Option("--date", metavar="YYYY-MM-DD", help="As of which day the answer is.")] = "",
    submitted: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The numbers that were submitted.", readable=False)
    ] = None,
    callable_: Annotated[
        bool, typer.Option("--callable", help="With --submitted: FILE has those that may be called instead.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Believe also that none of them is listed.")] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep what a registry answered about numbers that were submitted to it; calls go on meanwhile."""
    from callguard.registry.receipt import receive

    settings, registry = _registry(path, name, "scrub")
    for_whom = one_of(settings.controllers, controller, "--controller")
    if (given := _day(day or None)) is None:
        raise InputError("the day of the answer is needed, such as 2026-11-20", field="--date")
    if callable_ and submitted is None:
        raise InputError("says something only with --submitted", field="--callable")
    with progress(f"Reading {file.name}") as tell:
        received = receive(
            file, settings.receipts_file(name, for_whom), (name, for_whom), registry, given, submitted=submitted,
            callable_=callable_, force=force, told=lambda what, done, of: tell(f"{what} {file.name}", done, of),
        )  # fmt: skip
    typer.echo(
        f"{name} for {for_whom}: {received.listed} of {received.submitted} numbers are listed, as of {given}; "
        f"{received.head.numbers} numbers are known"
    )
    _warn_if_stale(given, registry)
    if for_whom not in settings.screened_for(name):
        typer.echo(f"callguard: no profile of {for_whom} makes calls that {name} is asked about", err=True)


@app.command("status")
def status(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the lists in force and how old they are. Exit code 1: calls are denied as one is stale or missing."""
    from callguard.registry.standing import State, standings

    found = standings(config.load(path), datetime.now(UTC))
    if print_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=2, ensure_ascii=False))
    else:
        _show(found)
    if any(one.state not in (State.FRESH, State.ASKED) for one in found):
        raise typer.Exit(EXIT_FAILED)


def _show(found: tuple[Standing, ...]) -> None:
    if not found:
        typer.echo("No registries")
        return
    table = tables.table("Registry", "State", "Numbers", "List of", "Days old", "At most", "Imported")
    for one in found:
        head = one.head
        tables.add(
            table, one.name, one.state, head and head.numbers, head and head.list_date, one.age_days,
            None if one.file is None else one.max_age_days, tables.moment(head.imported_at if head else None),
        )  # fmt: skip
    tables.show(table)
    for one in found:
        if one.problem:
            typer.echo(f"{one.name}: {one.problem}")


def _as_json(one: Standing) -> dict[str, object]:
    head = one.head
    return {
        "registry": one.registry,
        "controller": one.controller or None,
        "state": one.state,
        "numbers": head and head.numbers,
        "list_date": head and head.list_date.isoformat(),
        "imported_at": head and head.imported_at.isoformat(),
        "age_days": one.age_days,
        "max_age_days": None if one.file is None else one.max_age_days,
        "sha256": head and head.body_sha256.hex(),
        "file": one.file and str(one.file),
        "problem": one.problem or None,
    }


def _registry(path: Path, name: str, mode: str = "full") -> tuple[config.Config, Registry]:
    settings = config.load(path)
    if not settings.registries:
        raise InputError("the configuration has no [registries.NAME]", file=path, field="NAME")
    registry = settings.registries[one_of(settings.registries, name, "NAME")]
    if registry.mode != mode:
        takes = {"full": "import and update take its list", "scrub": "receipt takes its answers"}
        problem = takes.get(registry.mode, "it is asked at each dial, and keeps nothing here")
        raise InputError(f"is a registry with mode = {registry.mode}: {problem}", field="NAME")
    return settings, registry


def _warn_if_stale(list_date: date, registry: Registry) -> None:
    if is_stale(list_date, registry.max_age_days, datetime.now(UTC)):
        typer.echo(
            f"callguard: that is older than the {registry.max_age_days} days it may be: calls are denied", err=True
        )


def _day(given: str | None, field: str = "--date") -> date | None:
    try:
        return None if given is None else date.fromisoformat(given)
    except ValueError as error:
        raise InputError("a day such as 2026-11-20 is needed", field=field) from error
