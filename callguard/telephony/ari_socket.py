"""The WebSocket to Asterisk: websockets' Sans-I/O protocol on an asyncio transport.

The library's own asyncio connection takes a lock, a queue and a turn of the loop for each frame, which was a third of
all that a call cost. Here the frames of one packet are handed over together, and what is ordered within one turn of
the loop leaves in one packet (https://websockets.readthedocs.io/en/stable/howto/sansio.html).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from callguard.errors import Disconnected

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
# Asterisk's own ping is none; ours finds a half-open connection when the next one is due.
PING_EVERY_S = 5.0
# The list of all channels is the longest message, with about 1 kB for each.
LONGEST = 2**25
# More frames than that wait in the kernel and then in Asterisk, which drops a client that does not read.
MOST_WAITING = 10_000
# After a packet that came soon after another, the next one is not read before this, the time that two packets of speech
# take. What comes alone is taken at once; under load much is taken together, and what follows from it leaves together:
# waking up is most of what a call costs. (At 100 calls a second 20 ms take a third off it, 40 ms a sixth more, 60 ms
# nothing more.)
REST_S = 0.04
# Soon: a rest, and what waking up from it may take.
SOON_S = 1.5 * REST_S
# Asterisk reads at once; one that has left this much unread has stopped.
MOST_UNSENT = 2**22


class Socket(asyncio.Protocol):
    """One connection. Made by `connect`; one task at a time may wait in `receive`.

    Attributes:
        hurries: it is read as soon as anything comes, for someone who asks one thing after another.
    """

    def __init__(self, protocol: ClientProtocol, headers: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._headers = headers
        self._frames: list[bytes] = []
        self._begun: list[bytes] = []
        self._reader: asyncio.Future[None] | None = None
        self._flushing = self._full = self._unanswered = False
        self._why = "Asterisk closed the ARI connection"
        self._heart: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._came = 0.0
        self.hurries = False
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def send(self, text: bytes) -> None:
        """Send a message, together with whatever else is sent in this turn of the loop.

        Raises:
            Disconnected: the connection is gone, or Asterisk has stopped reading.
        """
        if self._protocol.state is not State.OPEN:
            raise Disconnected("the ARI connection is gone")
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self._lose("Asterisk has stopped reading from the ARI connection")
            raise Disconnected(self._why)
        self._protocol.send_text(text)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def receive(self) -> list[bytes]:
        """All messages that have come since, one at least.

        Raises:
            Disconnected: the connection has ended, and all that came before was handed over.
        """
        while not self._frames:
            if self.closed.done():
                raise Disconnected(self._why)
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        frames, self._frames = self._frames, []
        if self._full:
            self._full = False
            self._transport.resume_reading()
        return frames

    async def read_now(self) -> None:
        """Hand over, to whoever waits in `receive`, what has come already and was not read yet."""
        self._read_on()
        # Read, wake who waits, let them work.
        for _ in range(3):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End the connection in good order, or after `CLOSE_TIMEOUT_S` without."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(self.closed)
        except TimeoutError:
            pass
        finally:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        request = self._protocol.connect()
        request.headers.update(self._headers)
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response) and not self.opened.done():
                if (error := self._protocol.handshake_exc) is None:
                    self.opened.set_result(None)
                    self._beat()
                else:
                    self.opened.set_exception(error)
        # A pong, or the answer to a close.
        self._flush()
        self._wake()
        if self._protocol.close_expected():
            self._transport.close()
        elif self._protocol.state is State.OPEN:
            self._read_later()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.receive_eof()
        if error is not None:
            self._why = f"the ARI connection broke: {error}"
        if self._heart is not None:
            self._heart.cancel()
        self.closed.set_result(None)
        if not self.opened.done():
            self.opened.set_exception(self._protocol.handshake_exc or ConnectionResetError(self._why))
        self._wake()

    def _read_later(self) -> None:
        now = self._loop.time()
        before, self._came = self._came, now
        # Over TLS some may come while it rests.
        if now - before < SOON_S and self._rest is None and not self.hurries:
            self._transport.pause_reading()
            self._rest = self._loop.call_later(REST_S, self._read_on)

    def _read_on(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._full = len(self._frames) > MOST_WAITING
        if not self._full and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._unanswered = False
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.fin and not self._begun:
                self._frames.append(bytes(frame.data))
                return
            self._begun.append(bytes(frame.data))
            if frame.fin:
                self._frames.append(b"".join(self._begun))
                self._begun = []

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _flush(self) -> None:
        self._flushing = False
        data = self._protocol.data_to_send()
        if not data or self._transport.is_closing():
            return
        self._transport.write(b"".join(data))
        # The protocol's sign for the end of what we send.
        if data[-1] == b"" and self._transport.can_write_eof():
            self._transport.write_eof()

    def _beat(self) -> None:
        if self._unanswered:
            self._lose(f"no answer to a ping within {PING_EVERY_S} s")
            return
        self._unanswered = True
        self._protocol.send_ping(b"")
        self._flush()
        self._heart = self._loop.call_later(PING_EVERY_S, self._beat)

    def _lose(self, why: str) -> None:
        self._why = why
        self._transport.abort()


async def connect(url: str, path: str, headers: Mapping[str, str]) -> Socket:
    """Connect, and wait until the other side has agreed.

    Args:
        url: ``http://host:port`` or ``https://…``, as ARI's other addresses begin.

    Raises:
        InvalidStatus: the other side speaks HTTP and says no.
        OSError: nobody is there, or not in time (TimeoutError).
        WebSocketException: this is no WebSocket server.
    """
    target = parse_uri(url.rstrip("/").replace("http", "ws", 1) + path)
    protocol = ClientProtocol(target, subprotocols=[Subprotocol("ari")], max_size=LONGEST)
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if target.secure else None
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, socket = await loop.create_connection(
            lambda: Socket(protocol, headers), target.host, target.port, ssl=context
        )
        try:
            await socket.opened
        except BaseException:
            socket._transport.abort()
            raise
    return socket
