"""What the store does for the rights of the people on the phone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from callguard.core.requests import Proof, Right, State, Step, Via, due, extended
from callguard.core.roles import Actor
from callguard.store import erasure, requests, tickets
from callguard.store.retention_store import RetentionStore
from callguard.store.right_records import Correction, Erased, ProofKept
from callguard.store.rights_reader import RightsReader
from callguard.store.times import to_ms


class RightsStore(RightsReader, RetentionStore):
    """The part of a `Store` that concerns rights; its words on errors and times hold here too."""

    async def erase(
        self,
        subject_id: str,
        at: datetime,
        *,
        proof: ProofKept | None = None,
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

    async def add_ticket(self, call_id: str, reference: str, at: datetime) -> bool | None:
        """A call is known by a reference in another system, such as a ticket; evidence has its hash.

        Returns: whether it was not yet; None where there is no such call.
        """
        return await self._run(tickets.add, call_id=call_id, reference=reference, at=to_ms(at))

    async def forget_proofs(self, now: datetime) -> int:
        """Delete what was kept to prove consents for a time that is over, from the store's log too.

        Returns: of how many subjects.
        """
        over = await self._run(erasure.forget_proofs, now=to_ms(now))
        if over:
            await self._writer.overwrite_log()
        return over

    async def open_request(
        self,
        controller: str,
        number: str,
        right: Right,
        via: Via,
        at: datetime,
        *,
        call_id: str | None = None,
        reason: str | None = None,
        corrections: Sequence[Correction] = (),
        actor: Actor | None = None,
    ) -> tuple[str, bool]:
        """Somebody asks for what is their right; it is due in a month.

        Args:
            number: E.164; the subject is made where it is new.
            at: when it was received.
            call_id: of the call in which it was made.
            reason: own words; evidence has their hash.
            corrections: what a rectification says.
            actor: who receives it; None where a key asked for it.

        Returns:
            Its id, and whether it is new: not where one like it is pending.
        """
        return await self._run(
            requests.open_,
            controller=controller,
            number=number,
            right=right,
            via=via,
            at=to_ms(at),
            due_at=to_ms(due(at)),
            call_id=call_id,
            reason=reason,
            corrections=corrections,
            actor=actor,
        )

    async def move_request(
        self,
        request_id: str,
        step: Step,
        at: datetime,
        *,
        reason: str | None = None,
        proofs: Collection[Proof] = (),
        received_at: datetime | None = None,
        actor: Actor | None = None,
    ) -> State:
        """A request takes a step, with its evidence.

        Args:
            reason: own words; evidence has their hash.
            proofs: of who asks, beside those that are known.
            received_at: for `EXTEND`, from when on the months are counted.
            actor: whose step it is.

        Returns:
            The state that it has now: still open after `IDENTIFY`, where the proof is not enough.

        Raises:
            StoreError: also where there is no such request, or it does not take this step.
        """
        until = None if received_at is None else to_ms(extended(received_at))
        return await self._run(
            requests.move,
            request_id=request_id,
            step=step,
            at=to_ms(at),
            reason=reason,
            proofs=tuple(proofs),
            due_at=until,
            actor=actor,
        )

    async def correct(self, request_id: str, at: datetime) -> int:
        """Make the corrections that a request says; what they correct stays. Returns: how many are new."""
        return await self._run(requests.correct, request_id=request_id, at=to_ms(at))
