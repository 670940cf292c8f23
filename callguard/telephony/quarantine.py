"""Files that somebody has to look into, set aside below the recordings' folder. callguard never deletes one.

Where there are keys each is encrypted a minute later: see `keys.quarantine`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from uuid_utils import uuid7

from callguard.keys.names import QUARANTINE
from callguard.sections import Folder

MODE = 0o2770


def here(folder: Folder, file: str) -> Path | None:
    """Where a file of Asterisk's lies for us; None where that is not within the folder that both see."""
    path = PurePosixPath(file)
    if not path.is_absolute() or ".." in path.parts or not path.is_relative_to(folder.in_asterisk):
        return None
    inside = path.relative_to(folder.in_asterisk)
    return None if inside.parts[:1] in ((), (QUARANTINE,)) else folder.path_here / inside


def set_aside(folder: Path, file: Path) -> str:
    """Move a file into quarantine, also one that is being written; its old name may hold a number, so it gets another.

    Returns:
        Its name there.

    Raises:
        OSError: it cannot be moved; `FileNotFoundError` where there is none.
    """
    quarantine = folder / QUARANTINE
    if not quarantine.is_dir():
        quarantine.mkdir(exist_ok=True)
        quarantine.chmod(MODE)
    name = f"{uuid7()}{file.suffix}"
    file.rename(quarantine / name)
    return name
