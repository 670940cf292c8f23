"""The manager interface, through panoramisk: what happens after the gate, and that we are here.

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
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import structlog
from panoramisk import Manager

from callguard.errors import Disconnected, Refused
from callguard.telephony.ami_wire import Protocol

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 3.0
# The channel variables where the dialplan keeps a recording's id, the keys pressed since the gate, and a withdrawal.
MIXMONITOR, PRESSED, WITHDRAWN = "CG_MIXMONITOR", "CG_PRESSED", "CG_WITHDRAWN"
# What the keys do there (`core.conversation.Keys`), that an objection was heard, and that it waits for a start no more.
KEYS, OBJECTED, LATE = "CG_KEYS", "CG_OBJECTED", "CG_LATE"
# Where it keeps the gate's word on the recording, and that it waits until the agent is known.
RECORDING, HELD = "CG_RECORDING", "held"
# Asterisk's own: with whom the channel talks.
BRIDGED = "BRIDGEPEER"
# Where it keeps a leg's id, and which gate answered for it; whether the call is one to an emergency number.
LEG, APP, EMERGENCY = "CG_LEG", "CG_APP", "CG_EMERGENCY"
# Where it keeps that the agent has paused, and what a channel is to a recording: of the house, or a leg.
PAUSED, STANDS = "CG_PAUSED", "CG_STANDS"
# Where it keeps the administrator's limit on the call, in seconds. (AMI takes no 0 for none: a week is as good.)
LIMIT, NO_LIMIT_S = "CG_LIMIT", 7 * 86_400
# Asterisk's technology of a bridge in which everybody waits (bridge_holding.c).
HOLDING_BRIDGE = "holding_bridge"


_NAMES_CHANNEL = re.compile(r"[\w.-]{1,150}", re.ASCII)
_DIALLED = re.compile(r"[0-9*#+]{1,40}")


class Told(StrEnum):
    """What the dialplan says about a leg, in a UserEvent."""

    WITHDRAWN = "CallguardWithdrawn"
    OBJECTED = "CallguardObjected"
    AGREED = "CallguardAgreed"
    REPLIED = "CallguardReplied"
    OPTED_OUT = "CallguardOptedOut"
    PAUSED = "CallguardPaused"
    RESUMED = "CallguardResumed"
    ENDED = "CallguardEnded"


# Where the dialplan leaves its marks in Asterisk's own database, for a callguard that did not listen.
FAMILIES = {
    Told.WITHDRAWN: "callguard_withdrawn",
    Told.OBJECTED: "callguard_objected",
    Told.OPTED_OUT: "callguard_optedout",
}
BEFORE, AGENT = "before", "agent"


@dataclass(frozen=True, slots=True)
class Reply:
    """A yes to the notice that was heard again in the call.

    Attributes:
        which: to which questions, a bit for each.
        language: of the notice.
        heard: the sounds heard, by SHA-256: the essential part, then each question.
        after_ms: from the beginning of the first question that got a yes until that key was let go.
    """

    which: int
    language: str
    heard: tuple[str, ...]
    after_ms: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One user event of ours, or the mark that says the same to who did not listen.

    Attributes:
        at: when, by Asterisk's clock, whole seconds; None for an end.
        marked: a mark says the same, to be forgotten when it is heeded.
        how: what a withdrawal or objection says of itself: BEFORE, it came before anything was recorded and is found
            only now; AGENT, the subject asked the agent, who pressed the key.
        channel: the channel's name; empty in a mark.
        reply: what a yes in the call was heard to be.
    """

    told: Told
    leg_id: str
    at: datetime | None
    marked: bool = False
    how: str = ""
    channel: str = ""
    reply: Reply | None = None

    @property
    def before(self) -> bool:
        return self.how == BEFORE

    @property
    def source(self) -> str:
        """Who pressed the key, as the store has it."""
        return "agent" if self.how == AGENT else "key"


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key that somebody on a channel has pressed, bridged or not.

    Attributes:
        channel: Uniqueid.
        name: the channel's name, by which AMI knows it.
        held_ms: for how long, until now.
    """

    channel: str
    name: str
    digit: str
    held_ms: int


@dataclass(frozen=True, slots=True)
class RecorderStarted:
    """A MixMonitor has begun on a channel, whoever started it. Asterisk does not say which.

    Attributes:
        channel: Uniqueid.
        name: the channel's name.
        context: where the channel is in the dialplan.
    """

    channel: str
    name: str
    context: str


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody has put the other side on hold, or taken them back (`on` is False). `channel`: Uniqueid."""

    channel: str
    on: bool


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A channel that there is, as `RecorderStarted` names one. `bridge`: whose member it is, empty for none."""

    channel: str
    name: str
    context: str
    bridge: str


Event: TypeAlias = Notice | KeyPressed | RecorderStarted | Held


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

    async def marks(self) -> list[Notice]:
        """All that nobody has taken notice of yet."""
        found = []
        for told, family in FAMILIES.items():
            for answer in (await self._send({"Action": "DBGetTree", "Family": family}))[1:]:
                if str(answer.event) != "DBGetTreeResponse":
                    continue
                leg_id = str(answer.key).rpartition("/")[2]
                at, how = _time(str(answer.val))
                if _is_id(leg_id) and at is not None:
                    found.append(Notice(told, leg_id, at, marked=True, how=how))
        return found

    async def forget(self, told: Told, leg_id: str) -> None:
        """Remove a mark that the store now knows of; none there is no error."""
        if not _is_id(leg_id):
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
        for reason in (WITHDRAWN, LATE, PAUSED):
            if await self.variable(channel, reason):
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
                if _DIALLED.fullmatch(dialled):
                    there = f"DIALPLAN_EXISTS(callguard-emergency,x{dialled},1)"
                    if await self.variable(channel, there) == "1":
                        return True
        return False

    async def variable(self, channel: str, name: str) -> str:
        """A variable of a channel; empty where it is not set. Raises: Refused, where there is no such channel."""
        (answer,) = await self._send({"Action": "Getvar", "Channel": channel, "Variable": name})
        value = str(answer.value)
        # Of what we read there, nothing has a line end in it.
        return "" if set(value) & {"\r", "\n"} else value

    async def lift_lease(self, channel: str) -> None:
        """Give a call back the administrator's own limit in place of our lease.

        Raises: Refused, where there is no such channel.
        """
        own = await self.variable(channel, LIMIT)
        seconds = _whole(own) or NO_LIMIT_S
        await self._send({"Action": "AbsoluteTimeout", "Channel": channel, "Timeout": str(seconds)})

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

    manager.register_event("UserEvent", _take)
    manager.register_event("DTMFEnd", _take_key)
    manager.register_event("MixMonitorStart", _take_start)
    manager.register_event("Hold", _take_hold)
    manager.register_event("Unhold", _take_hold)
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
    leg_id = str(event.leg)
    try:
        told = Told(str(event.userevent))
    except ValueError:
        return
    if _is_id(leg_id):
        at, how = _time(str(event.at))
        reply = _reply(event) if told is Told.REPLIED else None
        manager.notices.put_nowait(
            Notice(told, leg_id, at, str(event.mark) == "yes", how, channel=str(event.channel), reply=reply)
        )
    else:
        log.warning("user event without a leg dropped", told=told)


def _take_key(manager: _Manager, event: Any) -> None:
    held_ms = _whole(str(event.durationms))
    manager.notices.put_nowait(KeyPressed(str(event.uniqueid), str(event.channel), str(event.digit), held_ms))


def _whole(text: str) -> int:
    """A whole number of nine digits at most; 0 for anything else."""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _take_start(manager: _Manager, event: Any) -> None:
    manager.notices.put_nowait(RecorderStarted(str(event.uniqueid), str(event.channel), str(event.context)))


def _take_hold(manager: _Manager, event: Any) -> None:
    manager.notices.put_nowait(Held(str(event.uniqueid), on=str(event.event) == "Hold"))


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _time(text: str) -> tuple[datetime | None, str]:
    """Whole seconds since the epoch, and what follows them: ``-before``, ``-agent``, or nothing."""
    found = re.fullmatch(r"(\d{1,11})(?:-(before|agent))?", text, re.ASCII)
    return (datetime.fromtimestamp(int(found[1]), UTC), found[2] or "") if found else (None, "")


def _reply(event: Any) -> Reply | None:
    """What a yes in the call says of itself; None where it says it in another way than the dialplan does."""
    which, after = str(event.which), str(event.after)
    heard = re.fullmatch(r"([a-z]{2})((?:-[0-9a-f]{64}){2,3})", str(event.heard))
    if heard is None or not re.fullmatch(r"[1-3]", which) or not re.fullmatch(r"[0-9]{1,7}", after):
        return None
    return Reply(int(which), heard[1], tuple(heard[2][1:].split("-")), int(after))


def _quiet() -> logging.Logger:
    """panoramisk logs whole actions, secrets included; it gets a logger that hears only what is broken."""
    quiet = logging.getLogger("callguard.panoramisk")
    quiet.setLevel(logging.CRITICAL)
    return quiet
