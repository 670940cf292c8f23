"""What the store answers about rights: requests, and what is kept of whom was erased."""

from __future__ import annotations

from callguard.store import from_rows
from callguard.store.dial_records import StoredGrant
from callguard.store.retention_reader import RetentionReader
from callguard.store.right_records import Proof, Restricted
from callguard.store.times import from_ms


class RightsReader(RetentionReader):
    """The part of a `Reader` that concerns rights."""

    async def restricted(self, controller: str | None, number: str) -> tuple[Restricted, ...]:
        """Whose proof is kept, of those who had a number in E.164 and were erased; of all controllers for None."""
        rows = await self._fetch("restricted_of_number", controller=controller, number=number)
        return tuple(
            Restricted(
                row["subject_id"], row["controller"], row["number"], Proof(row["why"], from_ms(row["until"]))
            )
            for row in rows
        )  # fmt: skip

    async def restricted_grants(self, subject_id: str) -> tuple[StoredGrant, ...]:
        """The consents that are proved for an erased subject: for what proves, and for nothing else."""
        rows = await self._fetch("restricted_grants_of", subject_id=subject_id)
        return tuple(map(from_rows.subject_grant, rows))
