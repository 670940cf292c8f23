"""docs/faults.md: every test that a row names is there, and no fault that is tried is left out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.__main__ import APART, PAIR
from tests.faults.faults import FAULTS

REPOSITORY = Path(__file__).parents[2]
ROWS = [
    line.split("|")[-2]
    for line in (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8").partition("## Figures")[0].splitlines()
    if line.startswith("| ") and "shown by" not in line
]


def test_every_row_names_tests_that_exist() -> None:
    assert len(ROWS) > 10
    for row in ROWS:
        named = re.findall(r"`(tests/\S+?\.py)::(test_\w+)`", row)
        assert named or "`make faults`: " in row, row
        for file, test in named:
            assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_page_and_make_faults_know_the_same_faults() -> None:
    named = [name.strip() for row in ROWS for name in re.findall(r"`make faults`: ([^;]+)", row)]
    assert sorted(named) == sorted([*(fault.name for fault in FAULTS), PAIR, APART])
