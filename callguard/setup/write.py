"""Files written together: all of them, or none."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from callguard.errors import SetupError

ENTER = 0o111


@dataclass(frozen=True, slots=True)
class Owned:
    """Whose a file or folder is, and what they may do with it.

    Attributes:
        mode: as for chmod.
        user: uid; None leaves it with whoever writes.
        group: gid, likewise.
    """

    mode: int
    user: int | None = None
    group: int | None = None

    @classmethod
    def like(cls, path: Path) -> Owned:
        found = path.stat()
        return cls(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)

    def give(self, descriptor: int) -> None:
        """Raises: PermissionError, where this is not ours to give."""
        now = os.fstat(descriptor)
        user = now.st_uid if self.user is None else self.user
        group = now.st_gid if self.group is None else self.group
        if (user, group) != (now.st_uid, now.st_gid):
            os.fchown(descriptor, user, group)
        os.fchmod(descriptor, self.mode)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is to be."""

    path: Path
    data: bytes = field(repr=False)
    owned: Owned


def write_all(files: Iterable[File], folders: Iterable[tuple[Path, Owned]] = ()) -> None:
    """Make folders that are missing, or open those that are closed, then replace each file at once.

    Where one of it fails, all is put back as it was.

    A link stays a link: the file that it names is replaced.

    Raises:
        SetupError: something cannot be written; the text names it, and nothing has changed.
    """
    undo = contextlib.ExitStack()
    here = Path()
    try:
        for folder, owned in folders:
            here = folder
            _make(folder, owned, undo)
        for file in files:
            here = file.path
            _replace(file, undo)
    except OSError as error:
        undo.close()
        raise SetupError(f"{here} cannot be written, and nothing is changed: {error.strerror}") from error
    except BaseException:
        undo.close()
        raise
    undo.pop_all()


def _make(folder: Path, owned: Owned, undo: contextlib.ExitStack) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(0o755)
        undo.callback(each.rmdir)
    if not missing:
        _open(folder, owned, undo)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        owned.give(descriptor)
    finally:
        os.close(descriptor)


def _open(folder: Path, owned: Owned, undo: contextlib.ExitStack) -> None:
    """A folder that was there keeps its owner; whoever is to enter it and could not may do so now."""
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is no folder")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & owned.mode & ENTER != owned.mode & ENTER:
        undo.callback(folder.chmod, mode)
        folder.chmod(mode | (owned.mode & ENTER))


def _replace(file: File, undo: contextlib.ExitStack) -> None:
    target = file.path.resolve()
    former = (target.read_bytes(), Owned.like(target)) if target.is_file() else None
    _put(target, file.data, file.owned)
    if former is None:
        undo.callback(target.unlink)
    else:
        undo.callback(_put, target, *former)


def _put(target: Path, data: bytes, owned: Owned) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            owned.give(stream.fileno())
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
