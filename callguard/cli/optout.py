"""``callguard optout``: who does not want to be called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callguard import config
from callguard.cli import optout_files, tables
from callguard.cli.access import ForOption, reads
from callguard.cli.options import (
    DEFAULT_CONFIG,
    INPUT,
    LAST_YEAR,
    MOST,
    BlocksArgument,
    CampaignOption,
    ConfigOption,
    ControllerOption,
    JsonOption,
    OnlyControllerOption,
    OnlyNumberArgument,
    PurposeOption,
    RegionOption,
    a_number,
    aware,
    campaign_name,
    numbers_from,
    one_of,
    purpose_id,
    region_for,
    warn_of_unknown,
)
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.decide import Scope
from callguard.errors import InputError, StoreError
from callguard.rights import facts

if TYPE_CHECKING:
    from callguard.store.dial_records import StoredOptOut
    from callguard.store.reader import Reader
    from callguard.store.store import Store

# So many numbers are written at once: the service writes beside, and waits 2 s at most.
TOGETHER = 1000

app = typer.Typer(help="Who does not want to be called.", no_args_is_help=True)

ScopeOption = Annotated[
    Scope,
    typer.Option(
        help="What the person does not want: any call, marketing calls, calls for one --purpose, or of one --campaign."
    ),
]


@app.command("add")
def add(
    words: BlocksArgument,
    controller: ControllerOption = None,
    scope: ScopeOption = Scope.MARKETING,
    purpose: PurposeOption = None,
    campaign: CampaignOption = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, in your own words.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day, such as 2027-01-31; without it, for good.")
    ] = None,
    region: RegionOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep that a person, a list of them, or a block of numbers is not to be called; the next dial sees it."""
    from callguard.cli.csv_lines import check_text
    from callguard.store.dial_records import NewOptOut

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    _fits(scope, purpose, campaign)
    check_text(reason, "--reason")
    now = datetime.now(UTC)
    end = _end_of(until, now)
    numbers = numbers_from(words, region_for(settings, region), blocks=True)
    if len(numbers) > MOST:
        raise InputError(f"more than {MOST} at once: split the list", file=INPUT, field="NUMBER")
    optout_files.refuse_long(numbers, field="NUMBER")
    opt_outs = [NewOptOut(number, scope, purpose, campaign, until=end, reason=reason) for number in numbers]
    added = write(settings, lambda store: store.opt_out_all(for_whom, opt_outs, now, "command"))
    said = _count(added, len(numbers), "Kept", "Kept already")
    typer.echo(f"{said}: opted out of {_words(scope, purpose, campaign)} for {for_whom}")
    warn_of_unknown(settings, for_whom, purpose, campaign)
    optout_files.warn_of_empty(numbers)


