"""Past decisions under another law: what would have come out, as far as what they have kept can tell."""

from __future__ import annotations

from callguard.core.decide import Facts
from callguard.core.law import Law
from callguard.core.provisions import CallerId

SHOWN = "+"
"""The number that a call showed, where all that is kept is that it showed one."""


def lacks(law: Law, facts: Facts) -> str | None:
    """What this law asks about a call that its decision has not kept; None where it has kept all of it.

    What is not kept is never taken for something that was not there.
    """
    if law.looks_back(facts.kind) > facts.looked_back:
        return "earlier calls and refusals were not looked for so far back"
    if facts.caller_id == SHOWN and any(isinstance(rule, CallerId) and rule.prefixes for rule in law.asked(facts.kind)):
        return "which number was shown is not kept"
    return None
