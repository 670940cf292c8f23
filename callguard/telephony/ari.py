"""A thin ARI client over websockets: one connection carries events and requests.

It keeps ari-py's resource model (`client.channels.get(id).play(…)`), with the operations' own names. An order is sent
and not waited for; Asterisk carries out a connection's requests one after another, so what is ordered in sequence
happens in sequence. A refusal comes back to whoever ordered, by the request's id; an answer nobody waits for is stale.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from websockets.exceptions import InvalidStatus, WebSocketException

from callguard.errors import Disconnected, Refused, Replaced
from callguard.telephony import ari_wire as wire
from callguard.telephony.ari_socket import Socket, connect

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 2.0
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.1, 5.0

OnRefused = Callable[[Refused], None]


class Client:
    """One connection to Asterisk. Iterate over it for events; whoever iterates also feeds the answers.

    Attributes:
        given_up: attempts to connect that had no answer in time. An Asterisk that stood still answers them later, and
            each then takes the application over from this connection, once.
    """

    def __init__(self, socket: Socket, app: str) -> None:
        self.app = app
        self.given_up = 0
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[wire.Response] | OnRefused] = {}
        self.channels = Channels(self)
        self.playbacks = Playbacks(self)
        self.applications = Applications(self)
        self.asterisk = Asterisk(self)
        self.events = Events(self)

    async def __aiter__(self) -> AsyncIterator[wire.Event]:
        """Events until the connection ends, or another takes the application over.

        Raises:
            Disconnected: always, at the end.
        """
        try:
            while True:
                for text in await self._socket.receive():
                    try:
                        message = wire.decode(text)
                    except wire.Malformed as error:
                        log.warning("ARI message dropped", problem=str(error))
                        continue
                    if isinstance(message, wire.Response):
                        self._respond(message)
                    elif isinstance(message, wire.ApplicationReplaced) and self.given_up:
                        self.given_up -= 1
                        raise Disconnected("an attempt of ours that was given up came through after all")
                    elif isinstance(message, wire.ApplicationReplaced):
                        raise Replaced(
                            f"another callguard has taken over the application {self.app}: one may run for each"
                        )
                    elif message is not None:
                        yield message
        finally:
            waiting, self._waiting = self._waiting, {}
            for waiter in waiting.values():
                if isinstance(waiter, asyncio.Future) and not waiter.done():
                    waiter.set_exception(Disconnected("the ARI connection ended before the answer"))

    async def order(
        self,
        operation: wire.Operation,
        path: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        *,
        on_refused: OnRefused | None = None,
    ) -> None:
        """Send a request and do not wait.

        Raises:
            Disconnected: it could not be sent.
        """
        number = next(self._numbers)
        if on_refused is not None:
            self._waiting[number] = on_refused
        self._socket.send(wire.request(number, operation, path, query))

    async def ask(
        self,
        operation: wire.Operation,
        path: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:
        """Send a request and wait for what it returns, decoded.

        Raises:
            Refused: Asterisk said no.
            Disconnected: no answer came within `ANSWER_TIMEOUT_S`, or one that is not JSON.
        """
        number = next(self._numbers)
        waiter = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._socket.send(wire.request(number, operation, path, query, body))
                response = await waiter
        except TimeoutError as error:
            raise Disconnected(f"no answer to {operation.nickname} within {ANSWER_TIMEOUT_S} s") from error
        finally:
            self._waiting.pop(number, None)
        if response.status >= 400:
            raise Refused(response.status, response.reason)
        try:
            return orjson.loads(response.body) if response.body else None
        except orjson.JSONDecodeError as error:
            raise _not_as_described(operation) from error

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Meanwhile each answer is read as it comes: of what is asked one by one, each would rest."""
        self._socket.hurries = True
        try:
            yield
        finally:
            self._socket.hurries = False

    async def read_now(self) -> None:
        """Have whoever iterates get what has come already."""
        await self._socket.read_now()

    async def close(self) -> None:
        await self._socket.close()

    def _respond(self, response: wire.Response) -> None:
        waiter = self._waiting.pop(response.request, None)
        if isinstance(waiter, asyncio.Future):
            if not waiter.done():
                waiter.set_result(response)
        elif waiter is not None and response.status >= 400:
            waiter(Refused(response.status, response.reason))


