"""Roles and purposes: who may do what (R52), and read for what (R46)."""

from __future__ import annotations

import pytest

from callguard.core.access import OF_RIGHT, PURPOSES, THOUGH_RESTRICTED, readers, why_not
from callguard.core.roles import ACTIONS, ANYBODY, Actor, Role, effective, in_words, may, who_may

EVERY = sorted(ACTIONS)
READS = ["subject show", "complaint", "optout list", "recordings play", "recordings export"]


def somebody(*roles: Role) -> Actor:
    return Actor("somebody", frozenset(roles))


@pytest.mark.parametrize("action", EVERY)
def test_who_has_no_role_may_do_nothing_but_what_anybody_may(action: str) -> None:
    assert may(somebody(), action) is (ACTIONS[action] == ANYBODY)


def test_what_is_not_in_the_table_is_nobodys() -> None:
    assert not who_may("subject sell")
    assert not any(may(somebody(role), "subject sell") for role in Role)


def test_without_roles_everybody_may_do_everything() -> None:
    assert all(may(Actor("somebody", None), action) for action in EVERY)


def test_the_officers_actions_are_none_of_the_administrators_and_of_no_agents() -> None:
    officers = [action for action in EVERY if ACTIONS[action] == {Role.OFFICER}]
    assert {"subject show", "subject export", "subject erase", "complaint", "recordings export"} <= set(officers)
    for action in officers:
        assert not may(somebody(Role.ADMINISTRATOR, Role.SERVICE, Role.AGENT, Role.SUPERVISOR, Role.AUDITOR), action)
    # What names a person or plays a voice is not even one that several have, with the administrator among them.
    assert not any(Role.ADMINISTRATOR in who_may(action) for action in READS)


def test_an_auditor_and_the_services_account_change_nothing_and_an_agent_reads_nothing_but_before_a_call() -> None:
    does = {role: {action for action in EVERY if may(somebody(role), action)} for role in Role}
    words = {"add", "import", "remove", "withdraw", "hold", "release", "unlawful", "erase", "purge", "rotate", "run"}
    assert not {action for action in does[Role.AUDITOR] if words & set(action.split())}
    assert not {action for action in does[Role.SERVICE] if action.split()[0] in {"subject", "complaint", "request"}}
    agents = {"check", "optout add", "grant add", "grant withdraw", "request open", "calls ticket"}
    assert does[Role.AGENT] - does[Role.SERVICE] <= agents | {action for action in EVERY if ACTIONS[action] == ANYBODY}


def test_who_is_administrator_too_is_no_officer() -> None:
    assert effective(frozenset({Role.OFFICER, Role.ADMINISTRATOR})) == {Role.ADMINISTRATOR}
    assert effective(frozenset({Role.OFFICER, Role.AUDITOR})) == {Role.OFFICER, Role.AUDITOR}


def test_the_services_account_is_no_role_that_is_told() -> None:
    assert in_words(who_may("run")) == "administrator"
    assert in_words(frozenset()) == "nobody"


def test_each_purpose_that_callguard_comes_with_is_somebodys() -> None:
    assert set(PURPOSES) >= OF_RIGHT and THOUGH_RESTRICTED <= OF_RIGHT
    assert all(PURPOSES.values()) and Role.ADMINISTRATOR not in frozenset().union(*PURPOSES.values())


def test_a_recordings_own_purpose_is_known_by_its_first_word() -> None:
    assert readers("recording.quality", PURPOSES) == PURPOSES["recording"]
    auditors = frozenset({Role.AUDITOR})
    assert readers("recording.quality", {**PURPOSES, "recording.quality": auditors}) == auditors
    assert readers("advertising", PURPOSES) is None
    assert readers("advertising.calls", PURPOSES) is None


@pytest.mark.parametrize(
    ("roles", "action", "purpose", "says"),
    [
        ((Role.OFFICER,), "subject show", "access_request", None),
        ((Role.OFFICER,), "subject show", "advertising", "no data are read for advertising"),
        ((Role.OFFICER,), "subject show", "recording.quality", None),
        ((Role.AUDITOR,), "calls show", "audit", None),
        ((Role.AUDITOR,), "calls show", "complaint", "for complaint auditor may not; officer may"),
        ((Role.SUPERVISOR,), "calls show", "quality", None),
        ((Role.SUPERVISOR, Role.AUDITOR), "calls show", "audit", None),
        # An auditor's purpose does not lend a supervisor's action.
        ((Role.SUPERVISOR, Role.AUDITOR), "grant check", "audit", "for audit auditor, supervisor may not; officer may"),
        ((Role.AGENT,), "check", "dialling", None),
    ],
)
def test_a_purpose_is_one_of_the_role_by_which_it_is_done(
    roles: tuple[Role, ...], action: str, purpose: str, says: str | None
) -> None:
    why = why_not(somebody(*roles), action, purpose, PURPOSES)
    assert (why is None) if says is None else (why is not None and says in why)


def test_a_recording_is_heard_for_its_own_purposes_or_for_a_right() -> None:
    officer, supervisor = somebody(Role.OFFICER), somebody(Role.SUPERVISOR)
    own = ("recording.quality",)

    def why(who: Actor, purpose: str, own: tuple[str, ...] = own) -> str | None:
        return why_not(who, "recordings play", purpose, PURPOSES, own=own)

    assert why(supervisor, "recording.quality") is None
    assert why(officer, "recording.quality") is None
    for right in OF_RIGHT:
        assert why(officer, right) is None
        assert "supervisor may not" in str(why(supervisor, right))
    for other in ("recording.training", "quality", "audit"):
        assert "the recording is for recording.quality" in str(why(officer, other))
    # Its time is over, or it was taken back.
    assert "the recording is for nothing any more" in str(why(officer, "recording.quality", ()))
    assert why(officer, "complaint", ()) is None


@pytest.mark.parametrize("purpose", [*PURPOSES, "recording.quality", None])
def test_a_restricted_recording_is_used_for_a_claim_by_an_officer_alone(purpose: str | None) -> None:
    def why(who: Actor) -> str | None:
        return why_not(who, "recordings play", purpose, PURPOSES, own=("recording.quality",), restricted=True)

    for who in (somebody(Role.OFFICER), Actor("somebody", None)):
        assert (why(who) is None) is (purpose in THOUGH_RESTRICTED)
    assert "it is restricted (GDPR Art. 18)" in str(why(somebody(Role.SUPERVISOR)))


def test_without_roles_a_purpose_is_not_asked_for_and_still_has_to_be_one() -> None:
    anybody = Actor("somebody", None)
    assert why_not(anybody, "subject show", None, PURPOSES) is None
    assert why_not(anybody, "subject show", "complaint", PURPOSES) is None
    assert "no data are read for fun" in str(why_not(anybody, "subject show", "fun", PURPOSES))
    assert "the recording is for" in str(why_not(anybody, "recordings play", "recording.x", PURPOSES, own=("a",)))
