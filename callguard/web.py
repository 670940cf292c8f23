"""`/health` and `/metrics` over plain HTTP: a GET, an answer, the end of the connection.

websockets, which speaks ARI, answers plain requests as well (its `process_request`, documented for health checks).
"""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

log = structlog.get_logger()

REQUEST_WITHIN_S = 2.0
TRY_AGAIN_S = 2.0
MOST_CONNECTIONS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers."""

    status: int
    kind: str
    body: bytes


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


async def keep_serving(host: str, port: int, pages: Pages) -> None:
    """Answer until cancelled. An address that another program has is tried again: calls are gated without it."""
    said = False
    while True:
        try:
            server = await _serve(host, port, pages)
        except OSError as error:
            if not said:
                log.error(
                    "health and metrics cannot be had, trying again: the address is not free",
                    address=f"{host}:{port}", problem=error.strerror,
                )  # fmt: skip
            said = True
            await asyncio.sleep(TRY_AGAIN_S)
            continue
        async with server:
            await asyncio.get_running_loop().create_future()


async def _serve(host: str, port: int, pages: Pages) -> Server:
    # What strangers send to the port is nobody's error.
    quiet = logging.getLogger("callguard.web")
    quiet.setLevel(logging.CRITICAL)
    answering = 0

    async def answer(connection: ServerConnection, request: Request) -> Response:
        nonlocal answering
        page = pages.get(request.path.partition("?")[0])
        if page is None or answering >= MOST_CONNECTIONS:
            return connection.respond(*_TOO_MANY if page else _NOT_FOUND)
        answering += 1
        try:
            content = await page()
        finally:
            answering -= 1
        response = connection.respond(http.HTTPStatus(content.status), "")
        for name, value in (("Content-Type", content.kind), ("Content-Length", str(len(content.body)))):
            del response.headers[name]
            response.headers[name] = value
        response.headers["Cache-Control"] = "no-store"
        response.body = content.body
        return response

    async def nobody(_: ServerConnection) -> None:
        """No request becomes a WebSocket."""

    return await serve(
        nobody, host, port, process_request=answer, open_timeout=REQUEST_WITHIN_S, compression=None,
        ping_interval=None, server_header=None, logger=quiet,
    )  # fmt: skip


_NOT_FOUND = (http.HTTPStatus.NOT_FOUND, "There are /health and /metrics.\n")
_TOO_MANY = (http.HTTPStatus.SERVICE_UNAVAILABLE, "Too many at once.\n")
