"""FreePBX's own recording: what its database in Asterisk (AstDB) and its generated dialplan say.

FreePBX keeps a policy for each extension in AstDB, ``AMPUSER/EXTENSION/recording/in/external`` and the like, and hands
the policy of routes, queues and groups to ``sub-record-check`` as its third argument. Of both kinds the values are
force, yes, dontcare, no and never (``always`` in old versions); the stronger of the two ends of a call wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from callguard.doctor import dialplan
from callguard.doctor.checks.common import shortened, unasked
from callguard.doctor.facts import Facts, Step, known
from callguard.doctor.findings import Check, Problem, Severity, warning

RECORDS = frozenset({"force", "yes", "always"})
NEVER = "never"
# FreePBX's own context that decides what is recorded.
DECIDES = "sub-record-check"


def _recording(facts: Facts) -> Iterator[Problem]:
    ami = known(facts.ami)
    policies = {
        f"extension {key.partition('/')[0]} ({key.partition('/recording/')[2]})": policy
        for key, policy in known(ami.freepbx).items()
        if "/recording/in/" in key or "/recording/out/" in key
    }
    policies |= _handed(known(ami.steps))
    records = [name for name, policy in policies.items() if policy in RECORDS]
    if records:
        yield unasked(
            facts,
            f"FreePBX records by itself: {shortened(records)}",
            "it records whoever refused, too",
            "FreePBX: Call Recording of these extensions, routes, queues and groups = Never, then Apply Config",
        )
    others = [name for name, policy in policies.items() if policy not in RECORDS and policy != NEVER]
    if others:
        yield warning(
            f"FreePBX may record where the other end asks for it: {shortened(others)}",
            "only Never keeps a call unrecorded whatever the other end is set to; the gate records what it may",
            "FreePBX: Call Recording of these extensions, routes, queues and groups = Never, then Apply Config",
        )


def _on_demand(facts: Facts) -> Iterator[Problem]:
    users = known(known(facts.ami).freepbx)
    names = [
        f"extension {key.partition('/')[0]}"
        for key, policy in users.items()
        if key.endswith("/recording/ondemand") and policy in {"enabled", "override"}
    ]
    if names:
        yield warning(
            f"FreePBX lets agents record by key: {shortened(names)}",
            "the agent may end a recording and never begin one; callguard stops it, and the agent does not know why",
            "FreePBX: On Demand Recording of these extensions = Disable, then Apply Config",
        )


def _handed(steps: Iterable[Step]) -> Mapping[str, str]:
    """The policies that the dialplan hands on, by where; one that only a call knows is left out."""
    found = {}
    for step in steps:
        _, called, rest = step.data.partition(f"{DECIDES},s,1(")
        if called:
            handed = dialplan.arguments(rest.rpartition(")")[0])
            policy = handed[2].strip().lower() if len(handed) > 2 else ""
            if policy.isalpha():
                found[step.place] = policy
    return found


CHECKS = (
    Check("freepbx.recording", "FreePBX, if this is one, never records by itself", Severity.RISK, _recording),
    Check("freepbx.ondemand", "FreePBX, if this is one, lets nobody record by key", Severity.WARNING, _on_demand),
)
