"""What an older store has of evidence comes into the ledger, in order of time: the second half of migration 0010.

An entry that named its subject or its agent does so no more: its row does. A number of the house's own that a dial
decision showed goes as well: the decision has it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from typing import Any

from callguard.core.evidence import SALT_BYTES, Kind, canonical, entry
from callguard.store.ledger import TOGETHER, append, now_ms
from callguard.store.queries import Transaction
from callguard.store.rows import incident_body, without_numbers

_STATEMENTS = {
    "leg": "add_evidence",
    "subject": "add_subject_evidence",
    "agent": "add_agent_evidence",
    "incident": "add_incident",
}
_BEFORE = ("evidence_before", "subject_evidence_before", "agent_evidence_before", "incidents_before", "brought_in")


def bring_in(transaction: Transaction) -> None:
    """Bring it in, and remove where it was."""
    ((entries,),) = transaction.fetch("count_brought_in")
    for first in range(0, entries, TOGETHER):
        rows = transaction.fetch("brought_in", first=first, end=first + TOGETHER)
        bodies = [_body(row) for row in rows]
        # Each was noted when it happened, as far as is known: the last entry says that they all came in at once.
        numbers = append(transaction, [body.decode() for body in bodies], [row["at"] for row in rows])
        for seq, row, body in zip(numbers, rows, bodies, strict=True):
            transaction.fetch(_STATEMENTS[row["whose"]], **_named(row, body), seq=seq)
    if entries:
        now = now_ms()
        body = entry(Kind.LEDGER_BEGUN, now, salt=secrets.token_bytes(SALT_BYTES), brought_in=entries)
        (seq,) = append(transaction, [body.decode()])
        transaction.fetch("add_store_evidence", seq=seq, kind=Kind.LEDGER_BEGUN.value, at=now)
    for table in _BEFORE:
        transaction.fetch(f"drop_{table}")


def _body(row: sqlite3.Row) -> bytes:
    if row["whose"] == "incident":
        detail = json.loads(row["detail"])
        return incident_body(
            row["incident_id"], row["kind"], row["at"], detail, row["incident_leg"], row["call_id"], row["controller"]
        )
    if row["whose"] == "leg":
        return bytes(row["body"], "utf-8")
    body: dict[str, Any] = json.loads(row["body"])
    body.pop(row["whose"], None)
    if "facts" in body:
        body["facts"] = without_numbers(body["facts"])
    return canonical(body)


def _named(row: sqlite3.Row, body: bytes) -> dict[str, str | int | None]:
    """The parameters of the statement that adds the row beside an entry."""
    common: dict[str, str | int | None] = {"kind": row["kind"], "at": row["at"]}
    if row["whose"] == "agent":
        return {**common, "agent_id": row["agent_id"]}
    common["controller"] = row["controller"]
    if row["whose"] == "leg":
        return {**common, "leg_id": row["leg_id"]}
    if row["whose"] == "subject":
        return {**common, "subject_id": row["subject_id"], "call_id": json.loads(body).get("call")}
    return {
        **common, "incident_id": row["incident_id"], "leg_id": row["incident_leg"], "detail": row["detail"],
    }  # fmt: skip
