"""The configuration and commands of the opt-outs' tests, with a profile that calls only who has granted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optouts.conftest import run, two, written

__all__ = ["asking", "run", "two", "written"]

OF_NO_MATTER = """
country = "ES"

[[rule]]
id = "own.any"
kind = "exemption"
source = "these tests"
lifts = ["es.hours", "es.lists"]
numbers = ["+34912345"]
"""


@pytest.fixture
def asking(two: Path) -> Path:
    """The second controller's profile sells energy, to those alone who have granted it."""
    text = two.read_text(encoding="utf-8")
    asks = text.replace(
        'campaign = "spring"\n', 'campaign = "spring"\nfor_purpose = "marketing.energy"\nbasis = "grant"\n'
    )
    # Hours and lists are another matter, and tests run at all hours.
    (two.parent / "policies").mkdir()
    (two.parent / "policies" / "own.toml").write_text(OF_NO_MATTER, encoding="utf-8")
    two.write_text(f'{asks}\n[law]\npolicies = "{two.parent / "policies"}"\n', encoding="utf-8")
    return two
