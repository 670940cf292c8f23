"""How long a recording is kept: from what is known of it, and the controller's rules, to what becomes of it. Pure.

A recording serves each of its purposes until that purpose's own end, and is destroyed when none is left (GDPR
Art. 5(1)(e) and 17(1)). What has no end is kept until somebody says. A hold only ever keeps (Art. 17(3)(e)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from callguard.core.grants import Channel, Ending, Standing, ended
from callguard.core.model import Basis, GrantState, Purpose

# Whoever objects ends what rests on these (GDPR Art. 21(1)); a contract or a duty of law goes on.
_OBJECTED_TO = frozenset({Basis.LEGITIMATE_INTERESTS, Basis.PUBLIC_TASK})
# Of a number that is nobody's, or somebody else's now, nothing is said of who was recorded.
_SAID = frozenset({GrantState.WITHDRAWN, GrantState.REVOKED, GrantState.INVALIDATED})

_NEVER = datetime.max.replace(tzinfo=UTC)


class Trigger(StrEnum):
    """What ends a purpose of a recording, in one name for good: in evidence, lists and reasons."""

    TIME = "time"
    CONTRACT_END = "contract_end"
    WITHDRAWAL = "withdrawn"
    OBJECTION = "objected"
    UNLAWFUL = "unlawful"
    ERASURE = "erased"


class Start(StrEnum):
    """From when on the days of a rule are counted."""

    RECORDING = "recording"
    CONTRACT_END = "contract_end"


@dataclass(frozen=True, slots=True)
class Rule:
    """For how many days recordings are kept for a purpose, from the end of the recording or of the contract."""

    days: int
    start: Start = Start.RECORDING


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract of the subject with the controller. `ends_at`: None while no end of it is known."""

    ends_at: datetime | None


def contract(purpose: str, since: datetime, until: datetime | None, endings: Iterable[Ending]) -> Contract:
    """A contract from what was granted on it, and what was kept to end it."""
    granted = Standing(purpose, Basis.CONTRACT, Channel.CONTRACT, since, until, "")
    over = ended(granted, (one for one in endings if one.state in _SAID)).ended_at
    return Contract(min((at for at in (until, over) if at is not None), default=None))


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a recording whatever else is said of it: a lawsuit, an authority's request.

    Attributes:
        until: when it ends by itself; None for not before it is released.
        released_at: None while it is not.
        reason: somebody's own words, which may be erased.
    """

    hold_id: str
    since: datetime
    until: datetime | None
    released_at: datetime | None = None
    reason: str = ""

    def in_force(self, at: datetime) -> bool:
        """Whether it keeps at a moment; also one that was made before a clock was set back."""
        return self.released_at is None and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a recording that is kept; times are aware.

    Attributes:
        purposes: what it was made for, each with the basis that it rested on.
        began_at: no audio of it is older.
        withdrawn_at: when what was withdrawn in the call is to go; None where nothing was.
        objected_at: when the subject objected, in the call or by request.
        endings: what the subject has taken back beside the call.
        unlawful_at: when somebody marked it as unlawful.
        erased_at: when the subject was erased.
        contracts: all that are known of the subject with this controller.
    """

    purposes: tuple[Purpose, ...]
    began_at: datetime
    ended_at: datetime
    withdrawn_at: datetime | None = None
    objected_at: datetime | None = None
    endings: tuple[Ending, ...] = ()
    unlawful_at: datetime | None = None
    erased_at: datetime | None = None
    contracts: tuple[Contract, ...] = ()
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Of one purpose: the first that there is, or why there is none.

    Attributes:
        trigger: None where there is no end.
        at: None likewise.
        why: the rule or the act, in words.
    """

    purpose: str
    basis: Basis
    trigger: Trigger | None
    at: datetime | None
    why: str

    def as_json(self) -> dict[str, str | None]:
        """For evidence, lists and programs; no number and no name is in it."""
        at = None if self.at is None else _moment(self.at)
        return {"purpose": self.purpose, "basis": self.basis, "ended_by": self.trigger, "at": at, "why": self.why}

    @property
    def line(self) -> str:
        """For a person."""
        when = "no end" if self.at is None else f"until {_moment(self.at)}"
        return f"{self.purpose} ({self.basis}): {when}, {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a recording.

    Attributes:
        ends: of each purpose, in their order.
        holds: those in force.
        due_at: when no purpose is left; None where one has no end.
        destroy: it is to be destroyed now.
        reason: what ended the purpose that was left last; None where one has no end.
    """

    ends: tuple[End, ...]
    holds: tuple[Hold, ...]
    due_at: datetime | None
    destroy: bool
    reason: Trigger | None

    @property
    def restricted(self) -> bool:
        """It is kept for a hold, and for nothing else may it be used (GDPR Art. 18)."""
        return bool(self.holds)

    def due(self, now: datetime) -> bool:
        """Whether no purpose is left, held or not."""
        return self.due_at is not None and self.due_at <= now


