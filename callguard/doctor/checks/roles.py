"""Who may do what with callguard."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts
from callguard.doctor.findings import Check, Problem, Severity, warning


def _configured(facts: Facts) -> Iterator[Problem]:
    if facts.config.roles is None:
        yield warning(
            "whoever may use callguard's account or root's may read, hand out and erase everything that is kept",
            "access is for those who need it for their work, and denied by default (GDPR Art. 25(2), 32(4))",
            "[roles] in callguard.toml: docs/roles.md",
        )


def _officer(facts: Facts) -> Iterator[Problem]:
    roles = facts.config.roles
    if roles is not None and not (roles.officer.users or roles.officer.groups):
        yield warning(
            "nobody is officer",
            "what people ask for has to be done within a month (GDPR Art. 12(3)), and no administrator may do it",
            "[roles] officer = { users = [...] } in callguard.toml: docs/roles.md",
        )


def _known(facts: Facts) -> Iterator[Problem]:
    if unknown := facts.here.unknown_members:
        yield warning(
            f"roles are given to users or groups that this machine does not have: {', '.join(unknown)}",
            "who is meant has no role, and an account that is made under such a name later has one",
            "mend [roles] in callguard.toml, or make the account",
        )


CHECKS = (
    Check("roles.configured", "Who may do what is said, and all else is denied", Severity.WARNING, _configured),
    Check("roles.officer", "Somebody may do what people ask for", Severity.WARNING, _officer),
    Check("roles.known", "Who has a role is known to this machine", Severity.WARNING, _known),
)