@app.command("remove")
def remove(
    words: BlocksArgument,
    controller: ControllerOption = None,
    scope: ScopeOption = Scope.MARKETING,
    purpose: PurposeOption = None,
    campaign: CampaignOption = None,
    mistake: Annotated[
        bool, typer.Option("--mistake", help="They were kept by mistake: grants that they ended count again.")
    ] = False,
    region: RegionOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End the opt-outs of a person, of a list of them, or of a block, of exactly one scope; that they were stays known.

    A block that a number is in stands, and is named.
    """
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    _fits(scope, purpose, campaign)
    numbers = numbers_from(words, region_for(settings, region), blocks=True)
    now = datetime.now(UTC)
    ended = _each(
        settings,
        numbers,
        lambda store, number: store.opt_in(
            for_whom, number, scope, now, "command", purpose=purpose, campaign=campaign, mistake=mistake
        ),
    )
    said = _count(ended, len(numbers), "Ended", "Nothing to end")
    which = "opt-out of" if ended else "not opted out of exactly"
    typer.echo(f"{said}: {which} {_words(scope, purpose, campaign)} for {for_whom}")
    _tell_of_blocks(settings, for_whom, numbers, now)


@app.command("list")
def list_(
    words: OnlyNumberArgument = None,
    controller: OnlyControllerOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the opt-outs in force, newest first."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    national = region_for(settings, region)
    number = a_number(words, national, blocks=True) if words else None
    found = read(settings, lambda reader: reader.opt_outs(for_whom, number, datetime.now(UTC)))
    reads(settings, "optout list", for_what, Read(number, controller=for_whom))
    if print_json:
        typer.echo(json.dumps([as_json(one) for one in found], indent=2, ensure_ascii=False))
    else:
        show(found)


app.command("import")(optout_files.import_)
app.command("export")(optout_files.export)


def show(opt_outs: Sequence[StoredOptOut]) -> None:
    """Print opt-outs as a table."""
    if not opt_outs:
        typer.echo("No opt-outs")
        return
    table = tables.table("Controller", "Number", "Opted out of", "Since", "Last day", "How and why", numbers="Number")
    for one in opt_outs:
        tables.add(
            table,
            one.controller,
            one.number,
            _words(one.scope, one.purpose, one.campaign),
            _day(one.since),
            # Its end is no longer part of it.
            _day(one.until - timedelta(milliseconds=1)) if one.until else None,
            f"{one.source}: {one.reason}" if one.reason else one.source,
        )
    tables.show(table)


def as_json(one: StoredOptOut) -> dict[str, Any]:
    """An opt-out as JSON names it, and whose it is."""
    return {"controller": one.controller, "number": one.number, **facts.opt_out(one)}


def _tell_of_blocks(settings: config.Config, controller: str, numbers: Sequence[str], now: datetime) -> None:
    """Name the blocks that numbers are in and that stand: by these they are opted out all the same."""

    async def blocks(reader: Reader) -> dict[str, tuple[set[str], set[str]]]:
        found: dict[str, tuple[set[str], set[str]]] = {}
        for number in numbers:
            for one in await reader.opt_outs(controller, number, now):
                if one.block is not None and one.number != number:
                    scopes, within = found.setdefault(one.number, (set(), set()))
                    scopes.add(_words(one.scope, one.purpose, one.campaign))
                    within.add(number)
        return found

    for block, (scopes, within) in sorted(read(settings, blocks).items()):
        which = "it is" if len(numbers) == 1 else f"{len(within)} of them are"
        typer.echo(f"The block {block} stands, and {which} in it: opted out of {', '.join(sorted(scopes))}")


def _each(settings: config.Config, numbers: Sequence[str], change: Callable[[Store, str], Awaitable[bool]]) -> int:
    """Change the store for each number; how many it was new for.

    Raises:
        StoreError: it says how many it was done for nevertheless. With at most `TOGETHER` numbers that is none.
    """

    async def make(store: Store) -> list[bool | BaseException]:
        done: list[bool | BaseException] = []
        for first in range(0, len(numbers), TOGETHER):
            some = numbers[first : first + TOGETHER]
            done += await asyncio.gather(*(change(store, number) for number in some), return_exceptions=True)
            if any(isinstance(one, BaseException) for one in done):
                break
        return done

    done = write(settings, make)
    if failed := next((one for one in done if isinstance(one, BaseException)), None):
        ready = sum(isinstance(one, bool) for one in done)
        if not (ready and isinstance(failed, StoreError)):
            raise failed
        raise StoreError(f"{failed} (done for {ready} of {len(numbers)} numbers; again, it is done for the rest)")
    return sum(one is True for one in done)


def _count(new: int, of: int, done: str, otherwise: str) -> str:
    """What is said of one number, or of how many of several."""
    if of == 1:
        return done if new else otherwise
    return f"{done} for {new} of {of} numbers" + (f", {otherwise.lower()} for {of - new}" if new < of else "")


def _fits(scope: Scope, purpose: str | None, campaign: str | None) -> None:
    """Refuse a purpose or a campaign that the scope is not about, and a scope without what it is about."""
    for name, given, its_scope in (
        ("--purpose", purpose_id(purpose), Scope.PURPOSE),
        ("--campaign", campaign_name(campaign), Scope.CAMPAIGN),
    ):
        if (given is not None) != (scope is its_scope):
            raise InputError(f"goes with --scope {its_scope}, which needs it", field=name)


def _end_of(day: str | None, now: datetime) -> datetime | None:
    """The end of a day in this machine's time zone."""
    if day is None:
        return None
    try:
        until = date.fromisoformat(day)
        if until.year > LAST_YEAR:
            raise InputError(f"is after the year {LAST_YEAR}: leave it out where there is no end", field="--until")
        end = aware(datetime.combine(until + timedelta(days=1), time()))
    except ValueError as error:
        raise InputError("a day such as 2027-01-31 is needed", field="--until") from error
    if end <= now:
        raise InputError("is past already", field="--until")
    return end


def _words(scope: Scope, purpose: str | None, campaign: str | None) -> str:
    return {
        Scope.ALL: "all calls",
        Scope.MARKETING: "marketing",
        Scope.PURPOSE: f"purpose {purpose}",
        Scope.CAMPAIGN: f"campaign {campaign}",
    }[scope]


def _day(moment: datetime) -> str:
    return moment.astimezone().date().isoformat()
