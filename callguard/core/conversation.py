"""What becomes of a recording when the conversation ends or the subject withdraws. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from callguard.core.model import Basis, Purpose


def surviving(purposes: Iterable[Purpose], *, withdrawn: bool) -> tuple[Purpose, ...]:
    """The purposes that a recording may still serve; none means that it is destroyed.

    Withdrawal ends consent, and only that: what rests on another basis keeps what was captured until then
    (GDPR Art. 7(3) and 17(1)(b)).
    """
    return tuple(purpose for purpose in purposes if not (withdrawn and purpose.basis is Basis.CONSENT))
