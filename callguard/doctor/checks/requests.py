"""What people have asked for by right."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.core.requests import DUE_SOON
from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, warning


def _answered(facts: Facts) -> Iterator[Problem]:
    due = known(facts.here.requests)
    for count, how in ((due.overdue, "overdue"), (due.soon, f"due within {DUE_SOON.days} days")):
        if count:
            yield warning(
                f"{count} {'request of a person is' if count == 1 else 'requests of people are'} {how}",
                "each is answered within a month, or the person is told why it takes longer (GDPR Art. 12(3))",
                "the officer: callguard request list, and docs/rights.md",
            )


CHECKS = (Check("requests.due", "What people ask for is answered in time", Severity.WARNING, _answered),)
