"""The doctor's reader of the manager interface, against a peer that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from callguard.doctor import manager
from callguard.errors import Disconnected, Refused

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
LOGGED_IN = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


@asynccontextmanager
async def peer(*answers: bytes, greeting: bytes = GREETING) -> AsyncIterator[int]:
    """A listener that greets, and gives one answer after another to what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_list_is_read_whole_with_other_events_around_it() -> None:
    listing = (
        b"Event: VarSet\r\nX: 1\r\n\r\nResponse: Success\r\nEventList: start\r\n\r\n"
        b"Event: ListDialplan\r\nContext: a\r\nAppData: x: y, z\r\n\r\n"
        b"Event: ListDialplan\r\nContext: b\r\n\r\n"
        b"Event: ShowDialPlanComplete\r\nEventList: Complete\r\nListItems: 2\r\n\r\n"
        b"Event: UserEvent\r\nUserEvent: Own\r\n\r\n"
    )
    async with (
        peer(LOGGED_IN, listing, b"Response: Success\r\nValue: 3\r\n\r\n") as port,
        manager.connected("127.0.0.1", port, "u", "s") as session,
    ):
        found = await session.list("ShowDialPlan")
        assert [manager.value(one, "Context") for one in found] == ["a", "b"]
        assert manager.value(found[0], "AppData") == "x: y, z"
        assert await session.variable("EPOCH") == "3"
        assert session.events == ["VarSet"]


async def test_an_empty_list_is_empty() -> None:
    empty = b"Response: Success\r\n\r\nEvent: EndpointListComplete\r\nEventList: Complete\r\nListItems: 0\r\n\r\n"
    async with peer(LOGGED_IN, empty) as port, manager.connected("127.0.0.1", port, "u", "s") as session:
        assert await session.list("PJSIPShowEndpoints") == []


async def test_a_list_that_breaks_off_is_no_list() -> None:
    half = b"Response: Success\r\n\r\nEvent: ListDialplan\r\nContext: a\r\n\r\n"
    async with peer(LOGGED_IN, half) as port, manager.connected("127.0.0.1", port, "u", "s") as session:
        with pytest.raises(Disconnected, match="broke off"):
            await session.list("ShowDialPlan")


async def test_a_login_that_is_refused_says_why() -> None:
    async with peer(b"Response: Error\r\nMessage: Authentication failed\r\n\r\n") as port:
        with pytest.raises(Refused, match="Login: Authentication failed"):
            async with manager.connected("127.0.0.1", port, "u", "s"):
                pass


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH\r\n", b""])
async def test_what_is_no_ami_is_said_to_be_none(greeting: bytes) -> None:
    async with peer(greeting=greeting) as port:
        with pytest.raises(Disconnected, match="no AMI"):
            async with manager.connected("127.0.0.1", port, "u", "s"):
                pass


@pytest.mark.parametrize("ask", [lambda s: s.ask("Getvar", Variable="a\r\nAction: x"), lambda s: s.list("A\nB")])
async def test_no_value_begins_a_line(ask: Callable[[manager.Manager], Awaitable[object]]) -> None:
    async with peer(LOGGED_IN) as port, manager.connected("127.0.0.1", port, "u", "s") as session:
        with pytest.raises(ValueError, match="one line"):
            await ask(session)
