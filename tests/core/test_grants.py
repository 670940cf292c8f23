"""Grants beside any call: what counts, what ends it, and what an entry in a registry makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.decide import Facts, Registered, Scope, decide
from callguard.core.grants import Channel, Ending, Standing, bases, counts, ended, limited, opted_out, survives
from callguard.core.model import Basis, GrantState

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
PURPOSE = "marketing.calls"


def test_a_consent_lasts_no_longer_than_the_term_and_only_a_new_one_renews_it() -> None:
    contract = replace(GIVEN, basis=Basis.CONTRACT)
    sooner = replace(GIVEN, until=GIVEN.since + DAY)
    assert [one.until for one in limited((GIVEN, contract, sooner), 5 * DAY)] == [
        GIVEN.since + 5 * DAY, None, GIVEN.since + DAY,
    ]  # fmt: skip
    assert [one.state(NOW) for one in limited((GIVEN, contract), 5 * DAY)] == [GrantState.EXPIRED, GrantState.GIVEN]
    anew = replace(GIVEN, since=NOW - DAY)
    assert bases(limited((GIVEN, anew), 5 * DAY), PURPOSE, (), NOW) == {Basis.CONSENT}
    assert limited((GIVEN,), None) == (GIVEN,)


GIVEN = Standing(PURPOSE, Basis.CONSENT, Channel.PAPER, NOW - 10 * DAY, None, "form 17")
LISTED = Registered("rpo", NOW.date() - 2 * DAY, 15, listed=True)
FACTS = Facts("+390612345678", "marketing", PURPOSE, None, NOW, (), (), (GIVEN,), needs_basis=True)

moments = st.integers(-30, 3).map(lambda days: NOW + days * DAY)
purposes = st.sampled_from([PURPOSE, "marketing.energy", "contract.calls"])
states = st.sampled_from([GrantState.WITHDRAWN, GrantState.REVOKED, GrantState.SUSPENDED])
endings = st.builds(Ending, states, st.none() | purposes, moments)
grants = st.builds(
    lambda grant, ending: ended(grant, [] if ending is None else [ending]),
    st.builds(
        Standing, purposes, st.sampled_from(Basis), st.sampled_from(Channel), moments, st.none() | moments, st.just("x")
    ),
    st.none() | endings,
)
registered = st.builds(
    Registered,
    registry=st.sampled_from(["rpo", "tps"]),
    list_date=st.none() | st.integers(-20, 0).map(lambda days: NOW.date() + days * DAY),
    max_age_days=st.just(15),
    listed=st.booleans(),
    since=st.none() | st.integers(-30, 0).map(lambda days: NOW.date() + days * DAY),
    voids=st.sampled_from(["earlier", "all", "none"]),
    spares=st.frozensets(st.sampled_from([Basis.CONTRACT, Basis.LEGAL_OBLIGATION])),
)
facts_of_any_kind = st.builds(
    Facts,
    number=st.just("+390612345678"),
    calls=st.just("marketing"),
    purpose=st.none() | purposes,
    campaign=st.none(),
    at=st.just(NOW),
    opt_outs=st.just(()),
    registries=st.lists(registered, max_size=2).map(tuple),
    grants=st.lists(grants, max_size=3).map(tuple),
    needs_basis=st.booleans(),
)


@pytest.mark.parametrize(
    ("since", "until", "state"),
    [
        pytest.param(NOW, None, GrantState.GIVEN, id="from its first moment"),
        pytest.param(NOW + SECOND, None, GrantState.UNKNOWN, id="not before"),
        pytest.param(NOW - DAY, NOW + SECOND, GrantState.GIVEN, id="until its end"),
        pytest.param(NOW - DAY, NOW, GrantState.EXPIRED, id="not at its end"),
    ],
)
def test_a_grant_counts_while_it_lasts(since: datetime, until: datetime | None, state: GrantState) -> None:
    one = replace(GIVEN, since=since, until=until)
    assert one.state(NOW) is state
    assert counts(one, NOW) is (state is GrantState.GIVEN)


def test_what_ends_a_grant_ends_all_that_are_not_younger() -> None:
    """Whoever imports an old consent again does not bring it back."""
    ending = Ending(GrantState.WITHDRAWN, PURPOSE, NOW - DAY)
    for since, state in ((NOW - 9 * DAY, GrantState.WITHDRAWN), (NOW - DAY, GrantState.WITHDRAWN)):
        assert ended(replace(GIVEN, since=since), [ending]).state(NOW) is state
    assert ended(replace(GIVEN, since=NOW - DAY + SECOND), [ending]).state(NOW) is GrantState.GIVEN
    assert ended(GIVEN, [ending]).state(NOW - DAY - SECOND) is GrantState.GIVEN


def test_a_withdrawal_is_of_its_purpose_and_a_number_of_somebody_else_ends_all() -> None:
    other = replace(GIVEN, purpose="contract.calls", basis=Basis.CONTRACT)
    withdrawn = Ending(GrantState.WITHDRAWN, PURPOSE, NOW)
    assert [counts(ended(one, [withdrawn]), NOW) for one in (GIVEN, other)] == [False, True]
    reassigned = Ending(GrantState.SUSPENDED, None, NOW)
    assert [ended(one, [reassigned]).state(NOW) for one in (GIVEN, other)] == [GrantState.SUSPENDED] * 2


def test_of_several_endings_the_first_is_told() -> None:
    first, last = Ending(GrantState.SUSPENDED, None, NOW - 2 * DAY), Ending(GrantState.REVOKED, PURPOSE, NOW - DAY)
    one = ended(GIVEN, [last, first])
    assert (one.ended, one.ended_at) == (GrantState.SUSPENDED, NOW - 2 * DAY)


@pytest.mark.parametrize(
    ("scope", "purpose", "ends"),
    [
        (Scope.ALL, None, [True, True, True, False]),
        (Scope.MARKETING, None, [True, True, False, False]),
        (Scope.PURPOSE, PURPOSE, [True, False, False, False]),
        (Scope.CAMPAIGN, None, [False, False, False, False]),
    ],
)
def test_an_opt_out_takes_back_what_it_is_about(scope: Scope, purpose: str | None, ends: list[bool]) -> None:
    """Nobody ends a contract by not wanting calls."""
    there = (
        GIVEN,
        replace(GIVEN, purpose="marketing.energy", basis=Basis.CONTRACT),
        replace(GIVEN, purpose="survey.calls"),
        replace(GIVEN, purpose="contract.calls", basis=Basis.CONTRACT),
    )
    said = opted_out(scope, purpose, NOW - DAY)
    assert [not counts(ended(one, said), NOW) for one in there] == ends


def test_a_profile_that_wants_a_grant_calls_nobody_without_one_for_its_purpose() -> None:
    assert decide(FACTS).allow
    for without in (
        replace(FACTS, grants=()),
        replace(FACTS, purpose="marketing.energy"),
        replace(FACTS, purpose=None),
        replace(FACTS, grants=(replace(GIVEN, until=NOW),)),
        replace(FACTS, grants=(ended(GIVEN, opted_out(Scope.MARKETING, None, NOW)),)),
    ):
        assert decide(without).rules == ("basis.missing",)
        assert decide(replace(without, needs_basis=False)).allow


@pytest.mark.parametrize("basis", Basis)
def test_any_basis_may_carry_a_call(basis: Basis) -> None:
    facts = replace(FACTS, grants=(replace(GIVEN, basis=basis),))
    assert facts.bases == {basis}
    assert decide(facts).allow


ENTERED = date(2026, 11, 1)


@pytest.mark.parametrize(
    ("given_at", "counted"),
    [
        pytest.param(datetime(2026, 10, 31, 12, tzinfo=UTC), False, id="before the entry"),
        pytest.param(datetime(2026, 11, 1, 23, tzinfo=UTC), False, id="on its day: which was first is not known"),
        pytest.param(datetime(2026, 11, 2, 11, 59, tzinfo=UTC), False, id="while that day lasts somewhere"),
        pytest.param(datetime(2026, 11, 2, 12, tzinfo=UTC), True, id="after it"),
    ],
)
@pytest.mark.parametrize("known_by", ["since", "list_date"])
def test_an_entry_voids_what_was_granted_before_it_and_spares_what_came_after(
    given_at: datetime, counted: bool, known_by: str
) -> None:
    """R27. The list's own date bounds the entry where the entry has none: it is no later than the list."""
    entry = replace(LISTED, since=ENTERED) if known_by == "since" else replace(LISTED, list_date=ENTERED)
    assert survives(replace(GIVEN, since=given_at), entry) is counted
    facts = replace(FACTS, registries=(replace(entry, max_age_days=60),), grants=(replace(GIVEN, since=given_at),))
    assert decide(facts).rules == (() if counted else ("registry.listed", "basis.missing"))


