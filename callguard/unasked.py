"""Calls that are originated straight to a trunk: nobody could be asked before their INVITE, so they are hung up."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase

import structlog

from callguard.core.incidents import Incident, without_numbers
from callguard.core.unasked import number_called, was_allowed
from callguard.current import Current
from callguard.errors import Refused
from callguard.incidents import Incidents
from callguard.store import Store
from callguard.telephony.ami import ALLOWED, EMERGENCY, EPOCH, Session
from callguard.telephony.ami_events import Originated

log = structlog.get_logger()

# Whom SIP calls, by the To header: the request's URI changes with the Contact of whoever answers.
CALLED = "CHANNEL(pjsip,remote_uri)"


class Unasked:
    """Heeds what a manager session tells. `[paths] trunks` in the configuration says which channels are trunks'."""

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._incidents = Incidents(store)

    async def called(self, session: Session, one: Originated) -> None:
        """A channel is called that no other channel calls. Emergency calls, and what the dialplan's guard has allowed
        just now, go on.

        Raises:
            Disconnected: the session is over.
        """
        if not any(fnmatchcase(one.name, pattern) for pattern in self._current.config.paths.trunks):
            return
        at = datetime.now(UTC)
        if await self._may(session, one):
            return
        try:
            await session.hang_up(one.name)
            hung_up = True
        except Refused:  # it has ended by itself, and its INVITE has left all the same
            hung_up = False
        channel = without_numbers(one.name)
        log.error(
            "a call was originated straight to a trunk, and nobody could be asked about it", channel=channel,
            hung_up=hung_up, do="find out who may originate calls (callguard doctor: paths.), and have them dial "
            "Local/NUMBER@CONTEXT: docs/paths.md",
        )  # fmt: skip
        await self._incidents.add(Incident.DIAL_UNASKED, at, {"channel": channel, "hung_up": hung_up})

    async def save(self) -> None:
        """Keep the incidents that could not be kept yet."""
        await self._incidents.save()

    async def _may(self, session: Session, one: Originated) -> bool:
        number = number_called(one.dialled)
        uri = (CALLED,) if not number and one.name.startswith("PJSIP/") else ()
        try:
            emergency, allowed, now, *called = await session.variables(one.name, EMERGENCY, ALLOWED, EPOCH, *uri)
        except Refused:  # it has ended; what it has called may still be known
            emergency, allowed, now, called = "", "", "", []
        number = number or number_called("", *called)
        if emergency == "yes" or was_allowed(number, allowed, now):
            return True
        return await session.passes(number)
