"""``callguard recordings``: what is kept and until when, whether it is what was kept, and its sound for who may."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO
from uuid import UUID

import typer

from callguard import config
from callguard.cli import recordings_list, recordings_marks, recordings_purge
from callguard.cli.access import ForOption, hands_over, hears
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, STDIN, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.sharing import refuse_untold
from callguard.cli.stores import read
from callguard.errors import InputError, SetupError

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.keys.fault import CannotOpen
    from callguard.keys.master import Masters
    from callguard.store.reader import Reader
    from callguard.store.records import RecordedFile, StoredRecording
    from callguard.store.retention_reader import RetentionReader

CallArgument = Annotated[
    str, typer.Argument(metavar="CALL", help="The call's id, as `calls list` has it.", show_default=False)
]
LegOption = Annotated[
    str | None, typer.Option("--leg", help="Which leg's, where more than one of the call was recorded.")
]

app = typer.Typer(help="Recordings: listed, proved, held, purged, played and exported.", no_args_is_help=True)


app.command("list")(recordings_list.list_)
app.command("purge")(recordings_purge.purge)
app.command("hold")(recordings_marks.hold)
app.command("release")(recordings_marks.release)
app.command("unlawful")(recordings_marks.unlawful)


@app.command("verify")
def verify(
    call: Annotated[
        str | None, typer.Argument(metavar="[CALL]", help="A call's id; all that is kept without one.")
    ] = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Prove that each kept recording is what was kept, by size and SHA-256 of the clear audio; exit code 1 if not.

    Encrypted ones are decrypted for it, in memory. One that cannot be read is named and keeps no other from being read.
    Without CALL, files that belong to no recording, or to one that was destroyed, are faults too.
    """
    from callguard.keys import master
    from callguard.keys.names import Shelf
    from callguard.keys.reading import faults_of

    settings = config.load(path)
    masters = master.load(settings)
    shelf = Shelf.of(settings.recording)

    async def look(reader: Reader) -> list[tuple[StoredRecording, RecordedFile, Sequence[CannotOpen]]]:
        kept = [one for one in await _recordings(reader, call) if one.state == "kept"]
        done: list[tuple[StoredRecording, RecordedFile, Sequence[CannotOpen]]] = []
        with progress("Reading the store") as tell:
            for count, one in enumerate(kept, start=1):
                for file in one.files:
                    done.append((one, file, await faults_of(reader, masters, shelf, file)))
                tell("Verifying", count, len(kept))
        return done

    strays = recordings_list.strays(settings) if call is None else ()
    found = read(settings, look)
    bad = [(one, file, fault) for one, file, faults in found for fault in faults]
    if print_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "call": one.call_id, "leg": one.leg_id, "file": file.name, "sha256": file.sha256,
                        "encrypted": file.sealed_with is not None, "ok": not faults,
                        "faults": [{"fault": fault.fault, "problem": str(fault)} for fault in faults],
                    }
                    for one, file, faults in found
                ]
                + [
                    {
                        "call": it.of and it.of.call_id, "leg": it.of and it.of.leg_id, "file": it.file.name,
                        "sha256": None, "encrypted": None, "ok": False,
                        "faults": [{"fault": it.fault, "problem": it.problem}],
                    }
                    for it in strays
                ],
                indent=2,
            )
        )  # fmt: skip
    else:
        for _, _, fault in bad:
            typer.echo(str(fault))
        for it in strays:
            typer.echo(it.problem)
        wrong = sum(bool(faults) for _, _, faults in found)
        typer.echo(f"Kept files: {len(found)}; as they were kept: {len(found) - wrong}; not: {wrong}")
    if bad or strays:
        raise typer.Exit(EXIT_FAILED)


