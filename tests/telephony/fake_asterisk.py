"""A peer that speaks ARI on a real socket and misbehaves on request: for faults that Asterisk can't be made to show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

CHANNEL = "pbx-1.1"


class FakeAsterisk:
    """One channel in one application. Playbacks end at once unless a switch says otherwise.

    Attributes:
        orders: every request as (method, uri, query), in order.
        refuse: part of a uri, or of the extension to continue at -> status to answer with.
        endless: playbacks start and never end.
        keys: media suffix -> digits that are pressed when it is first played.
        turn_keys: the lease whose renewal they fall into, and digits that are pressed then.
        key_ms: how long each key is held; it is let go of 10 ms into the playback.
        lengths: media suffix -> how long it plays, by Asterisk's clock; 3,000 ms else.
    """

    def __init__(self) -> None:
        self.orders: list[tuple[str, str, dict[str, str]]] = []
        self.ordered = asyncio.Condition()
        self.refuse: dict[str, int] = {}
        self.endless = False
        self.keys: dict[str, str] = {}
        self.turn_keys = ("", "")
        self.key_ms = 5
        self.lengths: dict[str, int] = {}
        self.clock_ms = 1_795_312_753_000
        self.connection: ServerConnection | None = None
        self.connected = asyncio.Event()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    def result(self) -> str | None:
        """The extension for which the channel was left at last, if it was."""
        left = [query["extension"] for _, uri, query in self.orders if uri.endswith("/continue")]
        return left[-1] if left and left[-1].startswith("done") else None

    async def tell(self, kind: str, **fields: Any) -> None:
        stamp = datetime.fromtimestamp(self.clock_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        await self.say(json.dumps({"type": kind, "timestamp": stamp, **fields}))

    async def say(self, text: str) -> None:
        assert self.connection is not None
        await self.connection.send(text)

    async def starts(self, *args: str, channel: str = CHANNEL) -> None:
        await self.tell("StasisStart", channel=_channel(channel), args=list(args))

    async def _handle(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.connected.set()
        try:
            async for text in connection:
                await self._request(json.loads(text))
        except ConnectionClosed:
            pass

    async def _request(self, request: dict[str, Any]) -> None:
        query = {pair["name"]: pair["value"] for pair in request.get("query_strings", [])}
        uri = request["uri"]
        async with self.ordered:
            self.orders.append((request["method"], uri, query))
            self.ordered.notify_all()
        what = f"{uri} {query.get('extension')}"
        status = next((status for part, status in self.refuse.items() if part in what), 204)
        await self.tell("RESTResponse", request_id=request["request_id"], status_code=status, reason_phrase="", uri=uri)
        if status >= 400:
            return
        if "/play/" in uri:
            await self._play(uri.rpartition("/")[2], query["media"])
        if uri.endswith("/continue"):
            await self.tell("StasisEnd", channel=_channel(CHANNEL))
            if query["extension"].startswith("lease-"):
                lease, digits = self.turn_keys
                for digit in digits if query["extension"].startswith(f"{lease}-") else "":
                    self.clock_ms += 10
                    await self.tell("ChannelDtmfReceived", channel=_channel(CHANNEL), digit=digit, duration_ms=5)
                await self.starts("inbound", "p", "pbx-1.0")

    async def _play(self, playback: str, media: str) -> None:
        part = media.rpartition("/")[2]
        state = {"id": playback, "target_uri": f"channel:{CHANNEL}", "state": "done"}
        await self.tell("PlaybackStarted", playback=state)
        for digit in self.keys.pop(part, ""):
            self.clock_ms += 10
            await self.tell("ChannelDtmfReceived", channel=_channel(CHANNEL), digit=digit, duration_ms=self.key_ms)
        if not self.endless:
            self.clock_ms += self.lengths.get(part, 3_000)
            await self.tell("PlaybackFinished", playback=state)


@asynccontextmanager
async def fake_asterisk() -> AsyncIterator[FakeAsterisk]:
    fake = FakeAsterisk()
    async with serve(fake._handle, "127.0.0.1", 0, subprotocols=[Subprotocol("ari")]) as server:
        fake._server = server
        yield fake


def _channel(channel_id: str) -> dict[str, Any]:
    return {"id": channel_id, "caller": {"name": "", "number": ""}}
