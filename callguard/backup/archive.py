"""The format of a backup: a tar archive, encrypted as recordings are (`keys.sealed_file`), the manifest at its end.

The manifest names each other member with its size and SHA-256. What is cut off, changed, moved or of another backup is
found by the encryption; the hashes say the same once more of each file, and to who has another tool.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from callguard.errors import CallguardError
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import MasterKey
from callguard.keys.sealed_file import ContentKey, SealedFile, read_header, seal

NAME, FORMAT = "callguard backup", 1
MANIFEST = "manifest.json"
STORE, CONFIG, VERIFIERS, ERASURES = "store.db", "callguard.toml", "ledger.key.pub", "erasures.jsonl"
PLAYED, RECEIPTS, RECORDINGS = "played/", "receipts/", "recordings/"
_BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 1 << 20
# In the place of a hash, as long: the file was there when the backup was begun, and destroyed meanwhile.
_GONE = "-" * 64

Tell = Callable[[int, int], None]
"""Is told how many bytes are done, and of how many."""

_SAID = {
    Fault.NOT_ENCRYPTED: "is no backup of callguard's, or one of a later version",
    Fault.CUT_SHORT: "is cut short: take another backup",
    Fault.ALTERED: "is not what was written: take another backup",
    Fault.ANOTHER: "is an encrypted file, and no backup",
}


class BadBackup(CallguardError):
    """A backup cannot be used; nothing of it was."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a backup: its name in it, and what it is."""

    name: str
    source: Path | bytes
    size: int

    @classmethod
    def of(cls, name: str, source: Path | bytes) -> Member:
        """Raises: OSError, where a file is not there."""
        return cls(name, source, len(source) if isinstance(source, bytes) else source.stat().st_size)


def content_key(key: MasterKey) -> ContentKey:
    """A backup's key, as its header names it."""
    return ContentKey(str(UUID(bytes=hashlib.sha256(b"callguard backup key\0" + key.secret).digest()[:16])), key.secret)


def write(to: BinaryIO, members: Sequence[Member], about: dict[str, Any], key: MasterKey, tell: Tell) -> None:
    """Write a backup.

    Args:
        about: what the manifest says beside the files.

    Raises:
        OSError: a file cannot be read, has changed meanwhile, or the backup cannot be written.
    """
    files = {one.name: {"size": one.size, "sha256": _GONE} for one in members}
    manifest = {"format": FORMAT, **about, "files": files}
    total = _size([*(one.size for one in members), len(_written(manifest))])
    reading, writing = os.pipe()
    failed: list[OSError] = []

    def pour() -> None:
        try:
            with os.fdopen(writing, "wb") as out:
                _pour(out, members, manifest, tell, total)
        except OSError as error:
            failed.append(error)

    pouring = threading.Thread(target=pour, name="backup")
    pouring.start()
    try:
        with os.fdopen(reading, "rb") as clear:
            seal(clear, total, to, NAME, content_key(key))
    except OSError as error:
        pouring.join()
        raise failed[0] if failed and not isinstance(failed[0], BrokenPipeError) else error from error
    pouring.join()
    if failed:
        raise failed[0]


def _pour(out: BinaryIO, members: Sequence[Member], manifest: dict[str, Any], tell: Tell, total: int) -> None:
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for one in members:
            info = tarfile.TarInfo(one.name)
            info.size, info.mode = one.size, 0o600
            try:
                file: BinaryIO = io.BytesIO(one.source) if isinstance(one.source, bytes) else one.source.open("rb")
            except FileNotFoundError:
                tar.addfile(info, cast(BinaryIO, _Nothing()))
                continue
            with file:
                hashing = _Hashing(file)
                tar.addfile(info, cast(BinaryIO, hashing))
            manifest["files"][one.name]["sha256"] = hashing.digest.hexdigest()
            tell(min(tar.offset, total), total)
        data = _written(manifest)
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(data), 0o600
        tar.addfile(info, io.BytesIO(data))
    tell(total, total)


