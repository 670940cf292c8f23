"""The files of an archive as one stream of lines, one after another."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from io import RawIOBase
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BOM = b"\xef\xbb\xbf"


class Members(RawIOBase):
    """Reads the files in their order. One that does not end its last line does not run into the next, and a byte order
    mark at the beginning of a later one is left out.

    Raises whatever `zipfile` raises where the archive is damaged.
    """

    def __init__(self, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> None:
        super().__init__()
        self._archive = archive
        self._members = members
        self._open: IO[bytes] | None = None
        # How many lines there were before each of them that was begun.
        self._before: list[int] = []
        self._lines = 0
        self._last = b"\n"

    @property
    def several(self) -> bool:
        return len(self._members) > 1

    def place(self, line: int) -> tuple[str, int]:
        """In which file a line is that was read, and which of its own; both counted from 1."""
        at = max(index for index, before in enumerate(self._before) if before < line)
        return self._members[at].filename, line - self._before[at]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        into = memoryview(buffer).cast("B")
        while (file := self._open or self._next()) is not None:
            data = self._read(file, len(into))
            if data:
                self._lines += data.count(b"\n")
                self._last = data[-1:]
                into[: len(data)] = data
                return len(data)
        return 0

    def _next(self) -> IO[bytes] | None:
        """The next file, begun; None after the last."""
        if len(self._before) == len(self._members):
            return None
        self._open = self._archive.open(self._members[len(self._before)])
        self._before.append(self._lines)
        return self._open

    def _read(self, file: IO[bytes], size: int) -> bytes:
        """What comes next of a file; empty at its end, where it is closed."""
        at_its_start = file.tell() == 0
        data = file.read(size)
        if at_its_start and len(self._before) > 1:
            data = data.removeprefix(_BOM) or file.read(size)
        if not data:
            file.close()
            self._open = None
            if self._last != b"\n" and len(self._before) < len(self._members):
                return b"\n"
        return data
