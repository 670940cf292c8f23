"""``callguard report``: what an officer has to declare or to tell, from the configuration and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from callguard import config
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, moment, one_of
from callguard.cli.stores import read
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.store.about import Figures, IncidentFacts
    from callguard.store.reader import Reader

YEAR = timedelta(days=365)

app = typer.Typer(help="What an officer has to declare or to tell (GDPR Art. 19, 30, 33, 35).", no_args_is_help=True)

OnlyOption = Annotated[str | None, typer.Option(help="Only this controller's.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="From when on, such as 2027-01-31T09:30; by default for a year.")
]
UntilOption = Annotated[str | None, typer.Option(metavar="TIME", help="Before when; by default now.")]


@app.command("processing")
def processing(
    controller: OnlyOption = None, print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Tell the register of processing (Art. 30): purposes, bases, people, data, recipients, retention, security."""
    from callguard.rights import register

    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    _tell({"controllers": register.processing(settings, for_whom)}, print_json)


@app.command("breach")
def breach(
    since: Annotated[str, typer.Option(metavar="TIME", help="From when on, such as 2027-01-31T09:30.")],
    until: UntilOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell what a breach report needs (Art. 33): incidents, and how many people and records they concern."""
    from callguard.rights import reports

    settings, now = config.load(path), datetime.now(UTC)
    first, last = _between(since, until, now)
    found = read(settings, lambda reader: reader.incidents_between(first, last))
    _tell(reports.breach(settings, found, first, last, now), print_json)


@app.command("recipients")
def recipients(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's id.", show_default=False)],
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell who else has to know when a call's data are put right, erased or restricted, with a notice (Art. 19)."""
    from callguard.rights import register

    settings = config.load(path)
    try:
        call_id = str(UUID(call))
    except ValueError as error:
        raise InputError("is no id of a call: 32 hexadecimal digits in five groups", field="CALL") from error
    legs = read(settings, lambda reader: reader.call(call_id))
    if not legs:
        raise InputError("the store has no such call", field="CALL")
    _tell({"controllers": register.recipients(settings, call_id, legs)}, print_json)


@app.command("impact")
def impact(
    since: SinceOption = None,
    until: UntilOption = None,
    controller: OnlyOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell the facts that an impact assessment starts from (Art. 35): what is done, how often, what people answered."""
    from callguard.rights import reports

    settings, now = config.load(path), datetime.now(UTC)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    first, last = _between(since, until, now)

    async def ask(reader: Reader) -> tuple[Figures, tuple[IncidentFacts, ...]]:
        return await reader.figures(first, last, now), await reader.incidents_between(first, last)

    figures, found = read(settings, ask)
    _tell(reports.impact(settings, figures, found, first, last, now, for_whom), print_json)


def _between(since: str | None, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    last = now if until is None else moment(until, "--until")
    first = last - YEAR if since is None else moment(since, "--since")
    if first >= last:
        raise InputError("is not before --until", field="--since")
    return first, last


def _tell(report: Mapping[str, Any], print_json: bool) -> None:
    typer.echo(json.dumps(report, indent=2, ensure_ascii=False) if print_json else "\n".join(_lines(report)))


def _lines(value: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A report in words: its own names, indented; what has parts goes on in the lines after."""
    indent = "  " * depth
    for name, it in value.items():
        words = name.replace("_", " ")
        if isinstance(it, Mapping) and it:
            yield f"{indent}{words}:"
            yield from _lines(it, depth + 1)
        elif isinstance(it, list) and it:
            yield f"{indent}{words}:"
            for one in it:
                yield from _item(one, depth + 1)
        else:
            yield f"{indent}{words}: {'none' if it in (None, [], {}, '') else it}"


def _item(value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{'  ' * depth}- {value}"
        return
    lines = list(_lines(value, depth + 1))
    yield f"{'  ' * depth}- {lines[0].lstrip()}"
    yield from lines[1:]
