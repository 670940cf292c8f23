"""How requests, and what came of them, are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from callguard.core.requests import overdue

if TYPE_CHECKING:
    from callguard.rights.erasure import Outcome
    from callguard.store.right_records import StoredRequest


# As a plan names them.
_REQUESTS = {
    "requests_in_the_way": "In its way, to be answered or refused first:",
    "requests_closed": "Done with it:",
}


def as_json(one: StoredRequest, now: datetime, *, with_number: bool = True) -> dict[str, Any]:
    """A request as JSON names it."""
    return {
        "request": one.request_id,
        "controller": one.controller,
        "subject": one.subject_id,
        **({"number": one.number} if with_number else {}),
        "right": one.right,
        "via": one.via,
        "call": one.call_id,
        "state": one.state,
        "identity": sorted(one.identity),
        "received_at": one.received_at.isoformat(),
        "due_at": one.due_at.isoformat(),
        "overdue": overdue(one.state, one.due_at, now),
        "extended_at": one.extended_at and one.extended_at.isoformat(),
        "ended_at": one.ended_at and one.ended_at.isoformat(),
        "steps": [{"step": it.step, "at": it.at.isoformat(), "who": it.who, "reason": it.reason} for it in one.steps],
        "corrections": [
            {"what": it.what, "value": it.value, "call": it.call_id, "at": it.at and it.at.isoformat()}
            for it in one.corrections
        ],
    }


def show_plan(planned: dict[str, Any], *, print_json: bool) -> None:
    """Say what would be done."""
    if print_json:
        typer.echo(json.dumps(planned, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{planned['right']}: nothing is done yet; it would be")
    for name, value in planned.items():
        if name in ("request", "right", "beyond", *_REQUESTS):
            continue
        typer.echo(f"  {name.replace('_', ' ')}: {len(value) if isinstance(value, list) else value}")
    for name, said in _REQUESTS.items():
        for one in planned.get(name, ()):
            due = day(datetime.fromisoformat(one["due_at"]))
            typer.echo(f"{said} {one['right']} {one['request']}, {one['state']}, due {due}")
    _show_beyond(planned.get("beyond", ()))


def show_erased(done: Outcome, *, print_json: bool) -> None:
    if print_json:
        typer.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False))
        return
    removed = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in done.erased.removed.items() if count)
    typer.echo(f"Erased: {removed or 'nothing was left'}")
    typer.echo(f"Opt-outs that stay with the number alone: {done.erased.kept_opt_outs + done.erased.suppressed}")
    if (proof := done.plan.proof_stays) is not None:
        typer.echo(f"Proof of consent stays, locked, until {day(proof.until)}: {proof.why}")
    for calls, said in (
        (done.erased.held, "held, and destroyed when the hold ends"),
        (done.plan.set_aside, "set aside: look into the folder quarantine, and remove it by hand"),
        (done.left, "in another folder: the callguard that has it destroys it within a minute"),
    ):
        for call in calls:
            typer.echo(f"Recording of {call} is {said}")
    if not done.erased.overwritten:
        typer.echo("The store's log holds some of it until others write: run it again, or restart callguard.")
    _show_beyond([one.as_json() for one in done.plan.beyond])
    typer.echo("\nTell the person:\n" + "\n".join(f"  {line}" for line in done.told))


def _show_beyond(places: Sequence[dict[str, Any]]) -> None:
    for one in places:
        typer.echo(f"\nNot callguard's to erase: {one['what']} ({one['do']})")
        if one["statement"]:
            typer.echo(f"  {one['statement']}")
        for name, value in one["parameters"].items():
            typer.echo(f"    {name} = {value}")


def day(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d}"
