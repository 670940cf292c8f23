"""What tests on a real Asterisk share."""

from __future__ import annotations

import pytest

from callguard.demo.tree import Tree, find


@pytest.fixture(scope="session")
def tree() -> Tree:
    """The Asterisk of this test run; the first time, a private one is built."""
    return find()
