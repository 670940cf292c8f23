"""``callguard incidents``: what went wrong with recordings and calls and has to be looked into."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, LimitOption
from callguard.cli.stores import read
from callguard.rights import facts

if TYPE_CHECKING:
    from callguard.store.records import StoredIncident

app = typer.Typer(help="What went wrong with recordings and calls and has to be looked into.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands also while there is one."""


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
