"""The dial decision: may this number be called now, for this? A plain function of facts and rules.

Each rule denies or is silent; a call is allowed where every rule is silent. Emergency calls never get here: the
dialplan puts them through before anything is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Literal, TypeAlias

from callguard.core.grants import Standing, Voids, bases
from callguard.core.model import Basis

ALLOWED = "dial.allowed"
STAFF = "staff.exempt"

Calls: TypeAlias = Literal["service", "marketing"]

# What the house's own people have said themselves.
_THEIR_OWN = "optout."
# A rule's id travels in a dialplan extension, where other characters mean something.
_RULE_ID = re.compile(r"[a-z0-9.]{1,30}")


class Scope(StrEnum):
    """What a subject has opted out of."""

    ALL = "all"
    MARKETING = "marketing"
    PURPOSE = "purpose"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class OptOut:
    """A subject's wish not to be called by a controller.

    Attributes:
        purpose: the one that scope PURPOSE is about; None for the others.
        campaign: the one that scope CAMPAIGN is about; None for the others.
        since: aware, as `until`, which is None where no end is set and is no longer part of it.
        source: how it came.
    """

    scope: Scope
    purpose: str | None
    campaign: str | None
    since: datetime
    until: datetime | None
    source: str

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at that moment."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Registered:
    """What a national registry says of a number.

    Attributes:
        registry: its name in the configuration.
        list_date: the day as of which its list is, or its answer about this number; None where there is none, or none
            that can be read.
        max_age_days: how old a list or an answer may be.
        listed: whether the number is in it.
        since: the day on which the number was entered, where the registry tells.
        voids: which consents the entry voids.
        spares: the other bases that it leaves alone.
        screened: whether the number was submitted to it, where it has to be.
        answered: whether it has answered when it was asked, where it has to be.
    """

    registry: str
    list_date: date | None
    max_age_days: int
    listed: bool
    since: date | None = None
    voids: Voids = "earlier"
    spares: frozenset[Basis] = frozenset()
    screened: bool = True
    answered: bool = True

    def is_stale(self, at: datetime) -> bool:
        """Whether what it has said says nothing about a call at that moment."""
        return self.screened and self.answered and is_stale(self.list_date, self.max_age_days, at)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number is of, as far as the number tells.

    Attributes:
        country: ISO 3166-1 alpha-2; None for a number of no country.
        areas: the states or provinces that it could be of (ISO 3166-2 without the country); None for any of them.
        zones: the time zones (IANA) that it could be in; a call has to be right in all of them.
    """

    country: str | None
    areas: frozenset[str] | None = None
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells which rules of law are about a call; what else is known of it tells what they come to.

    Attributes:
        calls, purpose, caller_country: as in `Facts`.
        country, areas: as in `Place`; None where no place is known.
        day: on which it would be made, of UTC.
    """

    calls: Calls
    purpose: str | None
    caller_country: str | None
    country: str | None
    areas: frozenset[str] | None
    day: date


@dataclass(frozen=True, slots=True)
class Callback:
    """The number that a call shows, as one to be called back.

    Attributes:
        ours: whether it is one of the profile's.
        proved_at: when a call last came to it, aware.
        max_age_days: for how long that proves that it can be called.
        named: whether the profile names any number of its own: without one nothing that it shows is.
    """

    ours: bool
    proved_at: datetime | None
    max_age_days: int
    named: bool = True

    def is_proved(self, at: datetime) -> bool:
        return self.proved_at is not None and at - self.proved_at <= timedelta(days=self.max_age_days)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when somebody is about to be called.

    Attributes:
        number: E.164, or None where what was dialled is no number.
        calls: what the profile's calls are for.
        purpose: the purpose of this call, where it has one.
        campaign: the campaign it belongs to, where it belongs to one.
        at: when it would be made, aware.
        opt_outs: this number's, for the controller on whose behalf it is called, and nobody else's.
        registries: what each registry says that has to be asked about such a call.
        grants: this number's for the controller, ended ones too.
        needs_basis: only who has granted it is called.
        place: where the number is of; None where the law is not asked (there is no number).
        caller_country: whose law binds who calls (ISO 3166-1 alpha-2); None where it is not known.
        agent_first: whether a person speaks first to who is called, and no recorded voice.
        attempts: when this number was allowed to be called for marketing before, as far as the law looks back.
        refusals: since when each opt-out of this number is or was, ended or not, as far as the law looks back.
        looked_back: how far that was; zero where the law asked for neither.
        caller_id: the number that is shown, in E.164; empty where it is withheld, None where the gate is not told.
        staff: whether the number is one of the house's own people, by the configuration alone.
        callback: of that number; None where nothing is asked about it.
    """

    number: str | None
    calls: Calls
    purpose: str | None
    campaign: str | None
    at: datetime
    opt_outs: tuple[OptOut, ...]
    registries: tuple[Registered, ...]
    grants: tuple[Standing, ...] = ()
    needs_basis: bool = False
    place: Place | None = None
    caller_country: str | None = None
    agent_first: bool = False
    attempts: tuple[datetime, ...] = ()
    refusals: tuple[datetime, ...] = ()
    caller_id: str | None = None
    staff: bool = False
    callback: Callback | None = None
    looked_back: timedelta = timedelta()

    @property
    def kind(self) -> Kind:
        """What kind of call it is."""
        country, areas = (self.place.country, self.place.areas) if self.place else (None, None)
        day = self.at.astimezone(UTC).date()
        return Kind(self.calls, self.purpose, self.caller_country, country, areas, day)

    @property
    def bases(self) -> frozenset[Basis]:
        """On which bases this call could be made now, by grants that no registry voids."""
        return bases(self.grants, self.purpose, self.registries, self.at) if self.grants else frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule of law came to for one call.

    Attributes:
        rule: its id.
        saw: what it was judged by, in a few words, without any number that is called.
        source: of the rule: the law's name and article.
        allowed_from: when it would deny no more, by time alone; None where time alone changes nothing, or it is silent.
    """

    rule: str
    denies: bool
    saw: str
    source: str
    allowed_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason for which a call is denied.

    Raises:
        ValueError: the id could not travel in a dialplan extension.
    """

    id: str
    denies: Callable[[Facts], bool]

    def __post_init__(self) -> None:
        if not _RULE_ID.fullmatch(self.id):
            raise ValueError(f"the rule id {self.id!r} is not 1 to 30 of a-z, 0-9 and dots")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may be made, and the ids of the rules that deny it, the deciding one first.

    Attributes:
        findings: what each rule of law came to that was asked, those that are silent too.
        policy: which law was asked: a digest of it; empty where none was.
        exemption: the id of what allows a call that rules would have denied; empty mostly.

    Raises:
        ValueError: a call is denied without a rule, or allowed in spite of one.
    """

    allow: bool
    rules: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    policy: str = ""
    exemption: str = ""

    def __post_init__(self) -> None:
        if self.allow == bool(self.rules):
            raise ValueError("a call is denied by a rule, and allowed without one")
        if self.exemption and not self.allow:
            raise ValueError("what exempts a call allows it")

    @property
    def rule(self) -> str:
        """The deciding rule's id; `ALLOWED`, or the exemption, where none denies."""
        return self.rules[0] if self.rules else self.exemption or ALLOWED


