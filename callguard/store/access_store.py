"""What the store keeps of who reads personal data: before they are shown, or not at all."""

from __future__ import annotations

from datetime import datetime

from callguard.core.access import Read
from callguard.core.evidence import Kind
from callguard.core.roles import Actor
from callguard.store import access
from callguard.store.queries import Transaction
from callguard.store.retention_store import RetentionStore
from callguard.store.times import to_ms


class AccessStore(RetentionStore):
    """The part of a `Store` that concerns who reads what; its words on errors and times hold here too."""

    async def accessed(self, actor: Actor, at: datetime, action: str, purpose: str | None, read: Read) -> None:
        """Somebody is going to read personal data.

        Args:
            action: as `core.roles` names it.
            purpose: for what; None where nobody had to say.
        """
        await self._run(access.accessed, actor=actor, at=to_ms(at), action=action, purpose=purpose, read=read)

    async def heard(
        self,
        kind: Kind,
        leg_id: str,
        actor: Actor,
        at: datetime,
        action: str,
        purpose: str | None,
        *,
        though_held: bool,
        to: str | None = None,
    ) -> bool:
        """Somebody is going to hear a recording, or to take it with them.

        Args:
            kind: `Kind.RECORDING_PLAYED` or `RECORDING_EXPORTED`.
            though_held: they may also where it is held.
            to: who is to have it, where it is not the controller itself.

        Returns:
            Whether they may; nothing is kept where not.
        """
        return await self._run(
            access.heard, kind=kind, leg_id=leg_id, actor=actor, at=to_ms(at), action=action, purpose=purpose,
            though_held=though_held, to=to,
        )  # fmt: skip

    async def denied(
        self, actor: Actor, at: datetime, action: str, purpose: str | None, why: str, leg_id: str | None = None
    ) -> None:
        """Somebody may not do what they asked for.

        Args:
            why: in words, without a number or a name.
            leg_id: whose recording they may not hear.
        """
        await self._run(
            access.denied, actor=actor, at=to_ms(at), action=action, purpose=purpose, why=why, leg_id=leg_id
        )  # fmt: skip

    async def govern(self, at: datetime) -> None:
        """Roles are in force here from now on; see `Reader.is_governed`."""
        await self._run(_govern, at=to_ms(at))


def _govern(transaction: Transaction, at: int) -> None:
    transaction.fetch("govern", since=at)
