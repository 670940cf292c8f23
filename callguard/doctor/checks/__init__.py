"""Every check, in the order of the report. Each is a small pure function of the facts."""

from __future__ import annotations

from callguard.doctor.checks import (
    agents,
    backup,
    connection,
    conversation,
    freepbx,
    gate,
    keys,
    machine,
    paths,
    recordings,
    registries,
    requests,
    retention,
    roles,
)
from callguard.doctor.facts import Facts
from callguard.doctor.findings import Check, Finding, Severity

CHECKS: tuple[Check, ...] = (
    *connection.CHECKS,
    *gate.CHECKS,
    *paths.CHECKS,
    *conversation.CHECKS,
    *agents.CHECKS,
    *freepbx.CHECKS,
    *recordings.CHECKS,
    *keys.CHECKS,
    *retention.CHECKS,
    *roles.CHECKS,
    *requests.CHECKS,
    *backup.CHECKS,
    *registries.CHECKS,
    *machine.CHECKS,
)


def judged(facts: Facts) -> tuple[Finding, ...]:
    """All findings, the worst first, each severity in the order of the checks."""
    found = [finding for check in CHECKS for finding in check.findings(facts)]
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))
