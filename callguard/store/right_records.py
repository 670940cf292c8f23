"""What the store keeps and says of rights: erasure, and what of it has to stay. All times are aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from callguard.core.requests import Proof, Right, State, Via


@dataclass(frozen=True, slots=True)
class ProofKept:
    """A law has it that somebody's consent can be proved for some time, though they are erased (GDPR Art. 17(3)(b)).

    Attributes:
        why: the rule and its source.
        until: it is deleted then.
    """

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    Attributes:
        at: when the subject was erased first.
        removed: how much of what; all 0 where it was done before.
        suppressed: an opt-out from marketing was added, for there was none.
        kept_opt_outs: so many others were kept, apart from all that was known.
        held: the calls whose recordings a hold keeps (Art. 17(3)(e)); they go when it ends.
        overwritten: the store's log holds nothing of it any more. Where not, the next ones who write take its place.
    """

    subject_id: str
    controller: str
    at: datetime
    removed: Mapping[str, int] = field(hash=False)
    suppressed: bool
    kept_opt_outs: int
    held: tuple[str, ...]
    overwritten: bool = True


@dataclass(frozen=True, slots=True)
class Restricted:
    """Whose proof is kept though they are erased; `number` is E.164."""

    subject_id: str
    controller: str
    number: str
    proof: ProofKept


@dataclass(frozen=True, slots=True)
class LegToErase:
    """A leg of somebody who is to be erased, as Asterisk's own records name it; `state` is its recording's."""

    leg_id: str
    call_id: str
    channel: str
    linkedid: str
    state: str | None
    running: bool
    held: bool


@dataclass(frozen=True, slots=True)
class ToErase:
    """What an erasure is about.

    Attributes:
        number: E.164; None where it was withheld, or is erased.
        erased_at: None where they are not erased yet.
        opt_outs: so many stand with the number alone afterwards: those in force, and one from marketing where there is
            none.
        last_consent: when a consent to marketing was given or used last; None where none was ever given.
    """

    subject_id: str
    controller: str
    number: str | None
    erased_at: datetime | None
    legs: tuple[LegToErase, ...]
    opt_outs: int
    last_consent: datetime | None


@dataclass(frozen=True, slots=True)
class Correction:
    """What a rectification says: a name, or a note, on a call where `call_id` names one.

    Attributes:
        value: None where it is erased.
        at: when it was made; None while it is asked for only.
    """

    what: Literal["name", "note"]
    value: str | None
    call_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestStep:
    """A step of a request; `reason` is somebody's own words, None where there are none, or they are erased.

    Attributes:
        who: their name, or their random id where that is erased; None where nobody's, or the person is erased.
    """

    step: str
    at: datetime
    reason: str | None
    who: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """What a person asked for by right, and how far it is.

    Attributes:
        number: E.164; None where it was withheld, or is erased.
        call_id: the call that it was made in, by key.
        identity: what kinds of proof there are of who asks.
        steps: oldest first, from its receipt on.
    """

    request_id: str
    controller: str
    subject_id: str
    number: str | None
    call_id: str | None
    right: Right
    via: Via
    state: State
    identity: frozenset[Proof]
    received_at: datetime
    due_at: datetime
    extended_at: datetime | None
    ended_at: datetime | None
    steps: tuple[RequestStep, ...] = ()
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """How many requests are not answered: those that are `overdue`, and those that are due `soon`."""

    overdue: int = 0
    soon: int = 0
