"""What tests on a real Asterisk share."""

from __future__ import annotations

from pathlib import Path

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
