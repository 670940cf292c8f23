"""Calls that come by FastAGI.

``AGI(agi://HOST:PORT/inbound,PROFILE)``, ``…/callee,PROFILE`` and ``…/outbound,NUMBER,PROFILE``.
"""

from __future__ import annotations

import re
import time

import structlog

from callguard.ari_calls import AriCalls
from callguard.current import Current
from callguard.dial import Dial
from callguard.leg import Leg, subject_of
from callguard.metrics import Metrics
from callguard.room import OVERLOADED, STOPPING, Room
from callguard.store import Store
from callguard.telephony.agi import Call
from callguard.telephony.agi_door import AgiDoor
from callguard.telephony.holds import Holds

log = structlog.get_logger()

# What the dialplan's FILTER(0-9*#+,…) leaves out.
NO_KEY = re.compile(r"[^0-9*#+]")
# The number that the callee will see, as [callguard-outbound] tells it by ARI.
SHOWN = '${IF($["${CALLERID(num-pres):0:7}" = "allowed"]?${FILTER(0-9+,${CALLERID(num)})})}'


class AgiCalls:
    """Serves them, each with a gate of its own.

    Args:
        holds: told of the keys by AMI.
        ari: watches the agent who waits for a callee, and follows who is recorded.
    """

    def __init__(
        self,
        current: Current,
        store: Store,
        dial: Dial,
        holds: Holds,
        ari: AriCalls,
        room: Room,
        metrics: Metrics,
    ) -> None:
        self._current = current
        self._store = store
        self._dial = dial
        self._holds = holds
        self._ari = ari
        self._room = room
        self._metrics = metrics

    async def serve(self, call: Call) -> None:
        """One call, to its answer. Raises: Hangup."""
        if self._ari.stopping or self._room.full:
            await self._turn_away(call)
            return
        with self._room.holding():
            match call.path, call.args:
                case "outbound", (number, profile):
                    await self._outbound(call, number, profile)
                case (("inbound" | "callee"), (profile,)) if profile in self._current.flows:
                    # A second time on the same leg says what the first one came to.
                    if not await call.get_variable("CALLGUARD_STATE"):
                        await self._gate(call, profile)
                case _:
                    log.error("an AGI call names no door and profile that there are, and goes on unrecorded")

    async def _turn_away(self, call: Call) -> None:
        """Without an answer a call goes on in the dialplan, to the closed outcome; a dial is told its no."""
        stopping = self._ari.stopping
        if not stopping:
            self._room.turn_away(call.path if call.path in {"inbound", "callee"} else "outbound")
        if call.path == "outbound" and len(call.args) == 2:
            number, profile = call.args
            if await self._emergency(call, number):
                await call.gosub("callguard-agi", "s", 1, "dial-emergency-emergency", profile, "outbound")
                return
            decision = self._dial.deny(profile, STOPPING if stopping else OVERLOADED)
            answer = f"dial-deny-{decision.rule}-{self._current.config.asterisk.app}"
            await call.gosub("callguard-agi", "s", 1, answer, profile, "outbound")

    async def _outbound(self, call: Call, number: str, profile: str) -> None:
        if await self._emergency(call, number):
            await call.gosub("callguard-agi", "s", 1, "dial-emergency-emergency", profile, "outbound")
            return
        shown = await call.get_full_variable(SHOWN)
        decision = await self._dial.decide(profile, number, NO_KEY.sub("", shown))
        allow = "allow" if decision.allow else "deny"
        answer = f"dial-{allow}-{decision.rule}-{self._current.config.asterisk.app}"
        await call.gosub("callguard-agi", "s", 1, answer, profile, "outbound")

    @staticmethod
    async def _emergency(call: Call, number: str) -> bool:
        if not re.fullmatch(r"[0-9*#+]{1,30}", number):
            return False
        return await call.get_full_variable(f"${{DIALPLAN_EXISTS(callguard-emergency,x{number},1)}}") == "1"

    async def _gate(self, call: Call, profile: str) -> None:
        callee = call.path == "callee"
        linkedid = await call.get_full_variable("${CHANNEL(linkedid)}")
        number = await call.get_full_variable("${FILTER(0-9+,${CG_NUMBER})}") if callee else call.caller
        # One configuration for the whole leg, whatever is reloaded meanwhile.
        config, flow = self._current.config, self._current.flows.get(profile)
        if flow is None:
            return
        if not callee and (ours := self._dial.callbacks.to_note(profile, NO_KEY.sub("", call.dnid))) is not None:
            await self._dial.callbacks.note(ours)
        subject = subject_of(
            config, profile, call.uniqueid, linkedid, number, round(time.time() * 1000),
            called="" if callee else NO_KEY.sub("", call.dnid), callee=callee, told_as=self._current.told_as,
        )  # fmt: skip
        door = AgiDoor(call, config.asterisk.app, profile, call.path, self._holds)
        seen = self._metrics.leg(subject.direction, profile)
        leg = Leg(door, self._store, flow, subject, self._ari.follow, seen)
        with self._holds.following(call.uniqueid):
            if not callee:
                await leg.run()
            elif await self._ari.watch_agent(subject):
                try:
                    await leg.run()
                finally:
                    await self._ari.unwatch_agent(subject)
        if not door.left:
            # Hung up, or somebody has sent the call elsewhere, where the gate's limit must not end it. (Asterisk goes
            # on with it when this connection ends.)
            await self._ari.lift_lease(call.uniqueid)
