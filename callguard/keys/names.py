"""Where a finished file lies, clear and encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from callguard import sections

SEALED, PART = ".cg", ".part"
# Below the folder that recordings are made in, what somebody has to look into; encrypted below where they are kept.
QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder that recordings are made in, and that which they are kept in once they are encrypted; mostly one.

    Names are those of clear files, without folder.
    """

    made_in: Path
    kept_in: Path

    @classmethod
    def of(cls, settings: sections.Recording) -> Self:
        made_in = settings.folder.path_here
        return cls(made_in, settings.encrypted_folder or made_in)

    @classmethod
    def of_quarantine(cls, settings: sections.Recording) -> Self:
        """As `of`, of what was set aside."""
        recordings = cls.of(settings)
        return cls(recordings.made_in / QUARANTINE, recordings.kept_in / QUARANTINE)

    def clear(self, name: str) -> Path:
        return self.made_in / name

    def sealed(self, name: str) -> Path:
        """The encrypted file: where it is, or is to be. What was encrypted before it had a folder of its own stays."""
        kept, beside = (folder / f"{name}{SEALED}" for folder in (self.kept_in, self.made_in))
        return beside if not kept.exists() and beside.exists() else kept

    def part(self, name: str) -> Path:
        """What is being encrypted."""
        return self.kept_in / f"{name}{SEALED}{PART}"

    def encrypted(self, name: str) -> tuple[Path, ...]:
        """All names under which its content may lie, but the clear one."""
        return self.part(name), self.kept_in / f"{name}{SEALED}", self.made_in / f"{name}{SEALED}"

    def sidecars(self, name: str) -> tuple[Path, Path]:
        """Where its sidecar is made, and where it is kept."""
        sidecar = Path(name).with_suffix(".json").name
        return self.made_in / sidecar, self.kept_in / sidecar

    @property
    def is_one(self) -> bool:
        return self.made_in == self.kept_in
