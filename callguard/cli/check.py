"""``callguard check``: the dial decision, explained. It decides nothing, and keeps that somebody asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import caller_id_shown, grant, optout
from callguard.cli.access import ForOption, reads
from callguard.cli.options import (
    DEFAULT_CONFIG,
    EXIT_DENIED,
    CampaignOption,
    ConfigOption,
    JsonOption,
    NumberArgument,
    PurposeOption,
    campaign_name,
    moment,
    number_from,
    one_of,
    purpose_id,
    warn_of_unknown,
)
from callguard.cli.stores import read
from callguard.core.access import DIALLING, Read
from callguard.core.decide import Decision, Facts, Finding, Registered, list_age_days
from callguard.core.grants import limited
from callguard.core.windows import zone_of

if TYPE_CHECKING:
    from callguard.policies.load import Lawbook
    from callguard.store.dial_records import StoredGrant, StoredOptOut
    from callguard.store.reader import Reader


def check(
    words: NumberArgument,
    profile: Annotated[
        str | None, typer.Option(help="The profile that calls; needed where more than one could be meant.")
    ] = None,
    purpose: PurposeOption = None,
    campaign: CampaignOption = None,
    caller_id: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help=f"The number that the call would show, as CALLERID(num) has it, or {caller_id_shown.WITHHELD}. "
            "Without it nothing is asked about it.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When, such as 2027-01-31T09:30 (this machine's time) or …T09:30+01:00; now by default.",
        ),
    ] = None,
    for_what: ForOption = DIALLING,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say whether a number may be called, and why. Exit code 0: it may; 3: it may not, or it is no number.

    Emergency numbers are the dialplan's, which never asks about them; here they are numbers like others.
    """
    settings = config.load(path)
    campaign, purpose = campaign_name(campaign), purpose_id(purpose)
    name = _profile(settings, profile, purpose, campaign)
    calling = settings.profiles[name]
    when, shows = moment(at, "--at"), caller_id_shown.typed(caller_id)
    number = number_from(words, calling.region)

    async def standing(reader: Reader) -> tuple[tuple[StoredOptOut, ...], tuple[StoredGrant, ...]]:
        # Without a number the reader would name everybody's.
        if number is None:
            return (), ()
        opt_outs = await reader.opt_outs(calling.controller, number, when)
        return opt_outs, limited(await reader.grants_of(calling.controller, number), calling.consent_lasts)

    from callguard.policies.load import load as load_law

    book = load_law(settings)

    async def registered() -> tuple[Registered, ...]:
        from callguard.registry.lists import Lists

        async with Lists(lambda problem: typer.echo(f"callguard: {problem}", err=True)) as lists:
            return () if number is None else await lists.say(settings, calling.calls, calling.controller, number)

    of_call, needs_basis = purpose or calling.purpose_of_calls, calling.basis is not None
    (opt_outs, grants), registries = read(settings, standing), asyncio.run(registered())
    if number is not None:
        reads(settings, "check", for_what, Read(number, controller=calling.controller))
    facts = Facts(
        number, calling.calls, of_call, campaign or calling.campaign, when, opt_outs, registries, grants, needs_basis,
        place=None if number is None else book.places.of(number),
        caller_country=calling.law_of_caller,
        agent_first=calling.agent_first,
        staff=number in settings.paths.staff,
    )  # fmt: skip
    facts = _looked_back(settings, calling.controller, facts, book)
    if shows is not None or not calling.caller_ids:
        from callguard.callbacks import shown

        of_shown, callback = read(settings, lambda reader: shown(reader.last_called, calling, shows))
        facts = replace(facts, caller_id=of_shown, callback=callback)
    decision = book.law.decide(facts, tell_when=True)
    allowed_from = None if decision.allow else book.law.allowed_from(facts)
    if print_json:
        explained = {
            "allow": decision.allow,
            "rule": decision.rule,
            "rules": decision.rules,
            "number": number,
            "controller": calling.controller,
            "profile": name,
            "calls": facts.calls,
            "purpose": facts.purpose,
            "campaign": facts.campaign,
            "at": when.isoformat(),
            "opt_outs": [optout.as_json(one) for one in opt_outs],
            "registries": [_as_json(one, when) for one in registries],
            "needs_basis": needs_basis,
            "bases": sorted(facts.bases),
            "caller_id": caller_id_shown.as_json(facts),
            "grants": [grant.as_json(one, when) for one in grants],
            "allowed_from": allowed_from and allowed_from.isoformat(),
            "law": _law_as_json(facts, decision),
        }
        typer.echo(json.dumps(explained, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{'Allowed' if decision.allow else 'Denied'}: {decision.rule}")
        if decision.exemption:
            typer.echo("One of your own people (paths.staff): what denies below is asked of strangers alone")
        if len(decision.rules) > 1:
            typer.echo(f"Also denied by: {', '.join(decision.rules[1:])}")
        if allowed_from is not None:
            typer.echo(f"Allowed from {_moment(allowed_from, facts)}, if nothing else changes")
        if number is None:
            region = calling.region or "not set"
            typer.echo(f"It is no phone number with a country code, nor one of the profile's region ({region}).")
            typer.echo("An emergency number is dialled all the same: the dialplan asks nobody.")
        moment_of = when.isoformat(timespec="seconds")
        typer.echo(f"A {facts.calls} call of profile {name}, for {calling.controller}, at {moment_of}")
        optout.show(opt_outs)
        for one in registries:
            typer.echo(f"Registry {one.registry}: {_said(one, when)}")
        grant.show(grants, when)
        if of_call and (needs_basis or grants):
            typer.echo(f"For {of_call} it rests on: {', '.join(sorted(facts.bases)) or 'nothing that counts'}")
        if shows is not None or facts.callback is not None:
            typer.echo(caller_id_shown.said(facts, calling))
        _show_law(facts, decision)
    warn_of_unknown(settings, calling.controller, purpose, campaign)
    if not decision.allow:
        raise typer.Exit(EXIT_DENIED)


def _looked_back(settings: config.Config, controller: str, facts: Facts, book: Lawbook) -> Facts:
    """The facts with what the law asks about the time before, if it asks."""
    number, back = facts.number, book.law.looks_back(facts.kind)
    if number is None or not back:
        return facts

    async def look(reader: Reader) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
        return await reader.looked_back(controller, number, facts.at - back)

    attempts, refusals = read(settings, look)
    return replace(facts, attempts=attempts, refusals=refusals, looked_back=back)


def _show_law(facts: Facts, decision: Decision) -> None:
    """Each rule that was asked: what it saw, where it is from, and from when on it would not deny."""
    if facts.place is None:
        return
    ends = [f"{facts.place.country or 'no country'} (called)"]
    ends += [f"{facts.caller_country} (calling)"] if facts.caller_country else []
    typer.echo(f"Law of {' and '.join(ends)}; policy {decision.policy}")
    if not decision.findings:
        typer.echo("  no rule is about such a call")
    for one in decision.findings:
        # Of the house's own people it is told what is asked of others.
        does = ("would" if decision.exemption else "denies") if one.denies else "silent"
        typer.echo(f"  {does:6}  {one.rule}: {one.saw}")
        typer.echo(f"          {one.source}")
        if one.denies and not decision.exemption:
            change = "" if one.allowed_from is None else f"allowed from {_moment(one.allowed_from, facts)}"
            typer.echo(f"          {change or 'time alone does not change that'}")


def _moment(at: datetime, facts: Facts) -> str:
    """A moment by the clock of who is called."""
    zone = facts.place.zones[0] if facts.place and facts.place.zones else "UTC"
    # What is not a whole minute has begun a new one.
    there = (at + timedelta(seconds=59)).astimezone(zone_of(zone))
    return f"{there:%A %Y-%m-%d %H:%M} {zone}"


def _law_as_json(facts: Facts, decision: Decision) -> dict[str, object] | None:
    if facts.place is None:
        return None
    return {
        "policy": decision.policy,
        "called": facts.place.country,
        "areas": None if facts.place.areas is None else sorted(facts.place.areas),
        "zones": facts.place.zones,
        "calling": facts.caller_country,
        "rules": [_finding_as_json(one) for one in decision.findings],
    }


def _finding_as_json(one: Finding) -> dict[str, object]:
    return {
        "rule": one.rule,
        "denies": one.denies,
        "saw": one.saw,
        "source": one.source,
        "allowed_from": one.allowed_from and one.allowed_from.isoformat(),
    }


def _said(one: Registered, at: datetime) -> str:
    """What a registry says, and by which list."""
    if not one.screened:
        return "it says nothing of the number: not submitted to it, or of an area that its list has not"
    if not one.answered:
        return "it has not answered"
    if one.list_date is None:
        return "it has no list that can be used, so nobody may be called whom it is for"
    too_old = "too old" if one.is_stale(at) else "fresh"
    age = f"{list_age_days(one.list_date, at)} days old, {one.max_age_days} at most: {too_old}"
    return f"{'lists the number' if one.listed else 'does not list the number'} (list of {one.list_date}, {age})"


def _as_json(one: Registered, at: datetime) -> dict[str, object]:
    return {
        "registry": one.registry,
        "listed": one.listed,
        "list_date": one.list_date and one.list_date.isoformat(),
        "max_age_days": one.max_age_days,
        "screened": one.screened,
        "answered": one.answered,
        "stale": one.is_stale(at),
    }


def _profile(settings: config.Config, given: str | None, purpose: str | None, campaign: str | None) -> str:
    """The profile that is meant: the one given, the only one, or the only one with this purpose and campaign."""
    meant = {
        name
        for name, profile in settings.profiles.items()
        if (purpose is None or purpose in {profile.purpose_of_calls, *(one.id for one in profile.purposes)})
        and (campaign is None or campaign == profile.campaign)
    }
    return one_of(meant if given is None and len(meant) == 1 else settings.profiles, given, "--profile")
