"""``callguard ledger``: whether the evidence is what was signed, the proof of one call, and checkpoints."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import write
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
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Look through the whole ledger. Exit code 1: something was done to it, and it says to which entries."""
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
    with opened(where or Path()) as copy, progress("Entries") as tell:
        found = verify(copy, known, given, round(clock_bound * 1000), lambda done, of: tell("Entries", done, of))
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
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the proof is written.")],
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write a file that proves a call to somebody who has no callguard: see docs/evidence.md."""
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
    try:
        output.write_text(json.dumps(proof, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=output, field="--output") from error
    typer.echo(f"{output}: the proof of call {call_id}, which docs/evidence.md says how to check")


@app.command("checkpoint")
def checkpoint_(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Sign what the ledger holds now, print the checkpoint, and send it where the configuration says."""
    from callguard.ledger.keys import signer
    from callguard.ledger.send import send

    settings = config.load(path)
    note, new = _signed(settings)
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


def _signed(settings: Config) -> tuple[str, bool]:
    from callguard.ledger.checkpoints import make

    async def sign(store: Store) -> tuple[str, bool]:
        return await make(store, settings)

    return write(settings, sign)


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
