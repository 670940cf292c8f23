"""Debian's own Asterisk configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def etc(debian: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return shutil.copytree(debian, tmp_path / "etc" / "asterisk")
