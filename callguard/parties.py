"""Who may be recorded beside the subject: those of the house, and whoever has given the same purposes at a gate."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase

import structlog

from callguard.agents import Agents
from callguard.config import Config
from callguard.current import Current
from callguard.errors import Refused
from callguard.talk import Talk
from callguard.telephony import ami

log = structlog.get_logger()

# What the dialplan says of a channel in CG_STANDS: the one whose name it names is of the house (a dialplan of before
# names none), or it is a leg and has given these purposes.
HOUSE, INSIDE, LEG = "house", "inside", "leg:"


class Parties:
    """Asks configuration, agents and dialplan; remembers only which channels are of the house."""

    def __init__(self, current: Current, agents: Agents) -> None:
        self._current = current
        self._agents = agents
        self._inside: set[str] = set()

    async def may_be_recorded(self, session: ami.Session, talk: Talk, channel: str, name: str) -> bool | None:
        """Whether a party is of the house, or has given all that the recording is for; None for one that is gone.

        Args:
            channel: no leg of ours: what these have given is known.
            name: the channel's, such as ``PJSIP/agent-0000002a``; empty where it is in no bridge any more.

        Raises:
            Disconnected: the session is over.
        """
        if self.is_inside(channel, name):
            return await self._agent_may(talk, name)
        try:
            stands, named = await session.variables(channel, ami.STANDS, ami.NAMED_INSIDE)
        except Refused:
            return None
        if stands == HOUSE and not named:  # it was said of the phone that rang, and another one has picked up
            return False
        if stands in (HOUSE, INSIDE):
            self._inside.add(channel)
            return await self._agent_may(talk, name)
        return stands.startswith(LEG) and talk.granted <= set(stands.removeprefix(LEG).split(","))

    def is_inside(self, channel: str, name: str) -> bool:
        """Whether a party is known to be of the house, as `may_be_recorded` would find without asking Asterisk."""
        return channel in self._inside or _listed(self._current.config, name)

    def gone(self, channel: str) -> None:
        """It has left its bridge: who it is, is asked anew."""
        self._inside.discard(channel)

    async def _agent_may(self, talk: Talk, name: str) -> bool:
        verdict = await self._agents.may_be_recorded(talk.profile, name, datetime.now(UTC))
        if not verdict.allowed:
            log.info("unrecorded: the agent's own basis is missing", leg=talk.leg_id, why=verdict.reason)
        return verdict.allowed


def _listed(config: Config, name: str) -> bool:
    """Whether a channel's name, without its number, is one of the configured endpoints of the house."""
    endpoint = name.rpartition("-")[0]
    return any(fnmatchcase(endpoint, pattern) for pattern in config.asterisk.inside)
