"""Who was erased, in a file of its own beside the store: for a backup that is restored, which knows nothing of it.

A line of JSON for each: a random id, its controller and when; no number in any form. It is on the disk before anything
is erased, so an erasure that was begun is finished by whoever opens the store next. Lines are only ever added.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from callguard.config import Config
from callguard.errors import InputError, SetupError
from callguard.store.right_records import ProofKept

NAME = "erasures.jsonl"
MODE = 0o600


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A subject was erased.

    Attributes:
        at: when, aware.
        proof: what has to be kept of their consents all the same.
    """

    subject_id: str
    controller: str
    at: datetime
    proof: ProofKept | None = None


def place(config: Config) -> Path:
    """Where they are."""
    return config.store.path.with_name(NAME)


def note(file: Path, one: Tombstone) -> None:
    """Add one; it is on the disk when this returns.

    Raises:
        SetupError: it cannot be written; nothing may be erased then.
    """
    try:
        with _locked(file) as descriptor:
            _cut_torn(descriptor)
            os.lseek(descriptor, 0, os.SEEK_END)
            _write(descriptor, json.dumps(_as_json(one), ensure_ascii=False).encode() + b"\n")
            os.fsync(descriptor)
        _settle(file.parent)
    except OSError as error:
        raise SetupError(f"{file} cannot be written, so nothing is erased: {error.strerror}") from error


def read(file: Path) -> tuple[Tombstone, ...]:
    """All of them, each subject once; none where there is no file.

    Raises:
        InputError: it cannot be read, or a line is no tombstone; the file and the line are named.
    """
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    # What was broken off in writing was never noted.
    whole = text[: text.rfind(b"\n") + 1]
    found = {one.subject_id: one for one in _each(whole.split(b"\n")[:-1], file)}
    return tuple(found.values())


def _each(lines: list[bytes], file: Path) -> Iterator[Tombstone]:
    for number, line in enumerate(lines, 1):
        try:
            yield _of(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                "is no note of an erasure: take the file from a copy, or those who were erased may come back",
                file=file,
                line=number,
            ) from error


def _as_json(one: Tombstone) -> dict[str, object]:
    said: dict[str, object] = {"subject": one.subject_id, "controller": one.controller, "at": one.at.isoformat()}
    if one.proof is not None:
        said["proof"] = {"why": one.proof.why, "until": one.proof.until.isoformat()}
    return said


def _of(said: dict[str, Any]) -> Tombstone:
    subject_id, controller = said["subject"], said["controller"]
    if not (isinstance(subject_id, str) and isinstance(controller, str) and subject_id):
        raise ValueError("no id")
    proof = said.get("proof")
    kept = None if proof is None else ProofKept(str(proof["why"]), _moment(proof["until"]))
    return Tombstone(subject_id, controller, _moment(said["at"]), kept)


def _moment(written: str) -> datetime:
    at = datetime.fromisoformat(written)
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return at


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """The file, made where there is none, for one process at a time."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
    try:
        if os.geteuid() == 0:  # a command of root's may come before the service's own
            folder = file.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _cut_torn(descriptor: int) -> None:
    """Remove what a write that was broken off has left behind the last whole line."""
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, size, 0)
    whole = text.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _settle(folder: Path) -> None:
    """Have the file's own name on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
