"""What the doctor takes the accounts' sessions for."""

from __future__ import annotations

import pytest

from callguard.doctor.facts import Unknown
from callguard.doctor.probe import sessions_of_callguard


@pytest.mark.parametrize(
    ("sessions", "others_looking", "of_callguard"),
    [(1, 0, 0), (2, 0, 1), (3, 0, 2), (3, 1, 1), (1, 1, 0)],
)
def test_sessions_of_those_who_look_are_not_callguards(sessions: int, others_looking: int, of_callguard: int) -> None:
    assert sessions_of_callguard(sessions, others_looking) == of_callguard


def test_a_session_that_may_be_either_is_not_known() -> None:
    """Another who looked may have gone before the sessions were counted."""
    assert isinstance(sessions_of_callguard(2, 1), Unknown)
