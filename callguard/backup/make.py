"""A backup is made while calls go on: nobody who writes to the store waits for it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from callguard import __version__
from callguard.backup import archive
from callguard.backup.archive import CONFIG, ERASURES, PLAYED, RECEIPTS, RECORDINGS, STORE, VERIFIERS, Member, Tell
from callguard.config import Config
from callguard.errors import SetupError, StoreError
from callguard.keys.master import MasterKey
from callguard.keys.names import Shelf
from callguard.ledger.keys import verifier_file
from callguard.rights import tombstones
from callguard.store.database import uri, usable
from callguard.store.queries import Transaction

# So many pages of the store are copied before somebody is told.
_PAGES = 4096


def make(settings: Config, config_file: Path, to: BinaryIO, key: MasterKey, *, recordings: bool, tell: Tell) -> int:
    """Write a backup of this installation.

    Args:
        recordings: the audio too, as it lies there.

    Returns:
        How many files are in it.

    Raises:
        InputError: there is no store, or it cannot be read.
        StoreError: it is damaged: an older backup is worth more than one of it.
        SetupError: another backup is being made, or a file cannot be read or written.
    """
    try:
        with _snapshot(settings.store.path, tell) as copy:
            made_at = datetime.now(UTC)
            with closing(sqlite3.connect(uri(copy, "ro"), uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                transaction = Transaction(connection)
                ((entries,),), ((schema,),) = transaction.fetch("ledger_size"), transaction.fetch("schema_number")
                audio = list(_recordings(settings, transaction)) if recordings else []
            members = [Member.of(STORE, copy), *_beside(settings, config_file), *audio]
            about = {
                "made_at": made_at.isoformat(timespec="milliseconds"), "callguard": __version__, "schema": schema,
                "entries": entries, "recordings": recordings,
            }  # fmt: skip
            archive.write(to, members, about, key, tell)
            return len(members)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        raise SetupError(f"the backup is not made: {what}{error.strerror or error}") from error


@contextmanager
def _snapshot(store: Path, tell: Tell) -> Iterator[Path]:
    """The store as it is at one moment, in a file of its own beside it, for as long as the context lasts."""
    copy = store.with_name(f".{store.name}.backup")
    descriptor = os.open(copy, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError("another backup is being made") from error
        os.ftruncate(descriptor, 0)  # what a crash has left
        try:
            _copy(store, copy, tell)
            yield copy
        finally:
            copy.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _copy(store: Path, copy: Path, tell: Callable[[int, int], None]) -> None:
    with usable(store), closing(sqlite3.connect(uri(store, "ro"), uri=True, isolation_level=None)) as source:
        # In WAL mode who reads keeps nobody from writing. Within one transaction all steps see the same state;
        # without it each write of another's would have the copy begin again.
        source.execute("BEGIN")
        source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(copy, isolation_level=None)) as target:
            target.execute("PRAGMA synchronous = OFF")  # it is gone in a moment
            source.backup(target, pages=_PAGES, sleep=0.0, progress=lambda _, left, total: tell(total - left, total))
            if [row[0] for row in target.execute("PRAGMA quick_check")] != ["ok"]:
                raise StoreError(f"{store}: is damaged, so no backup is made of it: keep the ones that there are")
            target.execute("PRAGMA journal_mode = DELETE")


def _beside(settings: Config, config_file: Path) -> Iterator[Member]:
    yield Member.of(CONFIG, config_file.read_bytes())
    for name, file in (
        (VERIFIERS, verifier_file(settings.ledger_key_file)),
        (ERASURES, tombstones.place(settings)),
    ):
        if file.exists():
            yield Member.of(name, file.read_bytes())
    for file in sorted((settings.store.path.parent / "registries").glob("*.receipts")):
        yield Member.of(f"{RECEIPTS}{file.name}", file.read_bytes())
    for file in sorted((settings.prompts.folder.path_here / "played").glob("*")):
        if file.is_file():
            yield Member.of(f"{PLAYED}{file.name}", file)


def _recordings(settings: Config, transaction: Transaction) -> Iterator[Member]:
    shelf = Shelf.of(settings.recording)
    sidecars = set[Path]()
    for row in transaction.fetch("recorded_files"):
        if row["state"] != "kept":
            continue
        for file in (shelf.sealed(row["name"]), shelf.clear(row["name"])):
            if file.exists():
                yield Member.of(f"{RECORDINGS}{file.name}", file)
                break
        sidecars.update(one for one in reversed(shelf.sidecars(row["name"])) if one.exists())
    by_name = {file.name: file for file in sorted(sidecars)}
    for name, file in by_name.items():
        yield Member.of(f"{RECORDINGS}{name}", file)