class Channels:
    """The channels resource."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, channel_id: str, on_refused: OnRefused | None = None) -> Channel:
        """A handle on a channel; nothing is asked of Asterisk. Its orders' refusals go to `on_refused`."""
        return Channel(self._client, channel_id, on_refused)


class Channel:
    """One channel.

    There is no way to set its variables here: after ARI has set one, Asterisk 22 refuses functions that it calls
    dangerous (DB, SHELL, FILE …) to the channel's own dialplan, an administrator's included.
    """

    __slots__ = ("_client", "_on_refused", "_path", "id")

    def __init__(self, client: Client, channel_id: str, on_refused: OnRefused | None) -> None:
        self.id = channel_id
        self._client = client
        self._path = {"channelId": channel_id}
        self._on_refused = on_refused

    async def answer(self) -> None:
        await self._order(wire.ANSWER)

    async def play(self, media: str, playback_id: str) -> None:
        """Play one file: an absolute path without extension."""
        path = {**self._path, "playbackId": playback_id}
        await self._client.order(wire.PLAY, path, {"media": f"sound:{media}"}, on_refused=self._on_refused)

    async def get_variable(self, variable: str) -> str:
        """Raises: Refused (no such channel), Disconnected."""
        answer = await self._client.ask(wire.GET_VARIABLE, self._path, {"variable": variable})
        return _text(wire.GET_VARIABLE, answer, "value")

    async def running(self) -> str:
        """The dialplan application that it is in. Raises: Refused (no such channel), Disconnected."""
        answer = await self._client.ask(wire.GET_CHANNEL, self._path)
        return _text(wire.GET_CHANNEL, answer, "dialplan", "app_name")

    async def hang_up(self) -> None:
        await self._order(wire.HANG_UP)

    async def leave(self, extension: str) -> None:
        """Order the channel back into the dialplan, to the first priority of an extension of its context."""
        await self._order(wire.CONTINUE, {"extension": extension, "priority": "1"})

    async def leave_and_wait(self, extension: str) -> None:
        """As `leave`. Raises: Refused (409: the channel is not in Stasis any more), Disconnected."""
        await self._client.ask(wire.CONTINUE, self._path, {"extension": extension, "priority": "1"})

    async def _order(self, operation: wire.Operation, query: Mapping[str, str] | None = None) -> None:
        await self._client.order(operation, self._path, query, on_refused=self._on_refused)


class Playbacks:
    """The playbacks resource."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def stop(self, playback_id: str) -> None:
        """A playback that has just ended is refused, and that is as good as stopped."""
        await self._client.order(wire.STOP_PLAYBACK, {"playbackId": playback_id})


class Events:
    """The events resource."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def claim(self, channel_id: str) -> None:
        """Claim a broadcast call for our application. Losing it to another gate (409), or late (404), is no error."""
        await self._client.order(wire.CLAIM, {}, {"channelId": channel_id, "application": self._client.app})


