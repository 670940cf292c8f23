"""``callguard subject``: all that is known of a person, who is found by number: shown, or handed out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import optout, tables
from callguard.cli.access import ForOption, may_read, reads
from callguard.cli.new_file import BOTH_ON_STDOUT, new_file
from callguard.cli.options import (
    DEFAULT_CONFIG,
    STDIN,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    ProofOption,
    RegionOption,
    a_number,
    enough,
    one_of,
    region_for,
)
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.requests import Right
from callguard.errors import InputError
from callguard.rights import facts
from callguard.rights.facts import HELD
from callguard.rights.timeline import timeline

if TYPE_CHECKING:
    from callguard.core.roles import Actor
    from callguard.store.about import Subject
    from callguard.store.dial_records import StoredOptOut
    from callguard.store.right_records import Restricted
    from callguard.store.rights_reader import RightsReader

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
    from callguard.rights.handing import known

    async def ask(reader: RightsReader) -> tuple[tuple[Subject, ...], list[StoredOptOut], tuple[Restricted, ...]]:
        of_it = await known(reader, settings, for_whom, number, now)
        # Of who does not know the number itself: what is known of the block that it is in.
        told = {one.controller for one in of_it}
        blocks = [one for one in await reader.opt_outs_ever(for_whom, number) if one.controller not in told]
        return of_it, blocks, await reader.restricted(for_whom, number)

    found, in_blocks, locked = read(settings, ask)
    reads(settings, "subject show", for_what, Read(number, controller=for_whom))
    if print_json:
        ends = {
            name: [it.proof.until.isoformat() for it in locked if it.controller == name]
            for name in {it.controller for it in locked}
        }
        told = [{**facts.subject(one, now), "restricted_proof_until": ends.get(one.controller, [])} for one in found]
        typer.echo(json.dumps(told + facts.only_in_blocks(number, in_blocks), indent=2, ensure_ascii=False))
        return
    for it in locked:
        typer.echo(f"Erased by {it.controller}; restricted proof until {tables.moment(it.proof.until)}")
    if found:
        _show(found)
    elif not locked:
        typer.echo(f"Nothing is known of {number}{'' if for_whom is None else f' by {for_whom}'}.")
    if in_blocks:
        typer.echo("\nIt is in blocks that opted out as a whole, of those who know nothing else of it:")
        optout.show(in_blocks)


@app.command("status")
def status(
    words: NumberArgument,
    proof: ProofOption = None,
    controller: OnlyOption = None,
    region: RegionOption = None,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell a person where they stand, in a line for each controller, once it is known who they are (--proof)."""
    from callguard.rights import status as standing
    from callguard.rights.handing import known

    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    enough(Right.ACCESS, proof)
    now = datetime.now(UTC)

    async def ask(reader: RightsReader) -> tuple[tuple[Subject, ...], tuple[Restricted, ...]]:
        return await known(reader, settings, for_whom, number, now), await reader.restricted(for_whom, number)

    found, locked = read(settings, ask)
    reads(settings, "subject status", for_what, Read(number, controller=for_whom, proofs=tuple(proof or ())))
    told = [standing.status(one, now) for one in found]
    if print_json:
        ends = [{"controller": it.controller, "proof_until": it.proof.until.isoformat()} for it in locked]
        typer.echo(json.dumps({"status": told, "erased": ends}, indent=2))
        return
    for one in told:
        typer.echo(standing.line(one))
    for it in locked:
        typer.echo(f"{it.controller}: erased; proof of consent is locked away until {it.proof.until:%Y-%m-%d}")
    if not told and not locked:
        typer.echo("Nothing is known of this number")


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
    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    number = a_number(words, region_for(settings, region))
    actor = may_read(settings, "subject export", for_what)
    hand_out(
        settings, for_whom, number, file, actor, for_what, with_audio=with_audio, force=force, print_json=print_json
    )


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


def hand_out(
    settings: config.Config,
    for_whom: str,
    number: str,
    file: Path,
    actor: Actor,
    purpose: str | None,
    *,
    with_audio: bool,
    force: bool,
    print_json: bool,
) -> None:
    """Make the file that a person gets, with its evidence, and say what is in it and what not.

    Args:
        actor: who may read it, and does, for `purpose`.

    Raises:
        InputError: nothing is known of the number, or the file cannot be made.
    """
    if str(file) == STDIN and print_json:
        raise InputError(BOTH_ON_STDOUT, field="--json")
    from callguard import access
    from callguard.rights import handing
    from callguard.rights.signing_key import place, signer

    now = datetime.now(UTC)
    found = read(
        settings,
        lambda reader: handing.gather(
            reader, settings, for_whom, number, with_audio=with_audio, though_held=access.though_held(actor, purpose)
        ),
    )
    if found is None:
        raise InputError(
            f"nothing is known of this number by {for_whom}, so there is nothing to export", field="NUMBER"
        )
    one, sounds = found
    key = signer(place(settings))
    with new_file(file, force) as out:
        digest = handing.write(out, settings, one, sounds, key, now)
        there = sum(not it.withheld for it in sounds)
        # On disk before the file has its name: what was handed out is known.
        legs = tuple(dict.fromkeys(it.leg_id for it in sounds if not it.withheld))
        write(
            settings,
            lambda store: store.exported(
                for_whom, one.subject_id, now, digest, there, actor=actor, purpose=purpose, legs=legs
            ),
        )
    withheld = {it.name: it.to_do or it.withheld for it in sounds if it.withheld}
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