@app.command("play")
def play(
    call: CallArgument, leg: LegOption = None, for_what: ForOption = None, path: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Write a recording's audio (WAV) to standard output, for a player: callguard recordings play CALL | aplay.

    Exit code 3: it is restricted, or it is for no purpose of the recording's own, and no right or claim.
    """
    if sys.stdout.isatty():
        raise InputError("audio is no text: pipe it into a player, or use `recordings export`", field="play")
    _copy(config.load(path), "recordings play", call, leg, for_what, sys.stdout.buffer)


@app.command("export")
def export(
    call: CallArgument,
    to: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A file that is not there yet.")],
    leg: LegOption = None,
    for_what: ForOption = None,
    recipient: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="NAME",
            help="Who is to have it, where it is not the controller itself: one of its processors, or a recipient "
            "of the configuration whom the last notice that the person heard names.",
        ),
    ] = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write a recording's audio (WAV) to a new file that only you may read; nothing is left where it fails."""
    settings = config.load(path)
    if str(to) == STDIN:
        raise InputError("is no file: `recordings play` writes to standard output", field="--output")
    if recipient is not None:
        _refuse_untold(settings, call, leg, for_what, recipient)
    try:
        descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise InputError("is there already, and is left as it is", file=to, field="--output") from error
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=to, field="--output") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            _copy(settings, "recordings export", call, leg, for_what, file, recipient)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _refuse_untold(settings: Config, call: str, leg: str | None, for_what: str | None, recipient: str) -> None:
    for one in read(settings, lambda reader: _recordings(reader, call)):
        if leg not in (None, one.leg_id):
            continue
        of_it = partial(
            refuse_untold, settings=settings, controller=one.controller, recipient=recipient, leg_id=one.leg_id
        )
        with hands_over(settings, "recordings export", for_what, one.leg_id):
            read(settings, of_it)


def _copy(
    settings: Config, action: str, call: str, leg: str | None, for_what: str | None, to: BinaryIO,
    recipient: str | None = None,
) -> None:  # fmt: skip
    from callguard.keys import master

    found, file = read(settings, lambda reader: _opened(reader, settings, call, leg, master.load(settings)))
    try:
        with closing(file):
            # What is heard is kept before it is, and nothing is kept of what cannot be.
            hears(settings, action, for_what, found.leg_id, found.own, recipient)
            shutil.copyfileobj(file, to, 1 << 20)
            to.flush()
    except BrokenPipeError:  # the player has heard enough; what is buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), to.fileno())
    except OSError as error:
        raise SetupError(f"{error.filename or 'the recording'} cannot be copied: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Found:
    """A recording that is kept, and its purposes whose basis and time stand."""

    leg_id: str
    own: tuple[str, ...]


async def _opened(
    reader: RetentionReader, settings: Config, call: str, leg: str | None, masters: Masters | None
) -> tuple[_Found, BinaryIO]:
    from callguard.keys.names import Shelf
    from callguard.keys.reading import open_file
    from callguard.retention import judged

    found = [one for one in await _recordings(reader, call) if leg in (None, one.leg_id)]
    if not found:
        raise InputError("no recording of this call was made", field="CALL")
    if len(found) > 1:
        legs = ", ".join(one.leg_id for one in found)
        raise InputError(f"say which; recorded were: {legs}", field="--leg")
    (one,) = found
    if one.state != "kept":
        raise InputError(f"the recording is {one.state}", field="CALL")
    now, first = datetime.now(UTC), one.files[0]
    ends = [end for it in await judged(reader, settings, [one.leg_id], now) for end in it.verdict.ends]
    own = tuple(end.purpose for end in ends if end.at is None or now < end.at)
    encrypted = first.sealed_with is not None
    file = await open_file(reader, masters, Shelf.of(settings.recording), first.name, encrypted=encrypted)
    return _Found(one.leg_id, own), file


async def _recordings(reader: Reader, call: str | None) -> tuple[StoredRecording, ...]:
    if call is None:
        return await reader.kept_recordings()
    try:
        call_id = str(UUID(call))
    except ValueError as error:
        raise InputError("is no id of a call: 32 hexadecimal digits in five groups", field="CALL") from error
    return tuple(leg.recording for leg in await reader.call(call_id) if leg.recording is not None)
