"""``callguard grant``: what people have granted beside any call, and on what other basis they may be called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import grant_files, grant_invalidate, tables
from callguard.cli.access import ForOption, reads
from callguard.cli.options import (
    DEFAULT_CONFIG,
    INPUT,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    NumbersArgument,
    OnlyControllerOption,
    OnlyNumberArgument,
    RegionOption,
    a_number,
    numbers_from,
    one_of,
    region_for,
    warn_of_unknown,
)
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.grants import Channel, Standing
from callguard.core.model import Basis, GrantState
from callguard.errors import InputError
from callguard.rights import facts

if TYPE_CHECKING:
    from callguard.store.dial_records import StoredGrant

app = typer.Typer(help="What people have granted: consents, contracts and other bases for calls.", no_args_is_help=True)

PurposeOfCalls = Annotated[
    str, typer.Option(help="What for, as a profile's for_purpose names it, such as marketing.calls.")
]


@app.command("add")
def add(
    words: NumberArgument,
    purpose: PurposeOfCalls,
    basis: Annotated[Basis, typer.Option(help="On what basis the person may be called.")],
    channel: Annotated[Channel, typer.Option(help="How it was given.")],
    evidence: Annotated[
        str, typer.Option(metavar="TEXT", help="Where the proof is: a contract's number, a form's id; no name.")
    ],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it was given: 2026-11-22, 2026-11-22T09:30+01:00; or now.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="The last day, or a time; without it, until it is ended.")
    ] = None,
    controller: ControllerOption = None,
    region: RegionOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep what a person has granted, with its evidence; the next dial sees it. An opt-out stands all the same."""
    from callguard.cli.csv_lines import moment_in
    from callguard.cli.grant_csv import evidence_of, granted_purpose
    from callguard.store.dial_records import NewGrant

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    granted_purpose(purpose, "--purpose")
    now = datetime.now(UTC)
    begun = moment_in(since, "--since", timedelta()) or now
    end = moment_in(until, "--until", timedelta(days=1))
    if begun > now:
        raise InputError("is in the future", field="--since")
    if end is not None and end <= now:
        raise InputError("is past already", field="--until")
    number = a_number(words, region_for(settings, region))
    one = NewGrant(number, purpose, basis, channel, begun, end, evidence_of(evidence, number, "--evidence"))
    new = write(settings, lambda store: store.grant_all(for_whom, [one], now, "command"))
    typer.echo(f"{'Kept' if new else 'Kept already'}: {basis} for {purpose}, {for_whom}")
    warn_of_unknown(settings, for_whom, purpose, None)


@app.command("withdraw")
def withdraw(
    words: NumbersArgument,
    purpose: PurposeOfCalls,
    controller: ControllerOption = None,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="It is not the person who ends it, such as a contract that is over.")
    ] = False,
    invalid: Annotated[
        bool, typer.Option("--invalid", help="It was never good: a defect of the notice, a forged form.")
    ] = False,
    region: RegionOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End what a person, or a list of them, has granted for a purpose until now; that they had stays known.

    Who does not want calls at all opts out: see callguard optout add.
    """
    from callguard.cli.grant_csv import granted_purpose
    from callguard.store.dial_records import NewEnding

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    granted_purpose(purpose, "--purpose")
    if revoked and invalid:
        raise InputError("goes without --invalid: it is one of both", field="--revoked")
    state = GrantState.REVOKED if revoked else GrantState.INVALIDATED if invalid else GrantState.WITHDRAWN
    numbers = numbers_from(words, region_for(settings, region))
    if len(numbers) > grant_files.MOST:
        raise InputError(f"more than {grant_files.MOST} at once: split the list", file=INPUT, field="NUMBER")
    endings = [NewEnding(number, state, purpose, state.value) for number in numbers]
    write(settings, lambda store: store.grant_all(for_whom, endings, datetime.now(UTC), "command"))
    of = "" if len(numbers) == 1 else f" for {len(numbers)} numbers"
    typer.echo(f"{state.value.capitalize()}{of}: what was granted for {purpose}, {for_whom}")
    warn_of_unknown(settings, for_whom, purpose, None)


@app.command("list")
def list_(
    words: OnlyNumberArgument = None,
    controller: OnlyControllerOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show what was granted, newest first, and what has become of it."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region)) if words else None
    found, now = read(settings, lambda reader: reader.grants(for_whom, number)), datetime.now(UTC)
    reads(settings, "grant list", for_what, Read(number, controller=for_whom))
    if print_json:
        listed = [{"controller": one.controller, "number": one.number, **as_json(one, now)} for one in found]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    elif found:
        _show_all(found, now)
    else:
        typer.echo("No grants")


app.command("suspend")(grant_files.suspend)
app.command("import")(grant_files.import_)
app.command("export")(grant_files.export)
app.command("check")(grant_files.check)
app.command("invalidate")(grant_invalidate.invalidate)


# A grant as JSON names it, with its state at a moment.
as_json = facts.grant


def show(grants: Sequence[Standing], at: datetime) -> None:
    """Print one line for each grant that a decision saw."""
    for one in grants:
        since = tables.moment(one.since)
        typer.echo(f"Grant for {one.purpose}: {one.basis}, {one.channel}, since {since}: {one.state(at)}")


def _show_all(grants: tuple[StoredGrant, ...], now: datetime) -> None:
    table = tables.table(
        "Controller", "Number", "Purpose", "Basis", "Channel", "Since", "State", "Until", "Evidence", numbers="Number"
    )
    for one in grants:
        state = one.state(now)
        end = one.ended_at if state not in (GrantState.GIVEN, GrantState.EXPIRED) else one.until
        cells = (one.controller, one.number, one.purpose, one.basis, one.channel, tables.moment(one.since))
        tables.add(table, *cells, state, tables.moment(end), one.evidence)
    tables.show(table)