class Asterisk:
    """The asterisk resource."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def set_global(self, variable: str, value: str) -> None:
        """Raises: Refused, Disconnected."""
        await self._client.ask(wire.SET_GLOBAL, {}, {"variable": variable, "value": value})

    async def forget_global(self, variable: str) -> None:
        """Remove a global; one that is not there is as good. Raises: Refused, Disconnected."""
        # Without a value there is none, where an empty one would stay in the list for good.
        await self._client.ask(wire.SET_GLOBAL, {}, {"variable": variable})

    async def get_global(self, variable: str) -> str:
        """Empty for one that is not set. Raises: Disconnected."""
        try:
            answer = await self._client.ask(wire.GET_GLOBAL, {}, {"variable": variable})
        except Refused:
            return ""
        return _text(wire.GET_GLOBAL, answer, "value")


class Applications:
    """The applications resource."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._path = {"applicationName": client.app}

    async def channel_ids(self) -> list[str]:
        """The channels that are in our application now."""
        application = await self._client.ask(wire.GET_APPLICATION, self._path)
        ids = _list(wire.GET_APPLICATION, application, "channel_ids")
        return [_text(wire.GET_APPLICATION, channel) for channel in ids]

    async def others(self) -> list[str]:
        """The other gates that are connected."""
        applications = await self._client.ask(wire.LIST_APPLICATIONS, {})
        of = wire.LIST_APPLICATIONS
        names = [_text(of, application, "name") for application in _list(of, applications)]
        return [name for name in names if name.startswith("callguard") and name != self._client.app]

    async def watch(self, channel_id: str) -> None:
        """Have Asterisk tell of a channel that is not in our application. Raises: Refused, where there is none."""
        await self._client.ask(wire.SUBSCRIBE, self._path, {"eventSource": f"channel:{channel_id}"})

    async def unwatch(self, channel_id: str) -> None:
        """One that is gone is refused, and that is as good."""
        await self._client.order(wire.UNSUBSCRIBE, self._path, {"eventSource": f"channel:{channel_id}"})

    async def watch_bridges(self) -> None:
        """Have Asterisk tell who comes into and leaves any bridge. Raises: Refused, Disconnected."""
        await self._client.ask(wire.SUBSCRIBE, self._path, {"eventSource": "bridge:"})

    async def filter(self) -> None:
        """Have Asterisk send only the events that we know."""
        await self._client.ask(wire.FILTER_EVENTS, self._path, body=wire.event_filter())


def _text(operation: wire.Operation, answer: Any, *names: str) -> str:
    """A text in what was answered. Raises: Disconnected, where there is none: such a connection is worth nothing."""
    found = _field(operation, answer, names)
    if not isinstance(found, str):
        raise _not_as_described(operation)
    return found


def _list(operation: wire.Operation, answer: Any, *names: str) -> list[Any]:
    """A list in what was answered. Raises: Disconnected, where there is none."""
    found = _field(operation, answer, names)
    if not isinstance(found, list):
        raise _not_as_described(operation)
    return found


def _field(operation: wire.Operation, answer: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if not isinstance(answer, dict) or name not in answer:
            raise _not_as_described(operation)
        answer = answer[name]
    return answer


def _not_as_described(operation: wire.Operation) -> Disconnected:
    return Disconnected(f"what ARI answered to {operation.nickname} is not as described")


@asynccontextmanager
async def connected(url: str, user: str, secret: str, app: str) -> AsyncIterator[Client]:
    """A connection, registered as `app`.

    Raises:
        Disconnected: Asterisk does not answer, or does not let us in; the text says which.
    """
    credentials = base64.b64encode(f"{user}:{secret}".encode()).decode()
    path = f"/ari/events?app={quote(app)}&subscribeAll=false"
    try:
        socket = await connect(url, path, {"Authorization": f"Basic {credentials}"})
    except InvalidStatus as error:
        status = error.response.status_code
        hint = "check ari_user and its secret" if status == 401 else "is ARI enabled in Asterisk (http.conf, ari.conf)?"
        raise Disconnected(f"ARI answered {status}: {hint}") from error
    except (OSError, TimeoutError, WebSocketException) as error:
        raise Disconnected(f"no ARI at {url}: {error}") from error
    try:
        yield Client(socket, app)
    finally:
        await socket.close()


async def connections(url: str, user: str, secret: str, app: str) -> AsyncIterator[Client]:
    """Connections, one after another, for as long as the caller iterates; between them an increasing wait."""
    wait, given_up = BACKOFF_FIRST_S, 0
    while True:
        try:
            async with connected(url, user, secret, app) as client:
                wait = BACKOFF_FIRST_S
                client.given_up = given_up
                yield client
                given_up = client.given_up
        except Disconnected as error:
            given_up += isinstance(error.__cause__, TimeoutError)
            log.warning("no connection to ARI, trying again", problem=str(error), wait_s=wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, BACKOFF_MOST_S)
