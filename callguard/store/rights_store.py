"""What the store does for the rights of the people on the phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from callguard.store import erasure
from callguard.store.retention_store import RetentionStore
from callguard.store.right_records import Erased, Proof
from callguard.store.rights_reader import RightsReader
from callguard.store.times import to_ms


class RightsStore(RightsReader, RetentionStore):
    """The part of a `Store` that concerns rights; its words on errors and times hold here too."""

    async def erase(
        self,
        subject_id: str,
        at: datetime,
        *,
        proof: Proof | None = None,
        request_id: str | None = None,
        only_if_quiet: bool = False,
    ) -> Erased | None:
        """Erase a subject of one controller (GDPR Art. 17), for good; a second time adds nothing.

        Their number and name, what others wrote of them in their own words, and what joins them to Asterisk's records
        are gone, and their recordings cannot be read any more; files that still lie there are removed by a running
        callguard within a minute, but those that are held. What they opted out of goes on to stand with the number and
        nothing else, and an opt-out from marketing with it. The entries of evidence stay, without whose they are.

        Args:
            proof: keep what proves their consents, and whose they are, for those who have to prove it.
            request_id: of the request that it does.
            only_if_quiet: refuse where a recording of theirs runs. Otherwise it is withdrawn, and goes when it ends.

        Returns:
            None where there is no such subject.
        """
        done = await self._run(
            erasure.erase,
            subject_id=subject_id,
            at=to_ms(at),
            proof=proof,
            request_id=request_id,
            only_if_quiet=only_if_quiet,
        )
        return None if done is None else replace(done, overwritten=await self._writer.overwrite_log())

    async def forget_proofs(self, now: datetime) -> int:
        """Delete what was kept to prove consents for a time that is over. Returns: of how many subjects."""
        return await self._run(erasure.forget_proofs, now=to_ms(now))
