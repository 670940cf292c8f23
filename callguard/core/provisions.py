"""The rules of law that a dial is judged by, one class for each kind; what they say stands in `callguard.policies`.

Each judges facts and nothing else. A provision that is not about a call (how a recording is agreed to, how long proof
is kept) is data for whoever needs it, and judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal

from callguard.core.decide import Facts, Finding, Kind, is_stale
from callguard.core.windows import IsHoliday, Week, clocks


class Status(StrEnum):
    """How a rule stands. What is disputed is taken as its stricter reading, and applies."""

    IN_FORCE = "in_force"
    VOLUNTARY = "voluntary"
    PROPOSED = "proposed"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What all kinds have.

    Attributes:
        id: as it stands in a decision.
        source: the law's name and article, or where else it is from.
        verified: whether it was read in its source; else it applies only where somebody adopts it.
        calls: which calls it is about.
        valid_from: the first day on which it applies, as `valid_to` is the last; None where that is open.
        areas: the states that it is the law of; empty for the whole country.
        purposes: what a call's purpose begins with for it to be about the call; empty for any. A call of which no
            purpose is known is not meant.
        lifted_by: bases, one of which makes it silent.
        own: whether it is one of the site's own.
    """

    id: str
    source: str
    status: Status = Status.IN_FORCE
    verified: bool = False
    calls: Literal["marketing", "all"] = "marketing"
    valid_from: date | None = None
    valid_to: date | None = None
    areas: frozenset[str] = frozenset()
    purposes: tuple[str, ...] = ()
    lifted_by: frozenset[str] = frozenset()
    own: bool = False

    kind: ClassVar[str]
    callee_only: ClassVar[bool] = False
    """Whether it is about numbers of its own country only, and not about calls from there to others."""

    @property
    def looks_back(self) -> timedelta:
        """How long before a call it asks for earlier calls and refusals; zero where it does not ask."""
        return timedelta()

    def applies_here(self, adopted: frozenset[str]) -> bool:
        """Whether calls are judged by it: nothing unverified, proposed or voluntary is unless it is adopted."""
        known = self.verified and self.status in (Status.IN_FORCE, Status.DISPUTED)
        return known or self.own or self.id in adopted

    def is_valid(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)

    def concerns(self, kind: Kind, country: str) -> bool:
        """Whether it is about such a call, being the law of that country."""
        if self.calls not in (kind.calls, "all") or not self.is_valid(kind.day):
            return False
        if self.purposes and not (kind.purpose or "").startswith(self.purposes):
            return False
        if not self.areas and not self.callee_only:
            return True
        if kind.country != country:
            return False
        return not self.areas or kind.areas is None or not self.areas.isdisjoint(kind.areas)

    def judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding | None:
        """What it comes to for a call that it is about; None where it is not about calls."""
        if self.lifted_by and (lifting := sorted(self.lifted_by & facts.bases)):
            return Finding(self.id, False, f"lifted by {lifting[0].replace('_', ' ')}", self.source)
        return self._judge(facts, is_holiday)

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding | None:
        return None

    def allowed_from(self, facts: Facts, is_holiday: IsHoliday) -> datetime | None:
        """From when on it denies such a call no more, by time alone; None where time alone changes nothing."""
        return None

    def _found(self, denies: bool, saw: str) -> Finding:
        return Finding(self.id, denies, saw, self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours(Provision):
    """When somebody may be called, by their own clock: in every zone that their number could be in."""

    week: Week
    days_off: frozenset[date] = frozenset()
    kind: ClassVar[str] = "hours"

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        zones = facts.place.zones if facts.place else ()
        if not zones:
            return self._found(True, "no time zone is known")
        is_off = self._off(is_holiday)
        shown = clocks(zones, facts.at)
        closed = next((one for one in shown if not self.week.is_open_by(one.there, is_off)), None)
        told = closed or shown[0]
        holiday = ", a holiday" if self.week.holidays is not None and is_off(told.there.date()) else ""
        return self._found(closed is not None, f"{told.words}{holiday}")

    def allowed_from(self, facts: Facts, is_holiday: IsHoliday) -> datetime | None:
        zones = facts.place.zones if facts.place else ()
        return self.week.next_open(zones, facts.at, self._off(is_holiday)) if zones else None

    def _off(self, is_holiday: IsHoliday) -> IsHoliday:
        return (lambda day: day in self.days_off or is_holiday(day)) if self.days_off else is_holiday


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap(Provision):
    """At most so many calls to a number in a time, for whatever purpose: the stricter reading of "same subject"."""

    most: int
    within: timedelta
    kind: ClassVar[str] = "cap"

    @property
    def looks_back(self) -> timedelta:
        return self.within

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        counted = self._counted(facts)
        saw = f"{len(counted)} calls allowed in the last {in_words(self.within)}, {self.most} at most"
        return self._found(len(counted) >= self.most, saw)

    def allowed_from(self, facts: Facts, is_holiday: IsHoliday) -> datetime | None:
        counted = self._counted(facts)
        return counted[self.most - 1] + self.within if len(counted) >= self.most else None

    def _counted(self, facts: Facts) -> list[datetime]:
        # Of a clock that was set back, what is yet to come has been.
        return sorted((at for at in facts.attempts if at > facts.at - self.within), reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Provision):
    """How long nobody calls who has been refused, even where the refusal was taken back."""

    days: int
    kind: ClassVar[str] = "silence"

    @property
    def looks_back(self) -> timedelta:
        return timedelta(days=self.days)

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        refused = max(facts.refusals, default=None)
        if refused is None:
            return self._found(False, "no refusal")
        saw = f"refused on {refused.astimezone(UTC):%Y-%m-%d}, {self.days} days of silence"
        return self._found(facts.at < refused + self.looks_back, saw)

    def allowed_from(self, facts: Facts, is_holiday: IsHoliday) -> datetime | None:
        return max(facts.refusals) + self.looks_back if facts.refusals else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisNeeded(Provision):
    """A call needs one of these bases for its purpose."""

    any_of: frozenset[str]
    kind: ClassVar[str] = "basis"

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        found = sorted(self.any_of & facts.bases)
        needed = " or ".join(sorted(self.any_of)).replace("_", " ")
        if found:
            return self._found(False, f"there is {found[0].replace('_', ' ')}")
        return self._found(True, f"no {needed} for this call is known")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMessage(Provision):
    """Before a person speaks, no recorded voice may."""

    kind: ClassVar[str] = "recorded_message"

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        saw = "the agent speaks first" if facts.agent_first else "a recorded voice speaks first"
        return self._found(not facts.agent_first, saw)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerId(Provision):
    """The caller's number is shown, and, where there are prefixes, begins with one of them (E.164)."""

    prefixes: tuple[str, ...] = ()
    kind: ClassVar[str] = "caller_id"

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        shown = facts.caller_id
        if shown is None:
            return self._found(False, "the gate is not told which number is shown")
        if not shown:
            return self._found(True, "the caller's number is withheld")
        if self.prefixes and not shown.startswith(self.prefixes):
            return self._found(True, "the number shown has none of the prefixes for such calls")
        return self._found(False, "the caller's number is shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness(Provision):
    """A national list has to be asked, and be at most so old: the stricter of this and what the configuration says.

    Attributes:
        days: None where the law names no number of them.
    """

    days: int | None
    kind: ClassVar[str] = "registry"
    callee_only: ClassVar[bool] = True

    def _judge(self, facts: Facts, is_holiday: IsHoliday) -> Finding:
        if not facts.registries:
            return self._found(True, "no registry is configured for such a number")
        for one in facts.registries:
            most = one.max_age_days if self.days is None else min(self.days, one.max_age_days)
            if is_stale(one.list_date, most, facts.at):
                return self._found(True, f"{one.registry}: list of {one.list_date or 'no day'}, {most} days at most")
        return self._found(False, ", ".join(f"{one.registry}: list of {one.list_date}" for one in facts.registries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption(Provision):
    """Numbers to which other rules do not apply, such as one's own staff's. Only a site's own policy has any.

    Attributes:
        lifts: ids of the rules.
        numbers: what the numbers begin with, in E.164.
    """

    lifts: frozenset[str]
    numbers: tuple[str, ...]
    kind: ClassVar[str] = "exemption"

    def exempts(self, facts: Facts) -> bool:
        return facts.number is not None and facts.number.startswith(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording(Provision):
    """Who has to agree to a recording: one party, or all of them; whether agents do, too.

    Attributes:
        systematic: whether all of a profile's calls may be recorded, or only what somebody asks for.
    """

    parties: Literal["one", "all"]
    agents: bool = False
    systematic: bool = True
    kind: ClassVar[str] = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRetention(Provision):
    """How long it has to be possible to prove consent, in years since it was given or last used."""

    years: int
    kind: ClassVar[str] = "proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutOffer(Provision):
    """How an opt-out is offered and kept.

    Attributes:
        within_s: how soon after the caller's name it is offered; None where the law does not say.
        honour_days: how soon it counts; None likewise.
        hang_up: whether the call ends at once.
    """

    within_s: int | None = None
    honour_days: int | None = None
    hang_up: bool = False
    kind: ClassVar[str] = "optout"


def in_words(time: timedelta) -> str:
    """A time in days where it is whole days from two on, else in hours."""
    hours = round(time / timedelta(hours=1))
    return f"{hours // 24} days" if hours > 24 and hours % 24 == 0 else f"{hours} hours"
