"""ARI on the wire: JSON to events and requests to JSON. Pure.

Typed after Asterisk's own resource description (``/usr/share/asterisk/rest-api/*.json``); a test holds every
operation and every field named here against it. Requests travel over the event WebSocket (RESTRequest and
RESTResponse, https://docs.asterisk.org/Configuration/Interfaces/Asterisk-REST-Interface-ARI/ARI-REST-over-WebSocket).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the resource description; `path` and `query` are as it names them."""

    resource: str
    nickname: str
    method: str
    path: str
    query: frozenset[str] = frozenset()


ANSWER = Operation("channels", "answer", "POST", "channels/{channelId}/answer")
CONTINUE = Operation(
    "channels", "continueInDialplan", "POST", "channels/{channelId}/continue",
    frozenset({"context", "extension", "priority", "label"}),
)  # fmt: skip
GET_VARIABLE = Operation(
    "channels", "getChannelVar", "GET", "channels/{channelId}/variable", frozenset({"variable"})
)  # fmt: skip
GET_CHANNEL = Operation("channels", "get", "GET", "channels/{channelId}")
PLAY = Operation(
    "channels", "playWithId", "POST", "channels/{channelId}/play/{playbackId}", frozenset({"media"})
)  # fmt: skip
SET_GLOBAL = Operation(
    "asterisk", "setGlobalVar", "POST", "asterisk/variable", frozenset({"variable", "value"})
)  # fmt: skip
GET_GLOBAL = Operation("asterisk", "getGlobalVar", "GET", "asterisk/variable", frozenset({"variable"}))
HANG_UP = Operation("channels", "hangup", "DELETE", "channels/{channelId}")
STOP_PLAYBACK = Operation("playbacks", "stop", "DELETE", "playbacks/{playbackId}")
CLAIM = Operation("events", "claimChannel", "POST", "events/claim", frozenset({"channelId", "application"}))
LIST_APPLICATIONS = Operation("applications", "list", "GET", "applications")
GET_APPLICATION = Operation("applications", "get", "GET", "applications/{applicationName}")
SUBSCRIBE = Operation(
    "applications", "subscribe", "POST", "applications/{applicationName}/subscription", frozenset({"eventSource"})
)
UNSUBSCRIBE = Operation(
    "applications", "unsubscribe", "DELETE", "applications/{applicationName}/subscription", frozenset({"eventSource"})
)
FILTER_EVENTS = Operation("applications", "filter", "PUT", "applications/{applicationName}/eventFilter")

