"""What lies in the recordings' folder, beside what the store says should. Plain files, no store."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from callguard.keys.names import PART, SEALED, Shelf
from callguard.telephony.recording import TRIED

# What Asterisk records to, what callguard makes of it, and what lies beside it. A store or a key in the folder is none.
OF_RECORDINGS = frozenset({
    ".wav", ".wav49", ".wav16", ".gsm", ".ulaw", ".alaw", ".g722", ".g729", ".sln", ".sln16", ".ogg", ".opus", ".raw",
    SEALED, PART, ".json", ".joined",
})  # fmt: skip


def stems(shelf: Shelf) -> dict[str, list[Path]]:
    """The files of the recordings' folders by the recording that they belong to, if they do: segments, sides, encrypted
    files and sidecars together.

    What is set aside lies in a folder of its own, and what `callguard doctor` tries is removed by it.

    Raises:
        OSError: a folder cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for folder in {shelf.made_in, shelf.kept_in}:
        with os.scandir(folder) as entries:
            for entry in entries:
                named_so = not OF_RECORDINGS.isdisjoint(map(str.lower, Path(entry.name).suffixes))
                if named_so and not entry.name.startswith(TRIED) and not entry.is_dir(follow_symlinks=False):
                    found.setdefault(stem(entry.name), []).append(Path(entry.path))
    return found


def stem(name: str) -> str:
    """The name of the recording that a file is named after."""
    return name.partition(".")[0].removesuffix("-in").removesuffix("-out")


def orphaned(found: dict[str, list[Path]], known: Collection[str]) -> tuple[Path, ...]:
    """The files that belong to no recording.

    Args:
        found: as `stems` found it, before the store was asked: what begins since is not taken for an orphan.
        known: the names of recordings that are kept or being made.
    """
    unknown = (file for of, files in found.items() if of not in known for file in files)
    return tuple(sorted(file for file in unknown if file.exists()))


def has_sidecar(shelf: Shelf, name: str) -> bool:
    """Whether a recording's file has the one beside it that says what it may be used for."""
    return any(sidecar.exists() for sidecar in shelf.sidecars(name))
