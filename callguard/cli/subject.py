"""``callguard subject``: all that is known of a person, who is found by number: shown, or handed out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.kept import look
from callguard.cli.new_file import new_file
from callguard.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    RegionOption,
    a_number,
    one_of,
    region_for,
)
from callguard.cli.stores import write
from callguard.errors import InputError
from callguard.rights import facts
from callguard.rights.facts import HELD
from callguard.rights.timeline import timeline

if TYPE_CHECKING:
    from callguard.core.retention import Verdict
    from callguard.rights.audio import Sound
    from callguard.rights.receipts import Setting
    from callguard.store.about import Subject, SubjectLeg
    from callguard.store.reader import Reader
    from callguard.store.retention_reader import RetentionReader

OnlyOption = Annotated[str | None, typer.Option(help="Only this controller's.")]

app = typer.Typer(help="All that is known of a person, by number.", no_args_is_help=True)


@app.command("show")
def show(
    words: NumberArgument,
    controller: OnlyOption = None,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show all that is known of a person: calls, answers with their evidence, opt-outs, grants, dials, recordings."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    now = datetime.now(UTC)
    found = look(settings, lambda reader: _known(reader, settings, for_whom, number, now))
    if print_json:
        typer.echo(json.dumps([facts.subject(one, now) for one in found], indent=2, ensure_ascii=False))
    elif found:
        _show(found)
    else:
        typer.echo(f"Nothing is known of {number}{'' if for_whom is None else f' by {for_whom}'}.")


@app.command("export")
def export(
    words: NumberArgument,
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The ZIP file to make, which only you can read.")
    ],
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="With the recordings in which nobody else had a part.")
    ] = False,
    controller: ControllerOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write all that a controller knows of a person to one signed ZIP: a page to read, receipts, a vCon for each call.

    That it was handed out is kept as evidence. Nothing of anybody else is in it.
    """
    from callguard.rights import export as rights
    from callguard.rights.signing_key import place, signer

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    now = datetime.now(UTC)

    async def ask(reader: RetentionReader) -> tuple[tuple[Subject, ...], tuple[Sound, ...]]:
        known = await _known(reader, settings, for_whom, number, now)
        return known, tuple([it for one in known for it in await _sounds(reader, one, settings)] if with_audio else ())

    known, sounds = look(settings, ask)
    if not known:
        raise InputError(
            f"nothing is known of this number by {for_whom}, so there is nothing to export", field="NUMBER"
        )
    (one,) = known
    key = signer(place(settings))
    with new_file(file, force) as out:
        files = rights.documents(one, _setting(settings, one), sounds, key, now)
        files["manifest.json"] = manifest = rights.manifest(one, files, sounds, key, now)
        files["manifest.jws"] = rights.signature(manifest, key)
        rights.write(out, files, sounds, now)
        there = sum(not it.withheld for it in sounds)
        digest = hashlib.sha256(manifest).hexdigest()
        # On disk before the file has its name: what was handed out is known.
        write(settings, lambda store: store.exported(for_whom, one.subject_id, now, digest, there))
    withheld = {it.name: it.withheld for it in sounds if it.withheld}
    if print_json:
        whose = {
            "controller": for_whom,
            "subject": one.subject_id,
            "signed_by": key.kid,
            "fingerprint": key.fingerprint,
        }
        told = {"file": str(file), "manifest_sha256": digest, **whose, "recordings": there, "withheld": withheld}
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(f"{file}: {len(one.legs)} calls, {there} recordings; signed by {key.fingerprint}")
    for name, why in withheld.items():
        typer.echo(f"Not in it: {name}: {why}", err=True)


