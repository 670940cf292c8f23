"""Asterisk's end of AGI sessions on real sockets, which misbehaves on request; and a server that they come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from callguard.telephony import agi
from callguard.telephony.agi_wire import FIELDS

UNIQUEID = "pbx-1.1"
LIMIT_S = 5.0
# In the place of an answer: the connection is closed.
CLOSE = b""


def block(*args: str, **values: str) -> bytes:
    """What Asterisk begins a session with; `values` by the fields' names without ``agi_``."""
    known = {"network_script": "inbound", "uniqueid": UNIQUEID, "channel": "PJSIP/outside-00000000", "enhanced": "0.0"}
    fields = [f"{name}: {(known | values).get(name.removeprefix('agi_'), 'unknown')}\n" for name in FIELDS]
    fields += [f"agi_arg_{number}: {arg}\n" for number, arg in enumerate(args, 1)]
    return ("".join(fields) + "\n").encode()


@dataclass
class FakeAgi:
    """One session, as Asterisk has it.

    Attributes:
        commands: every line that came, in order.
        answers: what to send after each command, in order, line ends included; nothing is said when there is no more.
        after_ms: how long each answer takes.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    commands: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    after_ms: int = 0

    def says(self, *answers: bytes) -> None:
        self.answers += answers

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def run(self) -> None:
        """Answer until the other end closes."""
        while line := await self.reader.readline():
            self.commands.append(line.decode().removesuffix("\n"))
            if not self.answers:
                continue
            await asyncio.sleep(self.after_ms / 1000)
            answer = self.answers.pop(0)
            if answer == CLOSE:
                self.writer.close()
                return
            await self.send(answer)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def closed(self) -> bytes:
        """Wait until the other end has closed; what it had sent before that."""
        async with asyncio.timeout(LIMIT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Door:
    """A server, and the calls that it has opened. A call stays open until `leave`."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[agi.Call] = asyncio.Queue()
        self.leave = asyncio.Event()
        self.port = 0
        self._peers: list[FakeAgi] = []

    async def take(self, call: agi.Call) -> None:
        self.calls.put_nowait(call)
        await self.leave.wait()

    async def next(self) -> agi.Call:
        async with asyncio.timeout(LIMIT_S):
            return await self.calls.get()

    async def knock(self, begin: bytes) -> FakeAgi:
        """A connection that begins as told."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        peer = FakeAgi(reader, writer)
        self._peers.append(peer)
        await peer.send(begin)
        return peer

    @asynccontextmanager
    async def session(self, *args: str, **values: str) -> AsyncIterator[tuple[agi.Call, FakeAgi]]:
        """A call that has been opened, and Asterisk's end of it, which answers."""
        peer = await self.knock(block(*args, **values))
        running = asyncio.create_task(peer.run())
        try:
            yield await self.next(), peer
        finally:
            running.cancel()
            await asyncio.wait([running])
            await peer.close()

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()


@asynccontextmanager
async def door(handle: agi.Handle | None = None, most: int = agi.MOST_CALLS) -> AsyncIterator[Door]:
    """A listening server."""
    opened = Door()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(opened.close)
        opened.port = await stack.enter_async_context(agi.serve("127.0.0.1", 0, handle or opened.take, most=most))
        yield opened
        opened.leave.set()
