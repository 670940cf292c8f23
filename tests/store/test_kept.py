"""What a decision has kept is what it was made from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.decide import Callback, Facts, OptOut, Place, Registered, Scope, decide
from callguard.core.evidence import canonical
from callguard.core.grants import Channel, Standing
from callguard.core.model import Basis, GrantState
from callguard.core.replay import SHOWN
from callguard.store.dial_records import DialRecord, StoredDecision
from callguard.store.kept import facts_of

NUMBER = "+390612345678"
moments = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
perhaps = st.none() | moments
names = st.sampled_from(["marketing.calls", "marketing.energy", "spring"])
days = st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1))
opt_outs = st.builds(
    OptOut, st.sampled_from(Scope), st.none() | names, st.none() | names, moments, perhaps,
    st.sampled_from(["key", "import"]),
)  # fmt: skip
registries = st.builds(
    Registered, st.sampled_from(["us", "rpo"]), days, st.integers(1, 60), st.booleans(), days,
    st.sampled_from(["earlier", "all", "none"]), st.frozensets(st.sampled_from(Basis)), st.booleans(), st.booleans(),
)  # fmt: skip
grants = st.builds(
    Standing, names, st.sampled_from(Basis), st.sampled_from(Channel), moments, perhaps, st.just(""),
    st.none() | st.sampled_from([GrantState.WITHDRAWN, GrantState.SUSPENDED]), perhaps,
)  # fmt: skip
places = st.builds(
    Place, st.sampled_from(["IT", "US", None]), st.none() | st.frozensets(st.sampled_from(["FL", "NY"])),
    st.lists(st.sampled_from(["Europe/Rome", "America/New_York"])).map(tuple),
)  # fmt: skip
callbacks = st.builds(Callback, st.booleans(), perhaps, st.integers(1, 60))
facts_with_a_number = st.builds(
    Facts, st.just(NUMBER), st.sampled_from(["service", "marketing"]), st.none() | names, st.none() | names, moments,
    st.lists(opt_outs, max_size=3).map(tuple), st.lists(registries, max_size=3).map(tuple),
    st.lists(grants, max_size=3).map(tuple), st.booleans(), places, st.sampled_from(["ES", None]), st.booleans(),
    st.lists(moments, max_size=3).map(tuple), st.lists(moments, max_size=3).map(tuple),
    st.sampled_from([None, "", "+39021234567"]), st.booleans(), st.none() | callbacks,
    st.timedeltas(timedelta(), timedelta(days=400)).map(
        lambda back: back // timedelta(milliseconds=1) * timedelta(milliseconds=1)
    ),
)  # fmt: skip
without_a_number = st.builds(
    Facts, st.none(), st.sampled_from(["service", "marketing"]), st.none() | names, st.none() | names, moments,
    st.just(()), st.just(()),
)  # fmt: skip


def stored(facts: Facts, **other: Any) -> StoredDecision:
    """As the store gives a decision back."""
    record = DialRecord.of("call", "acme", "sales", facts, decide(facts))
    kept = json.loads(canonical(record.facts)) | other
    return StoredDecision("id", "call", "acme", "subject", "sales", record.at, record.allow, record.rules, kept)


def as_kept(facts: Facts) -> Facts:
    """What of the facts is kept: how entries void grants only where that could matter, and no caller's number."""
    return replace(
        facts,
        registries=tuple(
            one if one.listed and facts.grants
            else replace(one, since=None, voids="earlier", spares=frozenset())
            for one in facts.registries
        ),
        caller_id=facts.caller_id and (facts.caller_id if facts.callback and facts.callback.ours else SHOWN),
        # Asked about where a number is known to be shown or withheld.
        callback=None if facts.caller_id is None else facts.callback,
    )  # fmt: skip


@given(facts_with_a_number | without_a_number)
def test_what_was_kept_is_read_back_as_the_facts_that_it_was(facts: Facts) -> None:
    decision = stored(facts)
    again = facts_of(decision, facts.number)
    assert again == as_kept(facts)
    # Whatever is left out changes no decision.
    assert decide(again) == decide(facts)
    assert (decide(again).allow, decide(again).rules) == (decision.allow, decision.rules)
    assert again.bases == facts.bases


SEEN = Facts(NUMBER, "marketing", None, None, datetime(2026, 11, 22, tzinfo=UTC), (), (), place=Place("IT"))


@pytest.mark.parametrize(
    "broken",
    [
        {"law": {}},
        {"law": {"country": "IT"}},
        {"opt_outs": [{"scope": "some"}]},
        {"registries": [{"registry": "us"}]},
        {"grants": [{"basis": "none"}]},
        {"opt_outs": None},
    ],
)
def test_what_kept_less_is_not_guessed_at(broken: dict[str, Any]) -> None:
    assert facts_of(stored(SEEN), NUMBER) == SEEN
    assert facts_of(stored(SEEN, **broken), NUMBER) is None


def test_of_a_decision_from_before_the_law_was_asked_the_facts_are_not_known() -> None:
    assert facts_of(stored(replace(SEEN, place=None)), NUMBER) is None
