"""What the store keeps of its ledger's checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from callguard.core.checkpoint import Checkpoint, Note
from callguard.core.evidence import Kind, Value
from callguard.store import ledger
from callguard.store.dial_store import DialStore
from callguard.store.times import to_ms


class LedgerStore(DialStore):
    """The part of a `Store` that concerns the ledger itself; its words on errors and times hold here too."""

    async def ledger_head(self, others: Sequence[Checkpoint] = ()) -> ledger.Head:
        """What the ledger holds that is committed.

        Args:
            others: what is known to have been signed, held against it.

        Raises:
            NotContinued: it does not begin with what it says itself was signed last.
        """
        return await self._writer.prepare(partial(ledger.head, others=others))

    async def has_checkpoint(self, size: int) -> bool:
        """Whether a signed note about the first so many entries is kept."""
        return bool(await self._writer.prepare(lambda transaction: transaction.fetch("checkpoint_of", size=size)))

    async def checkpoint(self, at: datetime, signer: ledger.Sign) -> tuple[str, bool]:
        """Sign what the ledger holds, unless that is signed already.

        Args:
            signer: makes the signed note, in a thread and outside of any transaction, about what is on the disk.

        Returns:
            The signed note about all entries, and whether it is new.

        Raises:
            StoreError: also where the ledger does not begin with what was signed last: then nothing is signed.
        """
        head = await self.ledger_head()
        if head.last is not None and Checkpoint.of(Note.of(head.last).text).size == head.size:
            return head.last, False
        note = await asyncio.to_thread(signer, head.size, head.root)
        return note, await self.keep_checkpoint(at, note)

    async def keep_checkpoint(self, at: datetime, note: str) -> bool:
        """Keep a signed note about entries that are there. Returns: whether it is new. Raises: NotContinued."""
        return await self._run(ledger.keep_checkpoint, at=to_ms(at), note=note)

    async def note_of_ledger(self, kind: Kind, at: datetime, **fields: Value) -> None:
        """Something was done to the ledger itself, or with its key: evidence."""
        await self._run(ledger.note_of_itself, kind=kind, at=to_ms(at), fields=fields)
