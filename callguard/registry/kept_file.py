"""A file that callguard has made and looks things up in: a head of fixed length, then a body that the head vouches for.

It is read by pread(2) and not through a mapping: of a file that somebody cuts short, or on a disk that fails, a mapping
would kill the whole service with SIGBUS, and the file's pages would count as the service's memory.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Self

from callguard.errors import InputError

_CHECKSUM = struct.Struct("<I")


class Layout:
    """The head of one kind of file: magic, version, then its own fields; and a checksum of all of them.

    Args:
        fields: of the head, in struct's notation, without magic (8 bytes) and version.
        what: the kind, as in "is no list of numbers".
        again: what to do about a file that is damaged.
    """

    def __init__(self, magic: bytes, version: int, fields: str, what: str, again: str) -> None:
        self._magic, self._version, self._what, self.again = magic, version, what, again
        self._head = struct.Struct(f"<8sH{fields}")
        self.size = self._head.size + _CHECKSUM.size

    def pack(self, *values: Any) -> bytes:
        """A head."""
        packed = self._head.pack(self._magic, self._version, *values)
        return packed + _CHECKSUM.pack(zlib.crc32(packed))

    def unpack(self, data: bytes, file: Path) -> tuple[Any, ...]:
        """The fields. Raises: InputError, where these are not the first bytes of such a file."""
        if data[: len(self._magic)] != self._magic:
            raise InputError(f"is no {self._what} that callguard has made", file=file)
        if len(data) < self.size:
            raise InputError(f"is cut off: {self.again}", file=file)
        _, version, *values = self._head.unpack_from(data)
        if version != self._version:
            problem = f"is of another callguard (version {version}, not {self._version}): {self.again}"
            raise InputError(problem, file=file)
        if _CHECKSUM.unpack_from(data, self._head.size) != (zlib.crc32(data[: self._head.size]),):
            raise InputError(f"is damaged at its beginning: {self.again}", file=file)
        return tuple(values)


class KeptFile:
    """One that is open. To be closed; many may have it open, and it may be replaced meanwhile."""

    def __init__(self, path: Path, layout: Layout, none_yet: str) -> None:
        """Open it.

        Args:
            none_yet: what is said where there is none.

        Raises:
            InputError: there is none, or it cannot be read.
        """
        self._path = path
        self._layout = layout
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise InputError(none_yet, file=path) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=path) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has(self, body_bytes: int) -> None:
        """Raises: InputError, where its body is not so long, or that cannot be found out."""
        try:
            size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self._path) from error
        if size != self._layout.size + body_bytes:
            raise InputError(f"is cut off: {self._layout.again}", file=self._path)

    def _check_body(self, sha256: bytes) -> None:
        """Read all of it. Raises: InputError, where it is damaged or cannot be read."""
        try:
            self._file.seek(self._layout.size)
            found = hashlib.file_digest(self._file, "sha256").digest()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self._path) from error
        if found != sha256:
            raise InputError(f"is damaged: {self._layout.again}", file=self._path)

    def _exactly(self, size: int, offset: int) -> bytes:
        data = self._read(size, offset)
        if len(data) != size:
            raise InputError(f"is cut off: {self._layout.again}", file=self._path)
        return data

    def _read(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self._path) from error
