"""What the store keeps of how long recordings are kept: holds, marks, and what has been begun to be destroyed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from callguard.core.evidence import Value
from callguard.core.roles import Actor
from callguard.store import retention
from callguard.store.dial_store import DialStore
from callguard.store.retention_reader import RetentionReader
from callguard.store.times import to_ms


class RetentionStore(RetentionReader, DialStore):
    """The part of a `Store` that concerns how long recordings are kept; its words on errors and times hold here too."""

    async def hold(
        self, call_id: str, reason: str, at: datetime, *, until: datetime | None = None, leg_id: str | None = None,
        actor: Actor | None = None,
    ) -> tuple[str, ...]:  # fmt: skip
        """Keep the recordings of a call whatever else is said of them.

        Args:
            reason: somebody's own words; evidence has their hash.
            until: when it ends by itself; None for not before it is released.
            leg_id: of this leg alone.
            actor: who says so; evidence has their random id and their roles.

        Returns:
            The legs whose recordings are held by it now; none where nothing is left of any.
        """
        end = None if until is None else to_ms(until)
        return await self._run(
            retention.hold, call_id=call_id, leg_id=leg_id, reason=reason, at=to_ms(at), until=end,
            actor=actor,
        )  # fmt: skip

    async def release(
        self, call_id: str, reason: str, at: datetime, *, hold_id: str | None = None, leg_id: str | None = None,
        actor: Actor | None = None,
    ) -> tuple[str, ...]:  # fmt: skip
        """End the holds of a call's recordings, or one of them. Returns: the ids of those that ended now."""
        return await self._run(
            retention.release, call_id=call_id, leg_id=leg_id, hold_id=hold_id, reason=reason, at=to_ms(at),
            actor=actor,
        )  # fmt: skip

    async def mark_unlawful(
        self, call_id: str, reason: str, at: datetime, *, leg_id: str | None = None, actor: Actor | None = None
    ) -> tuple[str, ...]:
        """The recordings of a call should never have been made, or kept: they are to be destroyed at once.

        Returns:
            The legs whose recordings are marked now; none where nothing is left of any. A hold keeps them all the same.
        """
        return await self._run(
            retention.mark_unlawful, call_id=call_id, leg_id=leg_id, reason=reason, at=to_ms(at), actor=actor
        )  # fmt: skip

    async def begin_destroying(
        self, leg_id: str, at: datetime, reason: str, ends: Sequence[Mapping[str, Value]] = ()
    ) -> bool:
        """A recording's files are about to be removed: from now on no hold can be laid on it.

        Args:
            reason: as `recording_destroyed` says it then.
            ends: when and why each purpose ended, for the evidence.

        Returns:
            Whether they may be: not where it is held, or no longer kept. What was begun is finished.
        """
        return await self._run(
            retention.begin_destroying, leg_id=leg_id, at=to_ms(at), reason=reason, ends=ends
        )  # fmt: skip