def test_where_no_date_is_known_nothing_survives() -> None:
    assert not survives(GIVEN, replace(LISTED, list_date=None))


def test_each_registry_has_its_own_rule() -> None:
    """The TPS gives way to a specific consent; a registry may also give way to nothing, or to contracts."""
    old, contract = GIVEN, replace(GIVEN, basis=Basis.CONTRACT)
    young = replace(GIVEN, since=NOW - SECOND)
    tps, nothing = replace(LISTED, voids="none"), replace(LISTED, voids="all")
    live = replace(LISTED, spares=frozenset({Basis.CONTRACT}))
    assert [survives(one, tps) for one in (old, contract)] == [True, False]
    assert [survives(one, nothing) for one in (old, young, contract)] == [False, False, False]
    assert [survives(one, live) for one in (old, contract)] == [False, True]


def test_a_call_rests_on_one_grant_that_every_registry_spares() -> None:
    """Not on two, of which each is void by one of two registries."""
    by_contract = replace(GIVEN, basis=Basis.CONTRACT)
    spares_contracts = replace(LISTED, voids="all", spares=frozenset({Basis.CONTRACT}))
    spares_consents = replace(LISTED, registry="tps", voids="none")
    facts = replace(FACTS, registries=(spares_contracts, spares_consents), grants=(GIVEN, by_contract))
    assert decide(facts).rules == ("registry.listed", "basis.missing")
    assert decide(replace(facts, registries=(spares_consents,))).allow


