"""What the keys do in the conversation, by what the recording rests on."""

from __future__ import annotations

from itertools import product

import pytest

from callguard.core.conversation import Keys, chosen, informed, keys_for, surviving
from callguard.core.model import Basis, Purpose

QUALITY, ANALYSIS = (Purpose(f"recording.{name}", Basis.CONSENT) for name in ("quality", "analysis"))
OTHERS = tuple(basis for basis in Basis if basis is not Basis.CONSENT)


@pytest.mark.parametrize("basis", OTHERS)
def test_the_stop_key_stops_unless_the_call_may_not_go_on_unrecorded(basis: Basis) -> None:
    assert keys_for([Purpose("recording.other", basis)]) is Keys.STOP
    assert keys_for([Purpose("recording.other", basis, required=True)]) is Keys.OBJECT


@pytest.mark.parametrize(("basis", "required"), list(product(OTHERS, (True, False))))
def test_where_one_purpose_rests_on_consent_the_recording_ends_with_it(basis: Basis, required: bool) -> None:
    other = Purpose("recording.other", basis, required)
    assert keys_for([QUALITY]) is keys_for([QUALITY, other]) is keys_for([other, QUALITY]) is Keys.ASK
    assert surviving([QUALITY, other], withdrawn=True) == (other,)


def test_a_yes_names_its_questions_and_gives_nothing_that_rests_on_another_basis() -> None:
    contract = Purpose("recording.contract", Basis.CONTRACT)
    assert [chosen([QUALITY, ANALYSIS], which) for which in range(4)] == [
        (), (QUALITY,), (ANALYSIS,), (QUALITY, ANALYSIS),
    ]  # fmt: skip
    assert chosen([contract], 1) == ()
    assert chosen([contract, QUALITY], 1) == (QUALITY,)


@pytest.mark.parametrize(
    ("after_ms", "held_ms", "counts"),
    [(100, 100, True), (900, 80, True), (79, 80, False), (0, 0, True), (5, -1, False)],
)
def test_a_key_that_went_down_before_the_question_does_not_count(after_ms: int, held_ms: int, counts: bool) -> None:
    assert informed(after_ms, held_ms) is counts
