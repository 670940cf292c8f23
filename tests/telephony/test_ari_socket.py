"""The WebSocket to Asterisk, against a peer on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from callguard.errors import Disconnected
from callguard.telephony import ari_socket
from callguard.telephony.ari_socket import Socket, connect

LIMIT_S = 5.0


@asynccontextmanager
async def connected(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Socket]:
    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("ari")], close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        socket = await connect(f"http://127.0.0.1:{port}", "/ari/events", {"Authorization": "Basic x"})
        try:
            async with asyncio.timeout(LIMIT_S):
                yield socket
        finally:
            await socket.close()


async def stay(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_a_message_in_pieces_is_one() -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.send(["one ", "mess", "age"])
        await connection.send("another")
        await stay(connection)

    async with connected(handle) as socket:
        got: list[bytes] = []
        while len(got) < 2:
            got += await socket.receive()
    assert got == [b"one message", b"another"]


async def test_what_is_sent_in_one_turn_of_the_loop_leaves_in_one_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        try:
            async for message in connection:
                heard.put_nowait(message)
        except ConnectionClosed:
            pass

    async with connected(handle) as socket:
        written: list[bytes] = []
        write = socket._transport.write

        def count_write(data: bytes) -> None:
            written.append(bytes(data))
            write(data)

        monkeypatch.setattr(socket._transport, "write", count_write)
        for text in (b"1", b"2", b"3"):
            socket.send(text)
        assert [await heard.get() for _ in range(3)] == ["1", "2", "3"]
    assert len(written[0]) > 3 * len(b"1")
    assert len(written) <= 2  # the close is the second


async def test_the_password_is_sent_and_the_language_agreed() -> None:
    seen: asyncio.Future[Headers] = asyncio.get_running_loop().create_future()

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.set_result(connection.request.headers)
        await stay(connection)

    async with connected(handle):
        headers = await seen
    assert headers["Authorization"] == "Basic x"
    assert headers["Sec-WebSocket-Protocol"] == "ari"


async def test_who_says_no_is_told_by_status() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no")

    async with serve(stay, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(InvalidStatus) as raised:
            await connect(f"http://127.0.0.1:{port}", "/ari/events", {})
    assert raised.value.response.status_code == 401


@pytest.mark.parametrize("answer", [b"220 mail ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""])
async def test_what_is_no_web_socket_is_an_error_at_once(answer: bytes) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server, asyncio.timeout(LIMIT_S):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((WebSocketException, OSError)):
            await connect(f"http://127.0.0.1:{port}", "/ari/events", {})


async def test_all_that_came_before_the_end_is_handed_over_then_the_end_is_told() -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.send("last words")

    async with connected(handle) as socket:
        await socket.closed
        assert await socket.receive() == [b"last words"]
        with pytest.raises(Disconnected):
            await socket.receive()
        with pytest.raises(Disconnected):
            socket.send(b"too late")


async def deaf(connection: ServerConnection) -> None:
    """Is there, and reads nothing."""
    connection.transport.pause_reading()
    await stay(connection)


async def test_who_waits_is_told_that_the_connection_broke() -> None:
    async def handle(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with connected(handle) as socket:
        with pytest.raises(Disconnected):
            await socket.receive()


async def test_a_peer_that_answers_no_ping_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "PING_EVERY_S", 0.1)
    async with connected(deaf) as socket:
        with pytest.raises(Disconnected, match="ping"):
            await socket.receive()


async def test_a_peer_that_answers_its_pings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "PING_EVERY_S", 0.05)
    pings = asyncio.Semaphore(0)

    async def handle(connection: ServerConnection) -> None:
        receive = connection.protocol.receive_data

        def count(data: bytes | bytearray) -> None:
            pings.release()
            receive(data)

        monkeypatch.setattr(connection.protocol, "receive_data", count)
        await stay(connection)

    async with connected(handle) as socket:
        for _ in range(4):
            await pings.acquire()
        assert not socket.closed.done()


async def test_a_peer_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "MOST_UNSENT", 100_000)
    async with connected(deaf) as socket:
        with pytest.raises(Disconnected, match="stopped reading"):
            while True:
                socket.send(b"x" * 10_000)
                await asyncio.sleep(0)


async def test_who_does_not_keep_up_has_the_rest_wait_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "MOST_WAITING", 10)
    monkeypatch.setattr(ari_socket, "REST_S", 0.0)
    count, sent = 30_000, asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        for _ in range(count):
            await connection.send("x" * 1_000)
        sent.set()
        await stay(connection)

    async with connected(handle) as socket:
        while not socket._full:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sent.wait(), 0.5)
        got = 0
        while got < count:
            got += len(await socket.receive())
        await sent.wait()


async def test_what_comes_soon_after_a_packet_is_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "REST_S", 1.0)
    said = asyncio.Semaphore(0)

    async def handle(connection: ServerConnection) -> None:
        for text in ("first", "second", "third"):
            await connection.send(text)
            said.release()
            if text == "first":
                await connection.recv()
        await stay(connection)

    async with connected(handle) as socket:
        assert await socket.receive() == [b"first"]
        socket.send(b"go on")
        for _ in range(3):
            await said.acquire()
        assert await socket.receive() == [b"second", b"third"]


async def test_who_asks_one_thing_after_another_does_not_wait_for_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen questions stand before the first call that is served."""
    monkeypatch.setattr(ari_socket, "REST_S", 3_600.0)
    monkeypatch.setattr(ari_socket, "SOON_S", 3_600.0)

    async def answer(connection: ServerConnection) -> None:
        async for question in connection:
            await connection.send(question)

    async with connected(answer) as socket:
        socket.hurries = True
        for question in (b"one", b"two", b"three"):
            socket.send(question)
            assert await socket.receive() == [question]


