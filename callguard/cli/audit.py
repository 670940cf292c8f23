"""``callguard audit``: what an auditor asks of the whole store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption, LimitOption, moment
from callguard.cli.progress import progress
from callguard.cli.stores import read

if TYPE_CHECKING:
    from callguard.retention import Judged
    from callguard.store.access import Access
    from callguard.store.retention_reader import Baseless, RetentionReader, Unproved

app = typer.Typer(help="What an auditor asks of the whole store.", no_args_is_help=True)


@app.command("basis")
def basis(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the records that have no lawful basis, or none that is proved (GDPR Art. 6(1)). Exit code 1: there are.

    Recordings that are kept though the basis of none of their purposes stands; legs that were recorded without a
    committed basis; grants of which there is no evidence.
    """
    settings, now = config.load(path), datetime.now(UTC)

    async def ask(reader: RetentionReader) -> list[dict[str, object]]:
        from callguard.core.retention import standing
        from callguard.retention import pages

        found: list[dict[str, object]] = []
        looked, total = 0, await reader.count_kept()
        with progress("Reading the store") as tell:
            async for page in pages(reader, settings, "", now):
                found += [_recording(one) for one in page if not standing(one.recording.facts, now)]
                tell("Judging", looked := looked + len(page), total)
        found += [_leg(one) for one in await reader.baseless_legs()]
        return found + [_grant(one) for one in await reader.unproved_grants()]

    found = read(settings, ask)
    if print_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        typer.echo("Every record has its lawful basis, and its evidence")
    else:
        table = tables.table("When", "Record", "Controller", "Call", "Purposes", "What is wrong", ids="Call")
        for one in found:
            when = tables.moment(datetime.fromisoformat(str(one["at"])))
            tables.add(table, when, *(one[name] for name in ("record", "controller", "call", "purposes", "problem")))
        tables.show(table)
    if found:
        raise typer.Exit(EXIT_FAILED)


@app.command("access")
def access_(
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when on, such as 2027-01-31T09:30; by default all.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was denied.")] = False,
    limit: LimitOption = 50,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show who read personal data, when, what, for what and for whom else, and who was denied it; newest first.

    Also who has held recordings, released them, or said that they should not be.
    """
    settings, now = config.load(path), datetime.now(UTC)
    begin = datetime(1970, 1, 1, tzinfo=UTC) if since is None else moment(since, "--since")
    # A clock may have been set back since.
    found = read(settings, lambda reader: reader.accesses(begin, now + timedelta(days=1), limit, denied_only=denied))
    if print_json:
        typer.echo(json.dumps([_access(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo("Nobody was denied anything" if denied else "Nobody has read anything")
        return
    table = tables.table("When", "Who", "Roles", "What", "For", "Of", "Denied")
    for one in found:
        roles = "none configured" if one.roles is None else ", ".join(one.roles)
        of = f"call {one.call_id}" if one.call_id else f"subject {one.subject_id}" if one.subject_id else None
        what = one.action + (f", to {one.to}" if one.to else "")
        tables.add(table, tables.moment(one.at), one.actor, roles, what, one.purpose, of, one.why)
    tables.show(table)


def _access(one: Access) -> dict[str, object]:
    return {
        "at": one.at.isoformat(), "kind": one.kind, "who": one.actor, "roles": one.roles, "action": one.action,
        "purpose": one.purpose, "denied": one.why, "controller": one.controller, "call": one.call_id,
        "leg": one.leg_id, "subject": one.subject_id, "to": one.to,
    }  # fmt: skip


def _recording(one: Judged) -> dict[str, object]:
    recording, verdict = one.recording, one.verdict
    problem = "; ".join(end.line for end in verdict.ends) or "it serves no purpose that is known"
    if verdict.restricted:
        problem += "; it is held, and restricted"
    return {
        "record": "recording", "at": recording.facts.ended_at.isoformat(), "controller": recording.controller,
        "call": recording.call_id, "leg": recording.leg_id, "subject": None,
        "purposes": ", ".join(end.purpose for end in verdict.ends), "problem": problem,
    }  # fmt: skip


def _leg(one: Baseless) -> dict[str, object]:
    return {
        "record": "leg", "at": one.at.isoformat(), "controller": one.controller, "call": one.call_id,
        "leg": one.leg_id, "subject": None, "purposes": ", ".join(one.granted),
        "problem": "recorded, and no grant of these purposes is committed" if one.granted
        else "recorded, and nobody allowed it",
    }  # fmt: skip


def _grant(one: Unproved) -> dict[str, object]:
    return {
        "record": "grant", "at": one.at.isoformat(), "controller": one.controller, "call": one.call_id,
        "leg": one.leg_id, "subject": one.subject_id, "purposes": one.purpose,
        "problem": f"no evidence of this {one.basis}",
    }  # fmt: skip
