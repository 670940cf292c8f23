"""A restore that is broken off leaves the old store or the whole new one, and the next does it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

from callguard.core.decide import Scope
from callguard.rights import tombstones
from callguard.rights.tombstones import Tombstone
from callguard.store import Store
from tests.store.legs import CONTROLLERS

from .conftest import ONE, PLAYED, TWO, Place
from .crasher import put_back
from .test_backup import denied, subject_of

NEW = "+390612345674"


async def _is_one_of_them(folder: Path, subject_id: str) -> bool:
    """Whether the new store is in its place; either is whole, and who must not be called is not."""
    store = folder / "callguard.db"
    with closing(connect(store)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ((number,),) = database.execute("SELECT number FROM subjects WHERE subject_id = ?", (subject_id,)).fetchall()
        restored = database.execute("SELECT COUNT(*) FROM store_evidence WHERE kind = 'store.restored'").fetchone()[0]
    assert number is None
    for one in (ONE, TWO, NEW):
        assert await denied(store, one), one
    return bool(restored)


async def test_killed_at_any_step_the_old_store_or_the_new_one_is_whole(place: Place, tmp_path: Path) -> None:
    place.made()
    subject_id, at = subject_of(place.store, ONE), datetime.now(UTC)
    tombstones.note(tombstones.place(place.settings), Tombstone(subject_id, "acme", at))
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        await store.erase(subject_id, at)
        await store.opt_out("acme", NEW, Scope.ALL, at, "key")
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    for name in ("spool", "prompts", "registries"):
        shutil.move(tmp_path / name, base / name)
    for name in ("callguard.db", "one.cgbackup", "backup.key", "erasures.jsonl", "callguard.toml"):
        shutil.move(tmp_path / name, base / name)
    file = base / "callguard.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(str(tmp_path), "BASE"), encoding="utf-8")
    (base / "prompts" / "played" / PLAYED).unlink()
    run = [sys.executable, "-m", "tests.backup.crasher", str(base), str(out)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.splitlines()[-1])
    assert count >= 20
    new = [await _is_one_of_them(out / str(step), subject_id) for step in range(1, count + 1)]
    # Once it is there, it stays.
    assert new == sorted(new) and set(new) == {False, True}
    for step in (1, count // 2, count):
        await asyncio.to_thread(put_back, out / str(step))
        assert await _is_one_of_them(out / str(step), subject_id)
        assert (out / str(step) / "prompts" / "played" / PLAYED).exists()
        assert [one.name for one in (out / str(step)).glob(".*")] == []
