"""The dial decision: each rule denies what it is about and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.decide import (
    ALLOWED,
    RULES,
    Decision,
    Facts,
    OptOut,
    Registered,
    Rule,
    Scope,
    decide,
    list_age_days,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MARKETING = Facts("+390612345678", "marketing", "marketing.calls", "spring", NOW, (), ())
SERVICE = Facts("+390612345678", "service", "contract.calls", None, NOW, (), ())

moments = st.integers(-3, 3).map(lambda seconds: NOW + seconds * SECOND)
names = st.sampled_from(["marketing.calls", "contract.calls", "spring", "autumn"])


def out(scope: Scope, **changes: Any) -> OptOut:
    purpose = "marketing.calls" if scope is Scope.PURPOSE else None
    campaign = "spring" if scope is Scope.CAMPAIGN else None
    return replace(OptOut(scope, purpose, campaign, NOW - SECOND, None, "key"), **changes)


@st.composite
def opt_outs(draw: st.DrawFn) -> OptOut:
    scope = draw(st.sampled_from(Scope))
    return OptOut(
        scope,
        draw(names) if scope is Scope.PURPOSE else None,
        draw(names) if scope is Scope.CAMPAIGN else None,
        draw(moments),
        draw(st.none() | moments),
        "key",
    )


registered = st.builds(
    Registered,
    registry=st.sampled_from(["us", "ca"]),
    list_date=st.none() | st.integers(-40, 3).map(lambda days: NOW.date() + timedelta(days=days)),
    max_age_days=st.sampled_from([1, 31]),
    listed=st.booleans(),
    screened=st.booleans(),
    answered=st.booleans(),
)
facts_of_any_kind = st.builds(
    Facts,
    number=st.none() | st.just("+390612345678"),
    calls=st.sampled_from(["service", "marketing"]),
    purpose=st.none() | names,
    campaign=st.none() | names,
    at=st.just(NOW),
    opt_outs=st.lists(opt_outs(), max_size=4).map(tuple),
    registries=st.lists(registered, max_size=2).map(tuple),
)


@pytest.mark.parametrize("facts", [SERVICE, MARKETING])
def test_who_has_not_opted_out_may_be_called(facts: Facts) -> None:
    decision = decide(facts)
    assert decision == Decision(True, ())
    assert decision.rule == ALLOWED


def test_what_is_no_number_is_not_called() -> None:
    assert decide(replace(SERVICE, number=None)).rule == "number.invalid"


@pytest.mark.parametrize(
    ("scope", "service", "marketing"),
    [
        (Scope.ALL, ("optout.all",), ("optout.all",)),
        (Scope.MARKETING, (), ("optout.marketing",)),
        (Scope.PURPOSE, (), ("optout.purpose",)),
        (Scope.CAMPAIGN, (), ("optout.campaign",)),
    ],
)
def test_each_scope_denies_what_it_is_about(scope: Scope, service: tuple[str, ...], marketing: tuple[str, ...]) -> None:
    assert decide(replace(SERVICE, opt_outs=(out(scope),))).rules == service
    assert decide(replace(MARKETING, opt_outs=(out(scope),))).rules == marketing


def test_a_purpose_and_a_campaign_bind_service_calls_too() -> None:
    both = (out(Scope.PURPOSE, purpose="contract.calls"), out(Scope.CAMPAIGN))
    facts = replace(SERVICE, campaign="spring", opt_outs=both)
    assert decide(facts).rules == ("optout.purpose", "optout.campaign")


@pytest.mark.parametrize("scope", [Scope.PURPOSE, Scope.CAMPAIGN])
def test_another_purpose_or_campaign_may_be_called_for(scope: Scope) -> None:
    other = replace(MARKETING, purpose="survey.calls", campaign="autumn", opt_outs=(out(scope),))
    none = replace(other, purpose=None, campaign=None)
    assert decide(other).allow
    assert decide(none).allow


@pytest.mark.parametrize(
    ("since", "until", "allow"),
    [
        pytest.param(NOW, None, False, id="from its first moment"),
        pytest.param(NOW + SECOND, None, True, id="not before"),
        pytest.param(NOW - SECOND, NOW + SECOND, False, id="until its end"),
        pytest.param(NOW - SECOND, NOW, True, id="not at its end"),
    ],
)
def test_an_opt_out_holds_while_it_lasts(since: datetime, until: datetime | None, allow: bool) -> None:
    assert decide(replace(MARKETING, opt_outs=(out(Scope.MARKETING, since=since, until=until),))).allow is allow


def test_all_that_deny_are_named_the_deciding_one_first() -> None:
    facts = replace(MARKETING, number=None, opt_outs=tuple(out(scope) for scope in reversed(Scope)))
    decision = decide(facts)
    assert decision.rules == ("number.invalid", "optout.all", "optout.marketing", "optout.purpose", "optout.campaign")
    assert decision.rule == "number.invalid"


def test_later_rules_are_added_to_these() -> None:
    sunday = Rule("es.hours", lambda facts: facts.at.weekday() == 6)
    assert decide(SERVICE, (*RULES, sunday)).rules == ("es.hours",)
    assert decide(replace(SERVICE, at=NOW + timedelta(days=1)), (*RULES, sunday)).allow


@given(facts_of_any_kind)
def test_marketing_opt_outs_never_change_a_service_call(facts: Facts) -> None:
    service = replace(facts, calls="service")
    without = replace(service, opt_outs=tuple(one for one in facts.opt_outs if one.scope is not Scope.MARKETING))
    assert decide(service) == decide(without)


@given(facts_of_any_kind, opt_outs())
def test_no_opt_out_ever_allows_a_call(facts: Facts, one_more: OptOut) -> None:
    before, after = decide(facts), decide(replace(facts, opt_outs=(*facts.opt_outs, one_more)))
    assert set(before.rules) <= set(after.rules)


US = Registered("us", NOW.date() - timedelta(days=2), 31, listed=False)


@pytest.mark.parametrize("facts", [SERVICE, MARKETING])
def test_who_is_listed_is_not_called(facts: Facts) -> None:
    """Which registries are asked about which calls is the configuration's; what they say binds."""
    ca = replace(US, registry="ca")
    assert decide(replace(facts, registries=(US, ca))).allow
    assert decide(replace(facts, registries=(US, replace(ca, listed=True)))).rules == ("registry.listed",)


