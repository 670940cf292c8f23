"""Calls that come by FastAGI.

``AGI(agi://HOST:PORT/inbound,PROFILE)``, ``…/callee,PROFILE`` and ``…/outbound,NUMBER,PROFILE``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from callguard.config import Config
from callguard.core.profile import Flow
from callguard.dial import Dial
from callguard.leg import Leg, Subject, subject_of
from callguard.store import Store
from callguard.telephony.agi import Call
from callguard.telephony.agi_door import AgiDoor
from callguard.telephony.holds import Holds

log = structlog.get_logger()


class AgiCalls:
    """Serves them, each with a gate of its own.

    Args:
        holds: told of the keys by AMI.
        recorded: told of a leg before it is given back to be recorded.
        watching: watches the agent who waits for a callee; false when that one is gone.
        unwatched: told when it need not any more.
    """

    def __init__(
        self,
        config: Config,
        flows: Mapping[str, Flow],
        store: Store,
        dial: Dial,
        holds: Holds,
        recorded: Callable[[Subject], None],
        watching: Callable[[Subject], Awaitable[bool]],
        unwatched: Callable[[Subject], Awaitable[None]],
    ) -> None:
        self._config = config
        self._flows = flows
        self._store = store
        self._dial = dial
        self._holds = holds
        self._recorded = recorded
        self._watching = watching
        self._unwatched = unwatched

    async def serve(self, call: Call) -> None:
        """One call, to its answer. Raises: Hangup."""
        match call.path, call.args:
            case "outbound", (number, profile):
                await self._outbound(call, number, profile)
            case (("inbound" | "callee"), (profile,)) if profile in self._flows:
                # A second time on the same leg says what the first one came to.
                if not await call.get_variable("CALLGUARD_STATE"):
                    await self._gate(call, profile)
            case _:
                log.error("an AGI call names no door and profile that there are, and goes on unrecorded")

    async def _outbound(self, call: Call, number: str, profile: str) -> None:
        if re.fullmatch(r"[0-9*#+]{1,30}", number):
            emergency = await call.get_full_variable(f"${{DIALPLAN_EXISTS(callguard-emergency,x{number},1)}}")
            if emergency == "1":
                await call.gosub("callguard-agi", "s", 1, "dial-emergency-emergency", profile, "outbound")
                return
        decision = await self._dial.decide(profile, number)
        allow = "allow" if decision.allow else "deny"
        answer = f"dial-{allow}-{decision.rule}-{self._config.asterisk.app}"
        await call.gosub("callguard-agi", "s", 1, answer, profile, "outbound")

    async def _gate(self, call: Call, profile: str) -> None:
        callee = call.path == "callee"
        linkedid = await call.get_full_variable("${CHANNEL(linkedid)}")
        number = await call.get_full_variable("${FILTER(0-9+,${CG_NUMBER})}") if callee else call.caller
        subject = subject_of(
            self._config, profile, call.uniqueid, linkedid, number, round(time.time() * 1000), callee=callee
        )
        door = AgiDoor(call, self._config.asterisk.app, profile, call.path, self._holds)
        leg = Leg(door, self._store, self._flows[profile], subject, self._recorded)
        with self._holds.following(call.uniqueid):
            if not callee:
                await leg.run()
            elif await self._watching(subject):
                try:
                    await leg.run()
                finally:
                    await self._unwatched(subject)