def list_age_days(list_date: date, at: datetime) -> int:
    """How many days old a list is at an aware moment, days being those of UTC; negative for one that is yet to come."""
    return (at.astimezone(UTC).date() - list_date).days


def is_stale(list_date: date | None, max_age_days: int, at: datetime) -> bool:
    """Whether a list is missing, too old, or of a later day, as where a clock was set back: its age is not known then.

    Somewhere it is tomorrow already.
    """
    return list_date is None or not -1 <= list_age_days(list_date, at) <= max_age_days


def _opted_out(scope: Scope, facts: Facts) -> bool:
    # Most have opted out of nothing.
    return bool(facts.opt_outs) and any(
        one.scope is scope and _concerns(one, facts) and one.holds(facts.at) for one in facts.opt_outs
    )


def _concerns(opt_out: OptOut, facts: Facts) -> bool:
    match opt_out.scope:
        case Scope.ALL:
            return True
        case Scope.MARKETING:
            return facts.calls == "marketing"
        case Scope.PURPOSE:
            return opt_out.purpose == facts.purpose
        case Scope.CAMPAIGN:
            return opt_out.campaign == facts.campaign


def _shown(facts: Facts) -> Callback | None:
    """What is asked about the number that a marketing call shows, where one is shown and the profile names its own."""
    asked = facts.calls == "marketing" and facts.caller_id and not _unnamed(facts)
    return facts.callback if asked else None


def _unnamed(facts: Facts) -> bool:
    return facts.calls == "marketing" and facts.callback is not None and not facts.callback.named


def _foreign(facts: Facts) -> bool:
    shown = _shown(facts)
    return shown is not None and not shown.ours


def _unproved(facts: Facts) -> bool:
    shown = _shown(facts)
    return shown is not None and shown.ours and not shown.is_proved(facts.at)


RULES = (
    Rule("number.invalid", lambda facts: facts.number is None),
    *(Rule(f"optout.{scope}", partial(_opted_out, scope)) for scope in Scope),
    Rule("registry.listed", lambda facts: any(one.listed for one in facts.registries) and not facts.bases),
    Rule("registry.unscreened", lambda facts: any(not one.screened for one in facts.registries)),
    Rule("registry.unanswered", lambda facts: any(not one.answered for one in facts.registries)),
    Rule("registry.stale", lambda facts: any(one.is_stale(facts.at) for one in facts.registries)),
    Rule("basis.missing", lambda facts: facts.needs_basis and not facts.bases),
    Rule("cli.unnamed", _unnamed),
    Rule("cli.withheld", lambda facts: facts.calls == "marketing" and facts.caller_id == ""),
    Rule("cli.foreign", _foreign),
    Rule("cli.unproved", _unproved),
)
"""In the order in which they are named; any one of them denies."""


def decide(
    facts: Facts, rules: tuple[Rule, ...] = RULES, findings: tuple[Finding, ...] = (), policy: str = ""
) -> Decision:
    """Deny if any rule denies, or any finding of the law (`core.law`), and spare the house's own people what is for
    others."""
    denying = (
        *(rule.id for rule in rules if rule.denies(facts)),
        *(finding.rule for finding in findings if finding.denies),
    )
    return spare_staff(facts, Decision(not denying, denying, findings, policy))


def spare_staff(facts: Facts, decision: Decision) -> Decision:
    """Allow a denied call to one of the house's own people (Follow-me), unless they have opted out themselves."""
    own = tuple(rule for rule in decision.rules if rule.startswith(_THEIR_OWN))
    if decision.allow or not facts.staff or facts.number is None:
        return decision
    return replace(decision, allow=not own, rules=own, exemption="" if own else STAFF)
