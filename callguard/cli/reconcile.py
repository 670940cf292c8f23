"""``callguard reconcile``: calls that a trunk was given without a decision."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import phonenumbers
import typer

from callguard import config
from callguard.cdr import TrunkCall, trunk_calls
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption, moment
from callguard.cli.stores import read
from callguard.errors import InputError
from callguard.numbers import to_e164

if TYPE_CHECKING:
    from callguard.store.reader import Reader

# A CDR's times are whole seconds, and a dial is decided shortly before its channel is made, or while it waits.
BEFORE, AFTER = timedelta(seconds=30), timedelta(seconds=1)


def reconcile(
    file: Annotated[Path, typer.Argument(metavar="CDR.csv", help="Asterisk's Master.csv, as cdr_csv writes it.")],
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Calls that began then or later.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Calls that began before that.")] = None,
    utc: Annotated[bool, typer.Option("--utc", help="The file's times are UTC (usegmtime in cdr.conf).")] = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List the calls to a trunk (paths.trunks in the configuration) that no decision allowed.

    Exit code 0: none; 1: there are some. Emergency calls are left out: nobody decides about them.
    """
    settings = config.load(path)
    if not settings.paths.trunks:
        raise settings.wrong("names no trunk, such as PJSIP/trunk-*", "paths", "trunks")
    begin = None if since is None else moment(since, "--from")
    end = None if until is None else moment(until, "--to")
    if begin is not None and end is not None and begin >= end:
        raise InputError("is not before --to", field="--from")
    regions = {profile.region for profile in settings.profiles.values()}

    async def unasked(reader: Reader) -> tuple[int, list[TrunkCall]]:
        count, found = 0, []
        for call in trunk_calls(file, settings.paths.trunks, utc=utc):
            if not _between(call.start, begin, end) or _is_emergency(call, regions):
                continue
            count += 1
            numbers = {number for one in call.dialled for region in regions if (number := to_e164(one, region))}
            times = call.start - BEFORE, call.end + AFTER
            if not any([await reader.was_allowed(number, *times) for number in numbers]):
                found.append(call)
        return count, found

    count, found = read(settings, unasked)
    if print_json:
        typer.echo(json.dumps({"calls": count, "without_decision": [_as_json(one) for one in found]}, indent=2))
    else:
        _show(found)
        typer.echo(f"{count} calls by a trunk, {len(found)} without a decision")
    if found:
        raise typer.Exit(EXIT_FAILED)


def _between(at: datetime, begin: datetime | None, end: datetime | None) -> bool:
    return (begin is None or begin <= at) and (end is None or at < end)


def _is_emergency(call: TrunkCall, regions: set[str | None]) -> bool:
    return any(phonenumbers.is_emergency_number(call.dialled[0], region) for region in regions if region)


def _show(found: list[TrunkCall]) -> None:
    if not found:
        return
    table = tables.table("Began", "Dialled", "By", "Trunk", "Line", numbers="Dialled")
    for one in found:
        tables.add(table, tables.moment(one.start), one.dialled[0], one.channel, one.trunk, one.line)
    tables.show(table)


def _as_json(one: TrunkCall) -> dict[str, object]:
    return {
        "line": one.line,
        "dialled": one.dialled[0],
        "start": one.start.isoformat(),
        "channel": one.channel,
        "trunk": one.trunk,
    }
