"""A registry that is asked at each dial: over real HTTP, on loopback, and by servers that do what they should not."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from callguard.dial_sections import QuerySettings
from callguard.registry.query import LONGEST_ANSWER, Asks, Query, UnansweredError

NUMBER = "+34912345678"
Answers: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request on a port of its own as it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: Answers = said({"listed": False})
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ask"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines if one)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((first, headers, json.loads(body)))
                await self.answers(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def raw(text: str) -> Answers:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode())

    return write


def said(body: object, status: str = "200 OK", *more: str) -> Answers:
    text = body if isinstance(body, str) else json.dumps(body)
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", *more])
    return raw(f"{head}\r\n\r\n{text}")


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def dribbles(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: each step in time, the whole never."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            under_way.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await listening.wait_closed()


@asynccontextmanager
async def asking(server: Server, told: list[str], **settings: Any) -> AsyncIterator[Query]:
    query = Query("robinson", QuerySettings(**{"url": server.url, "within_ms": 1_000, **settings}), told.append)
    await query.ready()
    try:
        yield query
    finally:
        await query.close()


async def test_a_registry_says_whether_it_lists_a_number(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("something secret\n", encoding="ascii")
    token.chmod(0o600)
    told: list[str] = []
    async with serving() as server, asking(server, told, secret_file=token) as query:
        assert await query.listed(NUMBER) is False
        server.answers = said({"listed": True, "since": "2020-01-01"})
        assert await query.listed(NUMBER) is True
    (first, headers, body), again = server.requests
    assert first == "POST /ask HTTP/1.1"
    assert (headers["authorization"], headers["content-type"]) == ("Bearer something secret", "application/json")
    assert body == again[2] == {"number": NUMBER}
    assert told == []


async def test_a_number_may_be_sent_hashed() -> None:
    async with serving() as server, asking(server, [], number="sha256") as query:
        assert await query.listed(NUMBER) is False
    assert server.requests[0][2] == {"sha256": hashlib.sha256(NUMBER.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param(said("", "500 Internal Server Error"), "it answers 500", id="an error"),
        pytest.param(said({"listed": False}, "403 Forbidden"), "it answers 403", id="no right"),
        pytest.param(said("", "302 Found", "Location: /ask"), "it answers 302", id="redirection"),
        pytest.param(said("", "204 No Content"), "it answers 204", id="nothing"),
        pytest.param(said("<html>Not listed</html>"), "its answer is no JSON", id="a page"),
        pytest.param(said('{"listed": false'), "its answer is no JSON", id="half of it"),
        pytest.param(said([]), 'its answer has no "listed"', id="a list"),
        pytest.param(said({}), 'its answer has no "listed"', id="without it"),
        pytest.param(said({"listed": "false"}), 'its answer has no "listed"', id="as text"),
        pytest.param(said({"listed": 0}), 'its answer has no "listed"', id="as a number"),
        pytest.param(said({"listed": None}), 'its answer has no "listed"', id="as null"),
        pytest.param(said({"listed": False, "x": "x" * LONGEST_ANSWER}), "its answer is too long", id="too long"),
        pytest.param(hangs_up, "it cannot be asked (RemoteProtocolError)", id="hangs up"),
        pytest.param(
            raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"),
            "(ReadTimeout)", id="stops in the middle",
        ),
        pytest.param(raw("SIP/2.0 200 OK\r\n\r\n"), "it cannot be asked (RemoteProtocolError)", id="is no HTTP"),
        pytest.param(dribbles, "no answer within 200 ms", id="dribbles"),
        pytest.param(never, "(ReadTimeout)", id="is silent"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_none_and_is_told_once(answers: Answers, why: str) -> None:
    told: list[str] = []
    async with serving() as server, asking(server, told, within_ms=200) as query:
        server.answers = answers
        began = asyncio.get_running_loop().time()
        assert [await query.listed(NUMBER), await query.listed(NUMBER)] == [None, None]
        assert asyncio.get_running_loop().time() - began < 5
        assert len(told) == 1
        # The limit of a step and that of the whole are the same: which one is met first is chance.
        late = "no answer within 200 ms"
        assert why in told[0] or ("Timeout" in why and late in told[0]) or (why == late and "Timeout" in told[0])
        assert told[0].startswith("registry robinson does not answer, and calls that it is asked about are denied: ")
        assert "912345678" not in told[0]
        server.answers = said({"listed": False})
        assert await query.listed(NUMBER) is False
        server.answers = said("", "503 Busy")
        assert await query.listed(NUMBER) is None
        assert len(told) == 2


async def test_nobody_there_is_no_answer() -> None:
    told: list[str] = []
    async with serving() as server:
        pass
    async with asking(server, told) as query:
        assert await query.listed(NUMBER) is None
    assert "it cannot be asked (ConnectError)" in told[0]


@pytest.mark.parametrize(("mode", "said_"), [(0o644, "may be read by everyone"), (None, "cannot be read: No such")])
async def test_without_its_secret_it_is_not_asked(tmp_path: Path, mode: int | None, said_: str) -> None:
    token = tmp_path / "token"
    if mode is not None:
        token.write_text("something secret", encoding="ascii")
        token.chmod(mode)
    told: list[str] = []
    async with serving() as server, asking(server, told, secret_file=token) as query:
        assert await query.listed(NUMBER) is None
    assert said_ in told[0] and "something secret" not in told[0]
    assert server.requests == []


async def test_an_answer_is_kept_only_as_long_as_configured() -> None:
    async with serving() as server:
        for cache_s, requests in ((0, 2), (60, 1)):
            server.requests.clear()
            async with asking(server, [], cache_s=cache_s) as query:
                assert [await query.listed(NUMBER), await query.listed(NUMBER)] == [False, False]
            assert len(server.requests) == requests
        async with asking(server, [], cache_s=1) as query:
            server.answers = said("", "500 No")
            assert await query.listed(NUMBER) is None
            server.answers = said({"listed": True})
            assert await query.listed(NUMBER) is True
            server.answers = said({"listed": False})
            async with asyncio.timeout(30):
                while await query.listed(NUMBER):
                    await asyncio.sleep(0.05)


class Slow(Asks):
    """Another registry than one by HTTP."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.is_closed = False

    async def ready(self) -> None: ...

    async def listed(self, number: str) -> bool:
        await self.may_answer.wait()
        if self.is_closed:
            raise UnansweredError("it is closed")
        return False

    async def close(self) -> None:
        self.is_closed = True


async def test_who_asks_has_the_answer_before_the_connection_is_closed() -> None:
    asks = Slow()
    query = Query("other", QuerySettings(url="http://127.0.0.1:1", within_ms=1_000), list[str]().append, asks)
    answer = asyncio.create_task(query.listed(NUMBER))
    await asyncio.sleep(0)
    closing = asyncio.create_task(query.close())
    await asyncio.sleep(0)
    asks.may_answer.set()
    assert await answer is False
    await closing
    assert asks.is_closed