@app.command("key")
def key_(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the certificate that exports are signed with, for others to know; the first time, the key is made."""
    from callguard.rights.signing_key import place, signer

    where = place(config.load(path))
    key = signer(where)
    if print_json:
        told = {"file": str(where), "kid": key.kid, "fingerprint": key.fingerprint, "certificate": key.pem.decode()}
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(f"{where}: certificate with SHA-256 fingerprint\n{key.fingerprint}\n\n{key.pem.decode()}", nl=False)


async def _known(
    reader: RetentionReader, settings: config.Config, controller: str | None, number: str, now: datetime
) -> tuple[Subject, ...]:
    """Who has a number, each recording with when it is to be destroyed by the rules that are in force now."""
    from callguard.retention import judged

    found = await reader.subjects(controller, number)
    legs = [leg.detail.leg.leg_id for one in found for leg in one.legs]
    due = {one.recording.leg_id: one.verdict for one in await judged(reader, settings, legs, now)}
    return tuple(replace(one, legs=tuple(_judged(leg, due) for leg in one.legs)) for one in found)


def _judged(leg: SubjectLeg, due: Mapping[str, Verdict]) -> SubjectLeg:
    recording, verdict = leg.detail.recording, due.get(leg.detail.leg.leg_id)
    if recording is None or verdict is None:
        return leg
    told = replace(recording, destroy_at=None, reason=HELD)
    if not verdict.restricted:
        due_at = min((at for at in (recording.destroy_at, verdict.due_at) if at is not None), default=None)
        told = replace(recording, destroy_at=due_at, reason=verdict.reason or recording.reason)
    return replace(leg, detail=replace(leg.detail, recording=told))


async def _sounds(reader: Reader, one: Subject, settings: config.Config) -> list[Sound]:
    from callguard.keys import master
    from callguard.keys.names import Shelf
    from callguard.keys.reading import opening
    from callguard.rights.audio import sounds

    masters, shelf = master.load(settings), Shelf.of(settings.recording)
    found: list[Sound] = []
    for it in one.legs:
        leg = it.detail.leg
        until = leg.recording_ended_at or datetime.now(UTC)
        shared = await reader.others_in_call(leg.leg_id, leg.started_at, until)
        names = [file.name for file in it.detail.recording.files] if it.detail.recording else []
        openings = {name: await opening(reader, masters, shelf, name) for name in names}
        try:
            found += sounds(it, settings.recording.folder, openings, shared=shared)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=error.filename) from error
    return found


def _setting(settings: config.Config, one: Subject) -> Setting:
    """What the configuration says around a person's consents, in the language of their last call."""
    from callguard.rights.receipts import Setting

    first = next((it.languages[0] for it in settings.profiles.values() if it.controller == one.controller), "en")
    language = one.legs[-1].detail.leg.language if one.legs else first
    storage = tuple(f"{it.what} ({it.country})" for it in settings.processing.storage)
    countries = {name: profile.law_of_caller for name, profile in settings.profiles.items()}
    return Setting(one.controller, settings.controllers[one.controller], countries, storage, language)


def _show(found: Sequence[Subject]) -> None:
    for one in found:
        named = f", {one.name}" if one.name else ""
        typer.echo(f"{one.number}{named} is subject {one.subject_id} of {one.controller}")
    typer.echo()
    told = tables.table("When", "Controller", "What", "Call", ids="Call")
    for event in timeline(found):
        tables.add(told, tables.moment(event.at), event.controller, event.what, event.call)
    tables.show(told)
    recordings = [leg.detail.recording for one in found for leg in one.legs if leg.detail.recording is not None]
    if recordings:
        typer.echo()
        kept = tables.table("Recording of", "State", "Destroyed", "Bytes", "SHA-256", ids="Recording of")
        for it in recordings:
            until = tables.moment(it.destroyed_at or it.destroy_at) or ("held" if it.reason == HELD else "no time set")
            for file in it.files or (None,):
                tables.add(kept, it.call_id, it.state, until, file and file.size, file and file.sha256)
        tables.show(kept)
    typer.echo()
    proved = tables.table("Evidence", "Of", "SHA-256")
    entries = [it for one in found for it in one.all_evidence]
    for entry in sorted(entries, key=lambda entry: entry.at):
        tables.add(proved, tables.moment(entry.at), entry.kind, facts.digest(entry))
    tables.show(proved)
