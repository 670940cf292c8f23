"""The conversation after the gate: when a recording may go on, and what becomes of it. Pure.

A recording is a sequence of segments: it ends when somebody comes who may not be recorded, when it is paused or
withdrawn, and begins anew when nothing stands against it any more. (It begins anew with each new party as well: after
a transfer an Asterisk recording that goes on misses a party whose RTP sequence numbers are lower than the last one's.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from callguard.core.model import Basis, Purpose


class Keys(StrEnum):
    """What the stop key and a yes in the call come to, in the dialplan's words.

    ASK: consent is asked; the key stops, and a yes after the notice starts. STOP: another basis, and the call may go on
    unrecorded, so the key stops. OBJECT: another basis, and the call may not: the key explains and nothing stops.
    """

    ASK = "ask"
    STOP = "stop"
    OBJECT = "object"


def keys_for(purposes: Sequence[Purpose]) -> Keys:
    """What the keys do in a call of a profile.

    A recording that rests on consent for one purpose ends with that consent, whatever else it serves: what would be
    captured for the other purpose alone cannot be told apart in the sound. Where nothing rests on consent, the key does
    what 2 did in the notice: it stops, unless the call may not go on unrecorded.
    """
    if any(purpose.basis is Basis.CONSENT for purpose in purposes):
        return Keys.ASK
    return Keys.OBJECT if any(purpose.required for purpose in purposes) else Keys.STOP


def chosen(purposes: Sequence[Purpose], which: int) -> tuple[Purpose, ...]:
    """The purposes on consent that a yes in the call names: bit 0 is the first question's, bit 1 the second's."""
    asked = [purpose for purpose in purposes if purpose.basis is Basis.CONSENT]
    return tuple(purpose for n, purpose in enumerate(asked) if which >> n & 1)


def informed(after_ms: int, held_ms: int) -> bool:
    """Whether a key went down after the question began (rule 2), which only follows the whole essential part.

    Args:
        after_ms: from the question's beginning until the key was let go.
        held_ms: for how long it was held.
    """
    return 0 <= held_ms <= after_ms


class Why(StrEnum):
    """Why a segment ends or begins."""

    AGENT = "agent"
    HOLD = "hold"
    STRANGER = "stranger"
    TRANSFER = "transfer"
    WITHDRAWN = "withdrawn"
    AGREED = "agreed"
    FOREIGN = "foreign"


# Who may pause, each on their own; what one has paused only the same one takes up again.
PAUSES = frozenset({Why.AGENT, Why.HOLD})


@dataclass(frozen=True, slots=True)
class Met:
    """Who the subject is with has changed.

    Attributes:
        company: the others in the subject's bridge, by channel; empty where the subject is alone, or in none.
        strangers: those of them who may not be recorded.
        at: when, milliseconds since the epoch by Asterisk's clock.
    """

    company: frozenset[str]
    strangers: frozenset[str]
    at: int


@dataclass(frozen=True, slots=True)
class Paused:
    by: Why
    at: int


@dataclass(frozen=True, slots=True)
class Resumed:
    by: Why
    at: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """A basis is committed that was none before."""

    at: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The subject does not want it any more: nothing but a new basis of theirs begins it again.

    Attributes:
        late_ms: how much later Asterisk made the keys out, and ended the recording.
    """

    at: int
    late_ms: int = 0


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Nobody has watched who was in the call while a segment was recorded.

    Attributes:
        segment: which; None for whichever is recorded when this is carried out.
        since: from when on, milliseconds since the epoch.
        at: what was captured from then on goes where somebody came.
        came: whether somebody did: Asterisk tells of it, and not of who.
    """

    segment: int | None
    since: int
    at: int
    came: bool


@dataclass(frozen=True, slots=True)
class SetAside:
    """Somebody else wrote to the recording: it is callguard's no more, and none is made in its place."""

    at: int


Happened = Met | Paused | Resumed | Agreed | Withdrawn | Unwatched | SetAside


