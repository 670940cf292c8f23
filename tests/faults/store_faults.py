"""Faults of the store's file while callguard runs: it turns read-only, or somebody writes over it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from callguard.errors import SetupError
from tests.faults.bed import Bed
from tests.faults.trial import CHANCE

LASTS_S: Final = 5.0
HEADER_BYTES: Final = 100
UNRECORDED: Final = "consent not saved"


async def store_read_only(bed: Bed) -> float:
    """Nobody can write to its files any more, whoever has them open; then they can again."""
    began, since = time.time(), len(bed.gate.log())
    with immutable([bed.store, bed.store.with_name(f"{bed.store.name}-wal")]):
        await bed.says("the store cannot be written", UNRECORDED, since)
        await asyncio.sleep(max(0.0, began + LASTS_S - time.time()))
    return began


async def store_damaged(bed: Bed) -> float:
    """Somebody writes over its pages; the administrator does what callguard says: stop, the backup, start."""
    began, since = time.time(), len(bed.gate.log())
    whole = await _damaged(bed)
    await bed.says("the database is damaged", UNRECORDED, since)
    await asyncio.sleep(max(0.0, began + LASTS_S - time.time()))
    await bed.gate.stop()
    for name in ("-wal", "-shm"):
        bed.store.with_name(f"{bed.store.name}{name}").unlink(missing_ok=True)
    bed.store.write_bytes(whole)
    await bed.gate.start()
    return began


@contextmanager
def immutable(files: Sequence[Path]) -> Iterator[None]:
    """As on a disk that has turned read-only: also who has such a file open writes nothing (chattr(1), +i)."""
    probe = files[0].with_name("probe")
    with probe.open("wb", buffering=0) as file:
        try:
            _chattr("+i", [probe, *files])
            try:
                file.write(b"x")
            except PermissionError:
                pass
            else:
                raise SetupError(f"{probe.parent}: this file system lets who has a file open write on: try on ext4")
            yield
        finally:
            _chattr("-i", [probe, *files])
            probe.unlink()


def _chattr(what: str, files: Sequence[Path]) -> None:
    subprocess.run(["chattr", what, *map(str, files)], check=True)


async def _damaged(bed: Bed) -> bytes:
    """Write over the store; what it was before, with all that was committed.

    callguard stands still for that moment, or a commit could come between.
    """
    while True:
        await _stopped(bed)
        try:
            with closing(sqlite3.connect(bed.store, timeout=0, isolation_level=None)) as database:
                ((version,),) = database.execute("PRAGMA user_version")
                database.execute(f"PRAGMA user_version = {version + 1}")  # nobody goes on with what was read before
                ((busy, *_),) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if not busy:
                whole = bed.store.read_bytes()
                page = int.from_bytes(whole[16:18], "big")
                first, end = CHANCE.choice(((0, HEADER_BYTES), (page, len(whole))))
                with bed.store.open("r+b") as file:
                    file.seek(first)
                    file.write(os.urandom(end - first))
                return whole
        except sqlite3.OperationalError:
            pass  # it stands within a transaction
        finally:
            bed.signal(signal.SIGCONT)
        await asyncio.sleep(CHANCE.uniform(0.01, 0.05))


async def _stopped(bed: Bed) -> None:
    bed.signal(signal.SIGSTOP)
    stat = Path(f"/proc/{bed.gate.pid}/stat")
    while stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "T":
        await asyncio.sleep(0.001)
