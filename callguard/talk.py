"""What is known of one leg's conversation after the gate, and what has happened in it and is not carried out yet."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from callguard.core.conversation import Conversation, Happened, Unwatched

# Nobody knows since when.
EVER = 0


@dataclass(frozen=True, slots=True)
class Company:
    """Who is with the subject from `at` on; whether they may be recorded is not known yet."""

    others: frozenset[str]
    at: int


@dataclass(frozen=True, slots=True)
class HoldsMissed:
    """Who was put on hold, or taken back, was not told from `since` on (milliseconds; EVER: nobody knows) to `at`.

    Attributes:
        recorded: whether it was recorded then; else it was paused on hold.
    """

    since: int
    at: int
    recorded: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """A segment ran while nobody told who comes and goes, from `since` on (milliseconds; EVER: nobody knows)."""

    segment: int
    since: int


@dataclass(slots=True, eq=False)
class Talk:
    """One leg's conversation.

    Attributes:
        granted: the purposes that it gave, none where it refused.
        told_at: when it was last told who is with the subject, milliseconds.
        began_at: when the running segment began, if that was seen.
        waiting: what has happened and is not carried out yet.
        unwatched_since: from when on, at the earliest, nobody watched the segment that it was found in, milliseconds;
            None where it was watched from its beginning.
        missed: the segment of which something was missed while this process followed it, until that is kept as an
            incident or cut off.
        held_by: who has the other side on hold, by channel; None where nobody has put them there. Empty where they have
            left since, and nobody has come.
        heard_beside: persons who may be heard in its recording and are not of the house, as far as that is saved.
        stopped: the segment that was ended last and is not saved yet, whether it ran until then, and when that was.
    """

    leg_id: str
    channel: str
    profile: str
    granted: frozenset[str]
    two: bool
    state: Conversation
    told_at: int = EVER
    began_at: datetime | None = None
    waiting: deque[Happened | Company | HoldsMissed] = field(default_factory=deque)
    work: asyncio.Task[None] | None = None
    unwatched_since: int | None = None
    missed: Missed | None = None
    held_by: frozenset[str] | None = None
    heard_beside: set[str] = field(default_factory=set)
    stopped: tuple[int, bool, int] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being carried out."""
        return self.work is None or self.work.done()

    def company_changed_since(self) -> int | None:
        """When the company first changed after what is being carried out, milliseconds; None where it has not."""
        later = list(self.waiting)[1:]
        return min(
            (one.at for one in later if isinstance(one, Company) or (isinstance(one, Unwatched) and one.came)),
            default=None,
        )
