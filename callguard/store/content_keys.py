"""Content keys, and the files that are encrypted by them. Actions within a transaction, as in `actions`."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.store import from_rows
from callguard.store.queries import Transaction
from callguard.store.records import FileToSeal, StoredContentKey


def ensure(transaction: Transaction, keys: Sequence[StoredContentKey]) -> tuple[StoredContentKey, ...]:
    """See `Store.ensure_content_keys`."""
    transaction.add(
        "add_content_key",
        [
            {"content_key_id": key.id, "subject_id": key.subject_id, "master": key.master, "wrapped": key.wrapped}
            for key in keys
        ],
    )
    found = (transaction.fetch("content_key_of_subject", subject_id=key.subject_id) for key in keys)
    return tuple(from_rows.content_key(row) for (row,) in found)


def rewrap(transaction: Transaction, keys: Sequence[StoredContentKey]) -> None:
    """See `Store.rewrap`."""
    rows = [{"content_key_id": key.id, "master": key.master, "wrapped": key.wrapped} for key in keys]
    transaction.add("rewrap_content_key", rows)


def ensure_of_quarantine(transaction: Transaction, key: StoredContentKey) -> StoredContentKey:
    """See `Store.ensure_quarantine_key`."""
    transaction.fetch("add_quarantine_key", content_key_id=key.id, master=key.master, wrapped=key.wrapped)
    (row,) = transaction.fetch("quarantine_key")
    return from_rows.content_key(row)


def rewrap_of_quarantine(transaction: Transaction, key: StoredContentKey) -> None:
    """See `Store.rewrap_quarantine_key`."""
    transaction.fetch("rewrap_quarantine_key", content_key_id=key.id, master=key.master, wrapped=key.wrapped)


def destroy(transaction: Transaction, subject_id: str) -> None:
    """See `Store.destroy_content_key`."""
    transaction.fetch("destroy_content_key", subject_id=subject_id)


def sealed(transaction: Transaction, files: Sequence[FileToSeal]) -> tuple[FileToSeal, ...]:
    """See `Store.files_sealed`."""
    return tuple(
        one
        for one in files
        if transaction.fetch("set_sealed", leg_id=one.leg_id, name=one.file.name, content_key_id=one.file.sealed_with)
    )
