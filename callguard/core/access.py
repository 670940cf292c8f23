"""For what personal data are read: which purposes there are, who may read for each, what a recording may be heard for.

Data are not used beyond what they were collected for (GDPR Art. 5(1)(b)); a restricted recording is not used at all,
but for a claim or what an authority asks (Art. 18(2)).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from callguard.core.requests import Proof
from callguard.core.roles import Actor, Role, who_may

_OFFICER, _SUPERVISOR, _AUDITOR, _AGENT = Role.OFFICER, Role.SUPERVISOR, Role.AUDITOR, Role.AGENT

PURPOSES: Mapping[str, frozenset[Role]] = {
    "access_request": frozenset({_OFFICER}),
    "authority": frozenset({_OFFICER}),
    "complaint": frozenset({_OFFICER}),
    "legal_claim": frozenset({_OFFICER}),
    "audit": frozenset({_OFFICER, _AUDITOR}),
    "quality": frozenset({_OFFICER, _SUPERVISOR}),
    "dialling": frozenset({_OFFICER, _SUPERVISOR, _AGENT}),
    "recording": frozenset({_OFFICER, _SUPERVISOR}),
}
"""Where the configuration names none. ``recording`` stands for each purpose that recordings are made for."""

DIALLING = "dialling"
OF_RIGHT = frozenset({"access_request", "authority", "complaint", "legal_claim"})
"""What a recording may be heard for, whatever it was made for: a right of somebody, or a duty of law."""

THOUGH_RESTRICTED = frozenset({"authority", "legal_claim"})


@dataclass(frozen=True, slots=True)
class Read:
    """What is read of personal data: a person's, a call's, or where it is neither everybody's.

    Attributes:
        number: of the person, in E.164.
        controller: whose data alone; None for all.
        to: who is to have them, as the configuration names them; None where nobody else.
        proofs: of a person to whom it is told, what kinds of proof there are of who they are.
    """

    number: str | None = None
    call_id: str | None = None
    controller: str | None = None
    to: str | None = None
    proofs: tuple[Proof, ...] = ()


def readers(purpose: str, purposes: Mapping[str, frozenset[Role]]) -> frozenset[Role] | None:
    """The roles that may read for a purpose: its own, or those of its first word. None where there is no such one."""
    return purposes.get(purpose, purposes.get(purpose.partition(".")[0]) if "." in purpose else None)


def why_not(
    actor: Actor,
    action: str,
    purpose: str | None,
    purposes: Mapping[str, frozenset[Role]],
    *,
    own: Collection[str] | None = None,
    restricted: bool = False,
) -> str | None:
    """Why somebody may not read; None where they may. That they may do the action at all is asked before.

    Args:
        purpose: None only where no roles are configured.
        own: of a recording, the purposes whose basis stands; None for what is no recording.
        restricted: the recording is held.
    """
    if restricted and not (purpose in THOUGH_RESTRICTED and (actor.roles is None or Role.OFFICER in actor.roles)):
        return f"it is restricted (GDPR Art. 18); an officer may for {_words(THOUGH_RESTRICTED)}"
    if purpose is None:
        return None
    allowed = readers(purpose, purposes)
    if allowed is None:
        return f"no data are read for {purpose}; there are {_words(purposes)}"
    if own is not None and purpose not in OF_RIGHT and purpose not in own:
        for_what = _words(own) or "nothing any more"
        return f"the recording is for {for_what}, not for {purpose}; a right or a claim is {_words(OF_RIGHT)}"
    if actor.roles is not None and not actor.roles & allowed & who_may(action):
        return f"for {purpose} {actor.known_as} may not; {_words(allowed & who_may(action)) or 'nobody'} may"
    return None


def _words(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
