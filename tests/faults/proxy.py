"""A TCP proxy with switches, between callguard and Asterisk: to cut, hold up or swallow what passes."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

BLOCK: Final = 1 << 16
SMALL, SMALL_SEGMENT = 1 << 12, 536
ESTABLISHED: Final = "01"
PROMPT_BEGINS: Final = re.compile(rb'"PlaybackStarted"[^}]*"target_uri":"channel:([^"]+)"')


class Proxy:
    """Passes on what comes to `port` of 127.0.0.1, as an async context manager.

    Args:
        small: little waits in the kernel of what the target sends and nobody reads.

    Attributes:
        delay_s: what comes is held up so long, in its order.
        prompts: when which channel's prompt began, seconds since the epoch, as ARI told.
    """

    def __init__(self, target: int, *, small: bool = False) -> None:
        self._target = target
        self._small = small
        self._reading = asyncio.Event()
        self._reading.set()
        self.prompts: list[tuple[float, str]] = []
        self._signs: list[tuple[bytes, asyncio.Future[None]]] = []
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

    async def sees(self, sign: bytes) -> None:
        """Wait until something comes from the target that holds this."""
        seen = asyncio.get_running_loop().create_future()
        self._signs.append((sign, seen))
        await seen

    def stop_reading(self) -> None:
        """Let what the target sends wait, until `read_on`."""
        self._reading.clear()

    def read_on(self) -> None:
        self._reading.set()

    def ended_there(self) -> bool:
        """Whether the target has ended every connection, also while what it sent before is not read (proc(5))."""
        ours = {back.get_extra_info("sockname")[1] for _, back in self._pairs if not back.transport.is_closing()}
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        states = {
            tuple(int(end.rpartition(":")[2], 16) for end in line.split()[1:3]): line.split()[3] for line in lines
        }
        return all(states.get((self._target, port)) != ESTABLISHED for port in ours)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, back):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._made += 1
        self._pairs.add((writer, back))
        for source, to in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, to, self._made, theirs=source is there))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        try:
            if self._small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
                # The other side's buffer is made for so many segments, and a segment of the loopback has 64 kB.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._target))
            return await asyncio.open_connection(sock=sock, limit=SMALL if self._small else BLOCK)
        except BaseException:
            sock.close()
            raise

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, number: int, *, theirs: bool) -> None:
        try:
            while data := await source.read(BLOCK):
                if theirs:
                    await self._reading.wait()
                    self._look_for_signs(data)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if number > self._swallowed:
                    to.write(data)
        except OSError:
            pass
        if number > self._swallowed:
            to.close()

    def _look_for_signs(self, data: bytes) -> None:
        now = time.time()
        self.prompts += [(now, channel.decode()) for channel in PROMPT_BEGINS.findall(data)]
        waiting = []
        for sign, seen in self._signs:
            if sign not in data:
                waiting.append((sign, seen))
            elif not seen.done():
                seen.set_result(None)
        self._signs = waiting
