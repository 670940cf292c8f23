"""The keys that personal columns are encrypted by. Actions within a transaction, as in `actions`."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.store import from_rows
from callguard.store.queries import Transaction
from callguard.store.records import StoredDataKey


def all_of_them(transaction: Transaction) -> tuple[StoredDataKey, ...]:
    """Those that there are."""
    return tuple(map(from_rows.data_key, transaction.fetch("data_keys")))


def begin(transaction: Transaction, keys: Sequence[StoredDataKey]) -> tuple[StoredDataKey, ...]:
    """The store has keys from now on: these, or those that it has. Returns: those."""
    if not transaction.fetch("data_keys"):
        transaction.add(
            "add_data_key",
            [{"data_key_id": key.id, "kind": key.kind, "master": key.master, "wrapped": key.wrapped} for key in keys],
        )
        transaction.fetch("add_columns_to_seal")
    return all_of_them(transaction)


def rewrap(transaction: Transaction, keys: Sequence[StoredDataKey]) -> None:
    """See `Store.rewrap_data_keys`."""
    rows = [{"data_key_id": key.id, "master": key.master, "wrapped": key.wrapped} for key in keys]
    transaction.add("rewrap_data_key", rows)
