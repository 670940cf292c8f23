"""Encrypts the recording of a folder and dies, or fails, at each of its steps: ``crasher.py BASE {kill,fail} OUT``.

Each step gets a copy of BASE in OUT, named by its number. A step is before and after each write of the encrypted file,
flush to the disk, rename, removal and transaction.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from callguard.errors import StoreError
from callguard.keys import beside, sealed_file
from callguard.keys.master import MasterKey, Masters
from callguard.keys.sealed_file import ContentKey
from callguard.sealing import Sealing
from callguard.sections import Folder, Recording
from callguard.store import Store
from callguard.telephony.recording import Recordings

# Where it is in a folder, that is where its encrypted recordings are kept.
KEPT_IN = "kept"
MASTERS = Masters(MasterKey.of(bytes(range(100, 132))))


def sealing(folder: Path, store: Store, masters: Masters | None = MASTERS) -> tuple[Recordings, Sealing]:
    """The recordings of a folder, and what encrypts them."""
    kept_in = folder / KEPT_IN
    settings = Recording(folder=Folder(path_here=folder), encrypted_folder=kept_in if kept_in.is_dir() else None)
    recordings = Recordings(settings, store)
    return recordings, Sealing(settings, store, recordings, masters)


async def seal_all(folder: Path, masters: Masters | None = MASTERS) -> None:
    """As a service does it that starts."""
    async with Store.open(folder / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        _, work = sealing(folder, store, masters)
        async with work.working():
            await work.look()


class Steps:
    """Counts them, and ends the process or fails at one."""

    def __init__(self, at: int, *, kill: bool) -> None:
        self.count, self._at, self._kill = 0, at, kill

    def step(self, error: Exception | None = None) -> None:
        self.count += 1
        if self.count == self._at and self._kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.count == self._at:
            raise error or OSError(errno.ENOSPC, "No space left on device")

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = work(*arguments, **named)
            self.step()
            return result

        return done

    def around_transaction(self, work: Callable[..., Any]) -> Callable[..., Any]:
        async def done(*arguments: Any, **named: Any) -> Any:
            self.step(StoreError("another program has locked it"))
            result = await work(*arguments, **named)
            self.step(StoreError("another program has locked it"))
            return result

        return done

    def put_in(self) -> None:
        """Into this process, for good."""
        seal = sealed_file.seal

        def seal_in_steps(clear: BinaryIO, size: int, to: BinaryIO, name: str, key: ContentKey) -> None:
            seal(clear, size, cast(BinaryIO, Stepping(to, self)), name, key)

        for name in ("fsync", "replace", "unlink"):
            setattr(os, name, self.around(getattr(os, name)))
        for name, instead in (("seal", seal_in_steps),):
            setattr(beside, name, instead)
        for name in ("ensure_content_keys", "ensure_quarantine_key", "files_sealed"):
            setattr(Store, name, self.around_transaction(getattr(Store, name)))


class Stepping:
    """A file that is written in steps."""

    def __init__(self, file: BinaryIO, steps: Steps) -> None:
        self.write = steps.around(file.write)


async def _try_twice(folder: Path) -> None:
    await seal_all(folder)
    await seal_all(folder)


def _in_child(folder: Path, at: int, *, kill: bool) -> int:
    """The exit code, or the signal that ended it, below 0."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = Steps(at, kill=kill)
    steps.put_in()
    asyncio.run(seal_all(folder) if kill or not at else _try_twice(folder))
    os._exit(0 if at else steps.count)


def main(base: Path, how: str, out: Path) -> None:
    shutil.copytree(base, out / "0")
    count = _in_child(out / "0", 0, kill=False)
    for at in range(1, count + 1):
        shutil.copytree(base, out / str(at))
        ended = _in_child(out / str(at), at, kill=how == "kill")
        assert ended == (-signal.SIGKILL if how == "kill" else 0), (at, ended)
    print(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
