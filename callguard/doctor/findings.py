"""What the doctor says: findings, and the checks that make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from callguard.doctor.facts import Facts, NotKnown


class Severity(StrEnum):
    """How bad it is, worst first."""

    RISK = "risk"
    """Calls are at risk: recorded without right, not recorded, not asked, lost, or dialled or denied wrongly."""
    WARNING = "warning"
    """It works now, and less well, or not in every case."""
    NOT_CHECKED = "not_checked"
    """It could not be found out."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check found wrong: what it is, why it matters, and the command or setting that mends it."""

    severity: Severity
    what: str
    why: str
    how: str


def risk(what: str, why: str, how: str) -> Problem:
    return Problem(Severity.RISK, what, why, how)


def warning(what: str, why: str, how: str) -> Problem:
    return Problem(Severity.WARNING, what, why, how)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report; `why` and `how` are empty where nothing is wrong."""

    id: str
    severity: Severity
    what: str
    why: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Attributes:
        id: its name in the report, for good.
        holds: what is so when nothing is wrong.
        worst: of the problems that it may find.
        judge: the problems in the facts; pure. It may raise NotKnown.
    """

    id: str
    holds: str
    worst: Severity
    judge: Callable[[Facts], Iterable[Problem]]

    def findings(self, facts: Facts) -> tuple[Finding, ...]:
        """Its problems, or the one finding that there are none, or that it could not be found out."""
        try:
            problems = tuple(self.judge(facts))
        except NotKnown as error:
            return (Finding(self.id, Severity.NOT_CHECKED, f"{self.holds}: not checked, because {error}"),)
        return tuple(Finding(self.id, one.severity, one.what, one.why, one.how) for one in problems) or (
            Finding(self.id, Severity.OK, self.holds),
        )
