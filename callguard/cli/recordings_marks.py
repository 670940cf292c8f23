"""What an officer says of a call's recordings: that they are held, or not any more, or should never have been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import whoever
from callguard.cli.kept import CallArgument, LegOption, ReasonOption, call_id, words
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption
from callguard.cli.stores import read, write
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.core.retention import Hold
    from callguard.store.retention_reader import RetentionReader

NOTHING_LEFT = "no recording of this call is kept, or being made: it is destroyed, or was never made"


def hold(
    call: CallArgument,
    reason: ReasonOption,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The last day, such as 2027-01-31; without it, until it is released."),
    ] = None,
    leg: LegOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep a call's recordings whatever ends their purposes: for a claim, or an authority. They are restricted then."""
    from callguard.cli.csv_lines import moment_in

    settings = config.load(path)
    which, why, now = call_id(call), words(reason), datetime.now(UTC)
    end = moment_in(until, "--until", timedelta(days=1))
    if end is not None and end <= now:
        raise InputError("is past already", field="--until")
    actor = whoever(settings)
    held = write(settings, lambda store: store.hold(which, why, now, until=end, leg_id=leg, actor=actor))
    if not held:
        raise InputError(NOTHING_LEFT, field="CALL")
    for_how_long = "until it is released" if end is None else f"until {tables.moment(end)}"
    typer.echo(f"Held {for_how_long}, and restricted: {_count(len(held))} of call {which}")


def release(
    call: CallArgument,
    reason: ReasonOption,
    hold_id: Annotated[
        str | None, typer.Option("--hold", metavar="ID", help="This hold alone, where there are several.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All holds, where there are several.")] = False,
    leg: LegOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End a hold; what has no purpose left is destroyed within a minute."""
    settings = config.load(path)
    which, why, now = call_id(call), words(reason), datetime.now(UTC)
    if hold_id is not None and every:
        raise InputError("goes without --all", field="--hold")
    if hold_id is None and not every:
        _must_be_one(settings, which, leg, now)
    actor = whoever(settings)
    ended = write(settings, lambda store: store.release(which, why, now, hold_id=hold_id, leg_id=leg, actor=actor))
    if not ended:
        raise InputError("there is no such hold in force", field="--hold" if hold_id else "CALL")
    typer.echo(f"Released: {len(ended)} hold{'' if len(ended) == 1 else 's'} of call {which}")


def unlawful(
    call: CallArgument, reason: ReasonOption, leg: LegOption = None, path: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Say that a call's recordings should not be (GDPR Art. 17(1)(d)): they are destroyed for good within a minute."""
    settings = config.load(path)
    which, why, now = call_id(call), words(reason), datetime.now(UTC)
    actor = whoever(settings)
    marked = write(settings, lambda store: store.mark_unlawful(which, why, now, leg_id=leg, actor=actor))
    if not marked:
        raise InputError(NOTHING_LEFT, field="CALL")
    typer.echo(f"Marked: {_count(len(marked))} of call {which}; a running callguard destroys what is not held")


def _must_be_one(settings: config.Config, call: str, leg: str | None, now: datetime) -> None:
    """One release ends no hold that it was not about. Raises: InputError, where several are in force."""

    async def in_force(reader: RetentionReader) -> list[tuple[str, Hold]]:
        legs = [one.leg.leg_id for one in await reader.call(call) if leg in (None, one.leg.leg_id)]
        return [(of, one) for of, holds in (await reader.holds(legs)).items() for one in holds if one.in_force(now)]

    found = read(settings, in_force)
    # One that was laid on several legs at once is one to whoever laid it.
    if len({(one.since, one.until, one.reason) for _, one in found}) > 1:
        there = "; ".join(f"{one.hold_id} ({one.reason})" for _, one in found)
        raise InputError(f"several are in force, so say which, or --all: {there}", field="--hold")


def _count(recordings: int) -> str:
    return f"{recordings} recording{'' if recordings == 1 else 's'}"
