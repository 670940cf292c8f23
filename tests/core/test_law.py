"""The law as data: each kind of rule denies what it is about, says why and until when, and only exemptions lift."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.decide import Facts, OptOut, Place, Registered, Scope
from callguard.core.law import UNKNOWN, Law, Policy
from callguard.core.provisions import (
    BasisNeeded,
    CallerId,
    Cap,
    Exemption,
    Freshness,
    Hours,
    OptOutOffer,
    ProofRetention,
    Provision,
    RecordedMessage,
    Recording,
    Silence,
    Status,
    in_words,
)
from callguard.core.windows import Week, Window
from tests.granted import granted

NOW = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)  # a Sunday, noon in Rome
DAY = timedelta(days=1)
ITALY = Place("IT", None, ("Europe/Rome",))
FACTS = Facts(
    "+390612345678", "marketing", None, None, NOW, (), (), place=ITALY, caller_country="ES", agent_first=True
)  # fmt: skip
SOURCE: dict[str, Any] = {"source": "a law", "verified": True}
WEEK = Week((*((Window(9 * 60, 20 * 60),) for _ in range(5)), (), ()), holidays=())
HOURS = Hours(id="it.hours", week=WEEK, **SOURCE)
CAP = Cap(id="it.cap", most=2, within=timedelta(hours=24), **SOURCE)
SILENCE = Silence(id="it.silence", days=60, **SOURCE)
BASIS = BasisNeeded(id="it.basis", any_of=frozenset({"consent", "contract"}), **SOURCE)
RECORDED = RecordedMessage(id="it.recorded", **SOURCE)
CLI = CallerId(id="it.cli", prefixes=("+390844",), **SOURCE)
LIST = Freshness(id="it.list", days=15, **SOURCE)
ALL = (HOURS, CAP, SILENCE, BASIS, RECORDED, CLI, LIST)


def law(*rules: Provision, spain: tuple[Provision, ...] = (), adopted: tuple[str, ...] = ()) -> Law:
    policies = (Policy("IT", "Italy", ("Europe/Rome",), rules), Policy("ES", "Spain", ("Europe/Madrid",), spain))
    return Law(policies, frozenset(adopted), digest="abc")


def saw(facts: Facts, rule: Provision) -> str:
    (finding,) = law(rule).judge(facts)
    return finding.saw


def test_hours_say_the_moment_and_when_they_open() -> None:
    (finding,) = law(HOURS).judge(FACTS, tell_when=True)
    assert (finding.rule, finding.denies, finding.source) == ("it.hours", True, "a law")
    assert finding.saw == "Sunday 2026-11-22 12:00 Europe/Rome"
    assert finding.allowed_from == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert law(HOURS).judge(replace(FACTS, at=NOW + DAY))[0].denies is False
    assert law(HOURS).judge(FACTS)[0].allowed_from is None


def test_a_day_off_of_ones_own_is_a_holiday() -> None:
    patron = replace(HOURS, days_off=frozenset({date(2026, 11, 23)}))
    assert saw(replace(FACTS, at=NOW + DAY), patron).endswith(", a holiday")
    assert law(patron).allowed_from(FACTS) == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def test_without_a_time_zone_there_is_no_right_hour() -> None:
    nowhere = replace(FACTS, place=Place("IT"), at=NOW + DAY)
    assert law(HOURS).decide(nowhere).rules == ("it.hours",)
    assert law(HOURS).allowed_from(nowhere) is None


def test_a_cap_counts_what_was_allowed_before() -> None:
    two = (NOW - timedelta(hours=23), NOW - timedelta(hours=1))
    capped = replace(FACTS, attempts=two)
    assert law(CAP).decide(capped).rules == ("it.cap",)
    assert saw(capped, CAP) == "2 calls allowed in the last 24 hours, 2 at most"
    assert law(CAP).allowed_from(capped) == NOW + timedelta(hours=1)
    assert law(CAP).decide(replace(FACTS, attempts=(NOW - DAY, NOW))).allow
    assert law(CAP).decide(replace(FACTS, attempts=(NOW + DAY, NOW))).rules == ("it.cap",)


def test_who_refused_has_silence_though_the_opt_out_has_ended() -> None:
    refused = replace(FACTS, refusals=(NOW - 90 * DAY, NOW - 10 * DAY))
    assert law(SILENCE).decide(refused).rules == ("it.silence",)
    assert saw(refused, SILENCE) == "refused on 2026-11-12, 60 days of silence"
    assert law(SILENCE).allowed_from(refused) == NOW + 50 * DAY
    assert law(SILENCE).decide(replace(FACTS, refusals=(NOW - 60 * DAY,))).allow
    assert saw(FACTS, SILENCE) == "no refusal"


def test_a_basis_is_one_of_those_that_the_law_names() -> None:
    assert law(BASIS).decide(FACTS).rules == ("it.basis",)
    assert saw(FACTS, BASIS) == "no consent or contract for this call is known"
    assert law(BASIS).decide(replace(FACTS, **granted("legitimate_interests"))).rules == ("it.basis",)
    assert law(BASIS).decide(replace(FACTS, **granted("contract"))).allow
    assert law(BASIS).allowed_from(FACTS) is None


def test_a_recorded_voice_may_not_speak_first() -> None:
    assert law(RECORDED).decide(replace(FACTS, agent_first=False)).rules == ("it.recorded",)
    assert law(RECORDED).decide(FACTS).allow
    assert law(RECORDED).decide(replace(FACTS, calls="service", agent_first=False)).allow


@pytest.mark.parametrize(
    ("shown", "allow"), [(None, True), ("", False), ("+390612345678", False), ("+39084412345", True)]
)
def test_the_number_shown_has_a_prefix_for_such_calls(shown: str | None, allow: bool) -> None:
    assert law(CLI).decide(replace(FACTS, caller_id=shown)).allow is allow
    assert law(replace(CLI, prefixes=())).decide(replace(FACTS, caller_id=shown)).allow is (shown != "")


@pytest.mark.parametrize(
    ("age", "allowed_age", "allow"), [(15, 31, True), (16, 31, False), (11, 10, False), (None, 31, False)]
)
def test_a_list_is_as_fresh_as_the_stricter_of_law_and_configuration_wants_it(
    age: int | None, allowed_age: int, allow: bool
) -> None:
    day = None if age is None else NOW.date() - age * DAY
    asked = replace(FACTS, registries=(Registered("rpo", day, allowed_age, listed=False),))
    assert (not law(LIST).judge(asked)[0].denies) is allow
    assert law(LIST).judge(FACTS)[0].saw == "no registry is configured for such a number"


def test_a_list_that_the_law_dates_not_is_as_old_as_the_configuration_allows() -> None:
    asked = replace(FACTS, registries=(Registered("rpo", NOW.date() - 30 * DAY, 31, listed=False),))
    assert law(replace(LIST, days=None)).decide(asked).allow


def test_what_is_not_about_calls_denies_nothing() -> None:
    kept = (
        Recording(id="it.recording", parties="all", agents=True, **SOURCE),
        ProofRetention(id="it.proof", years=5, **SOURCE),
        OptOutOffer(id="it.optout", within_s=2, **SOURCE),
    )
    assert law(*kept).judge(FACTS) == ()
    assert law(*kept).decide(FACTS).allow


@pytest.mark.parametrize("calls", ["service", "marketing"])
def test_a_country_that_is_not_known_is_not_called_for_marketing(calls: Any) -> None:
    for country in ("CH", None):
        decision = law(HOURS).decide(replace(FACTS, calls=calls, place=Place(country, None, ("Europe/Zurich",))))
        assert decision.rules == ((UNKNOWN,) if calls == "marketing" else ())


def test_service_calls_are_not_marketing() -> None:
    assert law(*ALL).decide(replace(FACTS, calls="service")).allow
    everyone = replace(HOURS, calls="all")
    assert law(everyone).decide(replace(FACTS, calls="service")).rules == ("it.hours",)


def test_what_is_no_number_has_no_law() -> None:
    decision = law(*ALL).decide(replace(FACTS, number=None, place=None))
    assert (decision.rules, decision.findings) == (("number.invalid",), ())


def test_both_ends_deny() -> None:
    assert law(spain=(replace(HOURS, id="es.hours"),)).decide(FACTS).rules == ("es.hours",)
    assert law(HOURS, spain=(replace(HOURS, id="es.hours"),)).decide(FACTS).rules == ("it.hours", "es.hours")
    assert law(spain=(replace(HOURS, id="es.hours"),)).decide(replace(FACTS, caller_country=None)).allow


def test_a_national_list_and_a_states_law_are_for_their_own_numbers() -> None:
    state = replace(HOURS, id="es.xx.hours", areas=frozenset({"XX"}))
    assert law(spain=(replace(LIST, id="es.list"), state)).decide(FACTS).allow


@pytest.mark.parametrize(
    ("areas", "allow"),
    [(frozenset({"FL"}), False), (frozenset({"TX"}), True), (frozenset(), True), (None, False)],
)
def test_a_states_rule_is_for_numbers_that_could_be_of_it(areas: frozenset[str] | None, allow: bool) -> None:
    state = replace(HOURS, areas=frozenset({"FL", "GA"}))
    assert law(state).decide(replace(FACTS, place=replace(ITALY, areas=areas))).allow is allow


@pytest.mark.parametrize(
    ("status", "verified", "adopted", "applies"),
    [
        (Status.IN_FORCE, True, False, True),
        (Status.DISPUTED, True, False, True),
        (Status.IN_FORCE, False, False, False),
        (Status.DISPUTED, False, False, False),
        (Status.VOLUNTARY, True, False, False),
        (Status.PROPOSED, True, False, False),
        (Status.IN_FORCE, False, True, True),
        (Status.VOLUNTARY, True, True, True),
        (Status.PROPOSED, False, True, True),
    ],
)
def test_nothing_unverified_proposed_or_voluntary_is_silently_in_force(
    status: Status, verified: bool, adopted: bool, applies: bool
) -> None:
    rule = replace(HOURS, status=status, verified=verified)
    assert law(rule, adopted=(rule.id,) if adopted else ()).decide(FACTS).allow is not applies
    assert not law(replace(rule, own=True)).decide(FACTS).allow


@pytest.mark.parametrize(
    ("first", "last", "applies"),
    [(-1, 1, True), (0, 0, True), (1, None, False), (None, -1, False), (None, None, True)],
)
def test_a_rule_applies_from_its_first_day_to_its_last(first: int | None, last: int | None, applies: bool) -> None:
    def day(off: int | None) -> date | None:
        return None if off is None else NOW.date() + off * DAY

    assert law(replace(HOURS, valid_from=day(first), valid_to=day(last))).decide(FACTS).allow is not applies


def test_a_basis_lifts_the_rules_that_say_so() -> None:
    lifted = replace(HOURS, lifted_by=frozenset({"consent"}))
    assert law(lifted).decide(FACTS).rules == ("it.hours",)
    assert law(lifted).decide(replace(FACTS, **granted("consent"))).allow


def test_a_purpose_limits_a_rule() -> None:
    energy = replace(BASIS, purposes=("marketing.energy",))
    assert law(energy).decide(replace(FACTS, purpose="marketing.energy")).rules == ("it.basis",)
    assert law(energy).decide(replace(FACTS, purpose="marketing.water")).allow
    assert law(energy).decide(FACTS).allow


EXEMPT = Exemption(
    id="own.phones", source="our staff", own=True, calls="all", lifts=frozenset({"it.hours", UNKNOWN}),
    numbers=("+3906123",),
)  # fmt: skip


def test_an_exemption_lifts_what_it_names_for_its_numbers_and_says_so() -> None:
    decision = law(HOURS, EXEMPT).decide(FACTS)
    assert decision.allow
    assert [(one.rule, one.saw) for one in decision.findings] == [
        ("it.hours", "Sunday 2026-11-22 12:00 Europe/Rome; lifted by own.phones"),
        ("own.phones", "lifts it.hours"),
    ]
    assert len(law(HOURS, EXEMPT).judge(replace(FACTS, at=NOW + DAY))) == 1
    assert law(HOURS, BASIS, EXEMPT).decide(FACTS).rules == ("it.basis",)
    assert law(HOURS, EXEMPT).decide(replace(FACTS, number="+390698765432")).rules == ("it.hours",)


def test_no_exemption_lifts_an_opt_out() -> None:
    out = OptOut(Scope.ALL, None, None, NOW - DAY, None, "key")
    everything = replace(EXEMPT, lifts=frozenset({"it.hours", "optout.all"}))
    assert law(HOURS, everything).decide(replace(FACTS, opt_outs=(out,))).rules == ("optout.all",)


def test_a_call_is_allowed_when_the_last_of_its_rules_lets_it() -> None:
    facts = replace(FACTS, attempts=(NOW - timedelta(hours=1), NOW))
    both = law(HOURS, CAP)
    assert both.allowed_from(facts) == NOW + timedelta(hours=23)
    late = replace(facts, attempts=(NOW - timedelta(hours=15), NOW - timedelta(hours=14)))
    # At the cap's end it is Monday, three in the morning.
    assert both.allowed_from(late) == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert both.allowed_from(replace(facts, opt_outs=(OptOut(Scope.ALL, None, None, NOW, None, "key"),))) is None
    assert both.allowed_from(replace(FACTS, at=NOW + DAY)) == NOW + DAY


def test_the_law_looks_back_as_far_as_its_rules_ask() -> None:
    assert law(HOURS).looks_back(FACTS.kind) == timedelta()
    assert law(CAP).looks_back(FACTS.kind) == timedelta(hours=24)
    assert law(CAP, spain=(SILENCE,)).looks_back(FACTS.kind) == 60 * DAY
    assert law(CAP, SILENCE).looks_back(replace(FACTS.kind, calls="service")) == timedelta()


@pytest.mark.parametrize(("hours", "words"), [(24, "24 hours"), (36, "36 hours"), (48, "2 days"), (720, "30 days")])
def test_a_time_is_told_in_days_or_hours(hours: int, words: str) -> None:
    assert in_words(timedelta(hours=hours)) == words


dials = st.builds(
    lambda hours, attempts, refusals, bases, agent_first, shown, calls, country: replace(
        FACTS,
        at=NOW + timedelta(hours=hours),
        attempts=tuple(NOW - timedelta(hours=ago) for ago in attempts),
        refusals=tuple(NOW - timedelta(days=ago) for ago in refusals),
        **granted(*bases),
        agent_first=agent_first,
        caller_id=shown,
        calls=calls,
        place=Place(country, None, ("Europe/Rome", "America/New_York")),
    ),
    st.integers(0, 400),
    st.lists(st.integers(0, 48), max_size=4),
    st.lists(st.integers(0, 90), max_size=2),
    st.sets(st.sampled_from(["consent", "contract", "legitimate_interests"])),
    st.booleans(),
    st.sampled_from([None, "", "+390844123456", "+34910000000"]),
    st.sampled_from(["service", "marketing"]),
    st.sampled_from(["IT", "ES", "CH", None]),
)
chosen = st.lists(st.sampled_from(ALL), max_size=5, unique_by=lambda rule: rule.id)


@given(dials, chosen, st.sampled_from(ALL), st.booleans())
def test_one_more_rule_never_allows_what_was_denied(
    facts: Facts, rules: list[Provision], one_more: Provision, in_spain: bool
) -> None:
    before = law(*rules).decide(facts)
    added = replace(one_more, id="added")
    after = (law(*rules, spain=(added,)) if in_spain else law(*rules, added)).decide(facts)
    assert set(before.rules) <= set(after.rules)


@given(dials, chosen)
def test_when_a_call_is_allowed_it_is_and_it_was_not_before(facts: Facts, rules: list[Provision]) -> None:
    here = law(*rules)
    moment = here.allowed_from(facts)
    if moment is None:
        assert not here.decide(facts).allow
    else:
        assert here.decide(replace(facts, at=moment)).allow
        assert here.decide(facts).allow is (moment == facts.at)
