"""What was set aside is encrypted too, and opened for an incident: never both copies lost, never a clear one left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import MasterKey, Masters
from callguard.keys.names import Shelf
from callguard.keys.quarantine import open_set_aside
from callguard.sealing import QUIET_S
from callguard.store import Store
from callguard.telephony.quarantine import set_aside
from tests.keys.crasher import KEPT_IN, MASTERS, seal_all

HEARD = bytes(range(256)) * 600


def put(folder: Path) -> str:
    """A file that was set aside, and is written to no more. Returns: its name."""
    (folder / "in-34600000020.wav").write_bytes(HEARD)
    name = set_aside(folder, folder / "in-34600000020.wav")
    quiet(folder, name)
    return name


def quiet(folder: Path, name: str) -> None:
    file = folder / "quarantine" / name
    ago = file.stat().st_mtime - QUIET_S - 1
    os.utime(file, (ago, ago))


def shelf_of(folder: Path) -> Shelf:
    kept_in = folder / KEPT_IN
    return Shelf(folder / "quarantine", (kept_in if kept_in.is_dir() else folder) / "quarantine")


async def heard(folder: Path, name: str, masters: Masters | None = MASTERS) -> bytes:
    async with Store.open(folder / "s.db", gate=None, controllers={"acme": "Acme"}) as store:
        with open_set_aside(shelf_of(folder), name, masters, await store.quarantine_key()) as file:
            return file.read()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_it_is_encrypted_when_nobody_writes_to_it_any_more(tmp_path: Path) -> None:
    name = put(tmp_path)
    writing = put(tmp_path)
    os.utime(tmp_path / "quarantine" / writing)
    await seal_all(tmp_path)
    assert names(tmp_path / "quarantine") == sorted([f"{name}.cg", writing])
    assert HEARD[100:200] not in (tmp_path / "quarantine" / f"{name}.cg").read_bytes()
    assert await heard(tmp_path, name) == await heard(tmp_path, writing) == HEARD


async def test_without_keys_it_stays_clear(tmp_path: Path) -> None:
    name = put(tmp_path)
    await seal_all(tmp_path, None)
    assert names(tmp_path / "quarantine") == [name]
    assert await heard(tmp_path, name, None) == HEARD


async def test_a_new_master_key_opens_it_once_its_key_is_wrapped_anew(tmp_path: Path) -> None:
    name = put(tmp_path)
    await seal_all(tmp_path)
    new = MasterKey.of(bytes(range(50, 82)))
    with pytest.raises(CannotOpen) as refused:
        await heard(tmp_path, name, Masters(new))
    assert refused.value.fault is Fault.WRONG_KEY
    async with Store.open(tmp_path / "s.db", gate=None, controllers={"acme": "Acme"}) as store:
        key = await store.quarantine_key()
        assert key is not None
        await store.rewrap_quarantine_key(Masters(new, [MASTERS.current]).rewrapped(key))
    assert await heard(tmp_path, name, Masters(new)) == HEARD


async def test_another_file_of_an_encrypted_ones_name_is_kept_under_its_own(tmp_path: Path) -> None:
    name = put(tmp_path)
    await seal_all(tmp_path)
    (tmp_path / "quarantine" / name).write_bytes(b"another")
    quiet(tmp_path, name)
    await seal_all(tmp_path)
    (other,) = set(names(tmp_path / "quarantine")) - {f"{name}.cg"}
    await seal_all(tmp_path)
    assert names(tmp_path / "quarantine") == sorted([f"{name}.cg", f"{other}.cg"])
    assert (await heard(tmp_path, name), await heard(tmp_path, other)) == (HEARD, b"another")


@pytest.mark.parametrize(("how", "apart"), [("kill", False), ("fail", True)])
async def test_broken_off_at_any_step_one_copy_is_whole_and_the_next_start_leaves_no_clear_one(
    tmp_path: Path, how: str, apart: bool
) -> None:
    """Where encrypted recordings have a folder of their own, too."""
    (base := tmp_path / "base").mkdir()
    if apart:
        (base / KEPT_IN).mkdir()
    async with Store.open(base / "s.db", gate="callguard", controllers={"acme": "Acme"}):
        name = put(base)
    run = [sys.executable, "-m", "tests.keys.crasher", str(base), how, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.splitlines()[-1])
    assert count > 12
    for step in range(count + 1):
        folder = tmp_path / str(step)
        assert await heard(folder, name) == HEARD, step
        if how == "kill":
            await seal_all(folder)
        assert names(folder / KEPT_IN / "quarantine" if apart else folder / "quarantine") == [f"{name}.cg"], step
        assert not apart or names(folder / "quarantine") == [], step
        assert await heard(folder, name) == HEARD, step
