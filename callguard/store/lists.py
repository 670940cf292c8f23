"""Many opt-outs at once, added as `staged` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callguard.errors import StoreError
from callguard.store import ledger
from callguard.store.dial_records import NewOptOut, OptOutSource
from callguard.store.queries import Row, Transaction
from callguard.store.rows import block_rows, new_opted_out
from callguard.store.staged import Subjects, add_subjects
from callguard.store.subjects import opt_out_rows, stands
from callguard.store.times import to_ms


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The steps of a list of opt-outs: for whom, when and how they are added; `at` in milliseconds since 1970."""

    controller: str
    source: OptOutSource
    at: int

    def begin(self, transaction: Transaction) -> None:
        """Make room for a list that is to be added over this connection."""
        transaction.fetch("drop_staged")
        transaction.fetch("create_staged")
        transaction.fetch("drop_staged_blocks")
        transaction.fetch("create_staged_blocks")
        transaction.fetch("keep_many_pages")

    def stage(self, transaction: Transaction, some: Sequence[NewOptOut], subjects: Subjects) -> int:
        """Make a part of the list ready, without a lock; how many of it are new."""
        rows: list[Row] = []
        blocks: list[Row] = []
        for one in some:
            since = self.at if one.since is None else to_ms(one.since)
            until = None if one.until is None else to_ms(one.until)
            if since > self.at or (until is not None and until <= max(since, self.at)):
                raise StoreError("an opt-out has begun, ends after it begins, and is not over")
            what: Row = {"scope": one.scope.value, "purpose": one.purpose, "campaign": one.campaign}
            subject_id, new_number = subjects.of(transaction, one.number, new_opted_out)
            if new_number is not None:
                blocks += block_rows(self.controller, subject_id, new_number)
            if new_number is None and stands(transaction, subject_id, self.at, self.source, until, what):
                continue
            row, proof = opt_out_rows(
                self.controller, subject_id, self.at, self.source, until, what, since=since, reason=one.reason
            )
            rows.append({**row, **proof, "new_number": new_number})
        transaction.add("stage_opt_out", rows)
        transaction.add("stage_block", blocks)
        return len(rows)

    def seal(self, transaction: Transaction) -> None:
        """Hash the evidence, without a lock."""
        ledger.make_ready(transaction, "staged_evidence")

    def add(self, transaction: Transaction) -> None:
        """Add what is ready. Raises: Overtaken."""
        add_subjects(transaction, "add_staged_subjects")
        transaction.fetch("add_staged_blocks")
        transaction.fetch("add_staged_opt_outs")
        ledger.add_ready(transaction)
