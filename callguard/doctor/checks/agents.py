"""Whether agents are of the house to a recording, and whether their phones can be told what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from callguard.doctor import dialplan
from callguard.doctor.checks.common import bridgings, loaded, places, shortened
from callguard.doctor.dialplan import Bridging
from callguard.doctor.facts import Ami, Facts, NotKnown, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning

AGENT = "callguard-agent"
PREFIX = "CALLGUARD_NAME_PREFIX"
# Extension and context; what follows a slash is options.
LOCAL = re.compile(r"Local/([^@]+)@([^/]+)(?:/.*)?")
B = f"b({AGENT}^s^1)"


def _inside(facts: Facts) -> Iterator[Problem]:
    uses = dialplan.uses(dialplan.foreign(loaded(facts)))
    if not uses:  # no recording that anybody could be a stranger to
        return
    gated = _led_to(facts, {use.step.where for use in uses if use.gate == "inbound"})
    outside = {use.step.where for use in uses if use.gate != "inbound"}
    ours = _ours(facts)
    strange = [
        one
        for one in bridgings(facts)
        if one.step.where not in outside and not _shown(one, ours) and not _listed(one, facts)
    ]
    found = [one for one in strange if not one.unresolved]
    mend = (
        f"{B} among the options there (one before a Local channel reaches no phone behind it), or callguard.toml, "
        '[asterisk]: inside = ["PJSIP/1*"] with patterns of the agents\' endpoints'
    )
    if at_once := [one for one in found if one.step.where in gated]:
        yield risk(
            f"{len(at_once)} Dial or Queue behind the gate say no {B}: {places(at_once)}",
            "who answers there is a stranger to the recording: it ends as soon as they come, and the agent's keys and "
            "display are missing",
            mend,
        )
    if later := [one for one in found if one.step.where not in gated]:
        yield warning(
            f"{len(later)} Dial or Queue say no {B}: {places(later)}",
            "where a recorded call comes there, by Goto or a transfer, who answers is a stranger to the recording, and "
            "it ends",
            mend,
        )
    if strange and not found:
        raise NotKnown(
            f"{len(strange)} Dial or Queue have options that only a call knows ({places(strange)}); see that {B} is "
            "among them"
        )


def _led_to(facts: Facts, gated: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The extensions of those callers, and those that they come to by Local channels of a Dial or Queue there."""
    ami, every = known(facts.ami), bridgings(facts)
    reached, new = set(gated), set(gated)
    while new:
        locals_ = {name for one in every if one.step.where in new for name in (*one.to, *_names(one, ami))}
        called = [found.groups() for name in locals_ if (found := LOCAL.fullmatch(name))]
        new = {
            one.step.where for one in every
            for extension, context in called
            if one.step.context == context and ("$" in extension or dialplan.fits(one.step.extension, extension))
        } - reached  # fmt: skip
        reached |= new
    return reached


def _display(facts: Facts) -> Iterator[Problem]:
    ami = known(facts.ami)
    told = f"{PREFIX}=yes"
    if known(ami.globals[PREFIX]) != "yes" and not any(told in one.data for one in dialplan.foreign(loaded(facts))):
        return
    endpoints = {f"PJSIP/{one.name}": one for one in known(ami.endpoints)}
    ours = _ours(facts)
    dialled = {name for one in bridgings(facts) if _shown(one, ours) for name in _names(one, ami)}
    patterns = (*facts.config.asterisk.inside, *(p for one in facts.config.agents.values() for p in one.endpoints))
    silent = [
        one.name
        for name, one in endpoints.items()
        if (name in dialled or _fits(name, patterns)) and not one.tells_changes
    ]
    if silent:
        yield warning(
            f"neither send_pai nor send_rpid: {shortened(silent)}",
            f"with {PREFIX} these phones show [REC] when the call comes, and still when the person has stopped the "
            "recording in the call",
            'pjsip.conf: send_pai = yes (or send_rpid = yes) at these endpoints, then asterisk -rx "pjsip reload"',
        )


def _ours(facts: Facts) -> frozenset[str]:
    """The contexts of a b() that is ours, or an administrator's own that comes to ours."""
    return frozenset({AGENT, *(step.context for step in loaded(facts) if f"{AGENT},s,1" in step.data)})


def _shown(one: Bridging, ours: frozenset[str]) -> bool:
    """Whether the agent's leg goes through ours before it rings."""
    for letter, inside in one.options:
        parts = inside.partition("(")[0].split("^")
        if letter == "b" and (parts[0] if len(parts) > 2 else one.step.context) in ours:
            return True
    return False


def _listed(one: Bridging, facts: Facts) -> bool:
    """Whether all whom it rings are of the house by the configuration, as far as their names are known, or of outside.

    Local channels are judged where they dial, and what goes out by a trunk (PJSIP/NUMBER@TRUNK) is of outside.
    """
    ami, patterns = known(facts.ami), facts.config.asterisk.inside
    if one.app == "Dial" and all(_leaves(to) for to in one.to):
        return True
    names = _names(one, ami)
    return all(_leaves(name) or _fits(name, patterns) for name in names) if names else bool(patterns)


def _names(one: Bridging, ami: Ami) -> frozenset[str]:
    """Whom it rings; of what only a call knows, those whom the extension's pattern allows."""
    if one.app == "Queue":
        lines = known(ami.files["queues.conf"]).section(one.to[0]).lines
        return frozenset(member.lstrip("> ").split(",")[0] for key, member in lines if key == "member")
    names = {to for to in one.to if "$" not in to}
    if "PJSIP/${EXTEN}" in one.to:
        names |= {f"PJSIP/{it.name}" for it in known(ami.endpoints) if dialplan.fits(one.step.extension, it.name)}
    return frozenset(names)


def _leaves(to: str) -> bool:
    technology, _, rest = to.partition("/")
    return technology == "Local" or "@" in rest or "/" in rest


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


CHECKS = (
    Check("agents.inside", "Agents are of the house to a recording", Severity.RISK, _inside),
    Check("agents.display", "Agents' phones can be told that a recording was stopped", Severity.WARNING, _display),
)
