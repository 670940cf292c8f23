"""A list as a registry gives it out: a text file, or a zip archive with one in it. Nothing of it is trusted."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BufferedReader
from pathlib import Path
from typing import cast

from callguard.errors import InputError

# 300 million numbers are 7 GB as XML, half of that as lines of `area,number`. What says that it unpacks to more, or to
# so many times what it has, was made to fill a disk: of lines of digits, deflate leaves a tenth or more.
LARGEST = 12 << 30
MOST_PACKED = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A list that is being read.

    Attributes:
        size: of its text in bytes, 0 where that is not known beforehand (a pipe).
        day: when it was made, as far as the archive or the file system knows; None where an archive does not say.
    """

    path: Path
    size: int
    day: date | None
    _stream: BufferedReader | zipfile.ZipExtFile

    def read(self, size: int) -> bytes:
        """The next bytes; fewer than asked for only at the end. Raises: InputError, where it breaks off."""
        return self._read(self._stream.read, size)

    @property
    def is_xml(self) -> bool:
        """Whether it begins as XML does, and no line of digits; to be asked before the first read."""
        begins = self._read(self._stream.peek, 64).removeprefix(b"\xef\xbb\xbf").lstrip()
        return begins.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<"))

    def _read(self, how: Callable[[int], bytes], size: int) -> bytes:
        try:
            return how(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError("the archive is damaged or cut off: fetch it again", file=self.path) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self.path) from error


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a list.

    Raises:
        InputError: it cannot be read, or is an archive that is damaged, is locked, has not exactly one file in it, or
            would become unreasonably large.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            begins = file.peek(4)[:4]
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=path) from error
        if begins[:2] == b"PK":
            yield _in_archive(path, file, stack)
        else:
            about = os.fstat(file.fileno())
            if about.st_size > LARGEST:
                raise InputError(f"is larger than any list ({LARGEST >> 30} GiB)", file=path)
            yield Source(path, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC).astimezone().date(), file)


def _in_archive(path: Path, file: BufferedReader, stack: ExitStack) -> Source:
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) != 1:
            raise InputError(f"an archive with one file is needed, not {len(members)}", file=path)
        (member,) = members
        if member.file_size > min(LARGEST, MOST_PACKED * max(member.compress_size, 1)):
            problem = f"{member.compress_size} bytes would unpack to {member.file_size}: that is no list of numbers"
            raise InputError(problem, file=path)
        if member.flag_bits & 1:
            raise InputError("the archive asks for a password: unpack it first", file=path)
        unpacked = stack.enter_context(cast(zipfile.ZipExtFile, archive.open(member)))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise InputError("the archive is damaged or cut off: fetch it again", file=path) from error
    except NotImplementedError as error:  # what zipfile raises for a compression method that it does not know
        raise InputError("the archive is packed in a way that is not known here: unpack it first", file=path) from error
    return Source(path, member.file_size, _day(member), unpacked)


def _day(member: zipfile.ZipInfo) -> date | None:
    try:
        made = date(*member.date_time[:3])
    except ValueError:
        return None
    # What an archiver writes that knows no date (the format begins then).
    return None if made == date(1980, 1, 1) else made
