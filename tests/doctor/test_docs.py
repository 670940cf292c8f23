"""docs/doctor.md tells of every check."""

from __future__ import annotations

from pathlib import Path

from callguard.doctor.checks import CHECKS
from callguard.doctor.findings import Severity

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_the_table_of_checks_is_that_of_the_code() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert table == [f"| `{check.id}` | {check.worst} | {check.holds} |" for check in CHECKS]


def test_every_severity_is_explained() -> None:
    for severity in Severity:
        assert f"\n| {severity.replace('_', ' ')} | " in PAGE