class Archive:
    """A backup that is read. Its manifest is `about`; files that were destroyed while it was made are left out."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path = path
        self._tar = tar
        self._there = {one.name: one for one in tar.getmembers()}
        try:
            self.about: dict[str, Any] = json.loads(cast(BinaryIO, tar.extractfile(MANIFEST)).read())
            if self.about["format"] != FORMAT:
                raise BadBackup(f"{path}: has format {self.about['format']}: install the newer callguard that wrote it")
            files = {str(name): (int(one["size"]), str(one["sha256"])) for name, one in self.about["files"].items()}
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadBackup(f"{path}: has no manifest: it was not made whole") from error
        self.files = {name: one for name, one in files.items() if one[1] != _GONE}
        if {name: one.size for name, one in self._there.items() if name != MANIFEST} != {
            name: size for name, (size, _) in files.items()
        }:
            raise BadBackup(f"{path}: has other files than its manifest says")

    def copy(self, name: str, to: BinaryIO | None) -> None:
        """Copy a file of it, checked against the manifest; nowhere for None. Raises: BadBackup, OSError."""
        digest = hashlib.sha256()
        with self._named():
            source = cast(BinaryIO, self._tar.extractfile(self._there[name]))
            while block := source.read(_AT_ONCE):
                digest.update(block)
                if to is not None:
                    to.write(block)
        if digest.hexdigest() != self.files[name][1]:
            raise BadBackup(f"{self._path}: {name} is not what the manifest says")

    def text(self, name: str) -> bytes:
        """All of a small file; nothing where it is not in it."""
        if name not in self.files:
            return b""
        whole = io.BytesIO()
        self.copy(name, whole)
        return whole.getvalue()

    def extract(self, name: str, to: Path) -> None:
        """Copy a file of it to a new one, on the disk when this returns. Raises: BadBackup, OSError."""
        descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            self.copy(name, out)
            out.flush()
            os.fsync(out.fileno())

    def check(self, tell: Tell) -> None:
        """Read all of it. Raises: BadBackup, OSError."""
        done, total = 0, sum(size for size, _ in self.files.values())
        for name, (size, _) in self.files.items():
            self.copy(name, None)
            tell(done := done + size, total)

    @contextmanager
    def _named(self) -> Iterator[None]:
        with _saying(self._path):
            yield


@contextmanager
def opened(path: Path, file: BinaryIO, keys: Sequence[MasterKey]) -> Iterator[Archive]:
    """A backup, by whichever of the keys it was made with.

    Args:
        path: for what is said of faults.
        file: the backup; closed with this.

    Raises:
        BadBackup: it is none, was made with another key, or is damaged.
    """
    with _saying(path):
        file.seek(0)
        header = read_header(file, path)
        key = next((one for one in map(content_key, keys) if one.id == header.content_key), None)
        if key is None:
            raise BadBackup(f"{path}: none of the keys opens it: name the one that did in [backup] old, or say --key")
        with io.BufferedReader(SealedFile(file, path, NAME, key), _AT_ONCE) as clear:
            try:
                with tarfile.open(fileobj=clear, mode="r:") as tar:
                    archive = Archive(path, tar)
                    yield archive
            except tarfile.TarError as error:
                raise BadBackup(f"{path}: {_SAID[Fault.ALTERED]}") from error


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    try:
        yield
    except CannotOpen as error:
        raise BadBackup(f"{path}: {_SAID[error.fault]}") from error


def _size(sizes: Sequence[int]) -> int:
    """Of a tar archive of files of these sizes: each has a header, and the end is filled up to a record."""
    blocks = sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in sizes) + 2 * _BLOCK
    return -(-blocks // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _written(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1, sort_keys=True).encode()


class _Hashing:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


class _Nothing:
    """Stands for a file that is not there any more."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)
