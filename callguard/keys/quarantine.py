"""What was set aside is encrypted too, once nobody writes to it any more: opened for an incident alone.

In this order, each step on the disk before the next one: the key in the store; the encrypted file, read back; its name;
the clear file is removed. Broken off anywhere, one copy at least is whole, and the next look goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from callguard.errors import CallguardError
from callguard.keys.beside import remove_clear, seal_file, sha256_of, sync
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import Masters
from callguard.keys.names import PART, SEALED, Shelf
from callguard.keys.sealed_file import ContentKey, open_sealed, read_header
from callguard.store.records import StoredContentKey


def waiting(shelf: Shelf, quiet_since: float) -> list[str]:
    """The files in quarantine that lie in the clear, and were not written to since then (seconds since the epoch).

    Raises: OSError.
    """
    if not shelf.made_in.is_dir():
        return []
    files = (file for file in shelf.made_in.iterdir() if file.suffix not in (SEALED, PART) and not file.is_symlink())
    return sorted(file.name for file in files if file.is_file() and file.stat().st_mtime <= quiet_since)


def seal_all(shelf: Shelf, names: list[str], key: ContentKey, tell: Callable[[str, Exception], None]) -> None:
    """Encrypt files in quarantine. What is wrong with one keeps no other from it: `tell` has its name and why."""
    shelf.kept_in.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        try:
            _seal(shelf, name, key)
        except (CallguardError, OSError, ValueError) as error:
            tell(name, error)


def _seal(shelf: Shelf, name: str, key: ContentKey) -> None:
    clear, sealed = shelf.clear(name), shelf.sealed(name)
    if sealed.exists():
        with open_sealed(sealed, name, key) as kept, clear.open("rb") as there:
            same = sha256_of(kept) == sha256_of(there)
        if not same:  # another one that has its name: it gets its own, and its turn
            clear.rename(clear.with_name(f"{uuid4()}{clear.suffix}"))
            return
    elif not seal_file(shelf, name, key):
        return
    sync(shelf.kept_in)
    remove_clear(shelf, name)
    sync(shelf.made_in)


def open_set_aside(shelf: Shelf, name: str, masters: Masters | None, key: StoredContentKey | None) -> BinaryIO:
    """A file that was set aside, to be read as the clear one.

    Args:
        key: the store's for the quarantine.

    Raises:
        CannotOpen: there is none, or it cannot be read; also later, by each method that reads.
        OSError: it may not be read.
    """
    sealed = shelf.sealed(name)
    if not sealed.exists():
        try:
            return shelf.clear(name).open("rb")
        except FileNotFoundError as error:
            raise CannotOpen(Fault.MISSING, shelf.clear(name)) from error
    return open_sealed(sealed, name, _key_of(sealed, masters, key))


def _key_of(sealed: Path, masters: Masters | None, key: StoredContentKey | None) -> ContentKey:
    if masters is None:
        raise CannotOpen(Fault.WRONG_KEY, sealed, "the configuration has no [keys]")
    with sealed.open("rb") as file:
        header = read_header(file, sealed)
    if key is None or key.id != header.content_key:
        raise CannotOpen(Fault.NO_KEY, sealed)
    try:
        return masters.content_key(key)
    except CannotOpen as error:
        raise CannotOpen(error.fault, sealed, error.why) from error