async def test_what_has_come_can_be_had_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A no that has come already must not wait until a recording has been ordered."""
    monkeypatch.setattr(ari_socket, "REST_S", 3_600.0)
    said = asyncio.Semaphore(0)

    async def handle(connection: ServerConnection) -> None:
        await connection.send("yes")
        await connection.recv()
        await connection.send("no")
        said.release()
        await stay(connection)

    got: list[bytes] = []

    async with connected(handle) as socket:

        async def keep_receiving() -> None:
            while True:
                got.extend(await socket.receive())

        receiving = asyncio.create_task(keep_receiving())
        while not got:
            await asyncio.sleep(0)
        socket.send(b"go on")
        await said.acquire()
        await socket.read_now()
        receiving.cancel()
    assert got == [b"yes", b"no"]


async def test_however_often_it_is_read_in_between_it_rests_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rests at a time as there were reads in between would be none."""
    monkeypatch.setattr(ari_socket, "REST_S", 30.0)
    monkeypatch.setattr(ari_socket, "SOON_S", 45.0)
    peers: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        peers.put_nowait(connection)
        await stay(connection)

    begun: list[asyncio.TimerHandle] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_later(delay: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timer = later(delay, call, *arguments)
        if delay == ari_socket.REST_S:
            begun.append(timer)
        return timer

    async with connected(handle) as socket:
        monkeypatch.setattr(loop, "call_later", call_later)
        peer = await peers.get()
        await peer.send("first")
        assert await socket.receive() == [b"first"]
        for number in range(3):
            await peer.send(f"{number}")
            receiving = asyncio.create_task(socket.receive())
            while not receiving.done():
                await socket.read_now()
            assert receiving.result() == [f"{number}".encode()]
            assert not socket._transport.is_reading()
        assert len([rest for rest in begun if not rest.cancelled()]) == 1


async def test_after_what_comes_alone_it_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_socket, "REST_S", 30.0)
    monkeypatch.setattr(ari_socket, "SOON_S", 0.0)

    async def handle(connection: ServerConnection) -> None:
        for text in ("one", "two", "three"):
            await connection.send(text)
            await connection.ping()
        await stay(connection)

    async with connected(handle) as socket:
        got: list[bytes] = []
        while len(got) < 3:
            got += await socket.receive()
        assert got == [b"one", b"two", b"three"]
        assert socket._transport.is_reading()
