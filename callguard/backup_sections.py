"""The section ``[backup]`` of ``callguard.toml``: what backups are encrypted by, and where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from callguard.key_sections import KeySource
from callguard.sections import Model

BACKUP = ".cgbackup"
"""How the names of backups end in their folder."""


class Backup(Model):
    """How backups are made.

    Attributes:
        key: encrypts them; another one than the master key, which a backup needs to be of use and must not open it.
        old: those that did before; their backups can be read.
        folder: where they are, each under the time it was made at.
        max_age_h: the doctor warns where the youngest is older, in hours.
        erasures: copies of ``erasures.jsonl`` that are kept elsewhere: who stands there is erased in a restored store.
    """

    key: KeySource
    old: tuple[KeySource, ...] = ()
    folder: Path | None = None
    max_age_h: Annotated[int, Field(ge=1, le=8784)] = 26
    erasures: tuple[Path, ...] = ()
