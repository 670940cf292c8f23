"""``callguard incidents``: what went wrong with recordings and calls and has to be looked into."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import ForOption, reads
from callguard.cli.new_file import new_file
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, LimitOption
from callguard.cli.stores import read
from callguard.core.access import Read
from callguard.core.evidence import Value
from callguard.errors import InputError, SetupError
from callguard.rights import facts

if TYPE_CHECKING:
    from callguard.store.reader import Reader
    from callguard.store.records import StoredIncident

MANY = 1_000_000

app = typer.Typer(help="What went wrong with recordings and calls and has to be looked into.", no_args_is_help=True)


@app.command("list")
def list_(
    limit: LimitOption = 50,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the latest incidents, newest first."""
    found = read(config.load(path), lambda reader: reader.incidents(limit))
    if print_json:
        typer.echo(json.dumps([facts.incident(one) for one in found], indent=2))
    else:
        show(found)


@app.command("export")
def export(
    name: Annotated[
        str, typer.Argument(metavar="FILE", help="Its name in `quarantine`, as an incident has it.", show_default=False)
    ],
    to: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A file that is not there yet.")],
    for_what: ForOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write what was set aside for an incident to a new file that only you may read, decrypted."""
    from callguard.keys import master
    from callguard.keys.names import Shelf
    from callguard.keys.quarantine import open_set_aside

    settings = config.load(path)
    masters, shelf = master.load(settings), Shelf.of_quarantine(settings.recording)

    async def ask(reader: Reader) -> tuple[StoredIncident | None, BinaryIO | None]:
        of = next((one for one in await reader.incidents(MANY) if name in _files(one)), None)
        return of, None if of is None else open_set_aside(shelf, name, masters, await reader.quarantine_key())

    of, file = read(settings, ask, locked=True)
    if of is None or file is None:
        raise InputError("no incident names such a file: see `incidents list`, quarantined_as", field="FILE")
    with closing(file), new_file(to, force=False) as out:
        # That it is heard is kept before it is, and nothing is kept of what cannot be.
        reads(settings, "incidents export", for_what, Read(call_id=of.call_id, controller=of.controller))
        try:
            shutil.copyfileobj(file, out, 1 << 20)
        except OSError as error:
            raise SetupError(f"what was set aside cannot be copied: {error.strerror}") from error


def _files(one: StoredIncident) -> list[Value]:
    """The names that an incident's files have in quarantine."""
    named = one.detail.get("quarantined_as"), one.detail.get("also_quarantined")
    return [name for some in named for name in (some if isinstance(some, list) else [some])]


def show(incidents: tuple[StoredIncident, ...]) -> None:
    """Print incidents as a table."""
    if not incidents:
        typer.echo("No incidents")
        return
    table = tables.table("When", "Kind", "Call", "Detail", ids="Call")
    for one in incidents:
        detail = "\n".join(f"{name}: {_plain(value)}" for name, value in one.detail.items())
        tables.add(table, tables.moment(one.at), one.kind, one.call_id, detail)
    tables.show(table)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
