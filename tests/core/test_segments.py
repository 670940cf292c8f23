"""When a recording ends, when it begins anew, and what is cut off: the conversation's steps, without Asterisk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callguard.core.conversation import (
    PAUSES,
    Agreed,
    Begin,
    Conversation,
    End,
    Happened,
    Met,
    Paused,
    Resumed,
    SetAside,
    Unwatched,
    Why,
    Withdrawn,
    interrupted,
    recorded,
    step,
)

AGENT, COLLEAGUE, STRANGER = "agent", "colleague", "stranger"


def met(at: int, *company: str) -> Met:
    return Met(frozenset(company), frozenset(company) & {STRANGER}, at)


def walked(now: Conversation, *happened: Happened) -> list[End | Begin]:
    orders: list[End | Begin] = []
    for one in happened:
        now, more = step(now, one)
        orders += more
    return orders


def test_a_call_without_incident_needs_no_order() -> None:
    assert walked(recorded(), met(1, AGENT), met(9)) == []


def test_a_stranger_ends_it_and_all_since_they_came_goes() -> None:
    said = walked(recorded(), met(1, AGENT), met(5, AGENT, STRANGER), met(9, AGENT))
    assert said == [End(0, Why.STRANGER, 5), Begin(1, Why.STRANGER)]


def test_with_a_stranger_from_the_first_moment_on_nothing_stays() -> None:
    assert walked(recorded(), met(5, STRANGER), met(9)) == [End(0, Why.STRANGER, 5)]


def test_it_begins_anew_with_whom_a_transfer_brings() -> None:
    said = walked(recorded(), met(1, AGENT), met(4), met(5, COLLEAGUE))
    assert said == [End(0, Why.TRANSFER), Begin(1, Why.TRANSFER)]


def test_who_comes_back_from_a_consultation_is_no_newcomer() -> None:
    assert walked(recorded(), met(1, AGENT), met(4), met(5, AGENT)) == []


def test_who_paused_takes_up_and_nobody_else() -> None:
    now, _ = step(recorded(), met(1, AGENT))
    now, orders = step(now, Paused(Why.AGENT, 2))
    assert orders == (End(0, Why.AGENT),)
    now, orders = step(now, Paused(Why.HOLD, 3))
    now, orders = step(now, Resumed(Why.HOLD, 4))
    assert orders == ()
    assert step(now, Resumed(Why.AGENT, 5))[1] == (Begin(1, Why.AGENT),)


def test_no_pause_that_ends_takes_up_what_was_withdrawn() -> None:
    said = walked(
        recorded(), met(1, AGENT), Paused(Why.AGENT, 2), Withdrawn(3), Resumed(Why.AGENT, 4), met(5, COLLEAGUE)
    )
    assert said == [End(0, Why.AGENT)]


def test_a_yes_in_the_call_waits_for_who_may_not_be_heard() -> None:
    said = walked(Conversation(wanted=False), met(1, AGENT, STRANGER), Agreed(2), met(3, AGENT))
    assert said == [Begin(0, Why.AGREED)]


def test_a_later_yes_begins_another_recording() -> None:
    said = walked(recorded(), met(1, AGENT), met(2), met(3, COLLEAGUE), Withdrawn(4), Agreed(5))
    assert said[-2:] == [End(1, Why.WITHDRAWN, 4), Begin(0, Why.WITHDRAWN)]


def test_one_found_paused_stays_so_and_one_found_interrupted_goes_on() -> None:
    assert walked(interrupted(2, Why.AGENT), met(1, AGENT)) == []
    assert walked(interrupted(2, Why.STRANGER), met(1, AGENT)) == [Begin(2, Why.STRANGER)]


def test_what_somebody_else_wrote_to_ends_with_all_its_audio_and_for_good() -> None:
    said = walked(recorded(), met(1, AGENT), SetAside(2), SetAside(3), met(4), met(5, COLLEAGUE))
    assert said == [End(0, Why.FOREIGN)]


def test_what_nobody_watched_goes_where_somebody_came_if_it_still_runs() -> None:
    assert walked(recorded(), met(0, AGENT), Unwatched(0, 1, 0, False)) == []
    came = Unwatched(0, 1, 0, True)
    assert walked(recorded(), met(0, AGENT), came) == [End(0, Why.TRANSFER, 0), Begin(1, Why.TRANSFER)]
    assert walked(recorded(), met(0, STRANGER), came) == [End(0, Why.STRANGER, 0)]


company = st.sets(st.sampled_from((AGENT, COLLEAGUE, STRANGER)))
happenings = st.one_of(
    company.map(lambda them: met(7, *them)),
    st.sampled_from(sorted(PAUSES)).flatmap(lambda by: st.sampled_from((Paused(by, 7), Resumed(by, 7)))),
    st.sampled_from((Agreed(7), Withdrawn(7), SetAside(7), Unwatched(0, 7, 7, True), Unwatched(1, 7, 7, False))),
)


@given(st.booleans(), st.lists(happenings, max_size=12))
def test_it_never_runs_against_anybody(was: bool, happened: list[Happened]) -> None:
    now = recorded() if was else Conversation(wanted=False)
    agreed, running, paused = was, 0 if was else None, set[Why]()
    for one in happened:
        now, orders = step(now, one)
        match one:
            case Agreed():
                agreed = True
            case Withdrawn() | SetAside():
                agreed = False
            case Paused(by):
                paused.add(by)
            case Resumed(by):
                paused.discard(by)
        for order in orders:
            if isinstance(order, End):
                assert order.segment == running
                running = None
            else:
                assert running is None
                running = order.segment
        assert running == now.running
        if running is not None:
            assert agreed
            assert not paused
            assert STRANGER not in now.company