def test_a_grant_does_not_make_a_stale_list_fresh() -> None:
    stale = replace(LISTED, voids="none", list_date=NOW.date() - 30 * DAY)
    assert decide(replace(FACTS, registries=(stale,))).rules == ("registry.stale",)


def test_bases_are_those_of_the_purpose_and_the_moment() -> None:
    there = (GIVEN, replace(GIVEN, basis=Basis.CONTRACT, until=NOW - DAY), replace(GIVEN, purpose="contract.calls"))
    assert bases(there, PURPOSE, (), NOW) == {Basis.CONSENT}
    assert bases(there, PURPOSE, (), NOW - 2 * DAY) == {Basis.CONSENT, Basis.CONTRACT}
    assert bases(there, None, (), NOW) == frozenset()


@given(facts_of_any_kind, grants)
def test_no_grant_ever_denies_a_call(facts: Facts, one_more: Standing) -> None:
    after = decide(replace(facts, grants=(*facts.grants, one_more)))
    assert set(after.rules) <= set(decide(facts).rules)


@given(facts_of_any_kind, registered)
def test_no_registry_ever_allows_a_call_whatever_was_granted(facts: Facts, one_more: Registered) -> None:
    after = decide(replace(facts, registries=(*facts.registries, one_more)))
    assert set(decide(facts).rules) <= set(after.rules)


@given(facts_of_any_kind, endings)
def test_nothing_that_ends_grants_ever_allows_a_call(facts: Facts, ending: Ending) -> None:
    after = decide(replace(facts, grants=tuple(ended(one, [ending]) for one in facts.grants)))
    before = replace(facts, grants=tuple(replace(one, ended=None, ended_at=None) for one in facts.grants))
    assert set(decide(before).rules) <= set(after.rules)


@given(facts_of_any_kind)
def test_an_entry_is_lifted_by_a_grant_of_that_very_purpose_alone(facts: Facts) -> None:
    if any(one.listed for one in facts.registries) and "registry.listed" not in decide(facts).rules:
        assert any(one.purpose == facts.purpose and counts(one, NOW) for one in facts.grants)


@given(grants, registered, st.integers(1, 30))
def test_a_younger_consent_survives_whatever_an_older_one_does(one: Standing, entry: Registered, days: int) -> None:
    younger = replace(one, since=one.since + days * DAY)
    assert survives(younger, entry) or not survives(one, entry)
