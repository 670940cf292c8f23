"""Facts about this machine: what callguard itself needs of it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from callguard import actors
from callguard.backup_sections import BACKUP
from callguard.config import Config
from callguard.doctor import disk, health
from callguard.doctor.facts import ClearRows, Here, Known, RecordingFolder, StoreFault, StoreIs, Unit, Unknown
from callguard.errors import CallguardError
from callguard.keys import master
from callguard.keys.names import SEALED, Shelf
from callguard.ledger.keys import seed_in
from callguard.registry.standing import standings
from callguard.speech.catalogue import Catalogue
from callguard.store.column_sealing import PAGES
from callguard.store.columns import Columns
from callguard.store.database import is_missing
from callguard.store.reader import Reader
from callguard.store.rights_reader import RightsReader

T = TypeVar("T")

UNIT = "callguard.service"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DAYS = 7
# adjtimex(2): what it returns while nothing keeps the kernel's clock.
_TIME_ERROR = 5


async def look(config: Config) -> Here:
    """All of it. Nothing is written, and the store is only read."""
    return Here(
        prompts=await asyncio.to_thread(_prompts_fault, config),
        store=await _store_fault(config.store.path),
        folder=await asyncio.to_thread(_recordings, Shelf.of(config.recording)),
        synchronised=_synchronised(),
        unit=await asyncio.to_thread(_unit),
        health=await health.ask(config.http),
        open_files=await asyncio.to_thread(_open_files, urlsplit(config.asterisk.ari_url).hostname or ""),
        registries=await asyncio.to_thread(standings, config, datetime.now(UTC)),
        ledger_key=_ledger_key_fault(config),
        keys=await _keys_fault(config),
        disk=await asyncio.to_thread(disk.below, config.recording.folder.path_here),
        clear_files=await _asked(config.store.path, Reader.count_clear),
        clear_rows=await _clear_rows(config),
        unknown_members=() if config.roles is None else await asyncio.to_thread(actors.unknown, config.roles),
        backup_age_h=await asyncio.to_thread(_backup_age_h, config),
        requests=await _asked(config.store.path, lambda store: store.due_requests(datetime.now(UTC))),
    )


def _ledger_key_fault(config: Config) -> str:
    try:
        seed_in(config.ledger_key_file, config.ledger.origin)
    except CallguardError as error:
        return str(error)
    return ""


def _prompts_fault(config: Config) -> str:
    try:
        Catalogue.load(config)
    except CallguardError as error:
        return str(error)
    return ""


async def _clear_rows(config: Config) -> Known[ClearRows]:
    if config.keys is None:
        return ClearRows()

    async def ask(store: Reader) -> ClearRows:
        return ClearRows(await store.clear_columns(), await store.columns_to_seal() == (PAGES,))

    return await _asked(config.store.path, ask)


async def _asked(path: Path, question: Callable[[RightsReader], Awaitable[T]]) -> Known[T]:
    try:
        async with RightsReader.reading(path, locked=True) as store:
            return await question(store)
    except CallguardError as error:
        return Unknown(str(error))


def _backup_age_h(config: Config) -> Known[float | None]:
    folder = None if config.backup is None else config.backup.folder
    if folder is None:
        return None
    try:
        made = [one.stat().st_mtime for one in folder.iterdir() if one.suffix == BACKUP]
    except OSError as error:
        return Unknown(f"{folder}: {error.strerror}")
    return (time.time() - max(made)) / 3600 if made else None


async def _keys_fault(config: Config) -> str:
    stored = await _asked(config.store.path, Reader.data_keys)
    try:
        masters = await asyncio.to_thread(master.load, config)
        if not isinstance(stored, Unknown):
            Columns().unlock(stored, lambda: masters, config.store.path)
    except CallguardError as error:
        return str(error)
    return ""


async def _store_fault(path: Path) -> StoreFault | None:
    closed = not (_may(path, os.R_OK | os.W_OK) and _may(path.parent, os.R_OK | os.W_OK | os.X_OK))
    try:
        async with Reader.reading(path, locked=True) as store:
            await store.calls(1)
    except CallguardError as error:
        code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreFault(str(error), StoreIs.DAMAGED)
        if is_missing(path):
            return StoreFault(str(error), StoreIs.MISSING)
        return StoreFault(str(error), StoreIs.CLOSED if closed else StoreIs.ANOTHER)
    return StoreFault(f"{path}: it may be read and not written", StoreIs.CLOSED) if closed else None


def _recordings(shelf: Shelf) -> Known[RecordingFolder]:
    """Who may do what where they are made, and how much room there is where they are kept."""
    folder = shelf.made_in
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        folder = shelf.kept_in
        free = shutil.disk_usage(folder).free
        since = time.time() - DAYS * 86_400
        with os.scandir(folder) as entries:
            recent = [entry.stat() for entry in entries if entry.name.endswith((".wav", f".wav{SEALED}"))]
    except OSError as error:
        return Unknown(f"{folder} cannot be looked at: {error.strerror}")
    made = sum(one.st_size for one in recent if one.st_mtime >= since)
    return RecordingFolder(mode, _may(shelf.made_in, os.R_OK | os.W_OK | os.X_OK), free, made // DAYS)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _synchronised() -> Known[bool]:
    """Ask the kernel, without changing anything; needs no rights and no daemon's name."""
    try:
        # struct timex begins with `modes`, 0 for a mere look, and has 208 bytes on 64-bit Linux.
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return Unknown("the kernel does not say")
    return Unknown("the kernel does not say") if state < 0 else state != _TIME_ERROR


def _unit() -> Known[Unit]:
    shown = _shown("LoadState", "ActiveState", "WatchdogUSec")
    if isinstance(shown, Unknown):
        return shown
    if shown.get("LoadState") != "loaded":
        return Unknown(f"systemd has no {UNIT} on this machine")
    return Unit(shown.get("ActiveState") == "active", seconds(shown.get("WatchdogUSec", "")))


def _open_files(asterisk: str) -> Mapping[str, Known[int]]:
    shown = _shown("LoadState", "MainPID")
    callguard: Known[int] = Unknown(f"systemd runs no {UNIT} on this machine")
    if not isinstance(shown, Unknown) and shown.get("MainPID", "0") != "0":
        callguard = _limit(Path("/proc") / shown["MainPID"])
    there = [process for process in Path("/proc").glob("[0-9]*") if _name(process) == "asterisk"]
    if asterisk not in LOOPBACK:
        return {"callguard": callguard, "asterisk": Unknown("Asterisk is on another machine")}
    if len(there) != 1:
        return {"callguard": callguard, "asterisk": Unknown(f"{len(there)} processes here are named asterisk")}
    return {"callguard": callguard, "asterisk": _limit(there[0])}


def _limit(process: Path) -> Known[int]:
    try:
        found = re.search(r"^Max open files\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
    except OSError as error:
        return Unknown(f"{process}/limits: {error.strerror}")
    return int(found[1]) if found else Unknown("it has no limit")


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it has ended
        return ""


def _shown(*properties: str) -> Known[dict[str, str]]:
    program = shutil.which("systemctl")
    if program is None or not Path("/run/systemd/system").exists():
        return Unknown("systemd does not run this machine")
    try:
        done = subprocess.run(
            [program, "show", UNIT, *(f"--property={name}" for name in properties)],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return Unknown("systemctl does not answer")
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def seconds(text: str) -> float:
    """systemd's way of writing a time span, such as ``2s`` or ``1min 30s``; 0 for none or infinity."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
    return sum(float(number) * units.get(unit, 0.0) for number, unit in re.findall(r"([\d.]+)([a-z]+)", text))
