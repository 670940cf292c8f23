"""Calls that come by ARI: claimed, asked, decided and given back; one connection's worth at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from callguard.current import Current
from callguard.dial import Dial, named
from callguard.dialplan import Dialplan
from callguard.errors import Disconnected, Refused, TelephonyError
from callguard.leg import Leg, Subject, subject_of
from callguard.metrics import Metrics
from callguard.room import OVERLOADED, STOPPING, Room
from callguard.store import Store
from callguard.talks import Talks
from callguard.telephony import ami, ari
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari_door import AriDoor, PeerGone, first_lease_ms
from callguard.telephony.orphans import Orphan, find_orphans
from callguard.telephony.withdrawal import Withdrawals
from callguard.watchdog import Watchdog

log = structlog.get_logger()

# What a gate that is full leaves to one beside it that is not; then it takes the call to send it on unrecorded.
AFTER_OTHERS_S = 0.1
ASKED = frozenset({"inbound", "callee"})
# For calls that end together Asterisk is asked once whether it has told all of them.
TOGETHER_S = 0.05


class AriCalls:
    """Serves them.

    Attributes:
        client: the connection, while there is one.
        session: the manager session, while there is one.
        stopping: no call is taken on any more.
    """

    def __init__(
        self,
        current: Current,
        store: Store,
        dial: Dial,
        dialplan: Dialplan,
        room: Room,
        metrics: Metrics,
        withdrawals: Withdrawals,
        watchdog: Watchdog,
        talks: Talks,
    ) -> None:
        self._current = current
        self._store = store
        self._dial = dial
        self._dialplan = dialplan
        self._room = room
        self._metrics = metrics
        self._withdrawals = withdrawals
        self._watchdog = watchdog
        self._talks = talks
        self._doors: dict[str, AriDoor] = {}
        self._walks: dict[str, asyncio.Task[None]] = {}
        # The callees in the gate, by the channel of the agent who waits for them.
        self._callees: dict[str, set[str]] = {}
        self._asking: asyncio.Task[None] | None = None
        self.client: ari.Client | None = None
        self.session: ami.Session | None = None
        self.stopping = False

    def lost(self) -> None:
        """The connection is gone: who was asked on it is left to their lease, or to the next connection."""
        self.client = None
        self._doors.clear()
        self._talks.lost()

    async def all_told(self) -> None:
        """Wait until what has happened by now is told: Asterisk answers on the connection of the events.

        Raises:
            Disconnected: it does not answer, as over a connection that a firewall has forgotten.
        """
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_whether_all_is_told())
        await asyncio.shield(self._asking)

    async def _ask_whether_all_is_told(self) -> None:
        await asyncio.sleep(TOGETHER_S)
        self._asking = None  # who comes now wants a later answer
        if self.client is None:
            raise Disconnected("there is no ARI connection")
        asked = time.time()
        await self.client.asterisk.get_global("CALLGUARD_MANAGER")
        self._talks.heard_until(asked)

    async def pump(self, client: ari.Client, group: asyncio.TaskGroup) -> None:
        """Heed what Asterisk tells until the connection ends. Raises: Disconnected, Replaced."""
        async for event in client:
            match event:
                case wire.BridgeMembers():
                    self._talks.heed(event)
                case wire.Transferred():
                    self._talks.transferred(event)
                case wire.CallBroadcast():
                    await self._claim(client, group, event.channel)
                case wire.StasisStart() if event.channel not in self._doors:
                    found = Orphan(event.channel, event.args, event.caller, event.at)
                    # One that is back from a turn too late to be waited for is as good as an orphan.
                    fresh = len(event.args) <= 4 or event.args[0] == "outbound"
                    self._take(client, group, found, fresh=fresh)
                case wire.StasisStart() if "back" in event.args:
                    walk = self._walks[event.channel]
                    group.create_task(self._take_again(client, group, event, walk))
                case wire.HangupRequested() if event.channel in self._callees:
                    for callee in tuple(self._callees[event.channel]):
                        if callee in self._doors:
                            self._doors[callee].hear(PeerGone())
                        await client.channels.get(callee).hang_up()
                case _:
                    door = self._doors.get(event.channel)
                    if door is not None:
                        door.hear(event)

    async def take_orphans(self, client: ari.Client, group: asyncio.TaskGroup) -> None:
        """Answer for the calls that wait and that nobody answers for. Raises: Disconnected."""
        for orphan in await find_orphans(client):
            if orphan.channel not in self._doors:
                self._metrics.orphans.inc()
                self._take(client, group, orphan)

    async def watch_agent(self, subject: Subject) -> bool:
        """The agent hears ringing while the person called is in the gate, and may hang up unheard of by Dial."""
        client = self.client
        if client is None:
            return False
        self._callees.setdefault(subject.linkedid, set()).add(subject.channel)
        try:
            await client.applications.watch(subject.linkedid)
        except Refused:  # who called is gone, and the call was handed on; whoever waits now is not known
            pass
        except Disconnected:
            return False
        return True

    async def unwatch_agent(self, subject: Subject) -> None:
        """As nobody who waits for this agent is in the gate any more."""
        callees = self._callees.get(subject.linkedid, set())
        callees.discard(subject.channel)
        if callees:
            return
        self._callees.pop(subject.linkedid, None)
        if self.client is not None:
            with suppress(Disconnected):
                await self.client.applications.unwatch(subject.linkedid)

    def follow(self, subject: Subject, granted: Sequence[str], recorded: bool) -> None:
        """A leg is about to leave the gate: who it is with matters from now on; if it is recorded, its keys as well."""
        if recorded and not subject.held:  # by the dialplan, as soon as it has the call back
            self._watchdog.expect(subject.channel, subject.leg_id)
        if recorded:
            self._withdrawals.follow(subject.channel, subject.leg_id)
        self._talks.follow(subject, granted, recorded=recorded)

    async def _claim(self, client: ari.Client, group: asyncio.TaskGroup, channel: str) -> None:
        """Take a call on; or, where we cannot and nobody else will, take it to send it on at once (not in 2 s)."""
        if self._dialplan.alone or not (self.stopping or self._room.full):
            await client.events.claim(channel)
        elif not self.stopping:
            group.create_task(self._claim_after_others(client, channel))

    async def _claim_after_others(self, client: ari.Client, channel: str) -> None:
        await asyncio.sleep(AFTER_OTHERS_S)
        await client.events.claim(channel)

    def _take(self, client: ari.Client, group: asyncio.TaskGroup, found: Orphan, *, fresh: bool = False) -> None:
        """Answer for a channel from now on."""
        if found.channel in self._doors:
            return
        direction, profile, linkedid, number = (*found.args, "", "", "", "")[:4]
        if fresh and (self.stopping or self._room.full):
            if not self.stopping:
                self._room.turn_away(direction if direction in ASKED else "outbound")
            on = "done"
            if direction == "outbound":
                rule = self._dial.deny(profile, STOPPING if self.stopping else OVERLOADED).rule
                on = f"dial-deny-{rule}-{client.app}"
            group.create_task(_leave(client, found.channel, on))
            return
        if direction == "outbound":
            self._room.take()
            # A dialplan of before says nothing of the number that is shown, so nobody sees one that is known.
            shown = "".join(found.args[4:5]).strip("-")
            deciding = group.create_task(self._decide(client, found.channel, profile, number, shown))
            deciding.add_done_callback(lambda _: self._room.give_back())
            return
        flow = self._current.flows.get(profile)
        if flow is None or direction not in ASKED:
            log.error("a call names no profile of the configuration and goes on unrecorded", profile=named(profile))
            group.create_task(_leave(client, found.channel, "done"))
            return
        callee = direction == "callee"
        if not callee and (ours := self._dial.callbacks.to_note(profile, number)) is not None:
            group.create_task(self._dial.callbacks.note(ours))
        # Of a callee the dialplan tells their own number, of a caller the one that they called.
        subject = subject_of(
            self._current.config, profile, found.channel, linkedid, number if callee else found.caller, found.at,
            called="" if callee else number, callee=callee, taken=found.taken, told_as=self._current.told_as,
        )  # fmt: skip
        taken = found.taken + (not fresh)
        door = AriDoor(client, found.channel, found.at, first_lease_ms(flow), taken, callee=callee)
        leg = Leg(door, self._store, flow, subject, self.follow, self._metrics.leg(subject.direction, profile))
        self._doors[found.channel] = door
        self._room.take()
        task = group.create_task(self._walk(client, leg, door, subject, fresh=fresh))
        self._walks[found.channel] = task
        task.add_done_callback(lambda _: self._left(found.channel))

    async def _walk(self, client: ari.Client, leg: Leg, door: AriDoor, subject: Subject, *, fresh: bool) -> None:
        callee = subject.direction == "outbound"
        if callee and not await self.watch_agent(subject):
            return
        try:
            await (leg.run() if fresh else leg.resume())
            if door.taken_away:
                # Our lease must not end a call that somebody has sent elsewhere.
                await self.lift_lease(subject.channel)
        except Refused:
            pass
        finally:
            if callee:
                await self.unwatch_agent(subject)

    async def lift_lease(self, channel: str) -> None:
        """Give a call that has been sent out of the gate its own limit back; where no manager session is there for it,
        the next one does by `lift_leases_left`.
        """
        if self.session is not None:
            with suppress(TelephonyError):  # the call is over; or the session is, and its own task is told of it
                await self.session.lift_lease(channel)

    async def lift_leases_left(self, session: ami.Session) -> None:
        """The same for those who were sent out of it while nobody was there to do it. Raises: Disconnected."""
        for one in await session.live():
            if one.context.startswith("callguard-"):
                continue
            with suppress(Refused):  # it is over
                if await session.variable(one.channel, ami.IN_GATE):
                    log.warning("a call that was sent out of the gate gets its own limit back", channel=one.channel)
                    await session.lift_lease(one.channel)

    async def _take_again(
        self, client: ari.Client, group: asyncio.TaskGroup, start: wire.StasisStart, walk: asyncio.Task[None]
    ) -> None:
        """Somebody has sent the caller out of the gate and into it again (AMI Redirect): the leg's outcome stands."""
        await asyncio.wait({walk})
        self._take(client, group, Orphan(start.channel, start.args, start.caller, start.at))

    async def _decide(self, client: ari.Client, channel: str, profile: str, number: str, shown: str) -> None:
        decision = await self._dial.decide(profile, number, shown)
        allow = "allow" if decision.allow else "deny"
        await _leave(client, channel, f"dial-{allow}-{decision.rule}-{client.app}")

    def _left(self, channel: str) -> None:
        self._doors.pop(channel, None)
        self._walks.pop(channel, None)
        self._room.give_back()


async def _leave(client: ari.Client, channel_id: str, extension: str) -> None:
    try:
        await client.channels.get(channel_id).leave_and_wait(extension)
    except TelephonyError as error:
        log.warning("a call left to its lease", problem=str(error))
