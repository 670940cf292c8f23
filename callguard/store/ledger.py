"""The ledger: every entry of evidence in the order of its commit, and the Merkle tree over them.

An entry is appended in the transaction of what it records. What is hashed is the entry and when it was noted, both as
they stand in its row; the nodes of the tree above are kept as they become complete (`core.merkle`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import time_ns
from typing import TypeAlias

from callguard.core.checkpoint import Checkpoint, Note
from callguard.core.evidence import SALT_BYTES, Kind, Value, entry, leaf_data
from callguard.core.merkle import TILE, TILE_BITS, Tree, completed, fold, leaf_hash
from callguard.errors import StoreError
from callguard.store.queries import Row, Transaction

# So many rows are in memory at once where there may be many.
TOGETHER = 1024

Sign: TypeAlias = Callable[[int, bytes], str]
"""Makes a signed note about so many entries and their root."""


class NotContinued(StoreError):
    """What was signed is not the beginning of what there is: nothing more is signed."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a ledger holds.

    Attributes:
        last: the signed note that is kept here about the most entries.
        unlike: what it was held against and is not the beginning of it.
    """

    size: int
    root: bytes
    last: str | None
    unlike: tuple[Checkpoint, ...]


def append(transaction: Transaction, bodies: Sequence[str], noted_at: Sequence[int] | None = None) -> range:
    """Append entries.

    Args:
        bodies: canonical (`core.evidence.entry`).
        noted_at: of each, where they were noted before there was a ledger; now by default, milliseconds since 1970.

    Returns:
        Their numbers.
    """
    size = size_of(transaction)
    end = size + len(bodies)
    times = [now_ms()] * len(bodies) if noted_at is None else noted_at
    transaction.add(
        "add_entry",
        [
            {"seq": seq, "noted_at": noted, "leaf": leaf_hash(leaf_data(body.encode(), noted)), "body": body}
            for seq, (body, noted) in enumerate(zip(bodies, times, strict=True), size)
        ],
    )
    _complete(transaction, size, end)
    return range(size, end)


def record(transaction: Transaction, statement: str, rows: Iterable[Row]) -> None:
    """Append the entries that rows of evidence carry as `body`, and add the rows, each with its entry's number.

    Args:
        statement: adds a row of evidence.
    """
    waiting = iter(rows)
    while some := list(islice(waiting, TOGETHER)):
        numbers = append(transaction, [str(row["body"]) for row in some])
        transaction.add(statement, [{**row, "seq": seq} for seq, row in zip(numbers, some, strict=True)])


def make_ready(transaction: Transaction, statement: str) -> None:
    """Hash the entries of a list that is going to be added: without a lock, so that the one for adding them is shorter.

    They are noted now, a moment before they are added.

    Args:
        statement: reads its rows of `subject_evidence` with their entries as `body`.
    """
    transaction.fetch("drop_ready")
    transaction.fetch("create_ready")
    noted = now_ms()
    waiting = transaction.each(statement)
    while some := list(islice(waiting, TOGETHER)):
        transaction.add(
            "make_ready",
            [
                {**dict(row), "noted_at": noted, "leaf": leaf_hash(leaf_data(row["body"].encode(), noted))}
                for row in some
            ],
        )


def add_ready(transaction: Transaction) -> None:
    """Append what is ready, and add its rows."""
    size = size_of(transaction)
    transaction.fetch("add_ready_entries", size=size)
    transaction.fetch("add_ready_subject_evidence", size=size)
    _complete(transaction, size, size_of(transaction))


def now_ms() -> int:
    """This machine's clock, milliseconds since 1970-01-01T00:00:00Z."""
    return time_ns() // 1_000_000


def size_of(transaction: Transaction) -> int:
    """How many entries there are."""
    ((size,),) = transaction.fetch("ledger_size")
    return int(size)


def tree(transaction: Transaction) -> Tree:
    """The tree as this transaction sees it."""
    return Tree(lambda level, number: _tile(transaction, level, number))


def head(transaction: Transaction, others: Sequence[Checkpoint]) -> Head:
    """What there is to sign; see `Store.ledger_head`."""
    size, now = size_of(transaction), tree(transaction)
    last = [str(row["note"]) for row in transaction.fetch("latest_checkpoint")]
    # Who signs two histories has proved nothing.
    if last and not _continues(now, size, Checkpoint.of(Note.of(last[0]).text)):
        raise NotContinued("the ledger is not the one that was signed last: see `callguard ledger verify`")
    unlike = tuple(one for one in others if not _continues(now, size, one))
    try:
        return Head(size, now.root(size), last[0] if last else None, unlike)
    except LookupError as error:
        raise NotContinued("entries of the ledger were removed: see `callguard ledger verify`") from error


def keep_checkpoint(transaction: Transaction, at: int, note: str) -> bool:
    """Keep a signed note about entries that are there. Returns: whether it is new. Raises: NotContinued."""
    signed = Checkpoint.of(Note.of(note).text)
    if transaction.fetch("checkpoint_of", size=signed.size):
        return False
    if not _continues(tree(transaction), size_of(transaction), signed):
        raise NotContinued("the ledger is not the one that was signed: see `callguard ledger verify`")
    transaction.fetch("add_checkpoint", size=signed.size, signed_at=at, note=note)
    return True


def note_of_itself(transaction: Transaction, kind: Kind, at: int, fields: Mapping[str, Value]) -> None:
    """Append an entry of what was done to the ledger itself, or with its key."""
    body = entry(kind, at, salt=secrets.token_bytes(SALT_BYTES), **fields).decode()
    record(transaction, "add_store_evidence", [{"kind": kind.value, "at": at, "body": body}])


def _continues(now: Tree, size: int, signed: Checkpoint) -> bool:
    """Whether what was signed is the beginning of what there is."""
    try:
        return signed.size <= size and now.root(signed.size) == signed.root
    except LookupError:
        return False


def _complete(transaction: Transaction, before: int, after: int) -> None:
    """Keep the nodes that are complete now."""
    for level, numbers in completed(before, after):
        for number in numbers:
            (node,) = fold(_tile(transaction, level - 1, number), TILE_BITS)
            transaction.fetch("add_node", level=level, number=number, hash=node)


def _tile(transaction: Transaction, level: int, number: int) -> list[bytes]:
    first, end = number * TILE, (number + 1) * TILE
    if level == 0:
        return [row["leaf"] for row in transaction.fetch("ledger_leaves", first=first, end=end)]
    return [row["hash"] for row in transaction.fetch("ledger_tile", level=level, first=first, end=end)]
