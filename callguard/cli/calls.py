"""``callguard calls``: what happened in calls. Who called stands in the store under a random id, and no number here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias
from uuid import UUID

import typer

from callguard import config
from callguard.cli import calls_ticket, incidents, tables
from callguard.cli.access import ForOption, reads
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, LimitOption
from callguard.cli.stores import read
from callguard.core.access import Read
from callguard.errors import InputError
from callguard.rights import facts

if TYPE_CHECKING:
    from callguard.core.retention import Hold
    from callguard.store.dial_records import StoredDecision
    from callguard.store.records import LegDetail, SavedLeg, StoredRecording
    from callguard.store.rights_reader import RightsReader
    from callguard.store.tickets import Ticket

    Holds: TypeAlias = Mapping[str, tuple[Hold, ...]]

app = typer.Typer(help="What happened in calls, and what proves it.", no_args_is_help=True)


@app.command("list")
def list_(limit: LimitOption = 50, print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the latest calls that went through the gate, newest first."""
    found = read(config.load(path), lambda reader: reader.calls(limit))
    if print_json:
        typer.echo(json.dumps([facts.leg(one) for one in found], indent=2))
    elif not found:
        typer.echo("No calls")
    else:
        table = tables.table("When", "Call", "Profile", "Way", "Outcome", "Recorded", ids="Call")
        for one in found:
            way = one.direction.removesuffix("bound")
            # Folded at its blank where the screen is narrow.
            began = f"{one.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
            tables.add(table, began, one.call_id, one.profile, way, one.outcome, _recorded(one))
        tables.show(table)


app.command("ticket")(calls_ticket.ticket)


@app.command("show")
def show(
    call: Annotated[
        str,
        typer.Argument(
            metavar="CALL",
            help="The call's id, as logs, CDR(callguard) and `calls list` have it.",
            show_default=False,
        ),
    ],
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show all that is known of a call: what was heard and answered, what was recorded when, and what is kept."""
    settings = config.load(path)
    try:
        call_id = str(UUID(call))
    except ValueError as error:
        raise InputError("is no id of a call: 32 hexadecimal digits in five groups", field="CALL") from error

    async def ask(
        reader: RightsReader,
    ) -> tuple[StoredDecision | None, tuple[LegDetail, ...], Holds, tuple[Ticket, ...]]:
        legs = await reader.call(call_id)
        holds = await reader.holds([one.leg.leg_id for one in legs])
        return await reader.decision(call_id), legs, holds, await reader.tickets(call_id)

    decision, legs, holds, tickets = read(settings, ask)
    if decision is None and not legs:
        raise InputError("the store has no such call", field="CALL")
    reads(settings, "calls show", for_what, Read(call_id=call_id))
    if print_json:
        told = [{**facts.detail(one), "holds": _holds(holds.get(one.leg.leg_id, ()))} for one in legs]
        found = {
            "call": call_id, "decision": decision and facts.decision(decision), "legs": told,
            "tickets": [it.reference for it in tickets],
        }  # fmt: skip
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if decision is not None:
        _show_decision(decision)
    for one in legs:
        _show_leg(one, holds.get(one.leg.leg_id, ()))
    _section(("Ticket", "Since"), [(it.reference, tables.moment(it.at)) for it in tickets])


def _show_decision(one: StoredDecision) -> None:
    said = "allowed" if one.allow else f"denied by {', '.join(one.rules)}"
    typer.echo(f"Dial {said}, {tables.moment(one.at)}, profile {one.profile} of {one.controller}")


def _show_leg(one: LegDetail, holds: tuple[Hold, ...]) -> None:
    leg = one.leg
    about = tables.table("Leg", leg.leg_id, ids=leg.leg_id)
    for name, cell in (
        ("Subject", leg.subject_id),
        ("Profile", f"{leg.profile} of {leg.controller}, {leg.direction}, in {leg.language}"),
        ("Channel", f"{leg.channel}, linkedid {leg.linkedid}"),
        ("Began", tables.moment(leg.started_at)),
        ("Decided", tables.moment(leg.saved_at)),
        ("Outcome", leg.outcome),
        ("Granted", ", ".join(leg.granted) or "nothing"),
        ("Withdrawn", tables.moment(leg.withdrawn_at) or "no"),
        ("Recording", _recorded(leg) if one.recording is None else _kept(one.recording) + _restricted(holds)),
    ):
        tables.add(about, name, cell)
    tables.show(about)
    _section(
        ("Answered", "Purpose", "Basis", "State", "How", "Notice"),
        [(tables.moment(it.valid_from), it.purpose, it.basis, it.state, it.reason, it.notice_version)
         for it in one.grants],
    )  # fmt: skip
    _section(
        ("Segment", "Began", "Because", "Ended", "Because", "Cut off"),
        [(it.number, tables.moment(it.began_at), it.began_why, tables.moment(it.ended_at), it.ended_why,
          f"{it.cut_ms} ms" if it.cut_ms else None) for it in one.segments],
    )  # fmt: skip
    if one.recording is not None:
        _section(
            ("Bytes", "SHA-256, of file"),
            [cells for it in one.recording.files for cells in ((it.size, it.sha256), (None, it.name))],
        )
    _section(
        ("Held since", "Until", "Released", "Because"),
        [(tables.moment(it.since), tables.moment(it.until), tables.moment(it.released_at), it.reason) for it in holds],
    )
    _section(("Evidence", "Of"), [(tables.moment(it.at), it.kind) for it in one.evidence])
    if one.incidents:
        typer.echo()
        incidents.show(one.incidents)


def _section(headings: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """A part of what is shown, where there is anything."""
    if rows:
        typer.echo()
        table = tables.table(*headings)
        for row in rows:
            tables.add(table, *row)
        tables.show(table)


def _recorded(leg: SavedLeg) -> str:
    if not leg.recording:
        return "no"
    if leg.withdrawn_at is not None:
        return "withdrawn"
    if leg.recording_ended_at is None:
        return "not ended"
    return leg.recording_state or "nothing captured"


def _kept(one: StoredRecording) -> str:
    length = "" if one.duration_ms is None else f", {one.duration_ms / 1000:.1f} s"
    why = f" ({one.reason})" if one.reason else ""
    until = f", to be destroyed {tables.moment(one.destroy_at)}" if one.state == "kept" and one.destroy_at else ""
    return f"{one.state}{why}{length}, ended {tables.moment(one.ended_at)}{until}"


def _restricted(holds: tuple[Hold, ...]) -> str:
    return ", restricted" if any(one.in_force(datetime.now(UTC)) for one in holds) else ""


def _holds(holds: tuple[Hold, ...]) -> list[dict[str, object]]:
    return [
        {
            "hold": one.hold_id,
            "since": one.since.isoformat(),
            "until": one.until and one.until.isoformat(),
            "released_at": one.released_at and one.released_at.isoformat(),
            "reason": one.reason,
        }
        for one in holds
    ]
