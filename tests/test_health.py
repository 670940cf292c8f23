"""Health: 200 only while calls are gated, else what is wrong and what to do; and the pages over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from callguard import web
from callguard.health import Health

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WELL = Health("callguard", NOW, NOW, True, True, None, False, 3, 1_000)


def test_well() -> None:
    status, body = WELL.answer()
    told = json.loads(body)
    assert status == 200
    assert told["serving"] is True
    assert (told["problem"], told["do"], told["calls_in_gate"]) == (None, None, 3)
    assert told["serving_since"] == "2026-11-22T00:00:00+00:00"


@pytest.mark.parametrize(
    ("ill", "problem"),
    [
        (replace(WELL, stopping=True, ari_connected=False), "callguard is stopping"),
        (replace(WELL, ari_connected=False, ami_connected=False, serving_since=None), "there is no ARI connection"),
        (replace(WELL, ami_connected=False, serving_since=None), "there is no manager session"),
        (replace(WELL, serving_since=None), "callguard has just connected"),
        (replace(WELL, store="disk is full"), "the store cannot be written: disk is full"),
        (replace(WELL, calls_in_gate=1_000), "the gate is full"),
    ],
)
def test_ill_is_503_with_what_to_do(ill: Health, problem: str) -> None:
    status, body = ill.answer()
    told = json.loads(body)
    assert (status, told["serving"], told["problem"]) == (503, False, problem)
    assert told["do"]


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


async def get(port: int, path: str) -> tuple[int, str, str]:
    """Status, content type and body."""

    def ask() -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    return await asyncio.to_thread(ask)


@asynccontextmanager
async def pages(port: int, page: Callable[[], Awaitable[web.Page]]) -> AsyncIterator[None]:
    serving = asyncio.create_task(web.keep_serving("127.0.0.1", port, {"/health": page}))
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.02)
            writer.close()
            await writer.wait_closed()
        yield
    finally:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def test_a_page_has_its_status_type_and_body() -> None:
    async def page() -> web.Page:
        return web.Page(503, "application/json", b'{"a": 1}\n')

    port = free_port()
    async with pages(port, page):
        assert await get(port, "/health") == (503, "application/json", '{"a": 1}\n')
        assert await get(port, "/health?verbose=1") == (503, "application/json", '{"a": 1}\n')
        assert (await get(port, "/"))[0] == 404


async def test_a_port_that_another_has_is_taken_when_it_is_free() -> None:
    """The service gates calls without it meanwhile; who takes over from another process comes to its turn."""

    async def page() -> web.Page:
        return web.Page(200, "text/plain", b"well")

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        serving = asyncio.create_task(web.keep_serving("127.0.0.1", port, {"/health": page}))
        await asyncio.sleep(0.1)
        assert not serving.done()
    serving.cancel()
    async with pages(port, page):
        assert (await get(port, "/health"))[2] == "well"


async def test_who_says_nothing_or_nonsense_is_hung_up_on() -> None:
    async def page() -> web.Page:
        return web.Page(200, "text/plain", b"well")

    port = free_port()
    async with pages(port, page), asyncio.timeout(web.REQUEST_WITHIN_S + 5):
        for nonsense in (b"", b"\x16\x03\x01\r\n\r\n", b"GET " + b"x" * 20_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            assert b"well" not in await reader.read()
            writer.close()
            await writer.wait_closed()
        assert (await get(port, "/health"))[0] == 200
