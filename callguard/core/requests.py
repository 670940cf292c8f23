"""What a person asks for by right, from its receipt to its end: one table; a missing cell raises. Pure.

Articles are GDPR's. A request is answered within a month of its receipt, which may be extended by two (Art. 12(3)).
"""

from __future__ import annotations

import calendar
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum


class Right(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    """Art. 15."""
    PORTABILITY = "portability"
    """Art. 20."""
    RECTIFICATION = "rectification"
    """Art. 16."""
    ERASURE = "erasure"
    """Art. 17."""
    RESTRICTION = "restriction"
    """Art. 18."""
    OBJECTION = "objection"
    """Art. 21(2): to marketing, which stops at once."""
    WITHDRAWAL = "withdrawal"
    """Art. 7(3): of what stands beside any call."""


AT_ONCE = frozenset({Right.OBJECTION, Right.WITHDRAWAL})
"""What harms nobody where somebody else asks for it: who calls from a number may have it done at once."""


class Via(StrEnum):
    """How it was received; each is as good as the others."""

    KEY = "key"
    AGENT = "agent"
    PHONE = "phone"
    LETTER = "letter"
    EMAIL = "email"
    ONLINE = "online"
    IN_PERSON = "in_person"
    COMMAND = "command"


class Proof(StrEnum):
    """What kind of proof there is of who asks; never what was said."""

    NUMBER = "number"
    """They named the number, and nothing else."""
    CALLER_ID = "caller_id"
    """They called from it, which others can feign."""
    CALL_BACK = "call_back"
    """They were called back on it, and it was they who had asked."""
    KNOWN = "known"
    """They know something that others do not: of a contract, of an invoice."""
    DOCUMENT = "document"
    """Their identity document was seen."""


class State(StrEnum):
    """How far a request is."""

    OPEN = "open"
    IDENTIFIED = "identified"
    APPROVED = "approved"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


class Step(StrEnum):
    """What moves a request."""

    NOTE = "note"
    """Proof that is not enough yet."""
    IDENTIFY = "identify"
    EXTEND = "extend"
    APPROVE = "approve"
    RUN = "run"
    REFUSE = "refuse"
    EXPIRE = "expire"
    """Whoever asked did not show who they are (Art. 12(6))."""


PENDING = frozenset({State.OPEN, State.IDENTIFIED, State.APPROVED})

_BOTH: dict[tuple[State, Step], State] = {
    (State.OPEN, Step.NOTE): State.OPEN,
    (State.OPEN, Step.IDENTIFY): State.IDENTIFIED,
    (State.OPEN, Step.EXTEND): State.OPEN,
    (State.IDENTIFIED, Step.EXTEND): State.IDENTIFIED,
    (State.APPROVED, Step.EXTEND): State.APPROVED,
    (State.OPEN, Step.REFUSE): State.REFUSED,
    (State.IDENTIFIED, Step.REFUSE): State.REFUSED,
    (State.APPROVED, Step.REFUSE): State.REFUSED,
    (State.OPEN, Step.EXPIRE): State.EXPIRED,
}
_BY_APPROVAL = _BOTH | {
    (State.IDENTIFIED, Step.APPROVE): State.APPROVED,
    (State.APPROVED, Step.RUN): State.DONE,
}
_AT_ONCE = _BOTH | {(State.IDENTIFIED, Step.RUN): State.DONE}


class Impossible(ValueError):
    """A request in this state does not take this step; the text says what comes first."""


def after(right: Right, state: State, step: Step) -> State:
    """The state that a step leads to.

    Raises:
        Impossible: there is no such step.
    """
    table = _AT_ONCE if right in AT_ONCE else _BY_APPROVAL
    try:
        return table[state, step]
    except KeyError:
        raise Impossible(_why_not(right, state, step)) from None


def proved(right: Right, proofs: Collection[Proof]) -> bool:
    """Whether it is known well enough who asks.

    Of what is done at once, anybody who has the number. Else they were called back, and more than the number is known:
    a caller ID can be feigned, and a phone lies about.
    """
    if right in AT_ONCE:
        return bool(proofs)
    return Proof.CALL_BACK in proofs and bool({Proof.KNOWN, Proof.DOCUMENT} & set(proofs))


def due(received: datetime, months: int = 1) -> datetime:
    """When so many months are over: on the day of the same number, or the month's last (Regulation 1182/71 Art. 3)."""
    ahead = received.month - 1 + months
    year, month = received.year + ahead // 12, ahead % 12 + 1
    return received.replace(year=year, month=month, day=min(received.day, calendar.monthrange(year, month)[1]))


def extended(received: datetime) -> datetime:
    """When an extended deadline ends: two further months."""
    return due(received, 3)


DUE_SOON = timedelta(days=7)
"""So long before it is due somebody is reminded of it."""


def overdue(state: State, due_at: datetime, now: datetime) -> bool:
    """Whether it should have been answered by now."""
    return state in PENDING and due_at <= now


def _why_not(right: Right, state: State, step: Step) -> str:
    if state not in PENDING:
        return f"the request is {state} already"
    if step is Step.RUN:
        return "the request is not approved yet" if state is State.IDENTIFIED else _UNKNOWN
    if step is Step.APPROVE:
        if right in AT_ONCE:
            return f"a request of {right} needs no approval: run it"
        return "the request is approved already" if state is State.APPROVED else _UNKNOWN
    if step is Step.EXPIRE:
        return "who asks is known: refuse it, with the reason"
    return "it is known already who asks"


_UNKNOWN = (
    "it is not known yet who asks: they are called back on the number, and something that only they know is asked"
)
