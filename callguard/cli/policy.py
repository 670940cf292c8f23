"""``callguard policy``: the rules of law that dials are judged by."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from callguard.cli.replay import replay
from callguard.core import provisions
from callguard.core.provisions import Provision, Status
from callguard.core.windows import Window
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.core.law import Law

app = typer.Typer(help="The rules of law that dials are judged by.", no_args_is_help=True)

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@app.command("show")
def show(
    country: Annotated[
        str | None,
        typer.Argument(
            metavar="[COUNTRY]", help="Two letters, such as ES; all of them by default.", show_default=False
        ),
    ] = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the rules, where each is from, and whether it applies here."""
    from callguard.policies.load import load

    law = load(config.load(path)).law
    known = sorted({policy.country for policy in law.policies})
    if country is not None and country.upper() not in known:
        raise InputError(f"there is no policy for it; there are {', '.join(known)}", field="COUNTRY")
    rules = [
        (policy.country, rule)
        for policy in law.policies
        for rule in policy.rules
        if country is None or policy.country == country.upper()
    ]
    if print_json:
        found = [_as_json(of, rule, law) for of, rule in rules]
        typer.echo(json.dumps({"policy": law.digest, "rules": found}, indent=2, ensure_ascii=False))
        return
    table = tables.table("Rule", "Applies", "Says", "Source")
    for _, rule in rules:
        applies, why = _applies(rule, law)
        tables.add(table, rule.id, why if applies else f"no: {why}", says(rule), rule.source)
    tables.show(table)
    typer.echo(f"Policy {law.digest}. Calls to a country without a policy are denied when they are marketing.")


@app.command("lint")
def lint(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Policies of your own; those of the configuration by default.", show_default=False
        ),
    ] = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Check policies of your own, each by itself and together with the shipped ones. Exit code 2: one is wrong."""
    from callguard.policies.load import lint as check
    from callguard.policies.load import load

    if files:
        check(files)
        typer.echo(f"{len(files)} {'file is' if len(files) == 1 else 'files are'} right")
    else:
        law = load(config.load(path)).law
        typer.echo(f"{sum(len(policy.rules) for policy in law.policies)} rules are right; policy {law.digest}")


app.command("replay")(replay)


def _applies(rule: Provision, law: Law) -> tuple[bool, str]:
    """Whether calls are judged by a rule today, and why, in a word or two."""
    today = datetime.now(UTC).date()
    if rule.valid_to is not None and rule.valid_to < today:
        return False, f"ended {rule.valid_to}"
    if rule.valid_from is not None and today < rule.valid_from:
        return False, f"from {rule.valid_from} on"
    if not rule.applies_here(law.adopted):
        known = rule.status in (Status.IN_FORCE, Status.DISPUTED)
        return False, "unverified" if known else str(rule.status)
    if rule.own:
        return True, "own"
    if rule.id in law.adopted:
        return True, "adopted"
    return True, "yes, disputed" if rule.status is Status.DISPUTED else "yes"


def _as_json(country: str, rule: Provision, law: Law) -> dict[str, object]:
    applies, why = _applies(rule, law)
    return {
        "country": country,
        "rule": rule.id,
        "kind": rule.kind,
        "applies": applies,
        "why": why,
        "says": says(rule),
        "source": rule.source,
        "status": rule.status,
        "verified": rule.verified,
        "calls": rule.calls,
        "valid_from": rule.valid_from and rule.valid_from.isoformat(),
        "valid_to": rule.valid_to and rule.valid_to.isoformat(),
        "areas": sorted(rule.areas),
        "purposes": rule.purposes,
        "lifted_by": sorted(rule.lifted_by),
    }


def says(rule: Provision) -> str:
    """What a rule says, in a line."""
    said = _says(rule)
    if rule.areas:
        said += f" ({', '.join(sorted(rule.areas))})"
    if rule.lifted_by:
        said += f"; lifted by {_either(rule.lifted_by)}"
    return said


def _says(rule: Provision) -> str:
    match rule:
        case provisions.Hours(week=week):
            days = [f"{name} {_hours(windows)}" for name, windows in _together(week.days)]
            days += [] if week.eves is None else [f"eves of holidays {_hours(week.eves)}"]
            days += [] if week.holidays is None else [f"holidays {_hours(week.holidays)}"]
            return ", ".join(days)
        case provisions.Cap(most=most, within=within):
            return f"{most} calls in {provisions.in_words(within)} at most"
        case provisions.Silence(days=most):
            return f"{most} days of silence after a refusal"
        case provisions.BasisNeeded(any_of=any_of, purposes=purposes):
            return f"{_either(any_of)} is needed" + (f" for {', '.join(purposes)}" if purposes else "")
        case provisions.RecordedMessage():
            return "no recorded voice before a person speaks"
        case provisions.CallerId(prefixes=prefixes):
            return "the number is shown" + (f" and begins with {' or '.join(prefixes)}" if prefixes else "")
        case provisions.Freshness(days=most_days):
            return "a list is asked" + (f", {most_days} days old at most" if most_days else "")
        case provisions.Exemption(lifts=lifts, numbers=numbers):
            return f"lifts {', '.join(sorted(lifts))} for {', '.join(numbers)}"
        case provisions.Recording(parties=parties, agents=agents, systematic=systematic):
            who = "all parties consent" if parties == "all" else "one party's consent is enough"
            return who + (", agents too" if agents else "") + ("" if systematic else ", never systematic")
        case provisions.ProofRetention(years=years):
            return f"proof is kept for {years} years"
        case provisions.OptOutOffer(within_s=within_s, honour_days=honour_days, hang_up=hang_up):
            said = [f"offered within {within_s} s"] if within_s else []
            said += [f"honoured within {honour_days} days"] if honour_days is not None else []
            return ", ".join([*said, *(["the call ends at once"] if hang_up else [])]) or "an opt-out is offered"
    raise TypeError(f"a rule of an unknown kind: {rule.kind}")


def _either(bases: frozenset[str]) -> str:
    return " or ".join(sorted(bases)).replace("_", " ")


def _together(days: tuple[tuple[Window, ...], ...]) -> list[tuple[str, tuple[Window, ...]]]:
    """Days that follow each other and have the same windows, as one."""
    found: list[tuple[int, int]] = []
    for day in range(len(days)):
        if found and days[found[-1][0]] == days[day]:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return [(_DAYS[a] if a == b else f"{_DAYS[a]}-{_DAYS[b]}", days[a]) for a, b in found]


def _hours(windows: tuple[Window, ...]) -> str:
    return " and ".join(f"{_clock(one.opens)}-{_clock(one.closes)}" for one in windows) or "never"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
