"""A list as a registry gives it out: a text file, or a zip archive with one or several. Nothing of it is trusted."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath

from callguard.errors import InputError
from callguard.registry.members import Members

# 300 million numbers are 7 GB as XML, half of that as lines of `area,number`. What says that it unpacks to more, or to
# so many times what it has, was made to fill a disk: of lines of digits, deflate leaves a tenth or more.
LARGEST = 12 << 30
MOST_PACKED = 100
# A file for each area code of a country; there are some 400 in the North American plan.
MOST_FILES = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """A list that is being read.

    Attributes:
        size: of its text in bytes, 0 where that is not known beforehand (a pipe).
        day: when it was made, as far as the archive or the file system knows; None where an archive does not say. Of
            several files, when the oldest was.
    """

    path: Path
    size: int
    day: date | None
    _stream: BufferedReader
    _members: Members | None = field(default=None)

    def read(self, size: int) -> bytes:
        """The next bytes; fewer than asked for only at the end. Raises: InputError, where it breaks off."""
        return self._read(self._stream.read, size)

    @property
    def is_xml(self) -> bool:
        """Whether it begins as XML does, and no line of digits; to be asked before the first read.

        Raises:
            InputError: it breaks off; or it is several such files, which do not make one.
        """
        begins = self._read(self._stream.peek, 64).removeprefix(b"\xef\xbb\xbf").lstrip()
        found = begins.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<"))
        if found and self._members is not None and self._members.several:
            raise InputError("XML is read from one file, and not from several: import them joined", file=self.path)
        return found

    def wrong(self, wants: str, line: int) -> InputError:
        """What is wrong with a line of it, counted from 1; of several files, in which of them."""
        if self._members is None or not self._members.several:
            return InputError(wants, file=self.path, line=line)
        name, line = self._members.place(line)
        return InputError(wants, file=f"{self.path}, {name}", line=line)

    def _read(self, how: Callable[[int], bytes], size: int) -> bytes:
        try:
            return how(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError("the archive is damaged or cut off: fetch it again", file=self.path) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self.path) from error


@contextmanager
def opened(path: Path, *, several: bool = False) -> Iterator[Source]:
    """Open a list.

    Args:
        several: also take an archive with several files of one kind, as one list, in the order of their names. Where
            a later line undoes an earlier one that order would have to be known.

    Raises:
        InputError: it cannot be read, or is an archive that is damaged, is locked, has not exactly one file in it (with
            `several`: files of several kinds, or none), or would become unreasonably large.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            begins = file.peek(4)[:4]
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=path) from error
        about = os.fstat(file.fileno())
        if begins[:2] == b"PK":
            yield _in_archive(path, file, about.st_size, stack, several=several)
        else:
            if about.st_size > LARGEST:
                raise InputError(f"is larger than any list ({LARGEST >> 30} GiB)", file=path)
            yield Source(path, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC).astimezone().date(), file)


def _in_archive(path: Path, file: BufferedReader, packed: int, stack: ExitStack, *, several: bool) -> Source:
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        members = _of_one_kind(path, archive.infolist())
        if len(members) > 1 and not several:
            raise InputError(f"an archive with one file is needed here, not {len(members)}", file=path)
        size = sum(one.file_size for one in members)
        # Entries that overlap are each counted as packed, and lie in the file once.
        packed = min(packed, sum(one.compress_size for one in members))
        if size > min(LARGEST, MOST_PACKED * max(packed, 1)):
            raise InputError(f"{packed} bytes would unpack to {size}: that is no list of numbers", file=path)
        if any(one.flag_bits & 1 for one in members):
            raise InputError("the archive asks for a password: unpack it first", file=path)
        for one in members:
            archive.open(one).close()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise InputError("the archive is damaged or cut off: fetch it again", file=path) from error
    except NotImplementedError as error:  # what zipfile raises for a compression method that it does not know
        raise InputError("the archive is packed in a way that is not known here: unpack it first", file=path) from error
    together = Members(archive, members)
    days = [_day(one) for one in members]
    known = [day for day in days if day is not None]
    day = min(known) if len(known) == len(days) else None
    return Source(path, size, day, stack.enter_context(BufferedReader(together)), together)


def _of_one_kind(path: Path, entries: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    # (What macOS adds to an archive of its own is no part of what was put there.)
    members = [one for one in entries if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    kinds = sorted({PurePosixPath(one.filename).suffix.lower() or "no ending" for one in members})
    if not members:
        raise InputError("there is no file in the archive", file=path)
    if len(kinds) > 1:
        problem = f"the archive has files of several kinds ({', '.join(kinds)}): leave those that are the list"
        raise InputError(problem, file=path)
    if len(members) > MOST_FILES:
        raise InputError(f"the archive has more than {MOST_FILES} files: join them first", file=path)
    return sorted(members, key=lambda one: one.filename)


def _day(member: zipfile.ZipInfo) -> date | None:
    try:
        made = date(*member.date_time[:3])
    except ValueError:
        return None
    # What an archiver writes that knows no date (the format begins then).
    return None if made == date(1980, 1, 1) else made
