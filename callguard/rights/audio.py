"""Which recordings may be handed to a person: those that are what was kept, and in which nobody else had a part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from callguard.errors import CallguardError
from callguard.sections import Folder

if TYPE_CHECKING:
    from callguard.store.about import SubjectLeg
    from callguard.store.records import RecordedFile

BLOCK = 1 << 20
HELD = "it is restricted (GDPR Art. 18)"
UNREADABLE = "its file cannot be read, or is not what was kept"
OTHERS = "another person had a part in the call: listen to it before it is handed out"


Opening: TypeAlias = Callable[[], IO[bytes]]


def _nothing() -> IO[bytes]:
    raise FileNotFoundError


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording's file, for an export.

    Attributes:
        name: without folder.
        withheld: why it is not in it, as the person is told; empty where it is, and the rest is known then.
        to_do: what who hands it out has to see to, for them alone.
        size: of the clear audio, in bytes, as are the hashes.
        opened: opens it to be read once more. Raises: OSError, CallguardError.
        leg_id: whose recording it is of.
    """

    name: str
    withheld: str
    size: int = 0
    sha256: bytes = b""
    sha512: bytes = b""
    opened: Opening = _nothing
    leg_id: str = ""
    to_do: str = ""


def sounds(
    leg: SubjectLeg, folder: Folder, openings: Mapping[str, Opening], *, shared: bool, held: bool
) -> tuple[Sound, ...]:
    """What becomes of each file of a leg's recording.

    Args:
        folder: where recordings are.
        openings: by file, how it is opened to be read, encrypted or not.
        shared: whether somebody else had a part in the call.
        held: whether it is held, and so restricted for what it is exported for.

    Raises:
        OSError: a file is there and cannot be read.
    """
    recording = leg.detail.recording
    if recording is None:
        return ()
    why = ""
    if recording.state != "kept":
        why = "it is destroyed" if recording.state == "destroyed" else "it is set aside for somebody to look into"
    elif leg.folder is not None and leg.folder != str(folder.in_asterisk):
        why = "it is in another callguard's folder"
    elif held:
        why = HELD
    elif shared:
        why = OTHERS
    found = (Sound(file.name, why) if why else _read(file, openings) for file in recording.files)
    return tuple(replace(one, leg_id=leg.detail.leg.leg_id) for one in found)


def _read(file: RecordedFile, openings: Mapping[str, Opening]) -> Sound:
    if Path(file.name).name != file.name:
        return Sound(file.name, "its name is none of a file")
    size, sha256, sha512 = 0, hashlib.sha256(), hashlib.sha512()
    try:
        with openings[file.name]() as audio:
            while block := audio.read(BLOCK):
                size += len(block)
                sha256.update(block)
                sha512.update(block)
    except FileNotFoundError:
        return Sound(file.name, "its file is missing")
    except CallguardError as error:  # of an encrypted one, with what to do
        return Sound(file.name, UNREADABLE, to_do=str(error))
    if sha256.hexdigest() != file.sha256:
        return Sound(file.name, "its file is not what was kept: its SHA-256 differs")
    return Sound(file.name, "", size, sha256.digest(), sha512.digest(), openings[file.name])
