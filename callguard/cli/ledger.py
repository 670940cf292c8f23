"""``callguard ledger``: whether the evidence is what was signed, the proof of one call, and checkpoints."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import ForOption, reads
from callguard.cli.new_file import new_text
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, STDIN, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import write
from callguard.core.access import Read
from callguard.core.evidence import Kind
from callguard.core.incidents import Incident
from callguard.errors import InputError, StoreError

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.core.checkpoint import VerifierKey
    from callguard.ledger.findings import Report
    from callguard.store.store import Store

# More than anybody reads; JSON has them all.
SHOWN = 100

app = typer.Typer(help="The ledger of all evidence: whether it is whole, and proofs from it.", no_args_is_help=True)


@app.command("verify")
def verify_(
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A store, or a copy of one; by default the one in use.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Checkpoints that were kept elsewhere; may be repeated."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The verifier keys (ledger.key.pub); by default those in use."),
    ] = None,
    clock_bound: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="By so much a clock may have been set back.")
    ] = 5.0,
    entries_only: Annotated[
        bool, typer.Option("--entries-only", help="Leave out the rows beside the ledger: twice as fast.")
    ] = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Look through the whole ledger. Exit code 1: something was done to it, and it says to which entries."""
    from callguard.ledger import signed
    from callguard.ledger.copies import opened
    from callguard.ledger.keys import verifiers_in
    from callguard.ledger.send import notes_in
    from callguard.ledger.verify import verify

    # A copy and its key are enough, where nothing is configured.
    settings = None if store is not None and key is not None else config.load(path)
    known = verifiers_in(key) if key is not None else _verifiers(settings)
    given = [note for file in checkpoint or () for note in notes_in(file)]
    where = store if store is not None or settings is None else settings.store.path
    began = time.monotonic()
    last = None if settings is None or store is not None else signed.read(settings.ledger_signed_file)
    sent = None if settings is None or store is not None else signed.last_sent(settings.ledger.send_to_file, known)
    with opened(where or Path()) as copy, progress("Entries") as tell:
        found = verify(
            copy, known, given, round(clock_bound * 1000), lambda done, of: tell("Entries", done, of),
            last=signed.to_continue(last, sent), before=None if last is None else last.before,
            rows=not entries_only,
        )  # fmt: skip
    took = time.monotonic() - began
    if print_json:
        typer.echo(json.dumps(_report(found, took, known), indent=2))
    else:
        _show(found, took, known)
    if found.findings:
        raise typer.Exit(EXIT_FAILED)


@app.command("prove")
def prove_(
    call: Annotated[
        str,
        typer.Argument(
            metavar="CALL", help="The call's id, as logs, CDR(callguard) and `calls list` have it.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the proof is written; - is standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    for_what: ForOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write a file that proves a call to somebody who has no callguard: see docs/evidence.md.

    No master key is needed for it.
    """
    from callguard.ledger.copies import opened
    from callguard.ledger.prove import prove
    from callguard.speech.catalogue import said_in

    settings = config.load(path)
    try:
        call_id = str(UUID(call))
    except ValueError as error:
        raise InputError("is no id of a call: 32 hexadecimal digits in five groups", field="CALL") from error
    # What happened since the last checkpoint is signed now.
    _signed(settings)
    with opened(settings.store.path) as copy:
        folder = settings.prompts.folder.path_here
        proof = prove(copy, call_id, _verifiers(settings), lambda heard: said_in(folder, dict(heard.sha256)))
    with new_text(output, force) as out:
        out.write(json.dumps(proof, indent=2, ensure_ascii=False) + "\n")
        # Before the file has its name.
        reads(settings, "ledger prove", for_what, Read(call_id=call_id), or_locked=True)
    said = f"{output}: the proof of call {call_id}, which docs/evidence.md says how to check"
    typer.echo(said, err=str(output) == STDIN)


@app.command("new-key")
def new_key(path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make another signing key where the one that signed is lost; an entry says so. Best with a new origin.

    What the old one signed stays good: its verifier key stays in the file beside it.
    """
    from callguard.ledger.keys import signer, verifier_file

    settings = config.load(path)
    file = settings.ledger_key_file
    if file.exists():
        raise InputError("is there: set it aside first, if it is to be used no more", file=file)

    async def replace(store: Store) -> VerifierKey:
        made = signer(file, settings.ledger.origin, replacing=True).key
        await store.note_of_ledger(Kind.LEDGER_KEY_REPLACED, datetime.now(UTC), verifier_key=made.written)
        return made

    made = write(settings, replace, or_locked=True)
    typer.echo(f"{file} is the signing key now; give its verifier key to whoever checks ({verifier_file(file)}):")
    typer.echo(made.written)


@app.command("checkpoint")
def checkpoint_(
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="An older store was put back, which does not continue what was signed last: record that, and sign.",
        ),
    ] = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Sign what the ledger holds now, print the checkpoint, and send it where the configuration says."""
    from callguard.ledger.keys import signer
    from callguard.ledger.send import send

    settings = config.load(path)
    note, new = _signed(settings, after_restore=after_restore)
    problems = asyncio.run(send(note, settings.ledger))
    if print_json:
        key = signer(settings.ledger_key_file, settings.ledger.origin).key
        said = {"note": note, "new": new, "verifier_key": key.written, "not_sent": problems}
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        typer.echo(note, nl=False)
    if problems:
        told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise StoreError(f"the checkpoint is signed and kept, and not sent: {told}")


def _signed(settings: Config, *, after_restore: bool = False) -> tuple[str, bool]:
    from callguard.ledger.checkpoints import Unsignable, make, why_unsigned

    async def sign(store: Store) -> tuple[str, bool]:
        try:
            return await make(store, settings, after_restore=after_restore)
        except Unsignable as error:
            await store.incident(Incident.LEDGER_UNSIGNED, datetime.now(UTC), why_unsigned(error))
            raise

    return write(settings, sign, or_locked=True)


def _verifiers(settings: Config | None) -> tuple[VerifierKey, ...]:
    """The verifier keys of the installation; none where nothing was signed here yet."""
    from callguard.ledger.keys import verifier_file, verifiers_in

    file = None if settings is None else verifier_file(settings.ledger_key_file)
    return () if file is None or not file.exists() else verifiers_in(file)


def _show(found: Report, took: float, keys: tuple[VerifierKey, ...]) -> None:
    if found.findings:
        table = tables.table("Entries", "Done to them", "What")
        for one in found.findings[:SHOWN]:
            which = "" if one.first is None else f"{one.first}" + (f" to {one.last}" if one.last != one.first else "")
            tables.add(table, which, one.what.replace("_", " "), one.said)
        tables.show(table)
        if len(found.findings) > SHOWN:
            typer.echo(f"and {len(found.findings) - SHOWN} more: --json shows them")
    whole = "not whole" if found.findings else "whole"
    signed = "" if keys else "; without a verifier key, so no signature was checked"
    typer.echo(
        f"{found.entries} entries, {found.checkpoints} checkpoints held against them{signed}: {whole} ({took:.1f} s)"
    )


def _report(found: Report, took: float, keys: tuple[VerifierKey, ...]) -> dict[str, object]:
    return {
        "entries": found.entries,
        "root": None if found.root is None else found.root.hex(),
        "checkpoints": found.checkpoints,
        "verifier_keys": [key.written for key in keys],
        "whole": not found.findings,
        "findings": [
            {"what": one.what, "first": one.first, "last": one.last, "said": one.said} for one in found.findings
        ],
        "seconds": round(took, 3),
    }
