"""The manager interface, through panoramisk: orders for after the gate, and that we are here.

The dialplan asks whether a session of our account is open (AMI_CLIENT) before it waits for a claim, so a session is
held exactly while calls can be taken. Known faults of panoramisk 1.4 are kept out here: it reports no failed login,
reconnects by itself and repeats old actions then (so a session of ours lives once), and it writes values unchecked
(so nothing but our own ids is sent).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from panoramisk import Manager

from callguard.core.conversation import Keys
from callguard.errors import Disconnected, Refused
from callguard.telephony.ami_events import FAMILIES, READ, Event, Notice, Told, is_leg_id, mark, read, whole
from callguard.telephony.ami_wire import Protocol, WantsKey
from callguard.telephony.withdrawal import withdraws

ANSWER_TIMEOUT_S = 3.0
# The channel variables where the dialplan keeps a recording's id, the keys pressed since the gate, and a withdrawal.
MIXMONITOR, PRESSED, WITHDRAWN = "CG_MIXMONITOR", "CG_PRESSED", "CG_WITHDRAWN"
# What the keys do there (`core.conversation.Keys`), that an objection was heard, and that it waits for a start no more.
KEYS, OBJECTED, LATE = "CG_KEYS", "CG_OBJECTED", "CG_LATE"
# What callguard made of a withdrawal that no feature has heard.
HEARD, HEARD_STOPPED, HEARD_OBJECTED = "CG_HEARD", "stopped", "objected"
# Where it keeps the gate's word on the recording, and that it waits until the agent is known.
RECORDING, HELD = "CG_RECORDING", "held"
# Asterisk's own: its id, with whom the channel talks, and that it was transferred, by code or by the phone.
UNIQUEID, BRIDGED = "UNIQUEID", "BRIDGEPEER"
TRANSFERRED = "BLINDTRANSFER", "ATTENDEDTRANSFER", "SIPTRANSFER"
# Where it keeps a leg's id, and which gate answered for it; whether the call is one to an emergency number.
LEG, APP, EMERGENCY = "CG_LEG", "CG_APP", "CG_EMERGENCY"
# Where it keeps which number was allowed to be dialled, and when: NUMBER:EPOCH. (Asterisk's own clock, whole seconds.)
ALLOWED, EPOCH = "CG_ALLOWED", "EPOCH"
# Where it keeps that the agent has paused, which recorder was ended so last, and when; and what a channel is to a
# recording: of the house, or a leg.
PAUSED, HALTED, STANDS = "CG_PAUSED", "CG_HALTED", "CG_STANDS"
# Where it keeps that a channel of this name is of the house: who picks up a ringing call gets the variables of the
# channel that rang. (To be asked for by `Session.variables`, as it names others.)
NAMED_INSIDE = "CG_INSIDE_${FILTER(A-Za-z0-9,${CHANNEL(name)})}"
# Where it keeps the administrator's limit on the call, in seconds, and that the gate's own is in its place. (AMI takes
# no 0 for none: a week is as good.)
LIMIT, IN_GATE, NO_LIMIT_S = "CG_LIMIT", "CG_HELD", 7 * 86_400
# Asterisk's technology of a bridge in which everybody waits (bridge_holding.c).
HOLDING_BRIDGE = "holding_bridge"


_NAMES_CHANNEL = re.compile(r"[\w.-]{1,150}", re.ASCII)
# Between two values, and in none of them. (White space, as ASCII's own separators are to Python, panoramisk strips.)
_BETWEEN = "\x01"
# Asterisk cuts an answer at 1 kB.
_SURELY_WHOLE = 900
_DIALLED = re.compile(r"[0-9*#+]{1,40}")


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A channel that there is, as `RecorderStarted` names one. `bridge`: whose member it is, empty for none."""

    channel: str
    name: str
    context: str
    bridge: str


class Overtaken(Refused):
    """A recording was begun, and ended again: `by` is the variable of what was said meanwhile."""

    def __init__(self, by: str) -> None:
        super().__init__(409, "withdrawn, paused or given up meanwhile")
        self.by = by


