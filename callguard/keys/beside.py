"""A clear file and the encrypted one beside it: never neither of them, whenever it is broken off."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from callguard.keys.names import part_name, sealed_name
from callguard.keys.sealed_file import CHUNK_BYTES, ContentKey, open_sealed, seal

# As what Asterisk makes: for the group that shares the folder.
MODE = 0o660


def seal_beside(clear: Path, content_key: ContentKey) -> bool:
    """Encrypt a file beside itself; the clear one stays.

    What was written is read back whole before it gets its name. It has its name on the disk after `sync`.

    Returns:
        Whether it was done: not where another callguard, which shares the folder, is at it.

    Raises:
        CannotOpen: what was written cannot be read.
        OSError: it cannot be read or written.
    """
    part = part_name(clear)
    with clear.open("rb") as source:
        try:
            # For as long as the file is open; a process that dies gives it back.
            fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            with part.open("wb") as to:
                os.fchmod(to.fileno(), MODE)
                seal(source, os.fstat(source.fileno()).st_size, to, clear.name, content_key)
                to.flush()
                os.fsync(to.fileno())
            with open_sealed(part, clear.name, content_key) as back:
                while back.read(CHUNK_BYTES):
                    pass
            part.replace(sealed_name(clear))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return True


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
