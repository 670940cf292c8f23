"""What Asterisk 22.10 sends in one recorded call, by ARI, AMI and AGI, as it came over the wire: to be mutated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callguard.telephony.agi_wire import FIELDS

CHANNEL_ID = "callguard-1795346186.0"
LEG = "01a202f8-c261-768c-a8c7-fa3fcf607a12"
# What a log must never show of a caller: number, name, key.
NUMBER, NAME, KEY = "+34600987654", "Anastasia", "7"
AT = "2026-11-22T11:16:29.418+0000"
PLAYBACK = f"callguard-{CHANNEL_ID}-1"

CHANNEL: dict[str, Any] = {
    "id": CHANNEL_ID,
    "name": "PJSIP/outside-00000000",
    "state": "Up",
    "protocol_id": "1-23731@127.0.0.1",
    "caller": {"name": NAME, "number": NUMBER},
    "connected": {"name": "", "number": ""},
    "accountcode": "",
    "dialplan": {
        "context": "callguard-inbound", "exten": "lease-4200-0-callguard", "priority": 3, "app_name": "Stasis",
        "app_data": f"callguard,inbound,service,{CHANNEL_ID},1000,again,0",
    },
    "creationtime": "2026-11-22T11:16:26.822+0000",
    "language": "en",
}  # fmt: skip


def playback(state: str) -> dict[str, Any]:
    return {
        "id": PLAYBACK, "media_uri": "sound:/prompts/played/4db2d798b9d5e421", "target_uri": f"channel:{CHANNEL_ID}",
        "language": "en", "state": state,
    }  # fmt: skip


def event(kind: str, **fields: Any) -> dict[str, Any]:
    ours = {"asterisk_id": "02:fc:00:00:00:01", "application": "callguard"}
    return {"type": kind, "timestamp": AT, **fields, **ours}


def response(number: int, status: int, body: str = "") -> dict[str, Any]:
    return {
        "type": "RESTResponse", "transaction_id": str(number), "request_id": str(number), "status_code": status,
        "reason_phrase": "OK" if status < 400 else "Conflict", "uri": f"channels/{CHANNEL_ID}/continue",
        "content_type": "application/json", "message_body": body,
    }  # fmt: skip


ARI = (
    event("CallBroadcast", channel=CHANNEL, variables={"CALLERID(num)": NUMBER}),
    event("StasisStart", args=["inbound", "service", CHANNEL_ID, "1000"], channel=CHANNEL),
    event("StasisStart", args=["inbound", "service", CHANNEL_ID, "1000", "again", "0"], channel=CHANNEL),
    event("PlaybackStarted", playback=playback("playing")),
    event("PlaybackFinished", playback=playback("done")),
    event("ChannelDtmfReceived", digit=KEY, duration_ms=100, channel=CHANNEL),
    event("ChannelHangupRequest", cause=16, channel=CHANNEL),
    event("StasisEnd", channel=CHANNEL),
    event("ChannelVarset", variable="SIPDOMAIN", value=NUMBER, channel=CHANNEL),
    event("ApplicationReplaced"),
    response(7, 204),
    response(8, 409, '{"message": "Channel not in Stasis application"}'),
    response(9, 200, '{"value": "1000"}'),
)

SNAPSHOT: Mapping[str, str] = {
    "SystemName": "callguard", "Channel": "PJSIP/outside-00000000", "ChannelState": "6", "ChannelStateDesc": "Up",
    "CallerIDNum": NUMBER, "CallerIDName": f"[REC] {NAME}", "ConnectedLineNum": "1000",
    "ConnectedLineName": "<unknown>", "Language": "en", "AccountCode": "", "Context": "callguard-ended", "Exten": "s",
    "Priority": "5", "Uniqueid": CHANNEL_ID, "Linkedid": CHANNEL_ID,
}  # fmt: skip


def ami(**headers: str) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


def user_event(name: str, **more: str) -> bytes:
    return ami(Event="UserEvent", Privilege="user,all", **SNAPSHOT, UserEvent=name, Leg=LEG, **more)


def key_event(digit: str, **instead: str) -> bytes:
    snapshot = {**SNAPSHOT, **instead}
    return ami(
        Event="DTMFEnd", Privilege="dtmf,all", **snapshot, Digit=digit, DurationMs="100", Direction="Received"
    )  # fmt: skip


def dial_event(**instead: str) -> bytes:
    """A channel is called that no other channel calls."""
    dest = {f"Dest{name}": value for name, value in {**SNAPSHOT, **instead}.items() if name != "SystemName"}
    return ami(Event="DialBegin", Privilege="call,all", **dest, DialString=f"{NUMBER}@trunk")


AMI_EVENTS = (
    key_event(KEY),
    dial_event(),
    user_event("CallguardWithdrawn", At="1795346191", Mark="yes"),
    user_event("CallguardAgreed", At="1795346191"),
    user_event("CallguardOptedOut", At="1795346191", Mark="yes"),
    user_event("CallguardEnded"),
)
GREETING = b"Asterisk Call Manager/11.0.0\r\n"


def ami_answers(action: Mapping[str, str]) -> bytes:
    """What Asterisk says to an action."""
    number = action.get("ActionID", "")
    match action.get("Action"):
        case "Login":
            return ami(Response="Success", ActionID=number, Message="Authentication accepted")
        case "Getvar":
            name = action.get("Variable", "")
            return ami(
                Response="Success", ActionID=number, Variable=name, Value=name.count("\x01") * "0x7f\x01" + "0x7f"
            )
        case "DBGetTree":
            return (
                ami(Response="Success", ActionID=number, EventList="start", Message="Result will follow")
                + ami(Event="DBGetTreeResponse", Key=f"/callguard_withdrawn/{LEG}", Val="1795346145", ActionID=number)
                + ami(Event="DBGetTreeComplete", ActionID=number, EventList="Complete", ListItems="1")
            )
        case _:
            return ami(Response="Success", ActionID=number, Message="done")


def agi_block(**instead: str) -> bytes:
    """What a FastAGI session of the inbound door begins with."""
    known = {
        "network": "yes", "network_script": "inbound", "request": "agi://127.0.0.1:4573/inbound",
        "channel": "PJSIP/outside-00000000", "language": "en", "type": "PJSIP", "uniqueid": CHANNEL_ID,
        "version": "22.10.0", "callerid": NUMBER, "calleridname": NAME, "dnid": "1000", "context": "callguard-inbound",
        "extension": "s", "priority": "16", "enhanced": "0.0", "threadid": "140123456789", **instead,
    }  # fmt: skip
    lines = [f"{name}: {known.get(name.removeprefix('agi_'), 'unknown')}\n" for name in FIELDS]
    return ("".join(lines) + "agi_arg_1: service\n\n").encode()


def agi_answer(command: str) -> bytes:
    """What Asterisk says to a command, when all goes well and nobody presses a key."""
    match command.partition(" ")[0]:
        case "STREAM":
            return b"200 result=0 endpos=12800\n"
        case "GET":
            return b"200 result=1 (=)\n"
        case "SET":
            return b"200 result=1\n"
        case "GOSUB":
            return b"100 result=0 Trying...\n200 result=0 Gosub complete\n"
        case _:
            return b"200 result=0\n"
