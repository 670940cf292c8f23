"""Backups."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, warning


def _fresh(facts: Facts) -> Iterator[Problem]:
    backup = facts.config.backup
    if backup is None or backup.folder is None:
        return
    age_h = known(facts.here.backup_age_h)
    if age_h is None or age_h > backup.max_age_h:
        what = "there is no backup" if age_h is None else f"the youngest backup is {age_h:.0f} h old"
        yield warning(
            f"{what} in {backup.folder}, and {backup.max_age_h} h at most are configured",
            "what was consented, refused and withdrawn since is lost with the disk, and so is its proof",
            "callguard backup says why; a timer makes them: docs/backup.md",
        )


CHECKS = (Check("backup.fresh", "The youngest backup is not too old", Severity.WARNING, _fresh),)
