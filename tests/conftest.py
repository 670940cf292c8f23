"""What tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from callguard.demo import private_root
from callguard.demo.tree import Tree, cache, find


@pytest.fixture(scope="session")
def tree() -> Tree:
    """The Asterisk of this test run; the first time, a private one is built."""
    return find()


@pytest.fixture(scope="session")
def debian(tree: Tree) -> Path:
    """Debian's own ``/etc/asterisk``, to be copied: this run's Asterisk's, or where it has none, a private root's."""
    folder = tree.root / "etc" / "asterisk"
    return folder if (folder / "manager.conf").exists() else private_root.ready(cache()) / "etc" / "asterisk"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anyone can reach, as pytest's are not."""
    folder = Path(mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
