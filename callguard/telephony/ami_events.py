"""What Asterisk tells by AMI, read purely: the dialplan's own user events, keys, recorders that begin, holds,
calls that nobody's channel has made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import structlog

log = structlog.get_logger()


class Told(StrEnum):
    """What the dialplan says about a leg, in a UserEvent."""

    WITHDRAWN = "CallguardWithdrawn"
    OBJECTED = "CallguardObjected"
    AGREED = "CallguardAgreed"
    REPLIED = "CallguardReplied"
    OPTED_OUT = "CallguardOptedOut"
    PAUSED = "CallguardPaused"
    RESUMED = "CallguardResumed"
    ENDED = "CallguardEnded"


# Where the dialplan leaves its marks in Asterisk's own database, for a callguard that did not listen.
FAMILIES = {
    Told.WITHDRAWN: "callguard_withdrawn",
    Told.OBJECTED: "callguard_objected",
    Told.OPTED_OUT: "callguard_optedout",
}
BEFORE, AGENT = "before", "agent"


@dataclass(frozen=True, slots=True)
class Reply:
    """A yes to the notice that was heard again in the call.

    Attributes:
        which: to which questions, a bit for each.
        language: of the notice.
        heard: the sounds heard, by SHA-256: the essential part, then each question.
        after_ms: from the beginning of the first question that got a yes until that key was let go.
        changes: what has changed in the notice that was told with it, by SHA-256 of the sounds.
    """

    which: int
    language: str
    heard: tuple[str, ...]
    after_ms: int
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One user event of ours, or the mark that says the same to who did not listen.

    Attributes:
        at: when, by Asterisk's clock, whole seconds; None for an end.
        marked: a mark says the same, to be forgotten when it is heeded.
        how: what a withdrawal or objection says of itself: BEFORE, it came before anything was recorded and is found
            only now; AGENT, the subject asked the agent, who pressed the key.
        channel: the channel's name; empty in a mark.
        reply: what a yes in the call was heard to be.
        late_ms: how much later than `at` Asterisk had made out the keys that say it.
    """

    told: Told
    leg_id: str
    at: datetime | None
    marked: bool = False
    how: str = ""
    channel: str = ""
    reply: Reply | None = None
    late_ms: int = 0

    @property
    def before(self) -> bool:
        return self.how == BEFORE

    @property
    def source(self) -> str:
        """Who pressed the key, as the store has it."""
        return "agent" if self.how == AGENT else "key"


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key that somebody on a channel has pressed, bridged or not.

    Attributes:
        channel: Uniqueid.
        name: the channel's name, by which AMI knows it.
        held_ms: for how long, until now.
    """

    channel: str
    name: str
    digit: str
    held_ms: int


@dataclass(frozen=True, slots=True)
class RecorderStarted:
    """A MixMonitor has begun on a channel, whoever started it. Asterisk does not say which.

    Attributes:
        channel: Uniqueid.
        name: the channel's name.
        context: where the channel is in the dialplan.
    """

    channel: str
    name: str
    context: str


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody has put the other side on hold, or taken them back (`on` is False). `channel`: Uniqueid."""

    channel: str
    on: bool


@dataclass(frozen=True, slots=True)
class Originated:
    """A channel is called by no other channel, but by AMI, ARI, a call file, the command line or Originate().

    Attributes:
        name: the channel's name.
        dialled: what is called, its technology left out: ``NUMBER@ENDPOINT``, ``ENDPOINT/sip:NUMBER@HOST`` and so on.
    """

    name: str
    dialled: str


Event: TypeAlias = Notice | KeyPressed | RecorderStarted | Held | Originated


def read(event: Any) -> Event | None:
    """What an event says, as panoramisk gives it; None where it says nothing to us, or not as the dialplan does."""
    return READ[str(event.event)](event)


def mark(told: Told, leg_id: str, text: str) -> Notice | None:
    """What a mark in Asterisk's database says; None where the dialplan has not made it."""
    at, how = _time(text)
    return Notice(told, leg_id, at, marked=True, how=how) if is_leg_id(leg_id) and at is not None else None


def is_leg_id(text: str) -> bool:
    """Whether it is an id as callguard writes it."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def whole(text: str) -> int:
    """A whole number of nine digits at most; 0 for anything else."""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _notice(event: Any) -> Notice | None:
    leg_id = str(event.leg)
    try:
        told = Told(str(event.userevent))
    except ValueError:
        return None
    if not is_leg_id(leg_id):
        log.warning("user event without a leg dropped", told=told)
        return None
    at, how = _time(str(event.at))
    reply = _reply(event) if told is Told.REPLIED else None
    return Notice(told, leg_id, at, str(event.mark) == "yes", how, channel=str(event.channel), reply=reply)


def _key(event: Any) -> KeyPressed:
    return KeyPressed(str(event.uniqueid), str(event.channel), str(event.digit), whole(str(event.durationms)))


def _recorder(event: Any) -> RecorderStarted:
    return RecorderStarted(str(event.uniqueid), str(event.channel), str(event.context))


def _held(event: Any) -> Held:
    return Held(str(event.uniqueid), on=str(event.event) == "Hold")


def _originated(event: Any) -> Originated | None:
    if str(event.channel):  # an ordinary Dial, where the event filter is not in force
        return None
    return Originated(str(event.destchannel), str(event.dialstring))


def _time(text: str) -> tuple[datetime | None, str]:
    """Whole seconds since the epoch, and what follows them: ``-before``, ``-agent``, or nothing."""
    found = re.fullmatch(r"(\d{1,11})(?:-(before|agent))?", text, re.ASCII)
    return (datetime.fromtimestamp(int(found[1]), UTC), found[2] or "") if found else (None, "")


def _reply(event: Any) -> Reply | None:
    """What a yes in the call says of itself; None where it says it in another way than the dialplan does."""
    which, after, changes = str(event.which), str(event.after), str(event.changes)
    heard = re.fullmatch(r"([a-z]{2})((?:-[0-9a-f]{64}){2,3})", str(event.heard))
    if heard is None or not re.fullmatch(r"[1-3]", which) or not re.fullmatch(r"[0-9]{1,7}", after):
        return None
    if not re.fullmatch(r"(?:[0-9a-f]{64}(?:-[0-9a-f]{64})*)?", changes):
        return None
    return Reply(
        int(which), heard[1], tuple(heard[2][1:].split("-")), int(after), tuple(filter(None, changes.split("-")))
    )


# How each of Asterisk's events that we hear is read.
READ: Mapping[str, Callable[[Any], Event | None]] = {
    "UserEvent": _notice,
    "DTMFEnd": _key,
    "MixMonitorStart": _recorder,
    "Hold": _held,
    "Unhold": _held,
    "DialBegin": _originated,
}
