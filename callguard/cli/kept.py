"""What the commands about recordings share: which call is meant, and what becomes of what is kept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from callguard.cli import tables
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.core.retention import Verdict
    from callguard.retention import Judged

T = TypeVar("T")

CallArgument = Annotated[
    str, typer.Argument(metavar="CALL", help="The call's id, as `calls list` has it.", show_default=False)
]
LegOption = Annotated[str | None, typer.Option("--leg", help="This leg's recording alone.")]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, in your own words; evidence has their hash, so no name is in it.")
]


def call_id(given: str) -> str:
    """A call's id. Raises: InputError."""
    try:
        return str(UUID(given))
    except ValueError as error:
        raise InputError("is no id of a call: 32 hexadecimal digits in five groups", field="CALL") from error


def words(given: str) -> str:
    """Somebody's own words. Raises: InputError."""
    from callguard.cli.csv_lines import check_text

    check_text(given, "--reason")
    if not given.strip():
        raise InputError("is empty", field="--reason")
    return given


def state(verdict: Verdict) -> str:
    """What a recording that is kept is just now."""
    return "restricted" if verdict.restricted else "kept"


def explained(one: Judged) -> str:
    """Each purpose's end, and what holds it, a line for each."""
    verdict = one.verdict
    lines = [end.line for end in verdict.ends] or ["serves no purpose that is known: see callguard audit basis"]
    lines += [f"held since {tables.moment(hold.since)}{_until(hold.until)}: {hold.reason}" for hold in verdict.holds]
    return "\n".join(lines)


def as_json(one: Judged, now: datetime) -> dict[str, object]:
    """A recording that is kept, and what becomes of it, as JSON names it."""
    recording, verdict = one.recording, one.verdict
    return {
        "call": recording.call_id,
        "leg": recording.leg_id,
        "controller": recording.controller,
        "state": "kept",
        "restricted": verdict.restricted,
        "ended_at": recording.facts.ended_at.isoformat(),
        "due_at": verdict.due_at and verdict.due_at.isoformat(),
        "overdue": verdict.due(now),
        "reason": verdict.reason,
        "ends": [end.as_json() for end in verdict.ends],
        "holds": [
            {
                "hold": hold.hold_id,
                "since": hold.since.isoformat(),
                "until": hold.until and hold.until.isoformat(),
                "reason": hold.reason,
            }
            for hold in verdict.holds
        ],
    }


def _until(at: datetime | None) -> str:
    return "" if at is None else f" until {tables.moment(at)}"
