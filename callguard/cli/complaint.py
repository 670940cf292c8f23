"""``callguard complaint``: what an authority asks about a number that somebody says was called. It reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callguard import config
from callguard.cli import grant, optout, tables
from callguard.cli.access import ForOption, reads
from callguard.cli.csv_files import ForceOption
from callguard.cli.new_file import BOTH_ON_STDOUT, new_file
from callguard.cli.options import (
    DEFAULT_CONFIG,
    STDIN,
    ConfigOption,
    JsonOption,
    NumberArgument,
    OnlyControllerOption,
    RegionOption,
    a_number,
    one_of,
    region_for,
)
from callguard.cli.stores import read
from callguard.core.access import Read
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.store.dial_records import Dealings, StoredDecision, StoredGrant
    from callguard.store.records import SavedLeg
    from callguard.store.right_records import Restricted
    from callguard.store.rights_reader import RightsReader

UNSIGNED = "This statement is not signed: --output FILE makes one that is."
BEYOND = (
    "Calls that never came to the gate (past its dialplan, emergency calls) are not known here: see the trunk's CDRs."
)


def complaint(
    words: NumberArgument,
    controller: OnlyControllerOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Make a signed statement for the authority (JSON, JWS)."),
    ] = None,
    force: ForceOption = False,
    restricted: Annotated[
        bool,
        typer.Option("--restricted", help="With the proof of consents that a law has kept of who was erased."),
    ] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Gather all that is known of a number: each attempt to call it and why it was allowed or denied, opt-outs, grants.

    Where there was none, it says so, and of what time that can be said.
    """
    settings = config.load(path)
    to_stdout = file is not None and str(file) == STDIN
    if to_stdout and print_json:
        raise InputError(BOTH_ON_STDOUT, field="--json")
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    found, now = read(settings, lambda reader: reader.dealings(for_whom, number)), datetime.now(UTC)
    reads(settings, "complaint", for_what, Read(number, controller=for_whom))
    locked = read(settings, lambda reader: _locked(reader, for_whom, number))
    said = _as_json(settings, number, found, now, signed=file is not None)
    if restricted:
        said["restricted"] = [_proof(one, grants, now) for one, grants in locked]
    signed_by = UNSIGNED if file is None else f"Signed by {_sign(said, settings, file, force=force)}: {file}"
    if to_stdout:
        typer.echo(signed_by, err=True)
    elif print_json:
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _show(settings, number, found, now)
        _show_locked(locked, now, restricted=restricted)
        typer.echo(signed_by)


def _sign(said: dict[str, object], settings: config.Config, file: Path, *, force: bool) -> str:
    """Make the statement that others can check, as exports are signed. Returns: the certificate's fingerprint."""
    from callguard.rights.export import signature
    from callguard.rights.signing_key import place, signer

    key = signer(place(settings))
    with new_file(file, force) as out:
        out.write(signature(json.dumps(said, ensure_ascii=False).encode(), key))
    return key.fingerprint


async def _locked(
    reader: RightsReader, controller: str | None, number: str
) -> list[tuple[Restricted, tuple[StoredGrant, ...]]]:
    return [
        (one, await reader.restricted_grants(one.subject_id)) for one in await reader.restricted(controller, number)
    ]


def _proof(one: Restricted, grants: Sequence[StoredGrant], now: datetime) -> dict[str, object]:
    return {
        "controller": one.controller,
        "why": one.proof.why,
        "until": one.proof.until.isoformat(),
        "grants": [grant.as_json(it, now) for it in grants],
    }


def _show_locked(
    locked: Sequence[tuple[Restricted, Sequence[StoredGrant]]], now: datetime, *, restricted: bool
) -> None:
    for one, grants in locked:
        typer.echo(
            f"Erased by {one.controller}; proof is restricted until {tables.moment(one.proof.until)}: {one.proof.why}"
        )
        if not restricted:
            typer.echo("  --restricted shows it, to prove a consent and for nothing else")
        for it in grants if restricted else ():
            typer.echo(
                f"  {it.purpose}: {it.basis}, {it.channel}, since {tables.moment(it.since)}, evidence {it.evidence}"
            )


def _is_ours(found: Dealings) -> bool | None:
    """Whether the number was called, or was to be; None where nothing is kept that could tell."""
    if found.decisions or found.calls_to_it:
        return True
    return None if found.since is None else False


def _as_json(
    settings: config.Config, number: str, found: Dealings, now: datetime, *, signed: bool
) -> dict[str, object]:
    return {
        "number": number,
        "ours": _is_ours(found),
        "covers": {"from": found.since and found.since.isoformat(), "until": now.isoformat()},
        "signed": signed,
        "number_source": {name: _source(settings, name) for name in _controllers(settings, found)},
        "attempts": [_attempt(one) for one in found.decisions],
        "calls": [_call(one) for one in found.legs],
        "opt_outs": [optout.as_json(one) for one in found.opt_outs],
        "grants": [{"controller": one.controller, **grant.as_json(one, now)} for one in found.grants],
    }


