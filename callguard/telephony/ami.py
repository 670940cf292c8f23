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
from typing import Any
from uuid import UUID

import structlog
from panoramisk import Manager

from callguard.errors import Disconnected, Refused
from callguard.telephony.ami_wire import Protocol

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 3.0
# The channel variables where the dialplan keeps a recording's id, the keys pressed since the gate, and a withdrawal.
MIXMONITOR, PRESSED, WITHDRAWN = "CG_MIXMONITOR", "CG_PRESSED", "CG_WITHDRAWN"
# Where it keeps the administrator's limit on the call, in seconds. (AMI takes no 0 for none: a week is as good.)
LIMIT, NO_LIMIT_S = "CG_LIMIT", 7 * 86_400


class Told(StrEnum):
    """What the dialplan says about a leg, in a UserEvent."""

    WITHDRAWN = "CallguardWithdrawn"
    AGREED = "CallguardAgreed"
    OPTED_OUT = "CallguardOptedOut"
    ENDED = "CallguardEnded"


# Where the dialplan leaves its marks in Asterisk's own database, for a callguard that did not listen.
FAMILIES = {Told.WITHDRAWN: "callguard_withdrawn", Told.OPTED_OUT: "callguard_optedout"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One user event of ours, or the mark that says the same to who did not listen.

    Attributes:
        at: when, by Asterisk's clock, whole seconds; None for an end.
        marked: a mark says the same, to be forgotten when it is heeded.
        before: a withdrawal that came before anything was recorded, and is found only now.
        channel: the channel's name; empty in a mark.
    """

    told: Told
    leg_id: str
    at: datetime | None
    marked: bool = False
    before: bool = False
    channel: str = ""


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


class Session:
    """A session that is logged in. Iterate over it for what the dialplan tells and what is pressed."""

    def __init__(self, manager: _Manager) -> None:
        self._manager = manager

    async def __aiter__(self) -> AsyncIterator[Notice | KeyPressed]:
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
                at, before = _time(str(answer.val))
                if _is_id(leg_id) and at is not None:
                    found.append(Notice(told, leg_id, at, marked=True, before=before))
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
            Refused: there is no such channel, or it has been withdrawn there; then nothing is recorded.
        """
        options = f"bi({MIXMONITOR})" + (f"r({file}-in.wav)t({file}-out.wav)" if two else "")
        await self._send(
            {"Action": "MixMonitor", "Channel": channel, "File": "" if two else f"{file}.wav", "Options": options}
        )
        # A withdrawal just before it found nothing to stop.
        if await self.variable(channel, WITHDRAWN):
            await self.stop_recording(channel)
            raise Refused(409, "withdrawn meanwhile")

    async def stop_recording(self, channel: str) -> None:
        """Stop the recording that was started on a channel.

        Raises:
            Refused: there is no such channel, or nothing of ours is recorded there.
        """
        identity = await self.variable(channel, MIXMONITOR)
        if not identity:
            raise Refused(404, "nothing of ours is recorded there")
        await self._send({"Action": "StopMixMonitor", "Channel": channel, "MixMonitorID": identity})

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


class _Manager(Manager):  # type: ignore[misc]  # panoramisk is untyped
    """A panoramisk manager that lives for one session and says how its login went."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.notices: asyncio.Queue[Notice | KeyPressed | None] = asyncio.Queue()
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
        at, before = _time(str(event.at))
        manager.notices.put_nowait(
            Notice(told, leg_id, at, marked=str(event.mark) == "yes", before=before, channel=str(event.channel))
        )
    else:
        log.warning("user event without a leg dropped", told=told)


def _take_key(manager: _Manager, event: Any) -> None:
    held_ms = _whole(str(event.durationms))
    manager.notices.put_nowait(KeyPressed(str(event.uniqueid), str(event.channel), str(event.digit), held_ms))


def _whole(text: str) -> int:
    """A whole number of nine digits at most; 0 for anything else."""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _time(text: str) -> tuple[datetime | None, bool]:
    """Whole seconds since the epoch, and whether ``-before`` follows them."""
    found = re.fullmatch(r"(\d{1,11})(-before)?", text, re.ASCII)
    return (datetime.fromtimestamp(int(found[1]), UTC), found[2] is not None) if found else (None, False)


def _quiet() -> logging.Logger:
    """panoramisk logs whole actions, secrets included; it gets a logger that hears only what is broken."""
    quiet = logging.getLogger("callguard.panoramisk")
    quiet.setLevel(logging.CRITICAL)
    return quiet
