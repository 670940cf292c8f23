"""What the store keeps and says of rights: erasure, and what of it has to stay. All times are aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """A law has it that somebody's consent can be proved for some time, though they are erased (GDPR Art. 17(3)(b)).

    Attributes:
        why: the rule and its source.
        until: it is deleted then.
    """

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    Attributes:
        at: when the subject was erased first.
        removed: how much of what; all 0 where it was done before.
        suppressed: an opt-out from marketing was added, for there was none.
        kept_opt_outs: so many others were kept, apart from all that was known.
        held: the calls whose recordings a hold keeps (Art. 17(3)(e)); they go when it ends.
        overwritten: the store's log holds nothing of it any more. Where not, the next ones who write take its place.
    """

    subject_id: str
    controller: str
    at: datetime
    removed: Mapping[str, int] = field(hash=False)
    suppressed: bool
    kept_opt_outs: int
    held: tuple[str, ...]
    overwritten: bool = True


@dataclass(frozen=True, slots=True)
class Restricted:
    """Whose proof is kept though they are erased; `number` is E.164."""

    subject_id: str
    controller: str
    number: str
    proof: Proof
