"""``callguard calls ticket``: a call and what it is known by in another system, each found by the other."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.kept import call_id
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from callguard.cli.stores import read, write
from callguard.errors import InputError

# Letters and digits of a system's own, and never a phone number with its plus.
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:#/-]{0,63}")

ReferenceArgument = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="The ticket's own id, such as INC-4711.", show_default=False)
]


def ticket(
    reference: ReferenceArgument,
    call: Annotated[
        str | None, typer.Option("--call", metavar="CALL", help="Keep that this call is known by it from now on.")
    ] = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the calls that a ticket is about; with --call, add one. It goes with the erasure of who called."""
    settings = config.load(path)
    if not _REFERENCE.fullmatch(reference):
        raise InputError("64 letters, digits and any of . _ : # / - at most", field="REFERENCE")
    if call is not None:
        which, now = call_id(call), datetime.now(UTC)
        if write(settings, lambda store: store.add_ticket(which, reference, now)) is None:
            raise InputError("the store has no such call", field="--call")
    found = read(settings, lambda reader: reader.calls_of_ticket(reference), locked=True)
    if print_json:
        typer.echo(json.dumps([{"call": it.call_id, "since": it.at.isoformat()} for it in found], indent=2))
    elif not found:
        typer.echo("No call is known by it")
    else:
        table = tables.table("Call", "Since", ids="Call")
        for it in found:
            tables.add(table, it.call_id, tables.moment(it.at))
        tables.show(table)
