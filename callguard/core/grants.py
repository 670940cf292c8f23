"""What a subject has granted a controller beside any call, and whether it counts at a moment.

A grant is never changed: what ends it (a withdrawal, an opt-out, a number that is somebody else's now) is said beside
it, and ends every grant that is not younger. So a list of old consents that is imported again brings none of them back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from callguard.core.model import Basis, GrantState

if TYPE_CHECKING:
    from callguard.core.decide import Registered

MARKETING = "marketing."
"""What the ids of purposes begin with that an opt-out from marketing is about."""

SHARING = "sharing"
"""The purpose of handing somebody's number to others: to any, or to one, ``sharing.RECIPIENT``."""

Voids: TypeAlias = Literal["earlier", "all", "none"]
"""Which consents an entry in a registry voids: those given before it, all of them, or none (a specific consent
overrides it, as with the TPS)."""

# Where a day ends last. What a registry means by a day is not said, so it has ended everywhere.
_LAST_ZONE = timezone(timedelta(hours=-12))

# What somebody who wants no call at all takes back; a contract or a duty of law goes on without calls.
_TAKEN_BACK = frozenset({Basis.CONSENT, Basis.LEGITIMATE_INTERESTS})


class Channel(StrEnum):
    """How a grant was given: each is worth as much as the others."""

    PHONE = "phone"
    PAPER = "paper"
    ONLINE = "online"
    IN_PERSON = "in_person"
    CONTRACT = "contract"


class Reported(StrEnum):
    """Why what was granted on a number is suspended: it is nobody's, or somebody else's."""

    UNALLOCATED = "unallocated"
    REASSIGNED = "reassigned"


@dataclass(frozen=True, slots=True)
class Standing:
    """A grant that stands for a subject, whoever calls.

    Attributes:
        purpose: the one that it was given for; no other one counts by it.
        since: when it was given, aware, as `until`, which is no longer part of it; None where no end is set.
        evidence: where the proof is, such as a contract's number or a form's id.
        ended: what ended it: withdrawn, revoked, invalidated or suspended; None where nothing has.
        ended_at: None likewise.
    """

    purpose: str
    basis: Basis
    channel: Channel
    since: datetime
    until: datetime | None
    evidence: str
    ended: GrantState | None = None
    ended_at: datetime | None = None

    def state(self, at: datetime) -> GrantState:
        """What it is at a moment; before it was given it is unknown."""
        if self.ended is not None and self.ended_at is not None and self.ended_at <= at:
            return self.ended
        if at < self.since:
            return GrantState.UNKNOWN
        return GrantState.GIVEN if self.until is None or at < self.until else GrantState.EXPIRED


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends a subject's grants, those that are not younger.

    Attributes:
        purpose: the one whose grants end; None for all purposes, a family of them where it ends with a dot.
        bases: only grants on these end; None for any.
    """

    state: GrantState
    purpose: str | None
    at: datetime
    bases: frozenset[Basis] | None = None

    def ends(self, grant: Standing) -> bool:
        """Whether this grant ends by it."""
        return (
            grant.since <= self.at
            and (self.bases is None or grant.basis in self.bases)
            and (
                self.purpose is None
                or grant.purpose == self.purpose
                or (self.purpose.endswith(".") and grant.purpose.startswith(self.purpose))
            )
        )


Grant = TypeVar("Grant", bound=Standing)


def opted_out(scope: str, purpose: str | None, at: datetime) -> tuple[Ending, ...]:
    """What an opt-out of this scope ends, for good: that calls are wanted again is said by a grant of its own.

    One from a campaign ends nothing: the purpose has others.
    """
    withdrawn = GrantState.WITHDRAWN
    match scope:
        case "all":
            return Ending(withdrawn, None, at, _TAKEN_BACK), Ending(withdrawn, MARKETING, at)
        case "marketing":
            return (Ending(withdrawn, MARKETING, at),)
        case "purpose":
            return (Ending(withdrawn, purpose, at),)
        case _:
            return ()


def ended(grant: Grant, endings: Iterable[Ending]) -> Grant:
    """The grant with the first of these that ends it."""
    first = min((one for one in endings if one.ends(grant)), key=lambda one: one.at, default=None)
    if first is not None and grant.ended_at is not None and grant.ended_at <= first.at:
        return grant  # which was invalidated before
    return grant if first is None else replace(grant, ended=first.state, ended_at=first.at)


def limited(grants: Iterable[Grant], term: timedelta | None) -> tuple[Grant, ...]:
    """The grants as they stand where a consent lasts no longer than a term, whatever it says itself; None for no term.

    Only a new one renews it.
    """
    if term is None:
        return tuple(grants)
    return tuple(one if one.basis is not Basis.CONSENT else replace(one, until=_sooner(one, term)) for one in grants)


def _sooner(grant: Standing, term: timedelta) -> datetime:
    end = grant.since + term
    return end if grant.until is None else min(grant.until, end)


def counts(grant: Standing, at: datetime) -> bool:
    """Whether a call at that moment may rest on it, as far as the grant itself tells."""
    return grant.state(at) is GrantState.GIVEN


def shares(grant: Standing, recipient: str, at: datetime) -> bool:
    """Whether by this grant the person may stand in a list that is handed to a recipient (R45)."""
    return grant.purpose in (SHARING, f"{SHARING}.{recipient}") and counts(grant, at)


def survives(grant: Standing, registered: Registered) -> bool:
    """Whether a grant counts in spite of what a registry says of the number (R27).

    A consent that was given before the entry is void where the registry says so, one given after it counts. A list that
    does not tell when a number was entered tells at least that it was no later than the list's own day: a consent of a
    later day is younger than the entry. Of any other one nobody knows, and it does not count.
    """
    if not registered.listed:
        return True
    if grant.basis is not Basis.CONSENT:
        return grant.basis in registered.spares
    match registered.voids:
        case "none":
            return True
        case "all":
            return False
        case "earlier":
            entered = registered.since or registered.list_date
            return entered is not None and _is_later(grant.since, entered)


def bases(
    grants: Iterable[Standing], purpose: str | None, registries: Iterable[Registered], at: datetime
) -> frozenset[Basis]:
    """On which bases somebody may be called for a purpose at a moment.

    Each stands on a grant that counts, and that every registry leaves alone which lists the number.
    """
    asked = tuple(registries)
    return frozenset(
        one.basis
        for one in grants
        if one.purpose == purpose and counts(one, at) and all(survives(one, registered) for registered in asked)
    )


def _is_later(moment: datetime, day: date) -> bool:
    """Whether a day had ended everywhere."""
    return moment.astimezone(_LAST_ZONE).date() > day
