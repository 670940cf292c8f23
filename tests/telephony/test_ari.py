"""The ARI client against a peer that stands still for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from callguard.errors import Disconnected, Replaced
from callguard.telephony import ari, ari_socket
from callguard.telephony.ari import Client

from .fake_asterisk import fake_asterisk


async def events(client: Client) -> None:
    async for _ in client:
        pass


async def test_who_is_replaced_by_another_is_told_so() -> None:
    async with fake_asterisk() as fake, asyncio.timeout(5), ari.connected(fake.url, "u", "s", "callguard") as client:
        await fake.connected.wait()
        await fake.tell("ApplicationReplaced")
        with pytest.raises(Replaced):
            await events(client)


async def test_an_attempt_of_our_own_that_comes_through_late_is_no_other_callguard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asterisk stands still: an attempt is given up, the next one succeeds, and then the first is answered too."""
    monkeypatch.setattr(ari_socket, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(ari, "BACKOFF_MOST_S", 0.01)
    writers: list[asyncio.StreamWriter] = []
    deaf = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port = deaf.sockets[0].getsockname()[1]
    async with asyncio.timeout(5), fake_asterisk() as fake:
        seen: list[str] = []
        url = f"http://127.0.0.1:{port}"
        connect = ari_socket.connect
        tries = 0

        async def first_deaf(to: str, path: str, headers: Mapping[str, str]) -> ari_socket.Socket:
            nonlocal tries
            tries += 1
            return await connect(url if tries == 1 else fake.url, path, headers)

        monkeypatch.setattr(ari, "connect", first_deaf)
        async for client in ari.connections(url, "u", "s", "callguard"):
            fake.connected.clear()
            while fake.connection is None:
                await asyncio.sleep(0)
            await fake.tell("ApplicationReplaced")
            try:
                await events(client)
            except Disconnected as error:
                seen.append(type(error).__name__)
                fake.connection = None
            if "Replaced" in seen:
                break
    deaf.close()
    for writer in writers:
        writer.transport.abort()
    assert seen == ["Disconnected", "Replaced"]
