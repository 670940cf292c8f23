"""The manager interface as the doctor needs it: whole lists, and why a login failed.

Apart from `callguard.telephony.ami` because of the dialplan's listing. Asterisk holds the lock that every step of every
call needs until the listing is written, so it is read as fast as it comes and parsed afterwards (20,000 priorities: 0.2
s; through panoramisk, which parses as it reads, 0.9 s).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from callguard.errors import Disconnected, Refused

ANSWER_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 30.0
CHUNK = 1 << 20
_END = b"\r\n\r\n"
# The last event of a list; what may stand around it is other events.
_COMPLETE = re.compile(rb"\r\nEventList: (Complete|cancelled)\r\n", re.IGNORECASE)

Message = tuple[tuple[str, str], ...]
"""One response or event: its headers in order, as some names come more than once."""


class Manager:
    """A session that is logged in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.events: list[str] = []
        """The names of all events outside of lists; of a user event, its own."""

    async def ask(self, action: str, **headers: str) -> Message:
        """The response to an action without a list.

        Raises:
            Refused: Asterisk says no, and why.
            Disconnected: there is no answer.
        """
        await self._send(action, headers)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    message = _parsed(await self._reader.readuntil(_END))
                    if message and message[0][0] == "Response":
                        break
                    self._note(message)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise Disconnected(f"no answer to {action}") from error
        if message[0][1] not in {"Success", "Goodbye"}:
            raise Refused(0, f"{action}: {value(message, 'Message').strip() or message[0][1]}")
        return message

    async def list(self, action: str, **headers: str) -> list[Message]:
        """The events of a list, without the first and the last message. Raises: as `ask`."""
        await self.ask(action, **headers)
        data = bytearray()
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                while not (found := _COMPLETE.search(data, max(0, len(data) - 2 * CHUNK))) or (
                    data.find(_END, found.start()) < 0
                ):
                    chunk = await self._reader.read(CHUNK)
                    if not chunk:
                        raise Disconnected(f"the answer to {action} broke off")
                    data += chunk
        except OSError as error:
            raise Disconnected(f"no answer to {action}") from error
        last = data.rfind(_END, 0, found.start())
        return [_parsed(part) for part in bytes(data[:last]).split(_END)] if last > 0 else []

    async def variable(self, name: str) -> str:
        """A global variable or a function without a channel; empty where it is not set. Raises: as `ask`."""
        return value(await self.ask("Getvar", Variable=name), "Value")

    def _note(self, message: Message) -> None:
        name = value(message, "Event")
        if name:
            self.events.append(value(message, "UserEvent") or name)

    async def _send(self, action: str, headers: dict[str, str]) -> None:
        lines = {"Action": action, **headers}
        if any(character in line for line in lines.values() for character in "\r\n"):
            raise ValueError("an action's value is one line")
        try:
            self._writer.write("".join(f"{name}: {line}\r\n" for name, line in lines.items()).encode() + b"\r\n")
            await self._writer.drain()
        except OSError as error:
            raise Disconnected("the AMI session ended") from error


@asynccontextmanager
async def connected(host: str, port: int, user: str, secret: str) -> AsyncIterator[Manager]:
    """One session.

    Raises:
        Disconnected: no connection.
        Refused: no login; the text is Asterisk's.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=CHUNK)
    except OSError as error:
        raise Disconnected(f"no AMI at {host}:{port}: {error or 'no answer'}") from error
    try:
        manager = Manager(reader, writer)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                banner = await reader.readuntil(b"\r\n")
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise Disconnected(
                f"what answers at {host}:{port} greets as no AMI does: it is none, hangs, or its acl keeps us out"
            ) from error
        if b"Asterisk" not in banner:
            raise Disconnected(f"what answers at {host}:{port} is no AMI")
        await manager.ask("Login", Username=user, Secret=secret, Events="on")
        yield manager
    finally:
        writer.close()


def value(message: Message, name: str) -> str:
    """The first header of a name; empty where there is none."""
    return next((text for key, text in message if key.lower() == name.lower()), "")


def _parsed(data: bytes) -> Message:
    headers = []
    for line in data.decode("utf-8", "replace").split("\r\n"):
        name, colon, text = line.partition(":")
        if colon:
            headers.append((name, text.removeprefix(" ")))
    return tuple(headers)
