"""Who may do what: each action that callguard has, and the roles that may do it. What is not here nobody may do.

An action is a command without its program's name. Who sets the machine up is not who discloses what it keeps, so the
officer's actions are none of the administrator's (GDPR Art. 32(4), Art. 38(3)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is here to do.

    ``service`` is given to nobody: it is the account that the store belongs to, for what a timer does and nobody types.
    """

    ADMINISTRATOR = "administrator"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    OFFICER = "officer"
    AUDITOR = "auditor"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person, as the machine or a console knows them, and the roles that they have.

    Attributes:
        name: a Unix user's, or a console's account; it stands in no leaf of the ledger.
        roles: None where no roles are configured, so that everybody may do everything.
    """

    name: str
    roles: frozenset[Role] | None

    @property
    def known_as(self) -> str:
        """Their roles, in words."""
        return ", ".join(sorted(self.roles or ())) or "who has no role"


_ADMINISTRATOR, _SUPERVISOR, _AGENT = Role.ADMINISTRATOR, Role.SUPERVISOR, Role.AGENT
_OFFICER, _AUDITOR, _SERVICE = Role.OFFICER, Role.AUDITOR, Role.SERVICE

ANYBODY = frozenset(Role)
"""What shows and changes nothing of an installation; also for those who have no role."""

_RUNS = frozenset({_ADMINISTRATOR, _SERVICE})
_SETS_UP = frozenset({_ADMINISTRATOR})
_LOOKS = frozenset({_ADMINISTRATOR, _SUPERVISOR, _OFFICER, _AUDITOR})
_CALLS = frozenset({_SUPERVISOR, _OFFICER, _AUDITOR})
_DIALS = frozenset({_AGENT, _SUPERVISOR, _OFFICER})
_LISTS = frozenset({_SUPERVISOR, _OFFICER})
_DISCLOSES = frozenset({_OFFICER})
_ACCOUNTS = frozenset({_OFFICER, _AUDITOR})
_PROVES = frozenset({_ADMINISTRATOR, _OFFICER, _AUDITOR, _SERVICE})

ACTIONS: Mapping[str, frozenset[Role]] = {
    # The machine.
    "run": _RUNS,
    "init": _SETS_UP,
    "doctor": _RUNS,
    "demo": ANYBODY,
    "prompts build": _RUNS,
    "prompts lint": _LOOKS,
    "prompts listen": _LOOKS,
    "policy show": _LOOKS,
    "policy lint": _LOOKS,
    "policy replay": _LOOKS,
    "policy replay --numbers": _DISCLOSES,
    "registry import": _RUNS,
    "registry update": _RUNS,
    "registry receipt": _RUNS,
    "registry status": _LOOKS,
    "keys new": ANYBODY,
    "keys list": _LOOKS - {_SUPERVISOR},
    "keys rotate": _SETS_UP,
    "keys clean": _RUNS,
    "backup": _RUNS,
    "restore": _SETS_UP,
    # Calls, and what went wrong: random ids, no numbers.
    "calls list": _CALLS,
    "calls show": _CALLS,
    "calls ticket": _DIALS,
    "incidents list": _LOOKS,
    "incidents export": _DISCLOSES,
    "reconcile": _CALLS,
    # Whom one may call, and who has said so.
    "check": _DIALS,
    "optout add": _DIALS,
    "optout import": _LISTS,
    "optout remove": _DISCLOSES,
    "optout list": _DISCLOSES,
    "optout export": _DISCLOSES,
    "grant add": _DIALS,
    "grant withdraw": _DIALS,
    "grant suspend": _LISTS,
    "grant import": _LISTS,
    "grant check": _LISTS,
    "grant list": _DISCLOSES,
    "grant export": _DISCLOSES,
    "grant invalidate": _DISCLOSES,
    "agent grant": _LISTS,
    "agent revoke": _LISTS,
    "agent list": _CALLS,
    # Recordings.
    "recordings list": _CALLS,
    "recordings verify": _PROVES,
    "recordings purge": _RUNS | _DISCLOSES,
    # For what a recording was made to be heard (its own purposes) a supervisor listens too.
    "recordings play": _LISTS,
    "recordings export": _DISCLOSES,
    "recordings hold": _DISCLOSES,
    "recordings release": _DISCLOSES,
    "recordings unlawful": _DISCLOSES,
    # The rights of people.
    "subject show": _DISCLOSES,
    "subject status": _DISCLOSES,
    "subject export": _DISCLOSES,
    "subject key": _ACCOUNTS,
    "subject erase": _DISCLOSES,
    "subject rectify": _DISCLOSES,
    "complaint": _DISCLOSES,
    "request open": _DIALS,
    "request list": _DISCLOSES,
    "request show": _DISCLOSES,
    "request identify": _DISCLOSES,
    "request approve": _DISCLOSES,
    "request refuse": _DISCLOSES,
    "request extend": _DISCLOSES,
    "request run": _DISCLOSES,
    # Accounts of it.
    "report processing": _ACCOUNTS,
    "report breach": _ACCOUNTS,
    "report recipients": _ACCOUNTS,
    "report impact": _ACCOUNTS,
    "audit basis": _ACCOUNTS,
    "audit access": _ACCOUNTS,
    "ledger verify": _PROVES,
    "ledger checkpoint": _PROVES,
    "ledger new-key": _SETS_UP,
    "ledger prove": _ACCOUNTS,
}
"""An option that does more than its command stands after it."""


def who_may(action: str) -> frozenset[Role]:
    """The roles that may do it; none where it is not known."""
    return ACTIONS.get(action, frozenset())


def may(actor: Actor, action: str) -> bool:
    """Whether somebody may do it at all; for what they may read, see `core.access`."""
    allowed = who_may(action)
    return actor.roles is None or allowed == ANYBODY or bool(actor.roles & allowed)


def effective(roles: frozenset[Role]) -> frozenset[Role]:
    """What somebody's roles come to: who is administrator too, by whatever group, is no officer."""
    return roles - {Role.OFFICER} if Role.ADMINISTRATOR in roles else roles


def in_words(roles: frozenset[Role]) -> str:
    """Roles that may do something; the service's account is no role that somebody is given."""
    return " or ".join(sorted(roles - {Role.SERVICE})) or "nobody"
