"""The law of both ends of a call: of the country that is called, and of the country that calls; the stricter wins.

Each policy's rules deny or are silent; nothing in one country's law lifts what another's denies. A country of which
nothing is known here is not called for marketing: no answer means no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

from callguard.core.decide import RULES, Decision, Facts, Finding, Kind, decide
from callguard.core.provisions import Exemption, Hours, Provision
from callguard.core.windows import IsHoliday

UNKNOWN = "law.unknown"
_UNKNOWN_SOURCE = "callguard: where the law is not known, no answer means no"

# So many times an answer that only time changes is asked anew, later: each rule moves it on.
_STEPS = 50
# So many kinds of calls are remembered with the rules that are about them; each day makes them anew.
_KINDS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Policy:
    """One country's rules.

    Attributes:
        country: ISO 3166-1 alpha-2.
        zones: its time zones, for numbers of which no closer one is known.
        rules: all of them, those too that do not apply here.
    """

    country: str
    name: str
    zones: tuple[str, ...]
    rules: tuple[Provision, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The rules that are about one kind of call, each with the holidays of the country whose it is."""

    rules: tuple[tuple[Provision, IsHoliday], ...]
    looks_back: timedelta = field(init=False)

    def __post_init__(self) -> None:
        longest = max((rule.looks_back for rule, _ in self.rules), default=timedelta())
        object.__setattr__(self, "looks_back", longest)


def _no_holidays(country: str, day: date) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Law:
    """The policies that are known, and which of their rules apply here.

    Attributes:
        adopted: ids of rules that apply though they are unverified, proposed or voluntary.
        is_holiday: whether a day is a national holiday of a country.
        digest: names what is in it, for decisions to say which law they were made by.
    """

    policies: tuple[Policy, ...] = ()
    adopted: frozenset[str] = frozenset()
    is_holiday: Callable[[str, date], bool] = _no_holidays
    digest: str = ""
    _applying: dict[str, tuple[Provision, ...]] = field(init=False, repr=False, compare=False)
    _asked: dict[Kind, _Asked] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        applying: dict[str, tuple[Provision, ...]] = {}
        for policy in self.policies:
            here = tuple(rule for rule in policy.rules if rule.applies_here(self.adopted))
            applying[policy.country] = (*applying.get(policy.country, ()), *here)
        object.__setattr__(self, "_applying", applying)

    def looks_back(self, kind: Kind) -> timedelta:
        """How long before a call the law asks for earlier calls and refusals; zero where it does not ask."""
        return self._asks(kind).looks_back

    def asked(self, kind: Kind) -> tuple[Provision, ...]:
        """The rules of both ends that are about such a call."""
        return tuple(rule for rule, _ in self._asks(kind).rules)

    def _asks(self, kind: Kind) -> _Asked:
        # There are few kinds, and to look which rules are about one takes longer than all judging.
        found = self._asked.get(kind)
        if found is None:
            if len(self._asked) >= _KINDS_KEPT:
                self._asked.clear()
            found = self._asked[kind] = _Asked(
                tuple(
                    (rule, partial(self.is_holiday, country))
                    for country in dict.fromkeys((kind.country, kind.caller_country))
                    if country is not None
                    for rule in self._applying.get(country, ())
                    if rule.concerns(kind, country)
                )
            )
        return found

    def asks_holidays_of(self) -> tuple[str, ...]:
        """The countries whose holidays count in rules that apply."""
        return tuple(
            country
            for country, rules in self._applying.items()
            if any(isinstance(rule, Hours) and rule.week.knows_holidays for rule in rules)
        )

    def judge(self, facts: Facts, *, tell_when: bool = False) -> tuple[Finding, ...]:
        """What each rule of both ends comes to; nothing for what is no number.

        Args:
            tell_when: also from when on those that deny would not: nothing that a dial should wait for.
        """
        if facts.place is None:
            return ()
        findings: list[Finding] = []
        exemptions: list[Exemption] = []
        if facts.calls == "marketing" and facts.place.country not in self._applying:
            saw = f"no policy for {facts.place.country}" if facts.place.country else "a number of no country"
            findings.append(Finding(UNKNOWN, True, saw, _UNKNOWN_SOURCE))
        for rule, is_holiday in self._asks(facts.kind).rules:
            if isinstance(rule, Exemption):
                if rule.exempts(facts):
                    exemptions.append(rule)
                continue
            finding = rule.judge(facts, is_holiday)
            if finding is None:
                continue
            if tell_when and finding.denies:
                finding = replace(finding, allowed_from=rule.allowed_from(facts, is_holiday))
            findings.append(finding)
        for one in exemptions:
            lifted = [finding.rule for finding in findings if finding.denies and finding.rule in one.lifts]
            findings = [_lift(finding, one) for finding in findings]
            if lifted:
                findings.append(Finding(one.id, False, f"lifts {', '.join(lifted)}", one.source))
        return tuple(findings)

    def decide(self, facts: Facts, *, tell_when: bool = False) -> Decision:
        """The decision by the gate's own rules and by the law."""
        return decide(facts, RULES, self.judge(facts, tell_when=tell_when), self.digest)

    def allowed_from(self, facts: Facts) -> datetime | None:
        """When a call that is denied would be allowed by time alone; None where something else has to change first."""
        for _ in range(_STEPS):
            decision = self.decide(facts, tell_when=True)
            if decision.allow:
                return facts.at
            moments = [one.allowed_from for one in decision.findings if one.denies]
            latest = max((one for one in moments if one is not None), default=facts.at)
            if len(moments) < len(decision.rules) or None in moments or latest <= facts.at:
                return None
            facts = replace(facts, at=latest)
        return None


def _lift(finding: Finding, by: Exemption) -> Finding:
    if not finding.denies or finding.rule not in by.lifts:
        return finding
    return replace(finding, denies=False, allowed_from=None, saw=f"{finding.saw}; lifted by {by.id}")
