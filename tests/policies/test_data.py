"""The shipped policies: what each country's law, as far as it is known and in force, says of a number at a moment."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import phonenumbers
import pytest
from phonenumbers import geocoder

from callguard.core.model import Basis
from callguard.core.provisions import Exemption, Status
from callguard.policies.load import SHIPPED, Lawbook, load
from callguard.sections import PurposeSetting
from tests.granted import granted

from .conftest import Write, marketing

ROME, MADRID, SPANISH_MOBILE, CANARY = "+390612345678", "+34912345678", "+34612345678", "+34928123456"
PARIS, REUNION, BERLIN, WARSAW, LONDON = (
    "+33142345678",
    "+262262123456",
    "+493012345678",
    "+48221234567",
    "+442071234567",
)
WASHINGTON, TAMPA, PENSACOLA, TOLL_FREE = "+12025550123", "+18135550123", "+18505550123", "+18005550123"
TULSA, DETROIT, MOBILE_AL, TORONTO, SAN_JUAN = (
    "+19185550123",
    "+13135550123",
    "+12515550123",
    "+14165550123",
    "+17875550123",
)
CONSENT: Any = granted("consent")
INTEREST: Any = granted("legitimate_interests")
# A Tuesday, noon in Rome.
TUESDAY = "2026-11-24T11:00"


@pytest.fixture
def book(write: Write) -> Lawbook:
    return load(write())


@pytest.mark.parametrize(
    ("number", "when", "changes", "rules"),
    [
        # Italy: the code of conduct is voluntary, so only the register of objections is asked.
        (ROME, "2026-11-22T02:00", {}, ()),
        (ROME, TUESDAY, {"registries": ()}, ("it.rpo",)),
        (ROME, TUESDAY, {"purpose": "marketing.energy"}, ("it.energy",)),
        (ROME, "2026-06-18T11:00", {"purpose": "marketing.energy"}, ()),
        (ROME, TUESDAY, granted("consent", purpose="marketing.energy"), ()),
        (ROME, TUESDAY, {"caller_id": ""}, ("cli.withheld", "it.cli")),
        # Spain: 9 to 21 on weekdays, of the whole country where a mobile's place is not known.
        (MADRID, "2026-11-24T07:59", INTEREST, ("es.hours",)),
        (MADRID, "2026-11-24T08:00", INTEREST, ()),
        (SPANISH_MOBILE, "2026-11-24T08:30", INTEREST, ("es.hours",)),
        (CANARY, "2026-11-24T08:30", INTEREST, ("es.hours",)),
        (CANARY, "2026-11-24T20:30", INTEREST, ()),
        (SPANISH_MOBILE, "2026-11-24T20:30", INTEREST, ("es.hours",)),
        (MADRID, "2026-11-28T11:00", INTEREST, ("es.hours",)),
        (MADRID, "2026-12-08T11:00", INTEREST, ("es.hours",)),
        (MADRID, TUESDAY, {}, ("es.basis",)),
        (MADRID, TUESDAY, {"registries": (), **INTEREST}, ("es.lists",)),
        (MADRID, TUESDAY, {"registries": (), **CONSENT}, ()),
        (MADRID, TUESDAY, {"agent_first": False, **CONSENT}, ("es.recorded",)),
        # Poland and Germany: consent, at any hour.
        (WARSAW, "2026-11-22T02:00", CONSENT, ()),
        (WARSAW, TUESDAY, INTEREST, ("pl.basis",)),
        (WARSAW, TUESDAY, {"agent_first": False, **CONSENT}, ("pl.recorded",)),
        (WARSAW, "2024-11-09T11:00", {}, ()),
        (BERLIN, TUESDAY, {}, ("de.basis",)),
        (BERLIN, "2026-11-22T02:00", CONSENT, ()),
        # France: consent lifts the hours, a contract does not; 4 in 30 days; 60 days of silence.
        (PARIS, "2026-11-24T12:30", CONSENT, ()),
        (PARIS, "2026-11-24T12:30", granted("contract"), ("fr.hours",)),
        (PARIS, "2026-11-24T13:00", granted("contract"), ()),
        (PARIS, "2026-11-11T14:00", granted("contract"), ("fr.hours",)),
        (PARIS, "2026-11-24T14:00", {}, ("fr.basis",)),
        (PARIS, "2026-08-10T14:00", {"registries": ()}, ("fr.bloctel",)),
        (PARIS, "2026-08-11T14:00", {"registries": (), **CONSENT}, ()),
        (PARIS, TUESDAY, {"caller_id": "+33612345678", **CONSENT}, ("fr.prefix",)),
        (PARIS, TUESDAY, {"caller_id": "+33162345678", **CONSENT}, ()),
        (REUNION, "2026-11-24T06:00", granted("contract"), ()),
        # United Kingdom: any hour, but the list, and no recorded voice.
        (LONDON, "2026-11-22T02:00", {}, ()),
        (LONDON, TUESDAY, {"registries": ()}, ("gb.tps",)),
        (LONDON, TUESDAY, {"registries": (), **CONSENT}, ()),
        (LONDON, TUESDAY, {"agent_first": False}, ("gb.recorded",)),
        # United States: where the person called is; the states' own hours and caps.
        (WASHINGTON, "2026-11-24T12:59", {}, ("us.hours",)),
        (WASHINGTON, "2026-11-24T13:00", {}, ()),
        (WASHINGTON, "2026-11-25T02:00", {}, ("us.hours",)),
        (WASHINGTON, TUESDAY, {"registries": ()}, ("us.hours", "us.dnc")),
        (TAMPA, "2026-11-25T00:30", {}, ()),
        (TAMPA, "2026-11-25T01:00", {}, ("us.fl.hours",)),
        # Florida has two zones, and phonenumbers knows one.
        (PENSACOLA, "2026-11-24T13:30", {}, ("us.hours", "us.fl.hours")),
        (DETROIT, "2026-11-24T14:30", {}, ("us.mi.mn.nm.hours",)),
        (MOBILE_AL, "2026-11-22T18:00", {}, ("us.al.la.hours",)),
        (SAN_JUAN, "2026-11-24T12:30", {}, ()),
        (TOLL_FREE, "2026-11-24T18:00", {"registries": ()}, None),
        # Canada.
        (TORONTO, "2026-11-25T02:29", {}, ()),
        (TORONTO, "2026-11-25T02:30", {}, ("ca.hours",)),
        (TORONTO, "2026-11-28T14:30", {}, ("ca.hours",)),
        (TORONTO, "2026-11-28T15:00", {}, ()),
        (TORONTO, "2026-11-28T15:00", {"registries": ()}, ("ca.dncl",)),
        # Switzerland has no policy.
        ("+41446681800", TUESDAY, CONSENT, ("law.unknown",)),
    ],
)  # fmt: skip
def test_what_the_law_says(
    book: Lawbook, number: str, when: str, changes: dict[str, Any], rules: tuple[str, ...] | None
) -> None:
    decision = book.law.decide(marketing(book, number, when, **changes))
    if rules is None:  # of nobody knows which state: all of them have to allow it
        assert {"us.hours", "us.dnc", "us.fl.hours", "us.ky.hours"} <= set(decision.rules)
    else:
        assert decision.rules == rules


def test_a_service_call_is_not_bound_by_rules_on_marketing(book: Lawbook) -> None:
    for number in (ROME, MADRID, PARIS, BERLIN, WARSAW, LONDON, WASHINGTON, TOLL_FREE, "+41446681800"):
        facts = marketing(book, number, "2026-11-22T02:00", registries=(), agent_first=False)
        assert not any(one.denies for one in book.law.judge(replace(facts, calls="service")))


@pytest.mark.parametrize(
    ("number", "rule", "most", "hours"),
    [(PARIS, "fr.cap", 4, 720), (TAMPA, "us.fl.cap", 3, 24), (TULSA, "us.ok.cap", 3, 24)],
)
def test_caps(book: Lawbook, number: str, rule: str, most: int, hours: int) -> None:
    at = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    attempts = tuple(at - timedelta(hours=hours - 1 - n) for n in range(most))
    facts = marketing(book, number, "2026-11-24T16:00", attempts=attempts, **CONSENT)
    assert book.law.decide(facts).rules == (rule,)
    assert book.law.looks_back(facts.kind) >= timedelta(hours=hours)
    fewer = marketing(book, number, "2026-11-24T16:00", attempts=attempts[1:], **CONSENT)
    assert book.law.decide(fewer).allow


def test_silence_after_a_refusal_in_france(book: Lawbook) -> None:
    refused = (datetime(2026, 10, 1, tzinfo=UTC),)
    assert book.law.decide(marketing(book, PARIS, TUESDAY, refusals=refused, **CONSENT)).rules == ("fr.silence",)
    assert book.law.decide(marketing(book, PARIS, "2026-11-30T11:00", refusals=refused, **CONSENT)).allow


def test_who_calls_from_spain_keeps_spanish_hours_too(book: Lawbook) -> None:
    sunday = marketing(book, LONDON, "2026-11-22T12:00", caller_country="ES", **CONSENT)
    assert book.law.decide(sunday).rules == ("es.hours",)


@pytest.mark.parametrize(
    ("adopt", "number", "when", "changes", "rules"),
    [
        ("it.hours", ROME, "2026-11-22T12:00", {}, ("it.hours",)),
        ("it.hours", ROME, "2026-12-07T08:30", {}, ("it.hours",)),
        ("it.hours", ROME, "2026-12-07T09:00", {}, ()),
        ("it.prefix", ROME, TUESDAY, {"caller_id": "+390612345679"}, ("it.prefix",)),
        ("es.cli", MADRID, TUESDAY, {"caller_id": "+34912345679", **CONSENT}, ("es.cli",)),
        ("us.md.cap", "+14105550123", "2026-11-24T16:00", {"attempts": (datetime(2026, 11, 24, tzinfo=UTC),) * 3},
         ("us.md.cap",)),
    ],
)  # fmt: skip
def test_what_is_voluntary_proposed_or_unverified_counts_once_it_is_adopted(
    write: Write, book: Lawbook, adopt: str, number: str, when: str, changes: dict[str, Any], rules: tuple[str, ...]
) -> None:
    assert book.law.decide(marketing(book, number, when, **changes)).allow
    adopted = load(write(adopt=(adopt,)))
    assert adopted.law.decide(marketing(adopted, number, when, **changes)).rules == rules
    assert adopted.law.digest != book.law.digest


def test_every_rule_says_where_it_is_from_and_none_of_them_exempts_anybody(book: Lawbook) -> None:
    rules = [rule for policy in book.law.policies for rule in policy.rules]
    assert {policy.country for policy in book.law.policies} == {"IT", "ES", "PL", "FR", "DE", "GB", "US", "CA"}
    assert all(len(rule.source) > 10 and rule.id.startswith(f"{policy.country.lower()}.")
               for policy in book.law.policies for rule in policy.rules)  # fmt: skip
    assert {rule.status for rule in rules} == set(Status)
    assert not any(isinstance(rule, Exemption) or rule.own for rule in rules)


def test_each_state_has_the_area_codes_that_the_numbering_plan_gives_it() -> None:
    """Held against phonenumbers' own places, which take 100 MB: too much for a service."""
    data = tomllib.loads((SHIPPED / "us.toml").read_text(encoding="utf-8"))["areas"]
    codes = list(chain.from_iterable(area["codes"] for area in data.values()))
    assert (len(data), len(codes)) == (51, len(set(codes)))
    names: dict[str, set[str]] = {}
    for state, area in data.items():
        for code in area["codes"]:
            number = phonenumbers.parse(f"+1{code}5550123")
            assert phonenumbers.region_code_for_number(number) == "US"
            place = str(geocoder.description_for_number(number, "en"))
            names.setdefault(state, set()).add(place)
    # One place for each state: its name, or a city with its letters.
    for state, places in names.items():
        assert len({place for place in places if not place.endswith(f", {state}")}) <= 2, (state, places)
    known = set(codes)
    for code in range(200, 1000):
        number = phonenumbers.parse(f"+1{code}5550123")
        if phonenumbers.region_code_for_number(number) == "US" and geocoder.description_for_number(number, "en"):
            assert str(code) in known


def test_no_dial_asks_for_consent_to_marketing() -> None:
    """To ask for it by phone is marketing itself (R19, R20): the gate has no such question to ask."""
    for purpose in ("marketing.calls", "marketing", "sharing"):
        with pytest.raises(ValueError, match="never about marketing before the service"):
            PurposeSetting(id=purpose, basis=Basis.CONSENT)
