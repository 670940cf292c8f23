"""``callguard grant invalidate``: a set of consents that turns out to be defective ends, whole or not at all (R20)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli.csv_files import DryRunOption
from callguard.cli.kept import ReasonOption, words
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, ControllerOption, JsonOption, one_of
from callguard.cli.stores import read, write
from callguard.core.model import Basis
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.store.invalidation import DefectiveGrants, DefectiveNotice


class Source(StrEnum):
    """How consents beside any call were kept."""

    COMMAND = "command"
    IMPORT = "import"


class Fate(StrEnum):
    """What becomes of recordings: unlawful ones are destroyed, others kept on this basis."""

    UNLAWFUL = "unlawful"
    CONTRACT = Basis.CONTRACT.value
    LEGAL_OBLIGATION = Basis.LEGAL_OBLIGATION.value
    VITAL_INTERESTS = Basis.VITAL_INTERESTS.value
    PUBLIC_TASK = Basis.PUBLIC_TASK.value
    LEGITIMATE_INTERESTS = Basis.LEGITIMATE_INTERESTS.value


def invalidate(
    reason: ReasonOption,
    notice_version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="All consents in calls after this version of the notice: see calls show."),
    ] = None,
    recordings: Annotated[
        Fate | None,
        typer.Option(
            help="What becomes of the recordings that rested on them: unlawful, or the basis they are kept on."
        ),
    ] = None,
    source: Annotated[Source | None, typer.Option(help="All consents beside calls that were kept in this way.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Of a source: for this purpose alone.")] = None,
    evidence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of a source: whose evidence begins with this.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a source: given then or later, such as 2026-01-31.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a source: given before; of a day, before its end.")
    ] = None,
    controller: ControllerOption = None,
    dry_run: DryRunOption = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End a set of consents that turns out to be defective, whole or not at all; the next call asks anew.

    Nothing is mended: what is given from then on is a record of its own.
    """
    from callguard.cli.csv_lines import moment_in
    from callguard.store.invalidation import DefectiveGrants, DefectiveNotice

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    why, now = words(reason), datetime.now(UTC)
    what: DefectiveNotice | DefectiveGrants
    which = "say which set: --notice-version VERSION or --source NAME"
    if notice_version is not None and source is not None:
        raise InputError(which, field="--notice-version")
    if notice_version is not None:
        narrowed = {"--purpose": purpose, "--evidence": evidence, "--since": since, "--until": until}
        for name, given in narrowed.items():
            if given is not None:
                raise InputError("narrows a --source, and goes without --notice-version", field=name)
        if recordings is None and not dry_run:
            raise InputError("say what becomes of the recordings: unlawful, or a basis", field="--recordings")
        what = DefectiveNotice(notice_version)
    elif source is not None:
        if recordings is not None:
            raise InputError("goes with --notice-version: no recording rests on a --source", field="--recordings")
        first = moment_in(since, "--since", timedelta()) or datetime.fromtimestamp(0, UTC)
        last = moment_in(until, "--until", timedelta(days=1)) or now + timedelta(days=1)
        if last <= first:
            raise InputError("is not after --since", field="--until")
        what = DefectiveGrants(source.value, first, last, purpose, evidence)
    else:
        raise InputError(which, field="--notice-version")
    basis = None if recordings in (None, Fate.UNLAWFUL) else Basis(recordings.value)
    if dry_run:
        found = read(settings, lambda reader: reader.defective(for_whom, what))
    else:
        found = write(settings, lambda store: store.invalidate(for_whom, what, why, now, basis=basis))
    said = {"answers": found.answers, "grants": found.grants, "recordings": found.recordings}
    if print_json:
        typer.echo(json.dumps({"controller": for_whom, "dry_run": dry_run, **said}, indent=2))
        return
    of = f"{found.answers} in calls, {found.grants} beside calls, for {for_whom}"
    fate = "" if recordings is None else f"; {found.recordings} recordings: {_fate(recordings)}"
    if dry_run:
        typer.echo(f"Nothing is ended: {of}; {found.recordings} recordings rest on them")
    else:
        typer.echo(f"Invalidated: {of}{fate}")


def _fate(recordings: Fate) -> str:
    if recordings is Fate.UNLAWFUL:
        return "unlawful, and destroyed by a running callguard where nothing holds them and they serve nothing else"
    return f"kept on {recordings.value}"
