"""How long recordings are kept: one test for each thing that ends a purpose, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.grants import Ending, opted_out
from callguard.core.model import Basis, GrantState, Purpose
from callguard.core.retention import Contract, Facts, Hold, Rule, Start, Trigger, Verdict, judge, standing

BEGAN = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=5)
DAY = timedelta(days=1)
QUALITY = Purpose("recording.quality", Basis.CONSENT)
ANALYSIS = Purpose("recording.analysis", Basis.CONSENT)
INTEREST = Purpose("recording.security", Basis.LEGITIMATE_INTERESTS)
CONTRACT = Purpose("recording.contract", Basis.CONTRACT)
DUTY = Purpose("recording.duty", Basis.LEGAL_OBLIGATION)
YEARS = {one.id: Rule(3_650) for one in (QUALITY, ANALYSIS, INTEREST, CONTRACT, DUTY)}
SOON = ENDED + DAY


def recorded(*purposes: Purpose) -> Facts:
    return Facts(purposes, BEGAN, ENDED)


def changes(verdict: Verdict) -> tuple[bool, Trigger | None, datetime | None]:
    return verdict.destroy, verdict.reason, verdict.due_at


def test_time_ends_a_purpose_to_the_second() -> None:
    facts, rules = recorded(QUALITY), {QUALITY.id: Rule(90)}
    end = ENDED + 90 * DAY
    assert not judge(facts, rules, end - timedelta(microseconds=1)).destroy
    verdict = judge(facts, rules, end)
    assert changes(verdict) == (True, Trigger.TIME, end)
    assert verdict.ends[0].line == (
        "recording.quality (consent): until 2026-04-02T12:05:00+00:00, 90 days after the recording"
    )


def test_what_nothing_is_said_of_is_kept_until_somebody_says() -> None:
    verdict = judge(recorded(QUALITY), {}, ENDED + 99_999 * DAY)
    assert changes(verdict) == (False, None, None)
    assert verdict.ends[0].line == "recording.quality (consent): no end, as no rule of retention is given"


def test_a_recording_serves_each_purpose_until_its_own_end() -> None:
    facts, rules = recorded(QUALITY, ANALYSIS), {QUALITY.id: Rule(90), ANALYSIS.id: Rule(30)}
    assert [one.at for one in judge(facts, rules, SOON).ends] == [ENDED + 90 * DAY, ENDED + 30 * DAY]
    assert not judge(facts, rules, ENDED + 89 * DAY).destroy
    assert judge(facts, rules, ENDED + 90 * DAY).destroy
    assert judge(facts, {ANALYSIS.id: Rule(30)}, ENDED + 9_999 * DAY).due_at is None


def test_the_contracts_end_starts_its_term() -> None:
    over = BEGAN + 400 * DAY
    rules = {CONTRACT.id: Rule(2_190, Start.CONTRACT_END)}
    facts = replace(recorded(CONTRACT), contracts=(Contract(over), Contract(BEGAN + DAY)))
    assert not judge(facts, rules, over + 2_189 * DAY).destroy
    assert changes(judge(facts, rules, over + 2_190 * DAY)) == (True, Trigger.CONTRACT_END, over + 2_190 * DAY)
    assert judge(facts, rules, SOON).ends[0].why == "2190 days after the contract's end, 2027-02-06T12:00:00+00:00"


def test_a_contract_that_runs_or_is_not_known_ends_nothing() -> None:
    rules, late = {CONTRACT.id: Rule(1, Start.CONTRACT_END)}, ENDED + 9_999 * DAY
    running = replace(recorded(CONTRACT), contracts=(Contract(BEGAN), Contract(None)))
    assert judge(running, rules, late).ends[0].line.endswith("no end, as the contract runs, and then 1 day")
    assert judge(recorded(CONTRACT), rules, late).ends[0].line.endswith("as no contract is known of the person")


def test_a_contract_that_was_over_before_the_recording_does_not_destroy_it_at_once() -> None:
    facts = replace(recorded(CONTRACT), contracts=(Contract(BEGAN - 9_999 * DAY),))
    assert judge(facts, {CONTRACT.id: Rule(30, Start.CONTRACT_END)}, SOON).due_at == ENDED + 30 * DAY


def test_a_contract_until_the_end_of_the_calendar_has_no_end_that_breaks() -> None:
    facts = replace(recorded(CONTRACT), contracts=(Contract(datetime(9999, 12, 1, tzinfo=UTC)),))
    assert not judge(facts, {CONTRACT.id: Rule(2_190, Start.CONTRACT_END)}, SOON).destroy


@pytest.mark.parametrize(
    "said",
    [
        {"withdrawn_at": SOON},
        {"endings": (Ending(GrantState.WITHDRAWN, QUALITY.id, SOON),)},
        {"endings": opted_out("purpose", QUALITY.id, SOON)},
        {"endings": (Ending(GrantState.INVALIDATED, QUALITY.id, SOON),)},
    ],
)
def test_withdrawal_ends_what_rests_on_consent_alone(said: dict[str, Any]) -> None:
    facts = replace(recorded(QUALITY), **said)
    assert changes(judge(facts, YEARS, SOON)) == (True, Trigger.WITHDRAWAL, SOON)
    assert standing(facts, SOON) == ()
    for other in (CONTRACT, DUTY):
        assert not judge(replace(facts, purposes=(QUALITY, other)), YEARS, SOON).destroy
        assert standing(replace(facts, purposes=(QUALITY, other)), SOON) == (other,)


def test_objection_ends_legitimate_interests_and_no_contract_duty_or_consent() -> None:
    facts = replace(recorded(INTEREST), objected_at=SOON)
    assert changes(judge(facts, YEARS, SOON)) == (True, Trigger.OBJECTION, SOON)
    task = Purpose("recording.task", Basis.PUBLIC_TASK)
    assert judge(replace(facts, purposes=(task,)), {}, SOON).destroy
    for other in (QUALITY, CONTRACT, DUTY):
        assert not judge(replace(facts, purposes=(other,)), YEARS, SOON).destroy


def test_what_is_unlawful_ends_whatever_it_rests_on() -> None:
    for purpose in (QUALITY, INTEREST, CONTRACT, DUTY):
        facts = replace(recorded(purpose), unlawful_at=SOON)
        assert changes(judge(facts, {}, SOON)) == (True, Trigger.UNLAWFUL, SOON)


@pytest.mark.parametrize(
    "ending",
    [
        Ending(GrantState.WITHDRAWN, QUALITY.id, BEGAN - DAY),
        Ending(GrantState.WITHDRAWN, "recording.other", SOON),
        Ending(GrantState.SUSPENDED, QUALITY.id, SOON),
        *opted_out("all", None, SOON),
        *opted_out("marketing", None, SOON),
    ],
)
def test_what_was_said_before_or_of_something_else_ends_nothing(ending: Ending) -> None:
    facts = replace(recorded(QUALITY, INTEREST), endings=(ending,))
    assert judge(facts, {}, SOON + 999 * DAY).due_at is None


def test_a_hold_keeps_until_it_ends_or_is_released_and_says_that_it_restricts() -> None:
    until = SOON + 10 * DAY
    facts = replace(recorded(QUALITY), unlawful_at=SOON, holds=(Hold("1", SOON, until),))
    held = judge(facts, YEARS, until - timedelta(seconds=1))
    assert (held.destroy, held.restricted, held.due(SOON)) == (False, True, True)
    assert judge(facts, YEARS, until).destroy
    for_good = replace(facts, holds=(Hold("1", SOON, None),))
    assert not judge(for_good, YEARS, until + 9_999 * DAY).destroy
    assert judge(replace(facts, holds=(Hold("1", SOON, None, released_at=SOON + DAY),)), YEARS, until).destroy


def test_a_recording_without_any_purpose_is_not_destroyed_by_itself() -> None:
    assert changes(judge(recorded(), {}, SOON)) == (False, None, None)


moments = st.integers(0, 4_000).map(lambda days: BEGAN + days * DAY)
purposes = st.lists(st.sampled_from((QUALITY, ANALYSIS, INTEREST, CONTRACT, DUTY)), max_size=3, unique=True)
names = st.sampled_from([QUALITY.id, ANALYSIS.id, INTEREST.id, CONTRACT.id])
endings = st.builds(Ending, st.sampled_from(list(GrantState)), st.none() | names, moments)
holds = st.builds(Hold, st.just("1"), moments, st.none() | moments, st.none() | moments)
facts_of_any = st.builds(
    Facts,
    purposes=purposes.map(tuple),
    began_at=st.just(BEGAN),
    ended_at=st.just(ENDED),
    withdrawn_at=st.none() | moments,
    objected_at=st.none() | moments,
    endings=st.lists(endings, max_size=2).map(tuple),
    unlawful_at=st.none() | moments,
    contracts=st.lists(st.builds(Contract, st.none() | moments), max_size=2).map(tuple),
    holds=st.lists(holds, max_size=2).map(tuple),
)
rules_of_any = st.dictionaries(names, st.builds(Rule, st.integers(0, 4_000), st.sampled_from(list(Start))))


@given(facts_of_any, rules_of_any, moments)
def test_no_hold_and_no_later_end_is_ever_ignored(facts: Facts, rules: dict[str, Rule], now: datetime) -> None:
    verdict = judge(facts, rules, now)
    if verdict.destroy:
        assert not any(one.in_force(now) for one in facts.holds)
        assert facts.purposes and all(one.at is not None and one.at <= now for one in verdict.ends)
        for purpose in facts.purposes:
            alone = judge(replace(facts, purposes=(purpose,)), rules, now)
            assert alone.destroy
    else:
        assert verdict.holds or not verdict.due(now)


@given(facts_of_any, rules_of_any, moments, st.data())
def test_one_more_end_never_lengthens(facts: Facts, rules: dict[str, Rule], now: datetime, data: st.DataObject) -> None:
    at = data.draw(moments)
    more = data.draw(
        st.sampled_from(
            [
                replace(facts, endings=(*facts.endings, Ending(GrantState.WITHDRAWN, QUALITY.id, at))),
                replace(facts, withdrawn_at=min(at, facts.withdrawn_at or at)),
                replace(facts, objected_at=min(at, facts.objected_at or at)),
                replace(facts, unlawful_at=min(at, facts.unlawful_at or at)),
            ]
        )
    )
    before, after = judge(facts, rules, now), judge(more, rules, now)
    assert before.due_at is None or (after.due_at is not None and after.due_at <= before.due_at)
    assert after.destroy or not before.destroy


@given(facts_of_any, rules_of_any, moments, moments)
def test_what_is_destroyed_now_would_be_later_too(
    facts: Facts, rules: dict[str, Rule], one: datetime, other: datetime
) -> None:
    if judge(facts, rules, min(one, other)).destroy:
        assert judge(facts, rules, max(one, other)).destroy


@given(facts_of_any, rules_of_any, moments)
def test_every_purpose_has_a_line_that_says_why(facts: Facts, rules: dict[str, Rule], now: datetime) -> None:
    for one in judge(facts, rules, now).ends:
        assert one.purpose in one.line and one.why and ((one.at is None) == (one.trigger is None))
