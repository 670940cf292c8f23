"""Which recordings may be handed to a person: those that are what was kept, and in which nobody else had a part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from callguard.sections import Folder

if TYPE_CHECKING:
    from callguard.store.about import SubjectLeg
    from callguard.store.records import RecordedFile

BLOCK = 1 << 20
OTHERS = "another person had a part in the call: listen to it before it is handed out"


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording's file, for an export.

    Attributes:
        name: without folder.
        withheld: why it is not in it; empty where it is, and `path`, `sha256` and `sha512` are known then.
    """

    name: str
    withheld: str
    path: Path = Path()
    sha256: bytes = b""
    sha512: bytes = b""


def sounds(leg: SubjectLeg, folder: Folder, *, shared: bool) -> tuple[Sound, ...]:
    """What becomes of each file of a leg's recording.

    Args:
        folder: where recordings are.
        shared: whether somebody else had a part in the call.

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
    elif shared:
        why = OTHERS
    return tuple(Sound(file.name, why) if why else _read(file, folder.path_here) for file in recording.files)


def opened(path: Path) -> IO[bytes]:
    """A recording's file to be read: the one place that knows how they are kept. Raises: OSError."""
    return path.open("rb")


def _read(file: RecordedFile, folder: Path) -> Sound:
    path = folder / file.name
    if Path(file.name).name != file.name:
        return Sound(file.name, "its name is none of a file")
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    try:
        with opened(path) as audio:
            while block := audio.read(BLOCK):
                sha256.update(block)
                sha512.update(block)
    except FileNotFoundError:
        return Sound(file.name, "its file is missing")
    if sha256.hexdigest() != file.sha256:
        return Sound(file.name, "its file is not what was kept: its SHA-256 differs")
    return Sound(file.name, "", path, sha256.digest(), sha512.digest())
