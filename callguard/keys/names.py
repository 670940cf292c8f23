"""Under which names a finished file lies."""

from __future__ import annotations

from pathlib import Path

SEALED, PART = ".cg", ".part"


def sealed_name(clear: Path) -> Path:
    """The name of a clear file when it is encrypted."""
    return clear.with_name(clear.name + SEALED)


def part_name(clear: Path) -> Path:
    """Its name while it is being encrypted."""
    return clear.with_name(clear.name + SEALED + PART)


def stored_as(clear: Path) -> tuple[Path, Path, Path]:
    """All names under which its content may lie."""
    return clear, sealed_name(clear), part_name(clear)
