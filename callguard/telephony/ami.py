"""The manager interface, through panoramisk: what happens after the gate, and that we are here.

The dialplan asks whether a session of our account is open (AMI_CLIENT) before it waits for a claim, so a session is
held exactly while calls can be taken. Known faults of panoramisk 1.4 are kept out here: it reports no failed login,
reconnects by itself and repeats old actions then (so a session of ours lives once), and it writes values unchecked
(so nothing but our own ids is sent).
"""

from __future__ import annotations

import asyncio
import logging
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

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 3.0
# Where the dialplan leaves its marks in Asterisk's own database.
WITHDRAWN_FAMILY = "callguard_withdrawn"
# Where it keeps the id of a channel's recording.
MIXMONITOR = "CG_MIXMONITOR"


class Told(StrEnum):
    """What the dialplan says about a leg, in a UserEvent."""

    WITHDRAWN = "CallguardWithdrawn"
    ENDED = "CallguardEnded"


@dataclass(frozen=True, slots=True)
class Mark:
    """A withdrawal that Asterisk carried out, with the time by its clock."""

    leg_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """One user event of ours; `at` for a withdrawal, by Asterisk's clock; `marked` when a mark says the same."""

    told: Told
    leg_id: str
    at: datetime | None
    marked: bool


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key that somebody on a channel has pressed, bridged or not.

    Attributes:
        channel: Uniqueid.
        name: the channel's name, by which AMI knows it.
    """

    channel: str
    name: str
    digit: str


class Session:
    """A session that is logged in. Iterate over it for what the dialplan tells and what is pressed."""

    def __init__(self, manager: _Manager) -> None:
        self._manager = manager

    async def __aiter__(self) -> AsyncIterator[Notice | KeyPressed]:
        """Raises: Disconnected, when the session is over."""
        while (notice := await self._manager.notices.get()) is not None:
            yield notice
        raise Disconnected("the AMI session ended")

    async def marks(self) -> list[Mark]:
        """All withdrawals that nobody has taken notice of yet."""
        answers = await self._send({"Action": "DBGetTree", "Family": WITHDRAWN_FAMILY})
        found = []
        for answer in answers[1:]:
            if str(answer.event) != "DBGetTreeResponse":
                continue
            leg_id = str(answer.key).rpartition("/")[2]
            at = _time(str(answer.val))
            if _is_id(leg_id) and at is not None:
                found.append(Mark(leg_id, at))
        return found

    async def forget(self, leg_id: str) -> None:
        """Remove a mark that the store now knows of; none there is no error."""
        if not _is_id(leg_id):
            raise ValueError("not a leg id")
        with suppress(Refused):
            await self._send({"Action": "DBDel", "Family": WITHDRAWN_FAMILY, "Key": leg_id})

    async def stop_recording(self, name: str) -> None:
        """Stop the recording that the dialplan has started on a channel.

        Raises:
            Refused: there is no such channel, or nothing of ours is recorded there.
        """
        if any(character in name for character in "\r\n"):
            raise ValueError("not the name of a channel")
        answer = (await self._send({"Action": "Getvar", "Channel": name, "Variable": MIXMONITOR}))[0]
        if not answer.value:
            raise Refused(404, "nothing of ours is recorded there")
        await self._send({"Action": "StopMixMonitor", "Channel": name, "MixMonitorID": str(answer.value)})

    async def _send(self, action: dict[str, str]) -> list[Any]:
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
    manager = _Manager(host=host, port=port, username=user, secret=secret, log=_quiet())

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
        manager.notices.put_nowait(Notice(told, leg_id, _time(str(event.at)), str(event.mark) == "yes"))
    else:
        log.warning("user event without a leg dropped", told=told)


def _take_key(manager: _Manager, event: Any) -> None:
    manager.notices.put_nowait(KeyPressed(str(event.uniqueid), str(event.channel), str(event.digit)))


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _time(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isascii() and seconds.isdigit() else None


def _quiet() -> logging.Logger:
    """panoramisk logs whole actions, secrets included; it gets a logger that hears only what is broken."""
    quiet = logging.getLogger("callguard.panoramisk")
    quiet.setLevel(logging.CRITICAL)
    return quiet
