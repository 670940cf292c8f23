"""``callguard subject``: all that is known of a person, who is found by number. It shows; what it shows is personal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    NumberArgument,
    RegionOption,
    a_number,
    one_of,
    region_for,
)
from callguard.cli.stores import read
from callguard.rights import facts
from callguard.rights.timeline import timeline

if TYPE_CHECKING:
    from callguard.store.about import Subject

OnlyOption = Annotated[str | None, typer.Option(help="Only this controller's.")]

app = typer.Typer(help="All that is known of a person, by number.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group of commands also while there is one."""


@app.command("show")
def show(
    words: NumberArgument,
    controller: OnlyOption = None,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show all that is known of a person: calls, answers with their evidence, opt-outs, grants, dials, recordings."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    found, now = read(settings, lambda reader: reader.subjects(for_whom, number)), datetime.now(UTC)
    if print_json:
        typer.echo(json.dumps([facts.subject(one, now) for one in found], indent=2, ensure_ascii=False))
    elif found:
        _show(found)
    else:
        typer.echo(f"Nothing is known of {number}{'' if for_whom is None else f' by {for_whom}'}.")


def _show(found: Sequence[Subject]) -> None:
    for one in found:
        named = f", {one.name}" if one.name else ""
        typer.echo(f"{one.number}{named} is subject {one.subject_id} of {one.controller}")
    typer.echo()
    told = tables.table("When", "Controller", "What", "Call", ids="Call")
    for event in timeline(found):
        tables.add(told, tables.moment(event.at), event.controller, event.what, event.call)
    tables.show(told)
    recordings = [leg.detail.recording for one in found for leg in one.legs if leg.detail.recording is not None]
    if recordings:
        typer.echo()
        kept = tables.table("Recording of", "State", "Destroyed", "Bytes", "SHA-256", ids="Recording of")
        for it in recordings:
            until = tables.moment(it.destroyed_at or it.destroy_at) or "no time set"
            for file in it.files or (None,):
                tables.add(kept, it.call_id, it.state, until, file and file.size, file and file.sha256)
        tables.show(kept)
    typer.echo()
    proved = tables.table("Evidence", "Of", "SHA-256")
    entries = [it for one in found for it in one.all_evidence]
    for entry in sorted(entries, key=lambda entry: entry.at):
        tables.add(proved, tables.moment(entry.at), entry.kind, facts.digest(entry))
    tables.show(proved)
