"""What the subject's keys do in the conversation, and what becomes of a recording then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from callguard.core.model import Basis, Purpose


class Keys(StrEnum):
    """What the stop key and a yes in the call come to, in the dialplan's words.

    ASK: consent is asked; the key stops, and a yes after the notice starts. STOP: another basis, and the call may go on
    unrecorded, so the key stops. OBJECT: another basis, and the call may not: the key explains and nothing stops.
    """

    ASK = "ask"
    STOP = "stop"
    OBJECT = "object"


def keys_for(purposes: Sequence[Purpose]) -> Keys:
    """What the keys do in a call of a profile.

    A recording that rests on consent for one purpose ends with that consent, whatever else it serves: what would be
    captured for the other purpose alone cannot be told apart in the sound. Where nothing rests on consent, the key does
    what 2 did in the notice: it stops, unless the call may not go on unrecorded.
    """
    if any(purpose.basis is Basis.CONSENT for purpose in purposes):
        return Keys.ASK
    return Keys.OBJECT if any(purpose.required for purpose in purposes) else Keys.STOP


def chosen(purposes: Sequence[Purpose], which: int) -> tuple[Purpose, ...]:
    """The purposes on consent that a yes in the call names: bit 0 is the first question's, bit 1 the second's."""
    asked = [purpose for purpose in purposes if purpose.basis is Basis.CONSENT]
    return tuple(purpose for n, purpose in enumerate(asked) if which >> n & 1)


def informed(after_ms: int, held_ms: int) -> bool:
    """Whether a key went down after the question began (rule 2), which only follows the whole essential part.

    Args:
        after_ms: from the question's beginning until the key was let go.
        held_ms: for how long it was held.
    """
    return 0 <= held_ms <= after_ms


def surviving(purposes: Iterable[Purpose], *, withdrawn: bool) -> tuple[Purpose, ...]:
    """The purposes that a recording may still serve; none means that it is destroyed.

    Withdrawal ends consent, and only that: what rests on another basis keeps what was captured until then
    (GDPR Art. 7(3) and 17(1)(b)).
    """
    return tuple(purpose for purpose in purposes if not (withdrawn and purpose.basis is Basis.CONSENT))
