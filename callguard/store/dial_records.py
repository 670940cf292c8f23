"""What goes into the store of who may be called, and what comes out of it. All times are aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, TypeAlias

from callguard.core.decide import Decision, Facts, OptOut, Registered, Scope
from callguard.core.evidence import Value
from callguard.core.grants import Channel, Standing
from callguard.core.model import Basis, GrantState
from callguard.store.records import SavedLeg
from callguard.store.times import to_ms

OptOutSource: TypeAlias = Literal["key", "typed_unverified", "agent", "request", "command", "import", "erasure"]
GrantSource: TypeAlias = Literal["command", "import"]


@dataclass(frozen=True, slots=True)
class StoredOptOut(OptOut):
    """An opt-out as the store has it: what a dial decision looks at, and whose it is.

    Attributes:
        number: E.164.
        reason: somebody's own words.
    """

    controller: str
    number: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class NewOptOut:
    """An opt-out of a list that is to be kept.

    Attributes:
        number: E.164.
        since: aware and not in the future; None for now. `until` is not past; None for never.
        reason: somebody's own words.
    """

    number: str
    scope: Scope
    purpose: str | None = None
    campaign: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant(Standing):
    """A grant beside any call as the store has it, with what ended it, and whose it is; `number` is E.164."""

    controller: str
    number: str
    source: GrantSource


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """What a dial decision asks the store about a number; see `Reader.known`."""

    opt_outs: tuple[StoredOptOut, ...]
    grants: tuple[StoredGrant, ...]
    attempts: tuple[datetime, ...]
    refusals: tuple[datetime, ...]


NOBODY = KnownSubject((), (), (), ())
"""Who has never had to do with the controller."""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant that is to be kept.

    Attributes:
        number: E.164.
        since: when it was given: aware and not in the future. `until` is after it; None for no end.
        evidence: where the proof is; no number of a phone.
    """

    number: str
    purpose: str
    basis: Basis
    channel: Channel
    since: datetime
    until: datetime | None
    evidence: str


@dataclass(frozen=True, slots=True)
class NewEnding:
    """What ends a subject's grants, those that are not younger.

    Attributes:
        number: E.164.
        state: withdrawn, revoked, invalidated or suspended.
        purpose: the one whose grants end; None for all.
        reason: one of callguard's words, such as ``reassigned``.
        at: when it happened: aware and not in the future; None for now.
    """

    number: str
    state: GrantState
    purpose: str | None
    reason: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DialRecord:
    """What was decided before somebody was called, and why.

    Attributes:
        call_id: random or UUIDv7; a call has one decision.
        number: E.164; None where what was dialled is no number.
        rules: ids of the rules that deny, the deciding one first.
        facts: what the decision saw, without the number.
    """

    call_id: str
    controller: str
    number: str | None
    profile: str
    at: datetime
    allow: bool
    rules: tuple[str, ...]
    facts: Mapping[str, Value] = field(hash=False)

    @classmethod
    def of(cls, call_id: str, controller: str, profile: str, facts: Facts, decision: Decision) -> Self:
        """The record of a decision and of the facts it was made from."""
        opt_outs = tuple(
            {
                "scope": one.scope,
                "purpose": one.purpose,
                "campaign": one.campaign,
                "source": one.source,
                "since": to_ms(one.since),
                "until": None if one.until is None else to_ms(one.until),
            }
            for one in facts.opt_outs
        )
        registries = tuple(
            {
                "registry": one.registry,
                "list_date": None if one.list_date is None else one.list_date.isoformat(),
                "max_age_days": one.max_age_days,
                "listed": one.listed,
                **_towards_grants(one, facts),
                # Whole lists say nothing of these.
                **({} if one.screened else {"screened": False}),
                **({} if one.answered else {"answered": False}),
            }
            for one in facts.registries
        )
        seen: dict[str, Value] = {
            "calls": facts.calls,
            "purpose": facts.purpose,
            "campaign": facts.campaign,
            "opt_outs": opt_outs,
            "registries": registries,
        }
        if facts.grants or facts.needs_basis:
            seen |= {"needs_basis": facts.needs_basis, "grants": tuple(map(_granted, facts.grants))}
        if facts.place is not None:
            areas = facts.place.areas
            seen["law"] = {
                "policy": decision.policy,
                "country": facts.place.country,
                "areas": None if areas is None else tuple(sorted(areas)),
                "zones": facts.place.zones,
                "caller_country": facts.caller_country,
                "agent_first": facts.agent_first,
                "attempts": tuple(map(to_ms, facts.attempts)),
                "refusals": tuple(map(to_ms, facts.refusals)),
                "looked_back_ms": facts.looked_back // timedelta(milliseconds=1),
                "bases": tuple(sorted(facts.bases)),
                "caller_id": None if facts.caller_id is None else ("shown" if facts.caller_id else "withheld"),
            }
        if facts.caller_id is not None:
            seen["caller_id"] = {
                # Which of ours it was; another number might be a person's.
                "number": facts.caller_id if facts.callback is not None and facts.callback.ours else None,
                "shown": facts.caller_id != "",
                "ours": None if facts.callback is None else facts.callback.ours,
                "max_age_days": None if facts.callback is None else facts.callback.max_age_days,
                "proved_at": (
                    None
                    if facts.callback is None or facts.callback.proved_at is None
                    else to_ms(facts.callback.proved_at)
                ),
            }
        if facts.staff:
            seen["staff"] = True
        if decision.exemption:
            seen["exemption"] = decision.exemption
        return cls(call_id, controller, facts.number, profile, facts.at, decision.allow, decision.rules, seen)


def _towards_grants(one: Registered, facts: Facts) -> Mapping[str, Value]:
    """By what rule an entry in a registry voids grants, where there are any."""
    if not (one.listed and facts.grants):
        return {}
    return {
        "since": None if one.since is None else one.since.isoformat(),
        "voids": one.voids,
        "spares": tuple(sorted(one.spares)),
    }


def _granted(one: Standing) -> Mapping[str, Value]:
    """A grant without its evidence, which may be a person's own number of something."""
    return {
        "purpose": one.purpose,
        "basis": one.basis,
        "channel": one.channel,
        "since": to_ms(one.since),
        "until": None if one.until is None else to_ms(one.until),
        "ended": one.ended,
        "ended_at": None if one.ended_at is None else to_ms(one.ended_at),
    }


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A dial decision as the store has it; `subject_id` is None where what was dialled is no number."""

    decision_id: str
    call_id: str
    controller: str
    subject_id: str | None
    profile: str
    at: datetime
    allow: bool
    rules: tuple[str, ...]
    facts: Mapping[str, Value] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Dealings:
    """All that the store has of a number, oldest first.

    Attributes:
        since: when the first decision or call of any number was kept, and so the beginning of what can be told; None
            where there is none.
        opt_outs: those too that have ended.
    """

    since: datetime | None
    decisions: tuple[StoredDecision, ...]
    legs: tuple[SavedLeg, ...]
    opt_outs: tuple[StoredOptOut, ...]
    grants: tuple[StoredGrant, ...]

    @property
    def calls_to_it(self) -> tuple[SavedLeg, ...]:
        """The calls in which it was called, as far as the gate was in them."""
        return tuple(leg for leg in self.legs if leg.direction == "outbound")
