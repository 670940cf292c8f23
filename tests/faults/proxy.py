"""A TCP proxy with switches, between callguard and Asterisk: to cut, hold up or swallow what passes."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Final, Self

BLOCK: Final = 1 << 16


class Proxy:
    """Passes on what comes to `port` of 127.0.0.1, as an async context manager.

    Attributes:
        delay_s: what comes is held up so long, in its order.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._made = self._swallowed = 0
        self.delay_s = 0.0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Break every connection, without a word of farewell."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()
        self._pairs.clear()

    def swallow(self) -> None:
        """Make every connection half open: what comes is read and passed to nobody, and none ends. New ones pass."""
        self._swallowed = self._made

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, back):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._made += 1
        self._pairs.add((writer, back))
        for source, to in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, to, self._made))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, number: int) -> None:
        try:
            while data := await source.read(BLOCK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if number > self._swallowed:
                    to.write(data)
        except OSError:
            pass
        if number > self._swallowed:
            to.close()
