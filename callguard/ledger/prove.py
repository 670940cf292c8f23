"""What proves a call to somebody without callguard: its entries, that they are in the signed tree, what was heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass

from callguard.core.checkpoint import Checkpoint, Note, VerifierKey
from callguard.core.evidence import leaf_data
from callguard.core.merkle import leaf_hash, verify_inclusion
from callguard.errors import InputError, StoreError
from callguard.ledger.keys import verified
from callguard.store.ledger import tree
from callguard.store.queries import Transaction

FORMAT = "callguard-proof/1"


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound that was played to the person, as an entry names it; `sha256` is of each of its files, by extension."""

    prompt: str
    language: str
    version: str
    sha256: tuple[tuple[str, str], ...]


TextOf = Callable[[Heard], str | None]
"""What is said in a sound; None where nobody knows any more."""


def prove(transaction: Transaction, call_id: str, keys: Collection[VerifierKey], text_of: TextOf) -> dict[str, object]:
    """The proof of a call, as JSON has it (docs/evidence.md).

    Args:
        keys: one of them has to have signed the last checkpoint.

    Raises:
        InputError: the ledger has nothing of this call.
        StoreError: no checkpoint is about all its entries yet, or the ledger is damaged.
    """
    rows = transaction.fetch("entries_of_call", call_id=call_id)
    if not rows:
        raise InputError("the ledger has no such call", field="CALL")
    signed = [Note.of(row["note"]) for row in transaction.fetch("latest_checkpoint")]
    if not signed or Checkpoint.of(signed[0].text).size <= rows[-1]["seq"]:
        raise StoreError("no checkpoint is about all of this call yet: `callguard ledger checkpoint` signs one")
    key = next((one for one in keys if verified(signed[0], one)), None)
    if key is None:
        raise StoreError("the last checkpoint is not signed by the ledger's key: see `callguard ledger verify`")
    at = Checkpoint.of(signed[0].text)
    grown = tree(transaction)
    entries, heard = [], dict[Heard, None]()
    for row in rows:
        if row["body"] is None:
            raise StoreError(f"entry {row['seq']} has no content any more")
        leaf = leaf_data(row["body"].encode(), row["noted_at"])
        try:
            path = grown.inclusion(row["seq"], at.size)
        except LookupError:
            path = []
        if not verify_inclusion(leaf_hash(leaf), row["seq"], at.size, path, at.root):
            raise StoreError(f"entry {row['seq']} is not the one that was signed: see `callguard ledger verify`")
        entries.append({"index": row["seq"], "leaf": leaf.decode(), "path": [step.hex() for step in path]})
        heard |= dict.fromkeys(_heard(row["body"]))
    return {
        "format": FORMAT,
        "call": call_id,
        "verifier_key": key.written,
        "checkpoint": signed[0].written,
        "entries": entries,
        "notices": [
            {
                "prompt": one.prompt,
                "language": one.language,
                "version": one.version,
                "sha256": dict(one.sha256),
                "text": text_of(one),
            }
            for one in heard
        ],
    }


def _heard(body: str) -> list[Heard]:
    said = json.loads(body)
    return [
        Heard(one["prompt"], one["language"], one["version"], tuple(sorted(one["sha256"].items())))
        for one in said.get("heard", ())
    ]