class Session:
    """A session that is logged in. Iterate over it for what the dialplan tells and what is pressed."""

    def __init__(self, manager: _Manager) -> None:
        self._manager = manager

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Raises: Disconnected, when the session is over."""
        while (notice := await self._manager.notices.get()) is not None:
            yield notice
        raise Disconnected("the AMI session ended")

    def only_keys(self, wanted: WantsKey) -> None:
        """From now on leave the keys unread that nobody waits for: those of all calls in the gate come here too."""
        self._manager.protocol.wants_key = wanted

    async def marks(self) -> list[Notice]:
        """All that nobody has taken notice of yet."""
        found = []
        for told, family in FAMILIES.items():
            for answer in (await self._send({"Action": "DBGetTree", "Family": family}))[1:]:
                if str(answer.event) != "DBGetTreeResponse":
                    continue
                if (notice := mark(told, str(answer.key).rpartition("/")[2], str(answer.val))) is not None:
                    found.append(notice)
        return found

    async def forget(self, told: Told, leg_id: str) -> None:
        """Remove a mark that the store now knows of; none there is no error."""
        if not is_leg_id(leg_id):
            raise ValueError("not a leg id")
        with suppress(Refused):
            await self._send({"Action": "DBDel", "Family": FAMILIES[told], "Key": leg_id})

    async def start_recording(self, channel: str, file: str, *, two: bool) -> None:
        """Record a channel from now on, as the dialplan would have: for a consent given in the call.

        Raises:
            Overtaken: it has been withdrawn or paused there meanwhile, and what was begun has ended again.
            Refused: there is no such channel; nothing is recorded.
        """
        options = f"bi({MIXMONITOR})" + (f"r({file}-in.wav)t({file}-out.wav)" if two else "")
        await self._send(
            {"Action": "MixMonitor", "Channel": channel, "File": "" if two else f"{file}.wav", "Options": options}
        )
        # A withdrawal just before it found nothing to stop; and who was told that it is not possible is not recorded.
        # (A key that no feature could hear stands among those pressed only; where keys object, it stops nothing.)
        reasons = WITHDRAWN, LATE, PAUSED
        *said, keys, pressed = await self.variables(channel, *reasons, KEYS, PRESSED)
        if keys != Keys.OBJECT and withdraws(pressed):
            said[0] = pressed
        for reason, happened in zip(reasons, said, strict=True):
            if happened:
                with suppress(Refused):  # the key has
                    await self.stop_recording(channel)
                raise Overtaken(reason)

    async def stop_recording(self, channel: str) -> None:
        """Stop the recording that was started on a channel.

        Raises:
            Refused: there is no such channel, or nothing of ours is recorded there.
        """
        identity = await self.variable(channel, MIXMONITOR)
        if not identity:
            raise Refused(404, "nothing of ours is recorded there")
        await self._send({"Action": "StopMixMonitor", "Channel": channel, "MixMonitorID": identity})

    async def stop_newest(self, channel: str) -> bool:
        """Stop the recording that was begun last on a channel, whoever began it; False where none runs there."""
        try:
            await self._send({"Action": "StopMixMonitor", "Channel": channel})
        except Refused:
            return False
        return True

    async def live(self) -> list[LiveChannel]:
        """All channels that there are. (ARI's list of a thousand of them takes Asterisk 22.10 down.)"""
        try:
            answers = await self._send({"Action": "CoreShowChannels"})
        except Refused as error:
            raise Disconnected(f"AMI does not list the channels: {error}") from error
        return [
            LiveChannel(str(one.uniqueid), str(one.channel), str(one.context), str(one.bridgeid))
            for one in answers
            if str(one.event) == "CoreShowChannel"
        ]

    async def holding(self) -> frozenset[str]:
        """The bridges whose members wait without hearing each other: parked calls, BridgeWait()."""
        try:
            answers = await self._send({"Action": "BridgeList"})
        except Refused as error:
            raise Disconnected(f"AMI does not list the bridges: {error}") from error
        return frozenset(str(one.bridgeuniqueid) for one in answers if str(one.bridgetechnology) == HOLDING_BRIDGE)

    async def is_emergency(self, channel: str) -> bool:
        """Whether a call is one to an emergency number: as the gate marked it, or by what was dialled.

        Raises:
            Refused: there is no such channel.
        """
        if await self.variable(channel, EMERGENCY) == "yes":
            return True
        # What was dialled stands on the channel of who dials, by whose Uniqueid the call is known.
        linked = await self.variable(channel, "CHANNEL(linkedid)")
        for one in {channel, linked} if _NAMES_CHANNEL.fullmatch(linked) else {channel}:
            for said in ("CALLERID(dnid)", "EXTEN"):
                try:
                    dialled = await self.variable(one, said)
                except Refused:
                    break
                if await self.passes(dialled):
                    return True
        return False

    async def passes(self, number: str) -> bool:
        """Whether a number, as it is dialled, is one of the emergency numbers that the dialplan lists."""
        if not _DIALLED.fullmatch(number):
            return False
        # Without a channel Asterisk reads it all the same.
        return await self.variable("", f"DIALPLAN_EXISTS(callguard-emergency,x{number},1)") == "1"

    async def hang_up(self, channel: str) -> None:
        """End a channel, as one whose call is rejected (Q.850 cause 21).

        Args:
            channel: its name. (What begins with a slash Asterisk takes for a pattern, and a Uniqueid may be chosen.)

        Raises: Refused, where there is no such channel.
        """
        if channel.startswith("/"):
            raise ValueError("not a channel's name")
        await self._send({"Action": "Hangup", "Channel": channel, "Cause": "21"})

    async def variable(self, channel: str, name: str) -> str:
        """A variable of a channel; empty where it is not set. Raises: Refused, where there is no such channel."""
        (answer,) = await self._send({"Action": "Getvar", "Channel": channel, "Variable": name})
        value = str(answer.value)
        # Of what we read there, nothing has a line end in it.
        return "" if set(value) & {"\r", "\n"} else value

    async def variables(self, channel: str, *names: str) -> list[str]:
        """Several variables of a channel, read in their order: by one question (EVAL, of func_strings.so), mostly.

        Raises: Refused, where there is no such channel.
        """
        together = _BETWEEN.join(f"${{{name}}}" for name in names)
        said = await self.variable(channel, f"EVAL({together})")
        values = said.split(_BETWEEN)
        # A value may hold what stands between, or a line end, or all of them be more than Asterisk's buffer takes.
        if len(values) != len(names) or len(said.encode()) > _SURELY_WHOLE:
            return [await self.variable(channel, name) for name in names]
        return values

    async def set_variable(self, channel: str, name: str, value: str) -> None:
        """Set a variable of a channel. Raises: Refused, where there is no such channel."""
        await self._send({"Action": "Setvar", "Channel": channel, "Variable": name, "Value": value})

    async def press(self, channel: str, keys: str) -> None:
        """Have a channel's bridge hear these keys as if they had been pressed there (app_senddtmf).

        Raises: Refused, where there is no such channel, or the module is not loaded.
        """
        for key in keys:
            # (Of an answer that says "queued", panoramisk asks its action whether more will come.)
            await self._send({"Action": "PlayDTMF", "Channel": channel, "Digit": key, "Receive": "1", "Async": "false"})

    async def lift_lease(self, channel: str) -> None:
        """Give a call back the administrator's own limit in place of our lease.

        Raises: Refused, where there is no such channel.
        """
        own = await self.variable(channel, LIMIT)
        seconds = whole(own.partition(".")[0]) or NO_LIMIT_S
        await self._send({"Action": "AbsoluteTimeout", "Channel": channel, "Timeout": str(seconds)})
        await self.set_variable(channel, IN_GATE, "")

    async def _send(self, action: dict[str, str]) -> list[Any]:
        if any(character in value for value in action.values() for character in "\r\n"):
            raise ValueError("an action's value is one line")
        if self._manager.protocol.closed:
            raise Disconnected("the AMI session is over")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._manager.send_action(action)
        except TimeoutError as error:
            raise Disconnected(f"no answer to {action['Action']} within {ANSWER_TIMEOUT_S} s") from error
        answers = answer if isinstance(answer, list) else [answer]
        if not answers[0].success:
            raise Refused(0, f"{action['Action']}: {answers[0].message}")
        return answers


@asynccontextmanager
async def connected(host: str, port: int, user: str, secret: str) -> AsyncIterator[Session]:
    """One session.

    Raises:
        Disconnected: no connection, or no login; the text says which.
    """
    manager = _Manager(host=host, port=port, username=user, secret=secret, log=_quiet(), protocol_factory=Protocol)

    for name in READ:
        manager.register_event(name, _take)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await manager.connect()
            await manager.logged_in.wait()
    except OSError as error:
        raise Disconnected(f"no AMI at {host}:{port}: {error}") from error
    finally:
        if not manager.authenticated:
            manager.close()
    if not manager.authenticated:
        raise Disconnected("AMI refused the login: check ami_user, its secret, and permit in manager.conf")
    try:
        yield Session(manager)
    finally:
        manager.close()


class _Manager(Manager):
    """A panoramisk manager that lives for one session and says how its login went."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.notices: asyncio.Queue[Event | None] = asyncio.Queue()
        self.logged_in = asyncio.Event()

    def connection_made(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            super().connection_made(future)

    def login(self, future: asyncio.Future[Any]) -> None:
        super().login(future)
        self.logged_in.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.pinger is not None:
            self.pinger.cancel()
        self.notices.put_nowait(None)
        self.logged_in.set()


def _take(manager: _Manager, event: Any) -> None:
    if (told := read(event)) is not None:
        manager.notices.put_nowait(told)


def _quiet() -> logging.Logger:
    """panoramisk logs whole actions, secrets included; it gets a logger that hears only what is broken."""
    quiet = logging.getLogger("callguard.panoramisk")
    quiet.setLevel(logging.CRITICAL)
    return quiet