@dataclass(frozen=True, slots=True)
class End:
    """End a segment.

    Attributes:
        cut: all that was captured from then on goes; None where all of it may stay.
        late_ms: where Asterisk has ended it by itself, it was so much after `cut`.
    """

    segment: int
    why: Why
    cut: int | None = None
    late_ms: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    segment: int
    why: Why


Order = End | Begin


@dataclass(frozen=True, slots=True)
class Conversation:
    """One leg's, from the gate to its end.

    Attributes:
        wanted: a basis for the recording is committed, and not withdrawn.
        running: the number of the segment that is being recorded, from 0 on. Segment 0 of a leg that leaves the gate
            to be recorded is started by the dialplan, before anybody is met.
        begun: how many segments there have been.
        met: whom the running segment was begun with, or has met since.
        company, strangers: who is with the subject now.
        paused: by whom.
    """

    wanted: bool
    running: int | None = None
    begun: int = 0
    met: frozenset[str] = frozenset()
    company: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    paused: frozenset[Why] = frozenset()
    last: Why = Why.AGREED


def recorded(segments: int = 1) -> Conversation:
    """Of a leg that leaves the gate to be recorded, or was, and is found again in its last segment."""
    return Conversation(wanted=True, running=segments - 1, begun=segments)


def interrupted(segments: int, why: Why) -> Conversation:
    """As `recorded`, where its last segment has ended."""
    return Conversation(wanted=True, begun=segments, paused=PAUSES & {why}, last=why)


def step(now: Conversation, happened: Happened) -> tuple[Conversation, tuple[Order, ...]]:
    """What follows from what happened."""
    match happened:
        case Met(company, strangers):
            now = replace(now, company=company, strangers=strangers)
        case Paused(by):
            now = replace(now, paused=now.paused | {by})
        case Resumed(by):
            now = replace(now, paused=now.paused - {by})
        case Agreed():
            # Another recording, of whose predecessor nothing is left.
            now = now if now.wanted else replace(now, wanted=True, begun=0)
        case Withdrawn():
            now = replace(now, wanted=False)
        case SetAside():
            now = replace(now, wanted=False)
        case Unwatched():
            pass
    orders: list[Order] = []
    if isinstance(happened, SetAside) and now.running is not None:
        orders.append(End(now.running, Why.FOREIGN))
        now = replace(now, running=None, last=Why.FOREIGN)
    unseen = isinstance(happened, Unwatched) and happened.came and happened.segment in (None, now.running)
    if unseen and now.running is not None:
        orders.append(End(now.running, Why.TRANSFER, happened.at))
        now = replace(now, running=None, last=Why.TRANSFER)
    newcomers = now.company - now.met
    if now.running is not None and (why := _against(now, newcomers)) is not None:
        late_ms = happened.late_ms if isinstance(happened, Withdrawn) else 0
        cut = happened.at if why in (Why.STRANGER, Why.WITHDRAWN) else None
        orders.append(End(now.running, why, cut, late_ms))
        now = replace(now, running=None, last=why)
    if now.running is None and _may(now):
        orders.append(Begin(now.begun, now.last))
        now = replace(now, running=now.begun, begun=now.begun + 1, met=frozenset())
    if now.running is not None:
        now = replace(now, met=now.met | now.company)
    return now, tuple(orders)


def _against(now: Conversation, newcomers: frozenset[str]) -> Why | None:
    """Why the running segment must end, the strongest reason first."""
    if now.strangers:
        return Why.STRANGER
    if not now.wanted:
        return Why.WITHDRAWN
    for by in sorted(now.paused):
        return by
    return Why.TRANSFER if newcomers and now.met else None


def _may(now: Conversation) -> bool:
    return now.wanted and bool(now.company) and not now.strangers and not now.paused


def surviving(purposes: Iterable[Purpose], *, withdrawn: bool) -> tuple[Purpose, ...]:
    """The purposes that a recording may still serve; none means that it is destroyed.

    Withdrawal ends consent, and only that: what rests on another basis keeps what was captured until then
    (GDPR Art. 7(3) and 17(1)(b)).
    """
    return tuple(purpose for purpose in purposes if not (withdrawn and purpose.basis is Basis.CONSENT))
