"""A request takes the steps that its state allows, in its order, and is due within a month."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import combinations, product

import pytest

from callguard.core.requests import (
    AT_ONCE,
    PENDING,
    Impossible,
    Proof,
    Right,
    State,
    Step,
    after,
    due,
    extended,
    overdue,
    proved,
)


def ways(right: Right) -> list[tuple[Step, ...]]:
    """Every way from a request's receipt to where it ends, without going in circles."""
    found: list[tuple[Step, ...]] = []
    waiting: deque[tuple[State, tuple[Step, ...]]] = deque([(State.OPEN, ())])
    while waiting:
        state, steps = waiting.popleft()
        if state not in PENDING:
            found.append(steps)
            continue
        for step in Step:
            try:
                then = after(right, state, step)
            except Impossible:
                continue
            if then is not state:
                waiting.append((then, (*steps, step)))
    return found


@pytest.mark.parametrize("right", Right)
def test_nothing_is_done_before_it_is_known_who_asks_and_is_approved(right: Right) -> None:
    done = [steps for steps in ways(right) if steps[-1] is Step.RUN]
    before = (Step.IDENTIFY,) if right in AT_ONCE else (Step.IDENTIFY, Step.APPROVE)
    assert done == [(*before, Step.RUN)]


@pytest.mark.parametrize(("right", "state", "step"), list(product(Right, sorted(set(State) - PENDING), Step)))
def test_what_has_ended_takes_no_step(right: Right, state: State, step: Step) -> None:
    with pytest.raises(Impossible, match=f"is {state} already"):
        after(right, state, step)


def test_each_step_that_there_is_not_says_why() -> None:
    for right, state, step in product(Right, PENDING, Step):
        try:
            after(right, state, step)
        except Impossible as error:
            assert str(error)


def test_a_caller_id_is_enough_to_object_and_never_to_have_or_erase_anything() -> None:
    sets = [set(some) for length in range(len(Proof) + 1) for some in combinations(Proof, length)]
    for right, proofs in product(Right, sets):
        enough = (
            bool(proofs)
            if right in AT_ONCE
            else Proof.CALL_BACK in proofs and bool(proofs & {Proof.KNOWN, Proof.DOCUMENT})
        )
        assert proved(right, proofs) is enough


@pytest.mark.parametrize(
    ("received", "month", "three"),
    [
        ("2026-01-15T10:00", "2026-02-15T10:00", "2026-04-15T10:00"),
        ("2026-01-31T10:00", "2026-02-28T10:00", "2026-04-30T10:00"),
        ("2027-11-30T23:59", "2027-12-30T23:59", "2028-02-29T23:59"),
        ("2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"),
    ],
)
def test_it_is_due_in_a_calendar_month_or_in_three(received: str, month: str, three: str) -> None:
    at = datetime.fromisoformat(received).replace(tzinfo=UTC)
    assert due(at) == datetime.fromisoformat(month).replace(tzinfo=UTC)
    assert extended(at) == datetime.fromisoformat(three).replace(tzinfo=UTC)


def test_what_is_over_is_never_overdue() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert {state for state in State if overdue(state, now, now)} == PENDING
    assert not overdue(State.OPEN, now, now.replace(year=2025))