OPERATIONS = (
    ANSWER, CONTINUE, GET_VARIABLE, GET_CHANNEL, PLAY, SET_GLOBAL, GET_GLOBAL,
    HANG_UP, STOP_PLAYBACK, CLAIM, LIST_APPLICATIONS, GET_APPLICATION, SUBSCRIBE, UNSUBSCRIBE, FILTER_EVENTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallBroadcast:
    """A call that any gate may claim."""

    channel: str


@dataclass(frozen=True, slots=True)
class StasisStart:
    """A channel is ours. `at` is Asterisk's clock, in milliseconds since the epoch, here and below."""

    channel: str
    at: int
    args: tuple[str, ...]
    caller: str


@dataclass(frozen=True, slots=True)
class StasisEnd:
    """A channel is no longer ours: it went on, or it ended."""

    channel: str
    at: int


@dataclass(frozen=True, slots=True)
class HangupRequested:
    """The person, or Asterisk, is hanging up."""

    channel: str
    at: int


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    channel: str
    at: int
    playback: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """`failed` is Asterisk's word for it; a playback that was stopped reports no failure."""

    channel: str
    at: int
    playback: str
    failed: bool


@dataclass(frozen=True, slots=True)
class KeyReceived:
    """A key has been let go of, `duration_ms` after it went down."""

    channel: str
    at: int
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class BridgeMembers:
    """Who is in a bridge, after a channel has come or gone; of any bridge, the dialplan's included.

    Attributes:
        kind: ``mixing`` or ``holding``.
        members: ids of the channels in it.
        channel, name: who came or went.
        entered: whether they came.
    """

    bridge: str
    at: int
    kind: str
    members: tuple[str, ...]
    channel: str
    name: str
    entered: bool


@dataclass(frozen=True, slots=True)
class Transferred:
    """An attended transfer is done: `channel` is whoever was transferred, wherever they are now."""

    at: int
    channel: str


@dataclass(frozen=True, slots=True)
class ApplicationReplaced:
    """Another connection took the application over; this one hears nothing more."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request, found by its id."""

    request: int
    status: int
    reason: str
    body: str


ChannelEvent = StasisStart | StasisEnd | HangupRequested | PlaybackStarted | PlaybackFinished | KeyReceived
Event = ChannelEvent | CallBroadcast | BridgeMembers | Transferred
Message = Event | ApplicationReplaced | Response

# The types we know, by Asterisk's names: FILTER_EVENTS has Asterisk send no other, and decoding drops the rest.
# (To the filter a RESTResponse is an event too: left out, every answer is lost, that of the filter itself first.)
EVENT_TYPES = (
    "CallBroadcast", "StasisStart", "StasisEnd", "ChannelHangupRequest", "PlaybackStarted", "PlaybackFinished",
    "ChannelDtmfReceived", "ChannelEnteredBridge", "ChannelLeftBridge", "BridgeAttendedTransfer", "ApplicationReplaced",
    "RESTResponse",
)  # fmt: skip


# More than any time or status, and what every reader of JSON still tells apart.
MOST = 2**53


class Malformed(Exception):
    """A message that is not what the description says; the text names what is wrong, never its content."""


def decode(text: str | bytes) -> Message | None:
    """The message, or None for a type that the gate does not know.

    Raises:
        Malformed: not JSON, not an object, or a known type with a field missing or of the wrong type.
    """
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON (column {error.colno})") from error
    if not isinstance(data, dict):
        raise Malformed("not a JSON object")
    kind = data.get("type")
    try:
        return _decode(kind, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Its texts name fields and types, and quote nothing: they go into the log.
        raise Malformed(f"{kind}: {type(error).__name__} {error}") from error


def _decode(kind: Any, data: dict[str, Any]) -> Message | None:
    match kind:
        case "RESTResponse":
            return Response(
                _number(data["request_id"]), _whole(data["status_code"]), _text(data.get("reason_phrase", "")),
                _text(data.get("message_body", "")),
            )  # fmt: skip
        case "PlaybackStarted":
            playback = data["playback"]
            return PlaybackStarted(_target(playback), _at(data), _text(playback["id"]))
        case "PlaybackFinished":
            playback = data["playback"]
            failed = playback["state"] != "done"
            return PlaybackFinished(_target(playback), _at(data), _text(playback["id"]), failed)
        case "ChannelDtmfReceived":
            return KeyReceived(_channel(data), _at(data), _text(data["digit"]), _whole(data["duration_ms"]))
        case "CallBroadcast":
            return CallBroadcast(_channel(data))
        case "StasisStart":
            args = data["args"]
            if not isinstance(args, list):
                raise TypeError("expected a list")
            caller = _text(data["channel"]["caller"]["number"])
            return StasisStart(_channel(data), _at(data), tuple(_text(arg) for arg in args), caller)
        case "StasisEnd":
            return StasisEnd(_channel(data), _at(data))
        case "ChannelHangupRequest":
            return HangupRequested(_channel(data), _at(data))
        case "ChannelEnteredBridge" | "ChannelLeftBridge":
            # Malformed where there is no channel: the description does not insist on one.
            channel = data["channel"]
            bridge = data["bridge"]
            members = tuple(_text(member) for member in bridge["channels"])
            return BridgeMembers(
                _text(bridge["id"]), _at(data), _text(bridge["bridge_type"]), members,
                _text(channel["id"]), _text(channel["name"]), kind == "ChannelEnteredBridge",
            )  # fmt: skip
        case "BridgeAttendedTransfer":
            # Of several at once Asterisk names none: they are transferred as a bridge, and each change of that is told.
            return Transferred(_at(data), _text(data["transferee"]["id"])) if "transferee" in data else None
        case "ApplicationReplaced":
            return ApplicationReplaced()
        case _:
            return None


def request(
    number: int,
    operation: Operation,
    path: Mapping[str, str],
    query: Mapping[str, str] | None = None,
    body: object = None,
) -> bytes:
    """A request, as JSON. Values in the path are percent-encoded; Asterisk's ids may hold slashes and semicolons."""
    uri = operation.path
    for name, value in path.items():
        uri = uri.replace("{" + name + "}", quote(value, safe=""))
    message: dict[str, object] = {
        "type": "RESTRequest",
        "transaction_id": str(number),
        "request_id": str(number),
        "method": operation.method,
        "uri": uri,
    }
    if query:
        message["query_strings"] = [{"name": name, "value": value} for name, value in query.items()]
    if body is not None:
        message["content_type"] = "application/json"
        message["message_body"] = orjson.dumps(body).decode()
    return orjson.dumps(message)


def event_filter() -> object:
    """The body for FILTER_EVENTS: one bridged call makes dozens of events that the gate has no use for."""
    return {"allowed": [{"type": kind} for kind in EVENT_TYPES]}


def _channel(data: dict[str, Any]) -> str:
    return _text(data["channel"]["id"])


def _target(playback: dict[str, Any]) -> str:
    kind, _, channel = _text(playback["target_uri"]).partition(":")
    if kind != "channel":
        raise ValueError("target_uri is no channel")
    return channel


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _whole(value: Any) -> int:
    """No time and no status is negative: a key that was let go of before it went down would pass for a later one."""
    if type(value) is not int or not 0 <= value < MOST:
        raise TypeError("expected a whole number")
    return value


def _number(text: Any) -> int:
    """Of a request: ours are short, and written in text."""
    if not isinstance(text, str) or not text.isdecimal() or len(text) > len(str(MOST)):
        raise TypeError("expected a request's number")
    return int(text)


def _at(data: dict[str, Any]) -> int:
    """Milliseconds since the epoch from ARI's ``2026-11-22T01:59:13.451+0000``."""
    try:
        at = datetime.fromisoformat(data["timestamp"])
    except ValueError:
        raise ValueError("timestamp is no time") from None
    if at.tzinfo is None:
        raise ValueError("timestamp has no offset")
    return round(at.timestamp() * 1000)
