"""Back from a backup: all of it or nothing, with the callguard that serves stopped, and who was erased since stays so.

The store is made ready beside the one in use: its copy is checked, who was erased since is erased in it, and opt-outs
that only the store in use knows are taken over. Then one rename puts it in its place; the one before gets a name of its
own. Broken off anywhere, the old store or the whole new one is in use, and the same command does it again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callguard.backup.archive import ERASURES, PLAYED, RECEIPTS, RECORDINGS, STORE, VERIFIERS, Archive, BadBackup, Tell
from callguard.config import Config
from callguard.core.checkpoint import VerifierKey
from callguard.core.evidence import Kind
from callguard.errors import CallguardError, InputError, SetupError, StoreError
from callguard.keys import master
from callguard.keys.beside import sync
from callguard.keys.names import SEALED, Shelf
from callguard.ledger.copies import opened as ledger_of
from callguard.ledger.verify import verify
from callguard.rights import tombstones
from callguard.rights.again import erase_again, known
from callguard.store.database import FILE_MODE
from callguard.store.dial_records import NewEnding, NewOptOut
from callguard.store.queries import sql
from callguard.store.rights_reader import RightsReader
from callguard.store.store import Store

# Where SQLite holds its locks, whatever is in the file (https://sqlite.org/fileformat2.html, "lock-byte page").
_LOCKS_AT, _LOCKS = 0x4000_0000, 512
_STAGED = ".restore-"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it.

    Attributes:
        made_at: when the backup was made: what was said between then and now is in no restored store.
        aside: where the store before is; None where there was none.
        erased: how many were erased again.
        opt_outs: how many opt-outs were taken over from the store before; None where it could not be read.
        unread: why it could not be.
        files: how many others were put where they were missing.
    """

    made_at: datetime
    entries: int
    aside: Path | None
    erased: int
    opt_outs: int | None
    unread: str
    files: int


