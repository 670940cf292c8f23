"""What several checks need: the dialplan's Dials and Queues, what records unasked, and lists that stay short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from callguard.doctor import dialplan
from callguard.doctor.dialplan import Bridging
from callguard.doctor.facts import Facts, NotKnown, Step, known
from callguard.doctor.findings import Problem, risk, warning

# How many names or places a finding tells.
NAMED = 5


def loaded(facts: Facts) -> tuple[Step, ...]:
    """The dialplan, ours in it. Raises: NotKnown."""
    steps = known(known(facts.ami).steps)
    if not any(step.context == "callguard-inbound" for step in steps):
        raise NotKnown("callguard's dialplan is not loaded")
    return steps


def bridgings(facts: Facts) -> tuple[Bridging, ...]:
    """Every Dial and Queue of the administrator's own. Raises: NotKnown."""
    ami = known(facts.ami)
    values = {name: text for name, text in ami.globals.items() if isinstance(text, str)}
    return dialplan.bridgings(dialplan.foreign(known(ami.steps)), values)


def unasked(facts: Facts, what: str, why: str, how: str) -> Problem:
    """Something that records without the gate: as bad as what callguard does about it."""
    done = facts.config.watchdog.foreign
    if done == "stop":
        stops = (
            "callguard stops a MixMonitor that it did not begin and sets its file aside; while it is away, nothing does"
        )
        return warning(what, f"{why}; {stops}", how)
    return risk(what, f"{why}; nothing stops it, for callguard.toml says [watchdog] foreign = {done}", how)


def places(found: Iterable[Bridging]) -> str:
    """Where they stand."""
    return shortened([one.step.place for one in found])


def shortened(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
