"""``callguard agent``: which agents let their side of calls be recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import ForOption, reads
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.agents import AgentGrant
from callguard.errors import InputError
from callguard.sections import Agents

app = typer.Typer(help="Which agents let their side of calls be recorded.", no_args_is_help=True)

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="As the configuration has it: the NAME of agents.NAME.", show_default=False),
]


@app.command("grant")
def grant(name: NameArgument, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep that an agent grants it, on the agreement that the configuration names now."""
    settings = config.load(path)
    if name not in settings.agents:
        there_are = ", ".join(sorted(settings.agents)) or "none"
        raise InputError(f"is not in the configuration; there are: {there_are}", field="NAME")
    agreement = settings.agents[name].agreement
    new = write(settings, lambda store: store.agent_grants_it(name, agreement, datetime.now(UTC)))
    typer.echo(f"{'Kept' if new else 'Kept already'}: {name} grants being recorded ({agreement})")
    if not settings.agents[name].grant:
        typer.echo("The configuration asks for no grant of this one: the agreement alone is enough.", err=True)


@app.command("revoke")
def revoke(name: NameArgument, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep that an agent takes it back; also of one that is no longer in the configuration."""
    settings = config.load(path)
    ended = write(settings, lambda store: store.agent_revokes_it(name, datetime.now(UTC)))
    typer.echo(f"Ended: the grant of {name}" if ended else "Nothing to end: no grant is in force")


@app.command("list")
def list_(for_what: ForOption = None, print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the agents of the configuration and of the store, and what each has granted."""
    settings = config.load(path)
    grants = {one.name: one for one in read(settings, lambda reader: reader.agent_grants())}
    names = sorted({*settings.agents, *grants})
    reads(settings, "agent list", for_what, Read())
    if print_json:
        rows = [_row(name, settings.agents.get(name), grants.get(name)) for name in names]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not names:
        typer.echo("No agents")
    else:
        _show(names, settings.agents, grants)


def _show(names: list[str], agents: Mapping[str, Agents], grants: Mapping[str, AgentGrant]) -> None:
    table = tables.table("Agent", "Phones", "Agreement", "Grant")
    for name in names:
        agent, granted = agents.get(name), grants.get(name)
        if granted is None:
            says = "none" if agent is not None and agent.grant else "not needed"
        elif granted.until is not None:
            says = f"revoked {granted.until.astimezone():%Y-%m-%d %H:%M}"
        else:
            says = f"given {granted.since.astimezone():%Y-%m-%d %H:%M}"
            says += "" if agent is None or agent.agreement == granted.agreement else ", to another agreement"
        phones = "" if agent is None else ", ".join(agent.endpoints)
        tables.add(table, name, phones, "not in the configuration" if agent is None else agent.agreement, says)
    tables.show(table)


def _row(name: str, agent: Agents | None, granted: AgentGrant | None) -> dict[str, object]:
    return {
        "agent": name,
        "endpoints": agent and agent.endpoints,
        "agreement": agent and agent.agreement,
        "needs_grant": bool(agent and agent.grant),
        "granted": granted and granted.since.isoformat(timespec="seconds"),
        "granted_agreement": granted and granted.agreement,
        "revoked": granted and granted.until and granted.until.isoformat(timespec="seconds"),
    }
