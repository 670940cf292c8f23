"""``callguard incidents``: what went wrong with recordings and has to be looked into."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callguard import config
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption

if TYPE_CHECKING:
    from callguard.store.records import StoredIncident

# As long as a UUID is written.
ID_LENGTH = 36

app = typer.Typer(help="What went wrong with recordings and has to be looked into.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands also while there is one."""


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")] = 50,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the latest incidents, newest first."""
    from callguard.store.reader import Reader

    settings = config.load(path)

    async def read() -> tuple[StoredIncident, ...]:
        async with Reader.reading(settings.store.path) as reader:
            return await reader.incidents(limit)

    found = asyncio.run(read())
    if print_json:
        typer.echo(json.dumps([as_json(one) for one in found], indent=2))
    else:
        show(found)


def show(incidents: tuple[StoredIncident, ...]) -> None:
    """Print incidents as a table."""
    if not incidents:
        typer.echo("No incidents")
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("When", "Kind", "Call", "Detail"):
        # Half an id names nothing.
        table.add_column(heading, min_width=ID_LENGTH if heading == "Call" else None, overflow="fold")
    for one in incidents:
        table.add_row(
            one.at.astimezone().isoformat(" ", timespec="seconds"),
            one.kind,
            one.call_id or "",
            # Text, for brackets are markup in a plain string.
            Text("\n".join(f"{name}: {_plain(value)}" for name, value in one.detail.items())),
        )
    Console().print(table)


def as_json(one: StoredIncident) -> dict[str, object]:
    """An incident as JSON names it."""
    return {
        "incident": one.incident_id,
        "kind": one.kind,
        "at": one.at.isoformat(),
        "controller": one.controller,
        "call": one.call_id,
        "leg": one.leg_id,
        "detail": one.detail,
    }


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
