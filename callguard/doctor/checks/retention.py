"""How long recordings are kept."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts
from callguard.doctor.findings import Check, Problem, Severity, warning


def _limited(facts: Facts) -> Iterator[Problem]:
    for controller, purpose in facts.config.unlimited():
        yield warning(
            f"nothing says for how long {controller} keeps recordings for {purpose}",
            "they are kept until somebody says, and no longer than is needed is the law (GDPR Art. 5(1)(e))",
            f'[retention.{controller}] "{purpose}" = {{ days = … }}, as the notice says; systemctl reload callguard',
        )


CHECKS = (
    Check("recordings.retention", "Recordings for each purpose are destroyed in time", Severity.WARNING, _limited),
)
