"""The format of an encrypted recording: docs/encryption.md describes it byte by byte.

A header with the wrapped key of this one file, then chunks of 64 KiB, each encrypted and authenticated by itself with
its number and whether it is the last (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár, "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). So nothing is read that was not written, chunks
are neither moved nor left out, and any place can be read without what is before it.
"""

from __future__ import annotations

import errno
import io
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast
from uuid import UUID

from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.wrapping import KEY_BYTES, TAG_BYTES, WRAPPED_BYTES, Cipher, unwrap, wrap

MAGIC = b"CGSEALED"
VERSION = 1
CHUNK_BYTES = 1 << 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
# Magic, version, the content key's id, the clear file's size, how long its name is. Name and wrapped key follow.
_FIXED = struct.Struct(">8sB16sQB")
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class ContentKey:
    """What a subject's recordings are read by. `id` is a UUID."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the chunks.

    Attributes:
        content_key: the id of the subject's key.
        name: of the clear file, without folder: an encrypted file is read as this one and as no other.
        clear_bytes: the clear file's size.
        wrapped: the key of this file, wrapped by the content key.
    """

    content_key: str
    name: str
    clear_bytes: int
    wrapped: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Of the header itself, in bytes."""
        return _FIXED.size + len(self.name.encode()) + WRAPPED_BYTES

    @property
    def chunks(self) -> int:
        """How many follow; an empty file has one."""
        return max(1, -(-self.clear_bytes // CHUNK_BYTES))

    def key(self, by: ContentKey) -> bytes | None:
        """The key of this file; None where `by` is not its content key, or the header is not what was written."""
        return unwrap(self.wrapped, by.secret, _head(self.content_key, self.name, self.clear_bytes))


def _head(content_key: str, name: str, clear_bytes: int) -> bytes:
    """What is authenticated with the key of a file, and stands before it."""
    written = name.encode()
    return _FIXED.pack(MAGIC, VERSION, UUID(content_key).bytes, clear_bytes, len(written)) + written


def seal(clear: BinaryIO, clear_bytes: int, to: BinaryIO, name: str, content_key: ContentKey) -> None:
    """Write all of a clear file, encrypted, with a new key of its own.

    Raises:
        ValueError: the name is too long.
        OSError: it cannot be read or written, or has another size.
    """
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"a recording's name has {LONGEST_NAME} bytes at most")
    key = os.urandom(KEY_BYTES)
    head = _head(content_key.id, name, clear_bytes)
    to.write(head + wrap(key, content_key.secret, head))
    cipher = Cipher(key)
    for number in range(chunks := max(1, -(-clear_bytes // CHUNK_BYTES))):
        last = number == chunks - 1
        chunk = _read_full(clear)
        if len(chunk) != (clear_bytes - number * CHUNK_BYTES if last else CHUNK_BYTES):
            raise OSError(errno.EIO, "it was written to while it was read")
        to.write(cipher.encrypt(_nonce(number, last=last), chunk, None))
    if clear.read(1):
        raise OSError(errno.EIO, "it was written to while it was read")


def read_header(file: BinaryIO, path: Path) -> Header:
    """The header of an encrypted file, from its beginning. Raises: CannotOpen, OSError."""
    fixed = file.read(_FIXED.size)
    if fixed[: len(MAGIC)] != MAGIC[: len(fixed)] or not fixed:
        raise CannotOpen(Fault.NOT_ENCRYPTED if fixed else Fault.CUT_SHORT, path)
    if len(fixed) < _FIXED.size:
        raise CannotOpen(Fault.CUT_SHORT, path)
    _, version, content_key, clear_bytes, length = _FIXED.unpack(fixed)
    if version != VERSION:
        raise CannotOpen(Fault.NOT_ENCRYPTED, path, f"its format is {version}, this callguard knows {VERSION}")
    name, wrapped = file.read(length), file.read(WRAPPED_BYTES)
    if len(name) < length or len(wrapped) < WRAPPED_BYTES:
        raise CannotOpen(Fault.CUT_SHORT, path)
    try:
        return Header(str(UUID(bytes=content_key)), name.decode(), clear_bytes, wrapped)
    except UnicodeDecodeError as error:
        raise CannotOpen(Fault.ALTERED, path) from error


class SealedFile(io.RawIOBase):
    """An encrypted file, read as the clear one: from any place, 64 KiB at a time, each checked before it is handed out.

    A file that is cut short is found before anything of it is read.

    Args:
        path: for what is said of faults.
        file: the encrypted file; closed with this one.
        name: of the clear file that it is read as.

    Raises:
        CannotOpen: also later, by each method that reads.
    """

    def __init__(self, file: BinaryIO, path: Path, name: str, content_key: ContentKey) -> None:
        super().__init__()
        self._file, self._path = file, path
        file.seek(0)
        header = read_header(file, path)
        key = header.key(content_key)
        if key is None:
            raise CannotOpen(Fault.ALTERED, path)
        if header.name != name:
            raise CannotOpen(Fault.ANOTHER, path)
        self._cipher = Cipher(key)
        self._begins = header.size
        self._size, self._chunks = header.clear_bytes, header.chunks
        there = file.seek(0, os.SEEK_END)
        written = header.size + header.clear_bytes + header.chunks * TAG_BYTES
        if there != written:
            raise CannotOpen(Fault.CUT_SHORT if there < written else Fault.ALTERED, path)
        self._at = 0
        self._number, self._chunk = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: object) -> int:
        wanted = memoryview(cast(bytearray, buffer)).cast("B")
        if self._at >= self._size or not wanted:
            return 0
        number, within = divmod(self._at, CHUNK_BYTES)
        self._load(number)
        part = self._chunk[within : within + len(wanted)]
        wanted[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        self._file.seek(self._begins + number * SEALED_BYTES)
        sealed = self._file.read(SEALED_BYTES)
        chunk = self._cipher.decrypt(_nonce(number, last=number == self._chunks - 1), sealed, None)
        if chunk is None:
            raise CannotOpen(Fault.ALTERED, self._path)
        self._number, self._chunk = number, chunk


def open_sealed(path: Path, name: str, content_key: ContentKey) -> io.BufferedReader:
    """An encrypted file as a clear one. Raises: CannotOpen, OSError."""
    file = path.open("rb")
    try:
        return io.BufferedReader(SealedFile(file, path, name, content_key), CHUNK_BYTES)
    except BaseException:
        file.close()
        raise


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _read_full(file: BinaryIO) -> bytes:
    """As much as a chunk holds, less only at the end: what is read from a pipe may come in parts."""
    data = file.read(CHUNK_BYTES)
    while data and len(data) < CHUNK_BYTES and (more := file.read(CHUNK_BYTES - len(data))):
        data += more
    return data
