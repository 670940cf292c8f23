"""What was signed last, kept beside the signing key: who empties the store of checkpoints has not emptied this.

It is on the disk before the checkpoint's row is in the store. So a crash between the two leaves a note of which there
is no row yet, and the next signing adds it. A store without the checkpoint before that one has lost it otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from callguard.core.checkpoint import Checkpoint, Note, VerifierKey
from callguard.errors import InputError
from callguard.keys.beside import sync
from callguard.ledger.keys import KEY_MODE, verified, written_beside

# Notes at the end of a file that are looked at; more bytes than one has.
_END_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Signed:
    """What a key has signed last.

    Attributes:
        note: as signed; None where nothing was yet.
        before: the number of entries of the checkpoint that the store had then; None where it had none.
        given_up: the texts of what was signed and is not continued: an older store was restored, and somebody said so.
    """

    note: str | None = None
    before: int | None = None
    given_up: tuple[str, ...] = ()


def read(file: Path) -> Signed | None:
    """What stands in the file; None where there is none.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        found = Signed(said["note"], said["before"], tuple(map(str, said["given_up"])))
        for text in (*found.given_up, *([Note.of(found.note).text] if found.note is not None else [])):
            Checkpoint.of(text)
        return found
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "does not say what was signed last: put a copy of it back in its place, or remove it and say `callguard "
            "ledger checkpoint --after-restore`",
            file=file,
        ) from error


def write(file: Path, signed: Signed) -> None:
    """Keep it, on the disk when this returns. Raises: InputError."""
    text = json.dumps({"note": signed.note, "before": signed.before, "given_up": signed.given_up}, ensure_ascii=False)
    try:
        made = written_beside(file, KEY_MODE, f"{text}\n")
        made.replace(file)
        sync(file.parent)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file) from error


def last_sent(file: Path | None, keys: Collection[VerifierKey]) -> Note | None:
    """The last note of one of these keys that a file of notes ends with (`[ledger] send_to_file`).

    None also where there is no file or it cannot be read now: it may be on another machine.
    """
    if file is None:
        return None
    try:
        with file.open("rb") as notes:
            notes.seek(max(0, notes.seek(0, os.SEEK_END) - _END_BYTES))
            parts = notes.read().decode("utf-8", "replace").strip("\n").split("\n\n")
    except OSError:
        return None
    for at in range(len(parts) - 1, 0, -1):
        try:
            note = Note.of(f"{parts[at - 1]}\n\n{parts[at]}\n")
            Checkpoint.of(note.text)
        except ValueError:
            continue
        if believed(note, keys):
            return note
    return None


def believed(note: Note, keys: Collection[VerifierKey]) -> bool:
    """Whether one of the keys has signed it, for its own origin."""
    origin = Checkpoint.of(note.text).origin
    return any(key.name == origin and verified(note, key) for key in keys)


def to_continue(signed: Signed | None, sent: Note | None) -> Sequence[tuple[str, Note]]:
    """What a ledger has to continue, each with where that is known from."""
    given_up = () if signed is None else signed.given_up
    notes = [] if signed is None or signed.note is None else [("beside the key", Note.of(signed.note))]
    notes += [] if sent is None else [("in [ledger] send_to_file", sent)]
    return [(place, note) for place, note in notes if note.text not in given_up]
