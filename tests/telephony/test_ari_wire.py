"""ARI's wire format, held against Asterisk's own resource description."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.demo.tree import Tree
from callguard.telephony import ari_wire as wire

CHANNEL = {"id": "pbx-1.1", "name": "PJSIP/outside-1", "caller": {"name": "x", "number": "+34912345678"}}
AT = "2026-11-22T01:59:13.451+0000"
AT_MS = 1_795_312_753_451
PLAYBACK = {"id": "p", "target_uri": "channel:pbx-1.1", "state": "done"}

# One message of each type, as short as the description allows, and what it decodes to.
BRIDGE = {"id": "b-1", "bridge_type": "mixing", "channels": ["pbx-1.1", "pbx-1.2"]}
MESSAGES: dict[str, tuple[dict[str, Any], wire.Message]] = {
    "ChannelEnteredBridge": (
        {"channel": CHANNEL, "bridge": BRIDGE},
        wire.BridgeMembers("b-1", AT_MS, "mixing", ("pbx-1.1", "pbx-1.2"), "pbx-1.1", "PJSIP/outside-1", True),
    ),
    "ChannelLeftBridge": (
        {"channel": CHANNEL, "bridge": BRIDGE},
        wire.BridgeMembers("b-1", AT_MS, "mixing", ("pbx-1.1", "pbx-1.2"), "pbx-1.1", "PJSIP/outside-1", False),
    ),
    "CallBroadcast": ({"channel": CHANNEL}, wire.CallBroadcast("pbx-1.1")),
    "StasisStart": (
        {"channel": CHANNEL, "args": ["inbound", "service"]},
        wire.StasisStart("pbx-1.1", AT_MS, ("inbound", "service"), "+34912345678"),
    ),
    "StasisEnd": ({"channel": CHANNEL}, wire.StasisEnd("pbx-1.1", AT_MS)),
    "ChannelHangupRequest": ({"channel": CHANNEL}, wire.HangupRequested("pbx-1.1", AT_MS)),
    "PlaybackStarted": ({"playback": PLAYBACK}, wire.PlaybackStarted("pbx-1.1", AT_MS, "p")),
    "PlaybackFinished": ({"playback": PLAYBACK}, wire.PlaybackFinished("pbx-1.1", AT_MS, "p", failed=False)),
    "ChannelDtmfReceived": (
        {"channel": CHANNEL, "digit": "1", "duration_ms": 120},
        wire.KeyReceived("pbx-1.1", AT_MS, "1", 120),
    ),
    "BridgeAttendedTransfer": ({"transferee": CHANNEL}, wire.Transferred(AT_MS, "pbx-1.1")),
    "ApplicationReplaced": ({}, wire.ApplicationReplaced()),
    "RESTResponse": (
        {"request_id": "7", "transaction_id": "7", "status_code": 409, "reason_phrase": "Conflict", "uri": "x"},
        wire.Response(7, 409, "Conflict", ""),
    ),
}


def encoded(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "timestamp": AT, "application": "callguard", **fields})


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_type_is_decoded(kind: str) -> None:
    fields, message = MESSAGES[kind]
    assert wire.decode(encoded(kind, fields)) == message


def test_every_type_that_asterisk_is_asked_for_is_decoded() -> None:
    assert set(MESSAGES) == set(wire.EVENT_TYPES)
    body = wire.event_filter()
    assert body == {"allowed": [{"type": kind} for kind in wire.EVENT_TYPES]}


def test_unknown_types_are_dropped() -> None:
    assert wire.decode(encoded("ChannelVarset", {"variable": "X", "value": "1"})) is None
    assert wire.decode('{"type": "SomethingOfAsterisk99"}') is None


def test_a_transfer_of_several_names_nobody() -> None:
    assert wire.decode(encoded("BridgeAttendedTransfer", {"transferer_first_leg": CHANNEL})) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "no", "[]", "1", '{"type": "StasisEnd"}',
        '{"type":"StasisEnd","timestamp":"x","channel":{"id":"c"}}',
        encoded("StasisStart", {"channel": {"id": 1}, "args": []}),
        encoded("StasisStart", {"channel": None}),
        encoded("PlaybackStarted", {"playback": {"id": "p", "target_uri": "bridge:1"}}),
        encoded("ChannelDtmfReceived", {"channel": CHANNEL, "digit": "1", "duration_ms": None}),
        encoded("ChannelDtmfReceived", {"channel": CHANNEL, "digit": "1", "duration_ms": -5}),
        encoded("ChannelDtmfReceived", {"channel": CHANNEL, "digit": "1", "duration_ms": 1e300}),
        encoded("StasisStart", {"channel": CHANNEL, "args": "inbound"}),
        encoded("RESTResponse", {"request_id": "7", "status_code": 200, "message_body": {"value": 1}}),
        encoded("RESTResponse", {"request_id": "9" * 5_000, "status_code": 200}),
        '{"type":"StasisEnd","timestamp":"2026-11-22T01:59:13","channel":{"id":"c"}}',
    ],
)  # fmt: skip
def test_what_is_not_as_described_is_malformed(text: str) -> None:
    with pytest.raises(wire.Malformed) as malformed:
        wire.decode(text)
    assert "\n" not in str(malformed.value)


@pytest.mark.parametrize("field", ["timestamp", "request_id"])
def test_what_is_malformed_is_not_quoted(field: str) -> None:
    kind = "RESTResponse" if field == "request_id" else "StasisEnd"
    with pytest.raises(wire.Malformed) as malformed:
        wire.decode(encoded(kind, {"channel": CHANNEL, "status_code": 200, field: "+34912345678"}))
    assert "345" not in str(malformed.value)


@given(st.text() | st.binary() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(orjson.dumps))
def test_nothing_but_malformed_is_raised(text: str | bytes) -> None:
    with suppress(wire.Malformed):
        wire.decode(text)


def test_hostile_values_stay_values() -> None:
    fields = {"channel": {"id": "a/b?x=1&y", "caller": {"number": '1" | "1\r\nX: y'}}, "args": ["${X}"]}
    message = wire.decode(encoded("StasisStart", fields))
    assert isinstance(message, wire.StasisStart)
    text = wire.request(
        7, wire.CONTINUE, {"channelId": message.channel}, {"extension": message.caller, "priority": "1"}
    )
    sent = json.loads(text)
    assert sent["uri"] == "channels/a%2Fb%3Fx%3D1%26y/continue"
    assert sent["query_strings"][0] == {"name": "extension", "value": '1" | "1\r\nX: y'}


# Asterisk's description


def description(tree: Tree, resource: str) -> dict[str, Any]:
    folder = tree.root / tree.data.relative_to("/") / "rest-api"
    read: dict[str, Any] = json.loads((folder / f"{resource}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("operation", wire.OPERATIONS, ids=lambda operation: operation.nickname)
def test_each_operation_is_asterisks(operation: wire.Operation, tree: Tree) -> None:
    described = [
        (api["path"].lstrip("/"), one)
        for api in description(tree, operation.resource)["apis"]
        for one in api["operations"]
        if one["nickname"] == operation.nickname
    ]
    assert len(described) == 1
    path, one = described[0]
    parameters = one.get("parameters", [])
    assert (operation.path, operation.method) == (path, one["httpMethod"])
    assert operation.query <= {p["name"] for p in parameters if p["paramType"] == "query"}
    required = {p["name"] for p in parameters if p["paramType"] == "query" and p.get("required")}
    assert required <= operation.query
    assert {p["name"] for p in parameters if p["paramType"] == "path"} == {
        part[1:-1] for part in operation.path.split("/") if part.startswith("{")
    }


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_event_is_asterisks(kind: str, tree: Tree) -> None:
    """Every field that decoding reads is described, and required unless it may be missing."""
    models = description(tree, "events")["models"] | description(tree, "channels")["models"]
    models |= description(tree, "playbacks")["models"] | description(tree, "bridges")["models"]
    _hold(models, kind, MESSAGES[kind][0])
    assert "timestamp" in models["Event"]["properties"]


def _hold(models: dict[str, Any], model: str, fields: dict[str, Any]) -> None:
    properties = models[model]["properties"]
    for name, value in fields.items():
        assert name in properties, f"{model}.{name} is not described"
        # Without a channel an event of a bridge is malformed to us, though the description lets it be; and a transfer
        # of several names none of them.
        optional = name in ("channel", "transferee") and "Bridge" in model
        assert optional or properties[name].get("required"), f"{model}.{name} may be missing"
        kind = properties[name]["type"]
        if isinstance(value, dict):
            _hold(models, kind, value)
        else:
            python = {"string": str, "int": int, "List[string]": list}[kind]
            assert isinstance(value, python)