def judge(facts: Facts, rules: Mapping[str, Rule], now: datetime) -> Verdict:
    """What becomes of a recording at a moment.

    One that has no purpose at all has no end: somebody has to look into it (`callguard audit basis`).

    Args:
        rules: the controller's, by purpose.
    """
    ends = tuple(_end(facts, purpose, rules.get(purpose.id)) for purpose in facts.purposes)
    holds = tuple(one for one in facts.holds if one.in_force(now))
    known = [one for one in ends if one.at is not None]
    last = max(known, key=lambda one: one.at or now) if known and len(known) == len(ends) else None
    due_at = None if last is None else last.at
    destroy = due_at is not None and due_at <= now and not holds
    return Verdict(ends, holds, due_at, destroy, None if last is None else last.trigger)


def standing(facts: Facts, now: datetime) -> tuple[Purpose, ...]:
    """The purposes whose basis still stands, whatever their time."""
    return tuple(
        purpose for purpose in facts.purposes
        if not any(at <= now for _, at, _ in _acts(facts, purpose))
    )  # fmt: skip


def _end(facts: Facts, purpose: Purpose, rule: Rule | None) -> End:
    found = [*_acts(facts, purpose), *_by_rule(facts, rule)]
    if not found:
        return End(purpose.id, purpose.basis, None, None, _no_end(facts, rule))
    trigger, at, why = min(found, key=lambda one: one[1])
    return End(purpose.id, purpose.basis, trigger, at, why)


def _acts(facts: Facts, purpose: Purpose) -> Iterator[tuple[Trigger, datetime, str]]:
    """What ends a purpose before its time."""
    if facts.unlawful_at is not None:
        yield Trigger.UNLAWFUL, facts.unlawful_at, "marked as unlawful (GDPR Art. 17(1)(d))"
    if facts.erased_at is not None:
        yield Trigger.ERASURE, facts.erased_at, "the person was erased (GDPR Art. 17(1))"
    beside = _beside(facts, purpose)
    if purpose.basis is Basis.CONSENT:
        for at in (facts.withdrawn_at, beside):
            if at is not None:
                yield Trigger.WITHDRAWAL, at, "the consent was taken back (GDPR Art. 17(1)(b))"
    if purpose.basis in _OBJECTED_TO:
        for at in (facts.objected_at, beside):
            if at is not None:
                yield Trigger.OBJECTION, at, "the person objected (GDPR Art. 17(1)(c))"


def _beside(facts: Facts, purpose: Purpose) -> datetime | None:
    """When what was said beside the call first ended the purpose."""
    given = Standing(purpose.id, purpose.basis, Channel.PHONE, facts.began_at, None, "")
    # An opt-out of all calls is about calls: no recording is lost by it that nobody spoke of.
    said = [one.at for one in facts.endings if one.purpose is not None and one.state in _SAID and one.ends(given)]
    return min(said, default=None)


def _by_rule(facts: Facts, rule: Rule | None) -> Iterator[tuple[Trigger, datetime, str]]:
    if rule is None:
        return
    if rule.start is Start.RECORDING:
        yield Trigger.TIME, _after(facts.ended_at, rule), f"{_days(rule)} after the recording"
        return
    over = [one.ends_at for one in facts.contracts if one.ends_at is not None]
    if over and len(over) == len(facts.contracts):
        # A contract that was over before belongs to another time: what was recorded since is kept as long.
        begins = max(facts.ended_at, *over)
        why = f"{_days(rule)} after the contract's end, {_moment(max(over))}"
        yield Trigger.CONTRACT_END, _after(begins, rule), why


def _after(at: datetime, rule: Rule) -> datetime:
    try:
        return at + timedelta(days=rule.days)
    except OverflowError:  # a contract without end, as somebody may have written it
        return _NEVER


def _no_end(facts: Facts, rule: Rule | None) -> str:
    if rule is None:
        return "as no rule of retention is given"
    return (
        f"as the contract runs, and then {_days(rule)}" if facts.contracts else "as no contract is known of the person"
    )


def _days(rule: Rule) -> str:
    return f"{rule.days} day{'' if rule.days == 1 else 's'}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
