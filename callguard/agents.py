"""The agent's own side: whether a call may be recorded with the agent who has come into it."""

from __future__ import annotations

from datetime import datetime

import structlog

from callguard.core.agents import NO_GRANT, Agent, AgentGrant, AgentVerdict, agent_may_be_recorded, endpoint_of
from callguard.current import Current
from callguard.errors import StoreError
from callguard.store import Store

log = structlog.get_logger()


class Agents:
    """Asks configuration and store, each time anew: a grant that is taken back counts for the next agent at once."""

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._store = store
        self._seen: tuple[AgentGrant, ...] | None = None

    async def changed(self, now: datetime) -> datetime | None:
        """Whether agents' grants have changed since this was last asked, so that who is in a call is asked about again.

        Returns:
            From when on another verdict may hold: the earliest end of those that have ended since, or else `now`; None
            where nothing has changed, or no agent's grant is asked for. When it is asked first, all of it is new.

        Raises:
            StoreError: the grants cannot be read.
        """
        if not any(one.grant for one in self._current.config.agents.values()):
            return None
        grants, seen = await self._store.agent_grants(), self._seen
        self._seen = grants
        if seen is None:
            return now
        fresh = set(grants) - set(seen)
        ended = [one.until for one in fresh if one.until is not None]
        return min(ended, default=now) if fresh else None

    async def may_be_recorded(self, profile: str, channel: str, now: datetime) -> AgentVerdict:
        """Whether the agent on a channel may be recorded now. Where it cannot be found out, they may not.

        Args:
            profile: of the leg that would be recorded; one that is gone from the configuration asks for a basis.
            channel: the agent's channel by its name, such as ``PJSIP/agent-0000002a``.
        """
        config = self._current.config
        settings = config.profiles.get(profile)
        required = settings is None or settings.agents is not None
        agents = [Agent(name, one.endpoints, one.agreement, one.grant) for name, one in config.agents.items()]
        try:
            grants = await self._store.agent_grants() if required and any(one.needs_grant for one in agents) else ()
        except StoreError as error:
            log.error("what agents have granted cannot be read: unrecorded", problem=str(error))
            return NO_GRANT
        return agent_may_be_recorded(required, agents, grants, endpoint_of(channel), now)
