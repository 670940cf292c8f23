"""What the store answers about rights: requests, and what is kept of whom was erased."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from callguard.core.requests import DUE_SOON
from callguard.store import from_rows
from callguard.store.dial_records import StoredGrant
from callguard.store.erasure import is_called_again
from callguard.store.retention_reader import RetentionReader
from callguard.store.right_records import (
    Correction,
    Due,
    LegToErase,
    ProofKept,
    RequestStep,
    Restricted,
    StoredRequest,
    ToErase,
)
from callguard.store.tickets import Ticket
from callguard.store.times import from_ms, from_ms_or_none, to_ms


class RightsReader(RetentionReader):
    """The part of a `Reader` that concerns rights."""

    async def tickets(self, call_id: str) -> tuple[Ticket, ...]:
        """What a call is known by elsewhere, oldest first."""
        rows = await self._fetch("tickets_of_call", call_id=call_id)
        return tuple(Ticket(call_id, row["reference"], from_ms(row["at"])) for row in rows)

    async def calls_of_ticket(self, reference: str) -> tuple[Ticket, ...]:
        """The calls that are known by a reference, oldest first."""
        rows = await self._fetch("calls_of_ticket", reference=reference)
        return tuple(Ticket(row["call_id"], reference, from_ms(row["at"])) for row in rows)

    async def restricted(self, controller: str | None, number: str) -> tuple[Restricted, ...]:
        """Whose proof is kept, of those who had a number in E.164 and were erased; of all controllers for None."""
        rows = await self._fetch("restricted_of_number", controller=controller, number=number)
        return tuple(
            Restricted(
                row["subject_id"], row["controller"], row["number"], ProofKept(row["why"], from_ms(row["until"]))
            )
            for row in rows
        )

    async def restricted_grants(self, subject_id: str) -> tuple[StoredGrant, ...]:
        """The consents that are proved for an erased subject: for what proves, and for nothing else."""
        rows = await self._fetch("restricted_grants_of", subject_id=subject_id)
        return tuple(map(from_rows.subject_grant, rows))

    async def has_proofs_over(self, now: datetime) -> bool:
        """Whether anything is kept to prove consents for a time that is over."""
        return bool(await self._fetch("proofs_over", now=to_ms(now)))

    async def not_erased(self, subject_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of these subjects who are in the store and not erased."""
        rows = await self._fetch("not_erased", ids=json.dumps(subject_ids))
        return tuple(str(row["subject_id"]) for row in rows)

    async def to_erase(self, subject_id: str, now: datetime) -> ToErase | None:
        """What an erasure of a subject would be about; None where there is no such subject."""
        for subject in await self._fetch("subject_to_erase", subject_id=subject_id):
            legs = await self._fetch("legs_to_erase", subject_id=subject_id, now=to_ms(now))
            in_force = list(await self._fetch("opt_outs_in_force", subject_id=subject_id, at=to_ms(now)))
            added = subject["number"] is not None and is_called_again(in_force)
            ((given, used),) = await self._fetch("last_marketing_consent", subject_id=subject_id)
            return ToErase(
                subject_id,
                subject["controller"],
                subject["number"],
                from_ms_or_none(subject["erased_at"]),
                tuple(map(_leg, legs)),
                len(in_force) + added,
                None if given is None else from_ms(max(given, used or given)),
            )
        return None

    async def requests(
        self, controller: str | None, number: str | None = None, *, pending: bool = False
    ) -> tuple[StoredRequest, ...]:
        """Requests without their steps: the pending ones first, and of these the one that is due first.

        Args:
            controller: None for all; `number` likewise.
            pending: those alone.
        """
        rows = await self._fetch("requests_listed", controller=controller, number=number, pending=int(pending))
        return tuple(map(from_rows.request, rows))

    async def request(self, request_id: str) -> StoredRequest | None:
        """A request with its steps; None where there is none of this id."""
        for row in await self._fetch("request", request_id=request_id):
            steps = await self._fetch("steps_of_request", request_id=request_id)
            corrections = await self._fetch("corrections_of_request", request_id=request_id)
            return replace(
                from_rows.request(row),
                steps=tuple(RequestStep(one["step"], from_ms(one["at"]), one["reason"], one["who"]) for one in steps),
                corrections=tuple(map(from_rows.correction, corrections)),
            )
        return None

    async def due_requests(self, now: datetime) -> Due:
        """How many should have been answered by now, or soon."""
        overdue, by_then = [(await self._fetch("due_requests", by=to_ms(by)))[0][0] for by in (now, now + DUE_SOON)]
        return Due(overdue, by_then - overdue)

    async def corrections(self, subject_id: str) -> tuple[Correction, ...]:
        """What was put right about a subject, oldest first."""
        return tuple(map(from_rows.correction, await self._fetch("corrections_of_subject", subject_id=subject_id)))

    async def recordings_to_restrict(self, subject_id: str) -> tuple[tuple[str, str], ...]:
        """The call and the leg of each recording of a subject that is kept."""
        rows = await self._fetch("recordings_to_restrict", subject_id=subject_id)
        return tuple((row["call_id"], row["leg_id"]) for row in rows)


def _leg(row: sqlite3.Row) -> LegToErase:
    running = bool(row["recording"]) and row["recording_ended_at"] is None and row["recording_state"] is None
    return LegToErase(
        row["leg_id"], row["call_id"], row["channel"], row["linkedid"], row["recording_state"], running,
        bool(row["held"]),
    )  # fmt: skip
