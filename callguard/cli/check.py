"""``callguard check``: the dial decision, explained. It reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import optout
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
from callguard.core.decide import Facts, decide

if TYPE_CHECKING:
    from callguard.store.reader import Reader
    from callguard.store.records import StoredOptOut


def check(
    words: NumberArgument,
    profile: Annotated[
        str | None, typer.Option(help="The profile that calls; needed where more than one could be meant.")
    ] = None,
    purpose: PurposeOption = None,
    campaign: CampaignOption = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When, such as 2027-01-31T09:30 (this machine's time) or …T09:30+01:00; now by default.",
        ),
    ] = None,
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
    when = moment(at, "--at")
    number = number_from(words, calling.region)

    async def standing(reader: Reader) -> tuple[StoredOptOut, ...]:
        # Without a number the reader would name everybody's.
        return () if number is None else await reader.opt_outs(calling.controller, number, when)

    opt_outs = read(settings, standing)
    facts = Facts(number, calling.calls, purpose, campaign or calling.campaign, when, opt_outs)
    decision = decide(facts)
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
        }
        typer.echo(json.dumps(explained, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{'Allowed' if decision.allow else 'Denied'}: {decision.rule}")
        if len(decision.rules) > 1:
            typer.echo(f"Also denied by: {', '.join(decision.rules[1:])}")
        if number is None:
            region = calling.region or "not set"
            typer.echo(f"It is no phone number with a country code, nor one of the profile's region ({region}).")
            typer.echo("An emergency number is dialled all the same: the dialplan asks nobody.")
        moment_of = when.isoformat(timespec="seconds")
        typer.echo(f"A {facts.calls} call of profile {name}, for {calling.controller}, at {moment_of}")
        optout.show(opt_outs)
    warn_of_unknown(settings, calling.controller, purpose, campaign)
    if not decision.allow:
        raise typer.Exit(EXIT_DENIED)


def _profile(settings: config.Config, given: str | None, purpose: str | None, campaign: str | None) -> str:
    """The profile that is meant: the one given, the only one, or the only one with this purpose and campaign."""
    meant = {
        name
        for name, profile in settings.profiles.items()
        if (purpose is None or purpose in {one.id for one in profile.purposes})
        and (campaign is None or campaign == profile.campaign)
    }
    return one_of(meant if given is None and len(meant) == 1 else settings.profiles, given, "--profile")