@pytest.mark.parametrize(
    ("days", "rules"),
    [
        pytest.param(31, (), id="as old as it may be"),
        pytest.param(32, ("registry.stale",), id="older"),
        pytest.param(0, (), id="of the day"),
        pytest.param(-1, (), id="of tomorrow, which it is somewhere"),
        pytest.param(-2, ("registry.stale",), id="of a later day: the clock was set back"),
        pytest.param(None, ("registry.stale",), id="missing"),
    ],
)
def test_a_list_counts_while_it_is_fresh(days: int | None, rules: tuple[str, ...]) -> None:
    list_date = None if days is None else NOW.date() - timedelta(days=days)
    assert decide(replace(MARKETING, registries=(replace(US, list_date=list_date),))).rules == rules


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        pytest.param(replace(US, list_date=None, screened=False), "registry.unscreened", id="never submitted"),
        pytest.param(replace(US, answered=False), "registry.unanswered", id="asked in vain"),
    ],
)
def test_who_was_not_screened_is_not_called(said: Registered, rule: str) -> None:
    assert decide(replace(MARKETING, registries=(said,))).rules == (rule,)


def test_a_lists_age_is_counted_in_days_of_utc() -> None:
    """At 23:30 in New York on 22 November it is the 23rd in UTC."""
    at = datetime(2026, 11, 22, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    of_the_22nd = replace(US, list_date=NOW.date(), max_age_days=1)
    assert list_age_days(NOW.date(), at) == 1
    assert not of_the_22nd.is_stale(at)
    assert of_the_22nd.is_stale(at + timedelta(days=1))


@given(facts_of_any_kind, registered)
def test_no_registry_ever_allows_a_call(facts: Facts, one_more: Registered) -> None:
    before, after = decide(facts), decide(replace(facts, registries=(*facts.registries, one_more)))
    assert set(before.rules) <= set(after.rules)


@given(facts_of_any_kind, st.integers(0, len(RULES)))
def test_a_rule_more_never_allows_a_call(facts: Facts, some: int) -> None:
    assert decide(facts, RULES[:some]).allow or not decide(facts).allow


@given(facts_of_any_kind)
def test_the_order_of_opt_outs_does_not_matter(facts: Facts) -> None:
    assert decide(facts) == decide(replace(facts, opt_outs=facts.opt_outs[::-1]))


@pytest.mark.parametrize("name", ["", "a" * 31, "Opt.Out", "opt-out", "opt,out", "opt out", "${X}", "a\n"])
def test_a_rules_id_can_travel_in_a_dialplan_extension(name: str) -> None:
    with pytest.raises(ValueError, match="rule id"):
        Rule(name, lambda _: True)


@pytest.mark.parametrize(("allow", "rules"), [(True, ("optout.all",)), (False, ())])
def test_a_decision_does_not_contradict_itself(allow: bool, rules: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="denied by a rule"):
        Decision(allow, rules)


@given(facts_of_any_kind)
def test_the_houses_own_people_are_denied_by_nothing_but_their_own_opt_outs(facts: Facts) -> None:
    decision, spared = decide(facts), decide(replace(facts, staff=True))
    if facts.number is None or decision.allow:
        assert spared == decision
    else:
        assert spared.rules == tuple(rule for rule in decision.rules if rule.startswith("optout."))
        assert spared.rule == (spared.rules[0] if spared.rules else "staff.exempt")


def test_what_exempts_a_call_allows_it() -> None:
    with pytest.raises(ValueError, match="exempts"):
        Decision(False, ("optout.all",), exemption="staff.exempt")
