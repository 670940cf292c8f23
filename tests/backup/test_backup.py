"""A backup is made while calls go on, says nothing to who has not its key, and gives back all that was in it."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.backup.archive import BadBackup, opened
from callguard.backup.make import _copy
from callguard.cli.backup import _keys
from callguard.core.decide import Scope
from callguard.core.model import GrantState
from callguard.errors import StoreError
from callguard.keys.master import MasterKey
from callguard.rights import tombstones
from callguard.rights.again import erase_again, known
from callguard.rights.tombstones import Tombstone
from callguard.store import Store
from callguard.store.dial_records import NewEnding
from tests.store.legs import CONTROLLERS, given, make_leg

from .conftest import LEG, ONE, PLAYED, THREE, TWO, Place


def numbers(store: Path) -> list[str]:
    with closing(connect(store)) as database:
        found = database.execute("SELECT number FROM subjects WHERE number IS NOT NULL ORDER BY number").fetchall()
    return [number for (number,) in found]


def subject_of(store: Path, number: str) -> str:
    with closing(connect(store)) as database:
        ((subject_id,),) = database.execute("SELECT subject_id FROM subjects WHERE number = ?", (number,)).fetchall()
    return str(subject_id)


async def denied(store: Path, number: str) -> bool:
    async with Store.open(store, gate=None, controllers=CONTROLLERS) as opened:
        return bool(await opened.opt_outs("acme", number, datetime.now(UTC)))


def test_a_backup_is_for_its_key_alone_and_can_be_checked(place: Place) -> None:
    file = place.made()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_bytes()
    for secret in (TWO.encode(), b"heard", b"answered", b"SQLite format", b"controllers"):
        assert secret not in text
    code, out, _ = place.run("backup", str(file), "--verify", "--json")
    said = json.loads(out)
    assert (code, said["whole"], said["recordings"]) == (0, True, False)
    assert place.run("restore", str(file), "--check")[0] == 0
    # Neither the snapshot nor what was checked stays behind.
    assert [one.name for one in place.folder.glob(".*")] == []
    code, _, problem = place.run("backup", str(file))
    assert code == 2 and "--force replaces it" in problem


def test_a_damaged_backup_is_one_line_and_changes_nothing(place: Place) -> None:
    file = place.made()
    text = file.read_bytes()
    keys = _keys(place.settings, None)

    def flipped(at: int) -> bytes:
        return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]

    for damaged, said in (
        (text[: len(text) // 2], "is cut short"),
        (text[:-1], "is cut short"),
        (b"", "is cut short"),
        (flipped(len(text) // 2), "is not what was written"),
        (flipped(len(text) - 1), "is not what was written"),
        (flipped(60), "is not what was written"),
        (flipped(10), "none of the keys opens it"),  # the key's name
        (b"x" + text, "is no backup of callguard's"),
    ):
        with pytest.raises(BadBackup, match=said), opened(file, io.BytesIO(damaged), keys) as archive:
            archive.check(lambda done, of: None)
    file.write_bytes(flipped(len(text) // 2))
    before = place.store.read_bytes()
    for command in (("backup", str(file), "--verify"), ("restore", str(file), "--force")):
        code, out, problem = place.run(*command)
        assert (code, out, problem.count("\n")) == (1, "", 1) and "is not what was written" in problem
    assert place.store.read_bytes() == before and not list(place.folder.glob("*before*"))


def test_another_key_opens_nothing_and_an_old_one_does(place: Place) -> None:
    file = place.made()
    (place.folder / "backup.key").rename(place.folder / "first.key")
    (place.folder / "backup.key").write_text(MasterKey.new().text, encoding="ascii")
    (place.folder / "backup.key").chmod(0o600)
    code, _, problem = place.run("restore", str(file), "--check")
    assert code == 1 and "none of the keys opens it: name the one that did in [backup] old" in problem
    assert place.run("restore", str(file), "--check", "--key", str(place.folder / "first.key"))[0] == 0
    with place.file.open("a", encoding="utf-8") as more:
        more.write(f'old = [{{ file = "{place.folder / "first.key"}" }}]\n')
    assert place.run("restore", str(file), "--check")[0] == 0
    out = place.folder / "found.toml"
    code, _, _ = place.run("restore", str(file), "--config-only", str(out), "--key", str(place.folder / "first.key"))
    assert code == 0 and "[backup]" in out.read_text(encoding="utf-8")


async def test_what_was_there_is_there_again_and_what_protects_people_since_is_too(place: Place) -> None:
    file = place.made("--with-recordings")
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        await store.opt_out("acme", ONE, Scope.ALL, datetime.now(UTC), "key")
        ending = NewEnding(THREE, GrantState.WITHDRAWN, None, "letter", None)
        await store.grant_all("acme", [ending], datetime.now(UTC), "command")
    for lost in ("spool/" + f"{LEG}.wav", "prompts/played/" + PLAYED, "registries/fub.acme.receipts"):
        (place.folder / lost).unlink()
    code, _, problem = place.run("restore", str(file))
    assert code == 2 and "--force sets it aside" in problem
    code, out, problem = place.run("restore", str(file), "--force", "--json")
    said = json.loads(out)
    assert (code, problem, said["taken_over"], said["files"], said["not_signed"]) == (0, "", 2, 3, "")
    assert (place.folder / "spool" / f"{LEG}.wav").read_bytes() == b"audio"
    assert Path(said["aside"]).exists()
    assert await denied(place.store, ONE) and await denied(place.store, TWO)
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        (grant,) = await store.grants("acme", THREE)
        assert grant.ended is GrantState.WITHDRAWN
    code, out, _ = place.run("ledger", "verify")
    assert code == 0 and "whole" in out
    with closing(connect(place.store)) as database:
        kinds = [json.loads(body)["kind"] for (body,) in database.execute("SELECT body FROM ledger")]
    assert {"store.restored"} <= set(kinds)


def test_a_store_that_is_lost_comes_back_and_the_time_that_is_missing_is_told(place: Place) -> None:
    file = place.made()
    for gone in place.folder.glob("callguard.db*"):
        gone.unlink()
    code, out, problem = place.run("restore", str(file))
    assert (code, problem) == (0, "")
    assert "is not in it: add opt-outs of that time" in out
    assert numbers(place.store) == [ONE, TWO, THREE]
    assert place.run("ledger", "verify")[0] == 0
    # A damaged one is set aside with its log.
    place.store.write_bytes(b"SQLite format 3\0" + bytes(4096))
    code, out, _ = place.run("restore", str(file), "--force")
    assert code == 0 and "the store before cannot be read" in out
    assert numbers(place.store) == [ONE, TWO, THREE]


async def test_nothing_is_restored_under_a_callguard_that_runs(place: Place) -> None:
    file = place.made()
    async with Store.open(place.store, gate="callguard", controllers=CONTROLLERS) as store:
        code, _, problem = await asyncio.to_thread(place.run, "restore", str(file), "--force")
        assert (code, problem.count("\n")) == (1, 1) and "has it open: stop it first" in problem
        await store.save(make_leg(given()))
    assert not list(place.folder.glob("*before*"))


@pytest.mark.parametrize("told_by", ["beside", "copy"])
async def test_who_was_erased_since_is_erased_before_anything_is_served(place: Place, told_by: str) -> None:
    """By the restore; and by the service, whoever put an older store there."""
    file = place.made("--with-recordings")
    older = place.store.read_bytes()
    (place.folder / "spool" / f"{LEG}.wav").unlink()
    subject_id = subject_of(place.store, ONE)
    at = datetime.now(UTC)
    where = tombstones.place(place.settings)
    if told_by == "copy":
        (place.folder / "elsewhere").mkdir()
        where = place.folder / "elsewhere" / "erasures.jsonl"
    tombstones.note(where, Tombstone(subject_id, "acme", at))
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        await store.erase(subject_id, at)
    code, out, _ = place.run("restore", str(file), "--force")
    assert code == 0 and "Erased again: 1 people" in out
    assert not (place.folder / "spool" / f"{LEG}.wav").exists()  # nor is their audio back
    for _ in range(2):
        with closing(connect(place.store)) as database:
            ((number, erased),) = database.execute(
                "SELECT number, erased_at FROM subjects WHERE subject_id = ?", (subject_id,)
            ).fetchall()
        assert number is None and erased is not None
        assert await denied(place.store, ONE)  # and still is not called
        assert [one.subject_id for one in tombstones.read(tombstones.place(place.settings))] == [subject_id]
        # Somebody copies the old file over it by hand.
        place.store.write_bytes(older)
        async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
            assert await erase_again(store, known(place.settings)) == 1
            assert await erase_again(store, known(place.settings)) == 0


async def test_calls_are_saved_while_a_backup_is_made_of_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of one moment, however many write meanwhile, and does not begin again with each of them."""
    monkeypatch.setattr("callguard.backup.make._PAGES", 5)
    steps: list[int] = []
    copy = place.folder / "copy.db"
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        loop = asyncio.get_running_loop()

        def told(done: int, of: int) -> None:
            # Each step waits for a call to be saved: neither keeps the other from it.
            asyncio.run_coroutine_threadsafe(store.save(make_leg(given())), loop).result(10)
            steps.append(done)
            assert len(steps) < 200, "it begins again and again"

        await asyncio.to_thread(_copy, place.store, copy, told)
    assert len(steps) > 5 and steps == sorted(steps)
    with closing(connect(copy)) as one, closing(connect(place.store)) as other:
        (legs,), (all_of_them,) = (each.execute("SELECT COUNT(*) FROM legs").fetchone() for each in (one, other))
    assert (legs, all_of_them) == (1, 1 + len(steps))


def test_a_damaged_store_is_not_backed_up(place: Place) -> None:
    with closing(connect(place.store)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'legs_by_call'")
        database.commit()
    with pytest.raises(StoreError, match="is damaged, so no backup is made of it"):
        _copy(place.store, place.folder / "copy.db", lambda done, of: None)


def test_without_a_key_of_its_own_nothing_is_made(place: Place) -> None:
    text = place.file.read_text(encoding="utf-8")
    place.file.write_text(text[: text.index("[backup]")], encoding="utf-8")
    code, _, problem = place.run("backup", str(place.backup))
    assert code == 2 and "backup: is missing" in problem and not place.backup.exists()
