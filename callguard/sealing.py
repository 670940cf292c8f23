"""Recordings are encrypted as soon as they are complete, and what a crash has left is finished at the next start.

In this order, each step on the disk before the next one: the subject's content key in the store; the encrypted file,
read back; its name; the store says so; the clear file is removed. Broken off anywhere, one copy at least is whole, and
the next look goes on from there.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import structlog

from callguard import sections
from callguard.core.evidence import Value
from callguard.core.incidents import Incident
from callguard.errors import CallguardError
from callguard.keys import quarantine
from callguard.keys.beside import remove_clear, seal_file, sha256_of, sync
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import NOBODY, Masters
from callguard.keys.names import QUARANTINE, Shelf
from callguard.keys.reading import content_key_of
from callguard.keys.sealed_file import open_sealed
from callguard.store.records import FileToSeal, StoredContentKey
from callguard.store.store import Store
from callguard.telephony.ami_events import is_leg_id
from callguard.telephony.quarantine import set_aside
from callguard.telephony.recording import Recordings

log = structlog.get_logger()

LOOK_EVERY_S = 60.0
A_PAGE = 1_000
# Beside the 30 s in which calls may finish, within systemd's TimeoutStopSec=40.
FINISH_WITHIN_S = 5.0
# What was set aside may be written to still; after so long nobody does.
QUIET_S = 60.0
# One thread encrypts, as calls come first. Those that wait share transactions, which cost more than encrypting does;
# who withdraws meanwhile waits for them, so they are not many.
TOGETHER = 32
TOGETHER_BYTES = 64 << 20
# What is no single file's fault.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class Sealing:
    """Encrypts the recordings of one folder.

    Args:
        masters: the master keys; None to encrypt nothing.
    """

    def __init__(
        self, settings: sections.Recording, store: Store, recordings: Recordings, masters: Masters | None
    ) -> None:
        self._shelf, self._quarantine = Shelf.of(settings), Shelf.of_quarantine(settings)
        self._name = str(settings.folder.in_asterisk)
        self._store = store
        self._recordings = recordings
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._missing: set[str] = set()
        self._told = False
        self._masters = masters
        self._look_now = asyncio.Event()
        recordings.on_kept = self._soon

    def use(self, masters: Masters | None) -> None:
        """From now on; what is not encrypted yet is, at once."""
        self._masters = masters
        self._look_now.set()

    async def keep_sealing(self) -> NoReturn:
        """Encrypt what is kept from now on, and what was not encrypted yet, for as long as the service runs."""
        async with self.working():
            while True:
                try:
                    await self.look()
                except (CallguardError, OSError) as error:
                    log.error("recordings are not looked through for what is not encrypted yet", problem=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._look_now.wait()
                self._look_now.clear()
        raise AssertionError("it has no end")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Encrypt what is kept, or found by `look`, while the context lasts."""
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._work())
            yield
            worker.cancel()

    async def look(self) -> None:
        """Find and encrypt all that is not encrypted yet, and remove clear files beside encrypted ones."""
        if self._masters is None:
            return
        after = ""
        while legs := await self._store.clear_legs(after, A_PAGE):
            for leg_id in legs:
                self._due.put_nowait(leg_id)
            after = legs[-1]
            await self._due.join()
        for leg_id in await asyncio.to_thread(_left, self._shelf):
            self._due.put_nowait(leg_id)
        await self._due.join()
        await self._seal_quarantine(self._masters)

    async def _seal_quarantine(self, masters: Masters | None) -> None:
        try:
            names = await asyncio.to_thread(quarantine.waiting, self._quarantine, time.time() - QUIET_S)
            if not names or masters is None:
                return
            stored = await self._store.quarantine_key()
            if stored is None:
                stored = await self._store.ensure_quarantine_key(masters.new_content_key(NOBODY))
            key = masters.content_key(stored)
            await asyncio.to_thread(quarantine.seal_all, self._quarantine, names, key, _tell_of_set_aside)
        except (CallguardError, OSError) as error:
            log.error("what was set aside is not encrypted yet, trying again", problem=str(error))

    async def finish(self) -> None:
        """Encrypt what waits before the service ends, `FINISH_WITHIN_S` at most; a start finds the rest."""
        try:
            async with asyncio.timeout(FINISH_WITHIN_S):
                await self._due.join()
        except TimeoutError:
            log.warning("stopping with recordings that are not encrypted yet: the next start goes on")

    def _soon(self, leg_id: str) -> None:
        if self._masters is not None:
            self._due.put_nowait(leg_id)

    async def _work(self) -> NoReturn:
        while True:
            legs = [await self._due.get()]
            while len(legs) < TOGETHER and not self._due.empty():
                legs.append(self._due.get_nowait())
            try:
                await self._seal(sorted(set(legs)))
            except (CallguardError, OSError) as error:
                log.error("recordings are not encrypted yet, trying again", count=len(legs), problem=str(error))
            except Exception:
                # A file's fault that nobody thought of ends no call: the service goes on.
                log.exception("recordings are not encrypted yet, trying again", count=len(legs))
            finally:
                for _ in legs:
                    self._due.task_done()

    async def _seal(self, legs: Sequence[str]) -> None:
        masters = self._masters
        if masters is None:
            return
        async with AsyncExitStack() as alone:
            for leg_id in legs:
                await alone.enter_async_context(self._recordings.alone(leg_id))
            clear: list[FileToSeal] = []
            size = 0
            for one in await self._store.files_to_seal(legs):
                if size >= TOGETHER_BYTES:
                    self._due.put_nowait(one.leg_id)
                    continue
                try:
                    if await self._only_clear(masters, one):
                        clear.append(one)
                        size += one.file.size
                except (CallguardError, OSError) as error:
                    _tell(one, error)
            if clear:
                await self._encrypt(masters, clear)

    async def _only_clear(self, masters: Masters, one: FileToSeal) -> bool:
        """Whether it is to be encrypted; what a crash has left is settled here."""
        clear, sealed = self._shelf.clear(one.file.name), self._shelf.sealed(one.file.name)
        match clear.exists(), sealed.exists():
            case True, False:
                return True
            case False, True:
                if one.file.sealed_with is None:
                    content_key = await self._content_key_if_whole(masters, one, sealed)
                    await self._store.files_sealed([_sealed(one, content_key)])
                await asyncio.to_thread(_remove_all, self._shelf, [one])
            case True, True:
                return await self._is_to_be_made_anew(masters, one, clear, sealed)
            case False, False if one.folder in (None, self._name) and one.leg_id not in self._missing:
                self._missing.add(one.leg_id)
                log.error(
                    "the file of a kept recording is missing", leg=one.leg_id,
                    do="put a copy from a backup there; callguard recordings verify names all of them",
                )  # fmt: skip
        return False

    async def _encrypt(self, masters: Masters, clear: Sequence[FileToSeal]) -> None:
        have = {one.subject_id: one.content_key for one in clear if one.content_key is not None}
        new = {one.subject_id for one in clear} - have.keys()
        if new:
            made = await self._store.ensure_content_keys([masters.new_content_key(subject_id) for subject_id in new])
            have |= {key.subject_id: key for key in made}
        done, problem = await asyncio.to_thread(
            _seal_all, self._shelf, masters, [(one, have[one.subject_id]) for one in clear]
        )
        if problem and not self._told:  # once, and not with each attempt
            self._told = True
            await self._store.incident(Incident.RECORDING_UNENCRYPTED, datetime.now(UTC), {"problem": problem})
        self._told = self._told and not done
        if done:
            kept = await self._store.files_sealed(done)
            # Another callguard that shares folder and store may have destroyed one meanwhile.
            await asyncio.to_thread(_remove_all, self._shelf, kept, [one for one in done if one not in kept])

    async def _is_to_be_made_anew(self, masters: Masters, one: FileToSeal, clear: Path, sealed: Path) -> bool:
        """A clear file beside an encrypted one is what a crash has left, or somebody else's of the same name."""
        with clear.open("rb") as file:
            is_copy = await asyncio.to_thread(sha256_of, file) == one.file.sha256
        try:
            content_key = await self._content_key_if_whole(masters, one, sealed)
        except CannotOpen:
            if not is_copy:  # neither is known to be the recording: both stay
                raise
            return True
        await self._store.files_sealed([_sealed(one, content_key)])
        if is_copy:
            await asyncio.to_thread(_remove_all, self._shelf, [one])
        else:
            name = await asyncio.to_thread(set_aside, self._shelf.made_in, clear)
            detail: dict[str, Value] = {"file": QUARANTINE, "quarantined_as": name}
            await self._store.incident(Incident.RECORDING_FOREIGN, datetime.now(UTC), detail, one.leg_id)
            log.error(
                "a file came beside the encrypted one of a recording and is set aside", leg=one.leg_id,
                do="find out who made it: see the folder quarantine beside the recordings",
            )  # fmt: skip
        return False

    async def _content_key_if_whole(self, masters: Masters, one: FileToSeal, sealed: Path) -> str:
        """The id of its content key. Raises: CannotOpen, where it is not the recording that was kept, to the end."""
        content_key = await content_key_of(self._store, masters, sealed)
        with await asyncio.to_thread(open_sealed, sealed, one.file.name, content_key) as file:
            digest = await asyncio.to_thread(sha256_of, file)
        if digest != one.file.sha256:
            raise CannotOpen(Fault.DIFFERENT, sealed)
        return content_key.id


