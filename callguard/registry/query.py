"""A registry that is asked about one number at a time, while somebody waits to dial.

`Asks` is what such a registry is here; `HttpAsks` is the one that there is. Lista Robinson's own interface is not
public (it is encrypted, and comes with a contract): what speaks it stands between, and answers as said below.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from callguard.config import secret_in
from callguard.dial_sections import QuerySettings
from callguard.errors import CallguardError

if TYPE_CHECKING:
    from httpx import AsyncClient

LONGEST_ANSWER = 16 << 10
MOST_KEPT = 100_000


class UnansweredError(CallguardError):
    """A registry gave no answer that can be used. The message never has the number in it."""


class Asks(Protocol):
    """A registry that can be asked."""

    async def ready(self) -> None:
        """Be prepared to ask; what that takes is no part of the time limit. Raises: InputError."""
        ...

    async def listed(self, number: str) -> bool:
        """Whether it lists a number in E.164, plus included. Raises: UnansweredError."""
        ...

    async def close(self) -> None: ...


class HttpAsks:
    """Asks by a POST of JSON, ``{"number": "+34…"}`` or ``{"sha256": "…"}`` (of the same text, in hex).

    Only 200 with ``{"listed": true}`` or ``false`` (more may be in it) is an answer; a redirection is none.
    """

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._preparing = asyncio.Lock()

    async def ready(self) -> None:
        async with self._preparing:
            if self._client is None:
                self._client = await asyncio.to_thread(self._made)

    async def listed(self, number: str) -> bool:
        import httpx
        import orjson

        if self._client is None:
            raise UnansweredError("it is not ready to be asked")
        sent = {"number": number}
        if self._settings.number == "sha256":
            sent = {"sha256": hashlib.sha256(number.encode()).hexdigest()}
        try:
            async with self._client.stream("POST", self._settings.url, json=sent) as response:
                if response.status_code != httpx.codes.OK:
                    raise UnansweredError(f"it answers {response.status_code}")
                body = b""
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > LONGEST_ANSWER:
                        raise UnansweredError("its answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnansweredError(f"it cannot be asked ({type(error).__name__})") from error
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UnansweredError("its answer is no JSON") from error
        listed = answer.get("listed") if isinstance(answer, dict) else None
        if not isinstance(listed, bool):
            raise UnansweredError('its answer has no "listed" that is true or false')
        return listed

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _made(self) -> AsyncClient:
        """Beside the event loop: the library is loaded, and the certificates that this machine trusts."""
        import ssl

        import httpx

        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._settings.secret_file is not None:
            headers["Authorization"] = f"Bearer {secret_in(self._settings.secret_file, 'query.secret_file')}"
        # It goes where the configuration says, whatever proxies the environment names.
        # Its own limit is for each step; the whole has one too.
        timeout = self._settings.within_ms / 1000
        return httpx.AsyncClient(
            headers=headers, verify=ssl.create_default_context(), trust_env=False, follow_redirects=False,
            timeout=timeout,
        )  # fmt: skip


class Query:
    """Asks a registry within its time limit, and keeps its answers for as long as the configuration allows.

    Args:
        told: why it does not answer; once until it answers again.
        asks: the registry; by default as the settings say.
    """

    def __init__(
        self, name: str, settings: QuerySettings, told: Callable[[str], None], asks: Asks | None = None
    ) -> None:
        self.settings = settings
        self._name = name
        self._told = told
        self._asks = HttpAsks(settings) if asks is None else asks
        self._silent = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._kept: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def ready(self) -> None:
        """Prepare ahead of the first question; what is wrong is told when that comes."""
        with suppress(CallguardError):
            await self._asks.ready()

    async def listed(self, number: str) -> bool | None:
        """Whether it lists a number in E.164; None where it has not said so in time."""
        until, listed = self._kept.get(number, (0.0, False))
        if time.monotonic() < until:
            return listed
        self._under_way += 1
        self._idle.clear()
        try:
            await self._asks.ready()
            async with asyncio.timeout(self.settings.within_ms / 1000):
                listed = await self._asks.listed(number)
        except (CallguardError, TimeoutError) as error:
            if not self._silent:
                why = str(error) or f"no answer within {self.settings.within_ms} ms"
                self._told(f"registry {self._name} does not answer, and calls that it is asked about are denied: {why}")
            self._silent = True
            return None
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        self._silent = False
        if self.settings.cache_s:
            self._kept[number] = time.monotonic() + self.settings.cache_s, listed
            self._kept.move_to_end(number)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return listed

    async def close(self) -> None:
        """Once those who ask have their answer: that is within the time limit."""
        await self._idle.wait()
        await self._asks.close()
