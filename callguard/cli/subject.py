"""``callguard subject``: all that is known of a person, who is found by number: shown, or handed out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import optout, tables
from callguard.cli.access import ForOption, may_read, reads
from callguard.cli.kept import look
from callguard.cli.new_file import new_file
from callguard.cli.options import (
    DEFAULT_CONFIG,
    STDIN,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    RegionOption,
    a_number,
    one_of,
    region_for,
)
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.errors import InputError
from callguard.rights import facts
from callguard.rights.timeline import timeline

if TYPE_CHECKING:
    from callguard.rights.audio import Sound
    from callguard.rights.receipts import Setting
    from callguard.store.about import Subject
    from callguard.store.dial_records import StoredOptOut
    from callguard.store.reader import Reader
    from callguard.store.retention_reader import RetentionReader

OnlyOption = Annotated[str | None, typer.Option(help="Only this controller's.")]

app = typer.Typer(help="All that is known of a person, by number.", no_args_is_help=True)


@app.command("show")
def show(
    words: NumberArgument,
    controller: OnlyOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show all that is known of a person: calls, answers with their evidence, opt-outs, grants, dials, recordings."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    now = datetime.now(UTC)

    async def known(reader: Reader) -> tuple[tuple[Subject, ...], list[StoredOptOut]]:
        of_it = await reader.subjects(for_whom, number)
        # Of who does not know the number itself: what is known of the block that it is in.
        told = {one.controller for one in of_it}
        return of_it, [one for one in await reader.opt_outs_ever(for_whom, number) if one.controller not in told]

    found, in_blocks = read(settings, known)
    reads(settings, "subject show", for_what, Read(number, controller=for_whom))
    if print_json:
        told = [facts.subject(one, now) for one in found] + facts.only_in_blocks(number, in_blocks)
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if found:
        _show(found)
    else:
        typer.echo(f"Nothing is known of {number}{'' if for_whom is None else f' by {for_whom}'}.")
    if in_blocks:
        typer.echo("\nIt is in blocks that opted out as a whole, of those who know nothing else of it:")
        optout.show(in_blocks)


@app.command("export")
def export(
    words: NumberArgument,
    file: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The ZIP file to make, which only you can read; - is standard output.",
        ),
    ],
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="With the recordings in which nobody else had a part.")
    ] = False,
    controller: ControllerOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write all that a controller knows of a person to one signed ZIP: a page to read, receipts, a vCon for each call.

    That it was handed out is kept as evidence. Nothing of anybody else is in it.
    """
    from callguard import access
    from callguard.rights import export as rights
    from callguard.rights.signing_key import place, signer

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    now = datetime.now(UTC)
    if str(file) == STDIN and print_json:
        raise InputError("goes to a file: the export is on standard output already", field="--json")
    actor = may_read(settings, "subject export", for_what)
    though_held = access.though_held(actor, for_what)

    async def ask(reader: RetentionReader) -> tuple[tuple[Subject, ...], tuple[Sound, ...]]:
        known = await reader.subjects(for_whom, number)
        found = [it for one in known for it in await _sounds(reader, one, settings, though_held)] if with_audio else ()
        return known, tuple(found)

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
        legs = tuple(dict.fromkeys(it.leg_id for it in sounds if not it.withheld))
        write(
            settings,
            lambda store: store.exported(
                for_whom, one.subject_id, now, digest, there, actor=actor, purpose=for_what, legs=legs
            ),
        )
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
        said = f"{file}: {len(one.legs)} calls, {there} recordings; signed by {key.fingerprint}"
        typer.echo(said, err=str(file) == STDIN)
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


async def _sounds(reader: RetentionReader, one: Subject, settings: config.Config, though_held: bool) -> list[Sound]:
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
            held = not though_held and await reader.is_held(leg.leg_id, datetime.now(UTC))
            found += sounds(it, settings.recording.folder, openings, shared=shared, held=held)
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
            until = tables.moment(it.destroyed_at or it.destroy_at) or "no time set"
            for file in it.files or (None,):
                tables.add(kept, it.call_id, it.state, until, file and file.size, file and file.sha256)
        tables.show(kept)
    typer.echo()
    proved = tables.table("Evidence", "Of", "SHA-256")
    entries = [it for one in found for it in one.all_evidence]
    for entry in sorted(entries, key=lambda entry: entry.at):
        tables.add(proved, tables.moment(entry.at), entry.kind, facts.digest(entry))
    tables.show(proved)
