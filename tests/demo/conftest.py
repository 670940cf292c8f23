"""A running Asterisk of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from callguard.demo.pbx import Pbx
from callguard.demo.tree import Tree


@pytest.fixture
async def pbx(tree: Tree) -> AsyncIterator[Pbx]:
    async with Pbx(tree) as running:
        yield running
