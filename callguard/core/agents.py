"""Whether the agent's own side lets a call be recorded. Pure.

Who works on the phone is recorded too, and needs a basis of their own (GDPR Art. 6 and 88): an agreement with the
workforce, and where the law asks for it a grant of the agent's that can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent, or several that one agreement holds for.

    Attributes:
        name: as the configuration has it.
        endpoints: patterns, as the shell's, of the phones' endpoints, such as ``PJSIP/21*``.
        agreement: a reference to what was agreed.
        needs_grant: whether the agreement alone is not enough.
    """

    name: str
    endpoints: tuple[str, ...]
    agreement: str
    needs_grant: bool = False


@dataclass(frozen=True, slots=True)
class AgentGrant:
    """What an agent granted: aware times; `until` is None while it is in force."""

    name: str
    agreement: str
    since: datetime
    until: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class AgentVerdict:
    """Whether the agent's side may be recorded, and why: a name for good, for evidence and logs. It names nobody."""

    allowed: bool
    reason: str


NOT_ASKED = AgentVerdict(True, "agent.not_asked")
AGREED = AgentVerdict(True, "agent.agreement")
GRANTED = AgentVerdict(True, "agent.grant")
UNKNOWN = AgentVerdict(False, "agent.unknown")
NO_GRANT = AgentVerdict(False, "agent.no_grant")


def agent_may_be_recorded(
    required: bool, agents: Iterable[Agent], grants: Iterable[AgentGrant], endpoint: str, now: datetime
) -> AgentVerdict:
    """Whether the agent at an endpoint may be recorded now.

    Args:
        required: whether the profile asks for the agent's own basis.
        endpoint: technology and endpoint of the agent's channel, such as ``PJSIP/agent``.

    Of an endpoint that several name, each has to allow it: a phone that is shared tells not who speaks.
    """
    if not required:
        return NOT_ASKED
    named = [agent for agent in agents if any(fnmatchcase(endpoint, pattern) for pattern in agent.endpoints)]
    if not named:
        return UNKNOWN
    standing = {(grant.name, grant.agreement) for grant in grants if grant.in_force(now)}
    asked = [agent for agent in named if agent.needs_grant]
    # A grant was given to what was agreed then; another agreement asks anew.
    if any((agent.name, agent.agreement) not in standing for agent in asked):
        return NO_GRANT
    return GRANTED if asked else AGREED


def endpoint_of(channel: str) -> str:
    """The endpoint of a channel's name: ``PJSIP/agent`` of ``PJSIP/agent-0000002a``. A Local channel has none."""
    technology, _, rest = channel.partition("/")
    endpoint = rest.rpartition("-")[0]
    return f"{technology}/{endpoint}" if endpoint and technology != "Local" else ""
