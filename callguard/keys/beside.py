"""A clear file and the encrypted one: never neither of them, whenever it is broken off."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from callguard.keys.names import PART, Shelf
from callguard.keys.sealed_file import CHUNK_BYTES, ContentKey, open_sealed, seal

# As what Asterisk makes: for the group that shares the folder.
MODE = 0o660


def seal_file(shelf: Shelf, name: str, content_key: ContentKey) -> bool:
    """Encrypt a file, and take its sidecar along; the clear one stays.

    What was written is read back whole before it gets its name. It has its name on the disk after `sync`.

    Returns:
        Whether it was done: not where another callguard, which shares the folder, is at it.

    Raises:
        CannotOpen: what was written cannot be read.
        OSError: it cannot be read or written.
    """
    clear, part = shelf.clear(name), shelf.part(name)
    with clear.open("rb") as source:
        try:
            # For as long as the file is open; a process that dies gives it back.
            fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            with part.open("wb") as to:
                os.fchmod(to.fileno(), MODE)
                seal(source, os.fstat(source.fileno()).st_size, to, name, content_key)
                to.flush()
                os.fsync(to.fileno())
            with open_sealed(part, name, content_key) as back:
                while back.read(CHUNK_BYTES):
                    pass
            if not shelf.is_one:
                _take_along(*shelf.sidecars(name))
            part.replace(shelf.sealed(name))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return True


def remove_clear(shelf: Shelf, name: str) -> None:
    """The encrypted one stands for it; once it is there, and more than once. Raises: OSError."""
    shelf.clear(name).unlink(missing_ok=True)
    made, kept = shelf.sidecars(name)
    if kept != made and kept.exists():
        made.unlink(missing_ok=True)


def _take_along(made: Path, kept: Path) -> None:
    """A sidecar, to where it is kept; nothing where there is none."""
    try:
        facts = made.read_bytes()
    except FileNotFoundError:
        return
    part = kept.with_name(kept.name + PART)
    with part.open("wb") as to:
        os.fchmod(to.fileno(), MODE)
        to.write(facts)
        to.flush()
        os.fsync(to.fileno())
    part.replace(kept)


def sha256_of(file: BinaryIO) -> str:
    """Of all that is read from here on, in hexadecimal digits."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def sync(folder: Path) -> None:
    """Names are on the disk only when their folder is (fsync(2)). Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
