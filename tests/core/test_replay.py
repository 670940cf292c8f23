"""A past call is judged by another law only where its decision has kept all that this law asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from callguard.core.replay import lacks

from .test_law import CAP, CLI, FACTS, HOURS, SILENCE, law


def test_a_law_that_looks_further_back_than_was_looked_cannot_tell() -> None:
    day = replace(FACTS, looked_back=CAP.within)
    assert lacks(law(HOURS), FACTS) is None
    assert lacks(law(CAP), day) is None
    for rule, facts in ((CAP, FACTS), (SILENCE, day), (CAP, replace(FACTS, looked_back=CAP.within - timedelta(1)))):
        assert lacks(law(HOURS, rule), facts) == "earlier calls and refusals were not looked for so far back"
    assert lacks(law(CAP), replace(FACTS, calls="service")) is None


def test_which_number_was_shown_is_missed_where_the_law_asks_for_its_prefix_alone() -> None:
    shown = replace(FACTS, caller_id="+")
    assert lacks(law(CLI), shown) == "which number was shown is not kept"
    assert lacks(law(replace(CLI, prefixes=())), shown) is None
    assert lacks(law(CLI), FACTS) is None
    assert lacks(law(CLI), replace(FACTS, caller_id="")) is None
