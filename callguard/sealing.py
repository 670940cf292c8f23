"""Recordings are encrypted as soon as they are complete, and what a crash has left is finished at the next start.

In this order, each step on the disk before the next one: the subject's content key in the store; the encrypted file,
read back; its name; the store says so; the clear file is removed. Broken off anywhere, one copy at least is whole, and
the next look goes on from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import structlog

from callguard import sections
from callguard.errors import CallguardError
from callguard.keys.beside import remove_clear, seal_beside, sha256_of
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import Masters
from callguard.keys.names import SEALED, sealed_name
from callguard.keys.reading import content_key_of
from callguard.keys.sealed_file import open_sealed
from callguard.store.records import FileToSeal, StoredContentKey
from callguard.store.store import Store
from callguard.telephony.ami_events import is_leg_id
from callguard.telephony.quarantine import set_aside
from callguard.telephony.recording import Recordings

log = structlog.get_logger()

# Calls come first: so many files are encrypted at once.
AT_ONCE = 2
LOOK_EVERY_S = 60.0
TOGETHER = 1_000


class Sealing:
    """Encrypts the recordings of one folder.

    Attributes:
        masters: the master keys; None to encrypt nothing.
    """

    def __init__(
        self, settings: sections.Recording, store: Store, recordings: Recordings, masters: Masters | None
    ) -> None:
        self._folder = settings.folder.path_here
        self._name = str(settings.folder.in_asterisk)
        self._store = store
        self._recordings = recordings
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._missing: set[str] = set()
        self.masters = masters
        recordings.on_kept = self._soon

    async def keep_sealing(self) -> NoReturn:
        """Encrypt what is kept from now on, and what was not encrypted yet, for as long as the service runs."""
        async with self.working():
            while True:
                try:
                    await self.look()
                except (CallguardError, OSError) as error:
                    log.error("recordings are not looked through for what is not encrypted yet", problem=str(error))
                await asyncio.sleep(LOOK_EVERY_S)
        raise AssertionError("it has no end")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Encrypt what is kept, or found by `look`, while the context lasts."""
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(AT_ONCE)]
            yield
            for worker in workers:
                worker.cancel()

    async def look(self) -> None:
        """Find and encrypt all that is not encrypted yet, and remove clear files beside encrypted ones."""
        if self.masters is None:
            return
        after = ""
        while legs := await self._store.clear_legs(after, TOGETHER):
            for leg_id in legs:
                self._due.put_nowait(leg_id)
            after = legs[-1]
            await self._due.join()
        for leg_id in await asyncio.to_thread(_in_both, self._folder):
            self._due.put_nowait(leg_id)
        await self._due.join()

    def _soon(self, leg_id: str) -> None:
        if self.masters is not None:
            self._due.put_nowait(leg_id)

    async def _work(self) -> NoReturn:
        while True:
            leg_id = await self._due.get()
            try:
                await self._seal(leg_id)
            except (CallguardError, OSError) as error:
                log.error("a recording is not encrypted yet, trying again", leg=leg_id, problem=str(error))
            finally:
                self._due.task_done()

    async def _seal(self, leg_id: str) -> None:
        masters = self.masters
        if masters is None:
            return
        async with self._recordings.alone(leg_id):
            for one in await self._store.files_to_seal(leg_id):
                await self._seal_file(masters, one)

    async def _seal_file(self, masters: Masters, one: FileToSeal) -> None:
        clear = self._folder / one.file.name
        sealed = sealed_name(clear)
        match clear.exists(), sealed.exists():
            case True, False:
                await self._encrypt(masters, one, clear)
            case False, True if one.file.sealed_with is None:
                content_key = await self._content_key_if_whole(masters, one, sealed)
                await self._store.file_sealed(one.leg_id, one.file.name, content_key)
            case True, True:
                await self._one_of_two(masters, one, clear, sealed)
            case False, False if one.folder in (None, self._name) and one.leg_id not in self._missing:
                self._missing.add(one.leg_id)
                log.error(
                    "the file of a kept recording is missing", leg=one.leg_id,
                    do="put a copy from a backup there; callguard recordings verify names all of them",
                )  # fmt: skip

    async def _encrypt(self, masters: Masters, one: FileToSeal, clear: Path) -> None:
        content_key = masters.content_key(await self._stored_key(masters, one.subject_id))
        await asyncio.to_thread(seal_beside, clear, content_key)
        await self._store.file_sealed(one.leg_id, one.file.name, content_key.id)
        await asyncio.to_thread(remove_clear, clear)

    async def _stored_key(self, masters: Masters, subject_id: str) -> StoredContentKey:
        stored = await self._store.content_key_of(subject_id)
        return stored or await self._store.ensure_content_key(masters.new_content_key(subject_id))

    async def _one_of_two(self, masters: Masters, one: FileToSeal, clear: Path, sealed: Path) -> None:
        """A clear file beside an encrypted one is what a crash has left, or somebody else's of the same name."""
        with clear.open("rb") as file:
            is_copy = await asyncio.to_thread(sha256_of, file) == one.file.sha256
        try:
            content_key = await self._content_key_if_whole(masters, one, sealed)
        except CannotOpen:
            if not is_copy:  # neither is known to be the recording: both stay
                raise
            await self._encrypt(masters, one, clear)
            return
        await self._store.file_sealed(one.leg_id, one.file.name, content_key)
        if is_copy:
            await asyncio.to_thread(remove_clear, clear)
        else:
            await asyncio.to_thread(set_aside, self._folder, clear)
            log.error(
                "a file came beside the encrypted one of a recording and is set aside", leg=one.leg_id,
                do="find out who made it: see the folder quarantine beside the recordings",
            )  # fmt: skip

    async def _content_key_if_whole(self, masters: Masters, one: FileToSeal, sealed: Path) -> str:
        """The id of its content key. Raises: CannotOpen, where it is not the recording that was kept, to the end."""
        content_key = await content_key_of(self._store, masters, sealed)
        with await asyncio.to_thread(open_sealed, sealed, one.file.name, content_key) as file:
            digest = await asyncio.to_thread(sha256_of, file)
        if digest != one.file.sha256:
            raise CannotOpen(Fault.DIFFERENT, sealed)
        return content_key.id


def _in_both(folder: Path) -> list[str]:
    """The legs whose clear file lies beside the encrypted one."""
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries if entry.name.endswith((".wav", f".wav{SEALED}"))}
    both = [name.removesuffix(SEALED) for name in names if name.endswith(SEALED)]
    return sorted(leg_id for name in both if name in names and is_leg_id(leg_id := name.removesuffix(".wav")))
