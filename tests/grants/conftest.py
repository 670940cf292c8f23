"""The configuration and commands of the opt-outs' tests, with a profile that calls only who has granted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optouts.conftest import run, two, written

__all__ = ["asking", "run", "two", "written"]


@pytest.fixture
def asking(two: Path) -> Path:
    """The second controller's profile sells energy, to those alone who have granted it."""
    text = two.read_text(encoding="utf-8")
    asks = text.replace(
        'campaign = "spring"\n', 'campaign = "spring"\nfor_purpose = "marketing.energy"\nbasis = "grant"\n'
    )
    two.write_text(asks, encoding="utf-8")
    return two