def _sealed(one: FileToSeal, content_key_id: str) -> FileToSeal:
    return replace(one, file=replace(one.file, sealed_with=content_key_id))


def _tell_of_set_aside(name: str, error: Exception) -> None:
    # One that somebody else has put there may be named by a number.
    ours = name if is_leg_id(Path(name).stem) else None
    problem = error.fault if isinstance(error, CannotOpen) else getattr(error, "strerror", None) or type(error).__name__
    log.error("a file in quarantine is not encrypted yet, trying again", file=ours, problem=problem)


def _tell(one: FileToSeal, error: Exception) -> None:
    log.error("a recording is not encrypted yet, trying again", leg=one.leg_id, problem=str(error))


def _seal_all(
    shelf: Shelf, masters: Masters, clear: Sequence[tuple[FileToSeal, StoredContentKey]]
) -> tuple[list[FileToSeal], str]:
    """Encrypt files; those that are, with their names on the disk. What is wrong with one keeps no other from it.

    Returns:
        Also why the folder takes none; empty where it does.
    """
    done: list[FileToSeal] = []
    problem = ""
    for one, key in clear:
        try:
            if seal_file(shelf, one.file.name, masters.content_key(key)):
                done.append(_sealed(one, key.id))
        except (CallguardError, OSError) as error:
            _tell(one, error)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                problem = error.strerror or "it cannot be written"
    sync(shelf.kept_in)
    return done, problem


def _remove_all(shelf: Shelf, sealed: Sequence[FileToSeal], destroyed: Sequence[FileToSeal] = ()) -> None:
    for one in sealed:
        remove_clear(shelf, one.file.name)
    for one in destroyed:
        for file in (*shelf.encrypted(one.file.name), shelf.sidecars(one.file.name)[1]):
            file.unlink(missing_ok=True)
    sync(shelf.made_in)


def _left(shelf: Shelf) -> list[str]:
    """The legs of whose recording something is still where it was made, and that is encrypted already."""
    with os.scandir(shelf.made_in) as entries:
        names = [Path(entry.name) for entry in entries if is_leg_id(Path(entry.name).stem)]
    left = {name.stem for name in names if name.suffix == ".wav" and shelf.sealed(name.name).exists()}
    if not shelf.is_one:
        left |= {name.stem for name in names if name.suffix == ".json" and (shelf.kept_in / name).exists()}
    return sorted(left)