def restore(settings: Config, archive: Archive, *, force: bool, tell: Callable[[str, int, int], None]) -> Restored:
    """Put a backup's store and files in their places.

    Raises:
        InputError: there is a store, and no force.
        StoreError: somebody has it open, or the backup's is damaged.
        BadBackup, SetupError.
    """
    store = settings.store.path
    if store.exists() and not force:
        raise InputError("is there already: --force sets it aside", file=store)
    with _nobody_else(store):
        for left in store.parent.glob(f"{_STAGED}*"):
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=store.parent))
    try:
        staged = folder / store.name
        archive.extract(STORE, staged)
        entries = check(archive, staged, lambda done, of: tell("Checking", done, of))
        erased = {one.subject_id: one for one in _erasures(archive, folder)} | {
            one.subject_id: one for one in known(settings)
        }
        made_at = datetime.fromisoformat(archive.about["made_at"])
        again, taken, unread = asyncio.run(_make_ready(settings, staged, tuple(erased.values()), made_at))
        _settle(staged)
        noted = {one.subject_id for one in tombstones.read(tombstones.place(settings))}
        for one in erased.values():
            if one.subject_id not in noted:
                tombstones.note(tombstones.place(settings), one)
        files = _put_files(settings, archive, _restorable(staged), lambda done, of: tell("Files", done, of))
        aside = _swap(store, staged)
    except (OSError, sqlite3.Error) as error:
        raise SetupError(f"nothing is restored: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Restored(made_at, entries, aside, again, taken, unread, files)


def check(archive: Archive, store: Path, tell: Tell) -> int:
    """Whether a backup's store is whole, by SQLite and by its own ledger. Returns: how many entries it has.

    Raises: StoreError.
    """
    try:
        with closing(sqlite3.connect(store)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            found += [f"{row[0]}: a row without its other" for row in connection.execute("PRAGMA foreign_key_check")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise StoreError(f"the store in the backup is damaged: {found[0]}")
    keys = tuple(map(VerifierKey.of, archive.text(VERIFIERS).decode().splitlines()))
    with ledger_of(store) as copy:
        report = verify(copy, keys, tell=tell)
    if report.findings:
        raise StoreError(
            f"the ledger in the backup is not whole: {report.findings[0].said}"
            + (f"; {len(report.findings) - 1} findings more" if len(report.findings) > 1 else "")
        )
    return report.entries


@contextmanager
def checking(archive: Archive, folder: Path) -> Iterator[Path]:
    """A backup's store, to be looked at, for as long as the context lasts. Raises: SetupError, BadBackup."""
    try:
        with tempfile.TemporaryDirectory(prefix=_STAGED, dir=folder if os.access(folder, os.W_OK) else None) as made:
            archive.extract(STORE, copy := Path(made) / STORE)
            yield copy
    except OSError as error:
        raise SetupError(f"the backup cannot be checked: {error}") from error


def _erasures(archive: Archive, folder: Path) -> tuple[tombstones.Tombstone, ...]:
    if ERASURES not in archive.files:
        return ()
    archive.extract(ERASURES, folder / ERASURES)
    return tombstones.read(folder / ERASURES)


async def _make_ready(
    settings: Config, staged: Path, erased: tuple[tombstones.Tombstone, ...], made_at: datetime
) -> tuple[int, int | None, str]:
    controllers = {name: controller.name for name, controller in settings.controllers.items()}
    now = datetime.now(UTC)
    async with Store.open(
        staged, gate=None, controllers=controllers, keys=lambda: master.load(settings), updates=True
    ) as store:
        made = round(made_at.timestamp() * 1000)
        await store.note_of_ledger(Kind.STORE_RESTORED, now, made_at=made)
        taken, unread = None, ""
        if settings.store.path.exists():
            try:
                taken = await _take_over(settings, store, now)
            except CallguardError as error:
                unread = str(error)
        # Last, so that nobody who was erased comes back by what is taken over.
        return await erase_again(store, erased), taken, unread


async def _take_over(settings: Config, store: Store, now: datetime) -> int:
    """What protects people and only the store before knows: opt-outs in force, and what ended grants."""
    async with RightsReader.reading(settings.store.path, lambda: master.load(settings)) as reader:
        there = {_what(one) for one in await store.opt_outs(None, None, now)}
        new: dict[tuple[str, Any], list[NewOptOut]] = {}
        for one in await reader.opt_outs(None, None, now):
            if _what(one) not in there:
                opt_out = NewOptOut(
                    one.number,
                    one.scope,
                    one.purpose,
                    one.campaign,
                    since=one.since,
                    until=one.until,
                    reason=one.reason,
                )
                new.setdefault((one.controller, one.source), []).append(opt_out)
        count = 0
        for (controller, source), opt_outs in new.items():
            # Of one person and scope there may be two, as from an unverified source: one after another.
            while opt_outs:
                some = {(one.number, one.scope, one.purpose, one.campaign): one for one in opt_outs}
                count += await store.opt_out_all(controller, list(some.values()), now, source)
                opt_outs = [one for one in opt_outs if one not in some.values()]
        for controller, endings in (await _endings(reader, store)).items():
            count += await store.grant_all(controller, endings, now, "command")
        return count


async def _endings(reader: RightsReader, store: Store) -> dict[str, list[NewEnding]]:
    """Grants that stand in the restored store and not in the one before: withdrawn since, or ended otherwise."""
    before = {_grant(one): one for one in await reader.grants(None, None)}
    found: dict[str, list[NewEnding]] = {}
    for one in await store.grants(None, None):
        ended = before.get(_grant(one))
        if ended is not None and ended.ended is not None and one.ended is None and ended.number is not None:
            ending = NewEnding(ended.number, ended.ended, ended.purpose, "restored", None)
            if ending not in found.setdefault(one.controller, []):
                found[one.controller].append(ending)
    return found


def _what(one: Any) -> tuple[object, ...]:
    return one.controller, one.number, one.scope, one.purpose, one.campaign, one.source, one.since, one.until


def _grant(one: Any) -> tuple[object, ...]:
    return one.controller, one.number, one.purpose, one.basis, one.channel, one.since


def _settle(staged: Path) -> None:
    """All of the store in its one file, for whoever may read a store."""
    with closing(sqlite3.connect(staged)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    staged.chmod(FILE_MODE)
    if os.geteuid() == 0:
        folder = staged.parent.parent.stat()
        os.chown(staged, folder.st_uid, folder.st_gid)
    with staged.open("rb") as file:
        os.fsync(file.fileno())


def _restorable(staged: Path) -> frozenset[str]:
    """The names without ending of the recordings that the store keeps: of who was erased none comes back."""
    with closing(sqlite3.connect(staged)) as connection:
        return frozenset(name.split(".")[0] for (name,) in connection.execute(sql("restorable_files")))


def _put_files(settings: Config, archive: Archive, kept: frozenset[str], tell: Tell) -> int:
    """What is missing of the files beside the store; what is there stays as it is."""
    shelf = Shelf.of(settings.recording)
    put = 0
    for number, name in enumerate(archive.files, 1):
        folder, _, plain = name.rpartition("/")
        if plain in ("", ".", "..") or plain.startswith("."):
            raise BadBackup(f"the backup has a file that is none of callguard's: {plain!r}")
        match f"{folder}/":
            case "played/" if PLAYED:
                to = settings.prompts.folder.path_here / "played" / plain
            case "receipts/" if RECEIPTS:
                to = settings.store.path.parent / "registries" / plain
            case "recordings/" if RECORDINGS:
                if plain.split(".")[0] not in kept:
                    continue
                to = (shelf.kept_in if plain.endswith((SEALED, ".json")) else shelf.made_in) / plain
            case _:
                continue
        if not to.exists():
            to.parent.mkdir(exist_ok=True)
            part = to.with_name(f".{to.name}.restoring")
            part.unlink(missing_ok=True)
            archive.extract(name, part)
            part.chmod(0o660 if folder == "recordings" else 0o644 if folder == "played" else 0o600)
            if os.geteuid() == 0:
                owner = to.parent.stat()
                os.chown(part, owner.st_uid, owner.st_gid)
            part.replace(to)
            put += 1
        tell(number, len(archive.files))
    return put


def _swap(store: Path, staged: Path) -> Path | None:
    """One rename; the store before keeps all that it had, under another name."""
    with _nobody_else(store, settle=True):
        aside = None
        if store.exists():
            aside = store.with_name(f"{store.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
            # What a damaged one still has in its log goes with it: beside another database it would do harm.
            for ending in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.link(f"{store}{ending}", f"{aside}{ending}")
            os.link(store, aside)
            sync(store.parent)
            for ending in ("-wal", "-shm"):
                Path(f"{store}{ending}").unlink(missing_ok=True)
        staged.replace(store)
        sync(store.parent)
    return aside


@contextmanager
def _nobody_else(store: Path, *, settle: bool = False) -> Iterator[None]:
    """Nobody has a store open, nor opens it while the context lasts: in WAL mode each connection holds a lock.

    Args:
        settle: have what is in its log in the file itself, where it is not damaged.

    Raises:
        StoreError: somebody has it open.
    """
    if not store.exists():
        yield
        return
    if settle:
        with suppress(sqlite3.Error), closing(sqlite3.connect(store, timeout=0)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    descriptor = os.open(store, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCKS, _LOCKS_AT)
        except OSError as error:
            raise StoreError(
                f"{store}: callguard, or a command of it, has it open: stop it first (systemctl stop callguard)"
            ) from error
        yield
    finally:
        os.close(descriptor)