def _controllers(settings: config.Config, found: Dealings) -> list[str]:
    """Those who dealt with the number; all of them where nobody did."""
    dealt = {one.controller for part in (found.decisions, found.legs, found.opt_outs, found.grants) for one in part}
    return sorted(dealt or settings.controllers)


def _source(settings: config.Config, controller: str) -> object:
    """Where a controller says that its numbers are from; None where it has not said."""
    known = settings.controllers.get(controller)
    return None if known is None else known.number_source


def _attempt(one: StoredDecision) -> dict[str, object]:
    facts: Mapping[str, Any] = one.facts
    law = facts.get("law", {})
    return {
        "call": one.call_id,
        "at": one.at.isoformat(),
        "controller": one.controller,
        "profile": one.profile,
        "allowed": one.allow,
        "rules": one.rules,
        "policy": law.get("policy"),
        # None where the gate was not told; the number itself where it was one of the controller's own.
        "caller_id": facts.get("caller_id"),
        # As they were seen at that moment.
        "bases": law.get("bases", []),
        **{name: facts.get(name) for name in ("calls", "purpose", "campaign", "registries", "opt_outs")},
        "grants": facts.get("grants", []),
    }


def _call(leg: SavedLeg) -> dict[str, object]:
    return {
        "call": leg.call_id,
        "at": leg.started_at.isoformat(),
        "controller": leg.controller,
        "profile": leg.profile,
        "direction": leg.direction,
        "outcome": leg.outcome,
        "granted": leg.granted,
        "recorded": leg.recording,
    }


def _show(settings: config.Config, number: str, found: Dealings, now: datetime) -> None:
    since = tables.moment(found.since)
    until = f"{tables.moment(now)}"
    ours = _is_ours(found)
    if ours is None:
        typer.echo(f"Nothing can be said of {number}: the store has kept no decision and no call yet.")
    elif not ours:
        typer.echo(f"Not our call: from {since} until {until} the gate was asked for no call to {number},")
        typer.echo("so none was allowed and none denied, and it took part in no call to it.")
    else:
        allowed = sum(one.allow for one in found.decisions)
        typer.echo(f"{number}: {len(found.decisions)} attempts, {allowed} allowed; kept from {since} until {until}")
        _show_attempts(found)
    if found.legs:
        table = tables.table("When", "Call", "Profile", "Way", "Outcome", "Recorded", ids="Call")
        for leg in found.legs:
            whose = f"{leg.profile} of {leg.controller}"
            way, recorded = leg.direction.removesuffix("bound"), "yes" if leg.recording else "no"
            tables.add(table, tables.moment(leg.started_at), leg.call_id, whose, way, leg.outcome, recorded)
        tables.show(table)
    if found.opt_outs or ours:
        optout.show(found.opt_outs)
    for one in found.grants:
        typer.echo(
            f"Granted to {one.controller} for {one.purpose}: {one.basis}, {one.channel}, since "
            f"{tables.moment(one.since)}, evidence {one.evidence}: {one.state(now)}"
        )
    if ours:
        for name in _controllers(settings, found):
            typer.echo(f"Where {name} has the number from: {_in_words(_source(settings, name))}")
    typer.echo(BEYOND)


def _show_attempts(found: Dealings) -> None:
    table = tables.table("When", "Call", "Profile", "Answer", "Lists", "Rests on", "Policy", "Shown", ids="Call")
    for one in found.decisions:
        told: Any = _attempt(one)
        lists = [
            f"{it['registry']} of {it['list_date'] or 'no day'}: {'listed' if it['listed'] else 'not listed'}"
            for it in told["registries"] or ()
        ]
        answer = "allowed" if one.allow else f"denied: {', '.join(one.rules)}"
        cells = (tables.moment(one.at), one.call_id, f"{one.profile} of {one.controller}", answer, "; ".join(lists))
        tables.add(table, *cells, ", ".join(told["bases"]), told["policy"], _shown(told["caller_id"]))
    tables.show(table)


def _shown(kept: Mapping[str, Any] | None) -> str:
    """Which number the callee was shown, as far as it is kept."""
    if kept is None:
        return "not told"
    return str(kept["number"] or "another's") if kept["shown"] else "withheld"


def _in_words(source: object) -> str:
    if isinstance(source, Mapping):
        return "; ".join(f"{text} ({language})" for language, text in source.items())
    return str(source or "not said in the configuration (number_source)")
