"""AMI on the wire: which messages are Asterisk's own. The reading of one message is panoramisk's.

Asterisk writes a caller's number into its events as it came, line ends included (22.10, `From: <sip:1%0d%0aEvent…@…>`;
names it escapes). So a caller can add headers to the events of their own channel, cut them in two, and begin one that
speaks of another's channel or leg. What they cannot do is write a whole one: Asterisk cuts a number and a dialled
extension at 79 bytes each, and the headers that every event of a channel bears do not fit in there in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TypeAlias

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

log = structlog.get_logger()

END = b"\r\n\r\n"
# What callers can add to an event is some hundred bytes, and a list comes as a message for each entry.
LONGEST = 64 * 1024
# In each event of a channel, once (manager_channels.c, ast_manager_build_channel_state_string_prefix).
CHANNEL = (
    "event", "privilege", "channel", "channelstate", "channelstatedesc", "calleridnum", "calleridname",
    "connectedlinenum", "connectedlinename", "language", "accountcode", "context", "exten", "priority", "uniqueid",
    "linkedid",
)  # fmt: skip
EVENT, OF_CHANNEL = CHANNEL[:2], CHANNEL[2:]
EVENTS = {
    # Of one that nobody's channel has called, as the event filter lets no other through.
    "DialBegin": (*EVENT, *(f"dest{name}" for name in OF_CHANNEL), "dialstring"),
    "UserEvent": (*CHANNEL, "userevent"),
    "DTMFEnd": (*CHANNEL, "digit", "durationms", "direction"),
    "Hold": CHANNEL,
    "Unhold": CHANNEL,
    "MixMonitorStart": CHANNEL,
}
NEVER_EMPTY = frozenset({"privilege", "channel", "uniqueid", "linkedid", "destchannel", "destuniqueid", "destlinkedid"})
# By these an answer finds who waits for it, and says how it went; twice, they are not Asterisk's.
OF_ANSWERS = ("response", "event", "actionid", "commandid", "message", "eventlist", "subevent")
# Whether anybody waits for a key of a channel, by its Uniqueid.
WantsKey: TypeAlias = Callable[[str, str], bool]
# One caller's keys are no flood of lines.
SAY_EVERY_S = 1.0


class Protocol(AMIProtocol):
    """panoramisk's protocol, fed only with what is whole.

    It fails on a header that comes twice where it expects one, and an exception there ends the session.
    """

    _say_again = 0.0
    wants_key: WantsKey | None = None

    def data_received(self, data: bytes) -> None:
        waiting = (self.queue.popleft() if self.queue else b"") + data
        *whole, rest = waiting.split(END)
        for one in whole:
            if self.wants_key is not None and (key := whose_key(one)) is not None and not self.wants_key(*key):
                continue
            text = one.decode(errors="replace").strip()
            asterisks = is_asterisks(text, self.responses)
            message = Message.from_line(text) if asterisks else None
            if message is not None:
                self.handle_message(message)
            elif asterisks is False:
                self._say_dropped()
        if len(rest) > LONGEST:
            log.error("what comes over AMI has no end; the session is ended")
            self.transport.abort()
            return
        self.queue.append(rest)

    def _say_dropped(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._say_again:
            self._say_again = now + SAY_EVERY_S
            log.warning("AMI event dropped: not as Asterisk writes it; does a caller's number hold line ends?")


def whose_key(event: bytes) -> tuple[str, str] | None:
    """The channel (Uniqueid) and the digit of a DTMFEnd, without the cost of reading it whole; None for another event.

    What a caller may add stands before both, so the last of each is Asterisk's.
    """
    if not event.startswith(b"Event: DTMFEnd\r\n"):
        return None
    _, has_channel, channel = event.rpartition(b"\r\nUniqueid: ")
    _, has_digit, digit = event.rpartition(b"\r\nDigit: ")
    if not has_channel or not has_digit:
        return None
    return _line(channel), _line(digit)


def _line(text: bytes) -> str:
    return text.partition(b"\r\n")[0].decode(errors="replace")


def is_asterisks(text: str, awaited: Collection[str]) -> bool | None:
    """Whether a message is an answer that is waited for, or an event that is whole.

    Args:
        awaited: ids of the actions that are waited for.

    Returns:
        False for what is not as Asterisk writes it; None for what nobody waits for.
    """
    # As panoramisk divides it.
    pairs = [line.split(": ", 1) for line in text.split("\r\n") if ": " in line]
    names = [name.lower() for name, _ in pairs]
    if any(names.count(name) > 1 for name in OF_ANSWERS):
        return False
    values = {name: value for name, (_, value) in zip(names, pairs, strict=True)}
    if values.get("actionid") in awaited:
        return True
    needed = EVENTS.get(values.get("event", ""))
    if needed is None:
        return None
    # Number and dialled extension are raw both, 79 bytes each, and Asterisk's own headers lie between: together they
    # can hold all names, in an order that is not Asterisk's, and hardly a value.
    ordered = [name for name in names if name in needed] == [*needed]
    return ordered and all(values[name] for name in NEVER_EMPTY.intersection(needed))
