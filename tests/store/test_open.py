"""Opening a store: the file, its schema, its gate, and what is said when it cannot be used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection, connect

import pytest

from callguard.errors import InputError, StoreError
from callguard.store import Reader, Store
from callguard.store.database import open_to_write
from tests.users import an_ordinary_user

from .legs import CONTROLLERS, given, make_leg

DIARY = b"Dear diary, " * 1000


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def permit(path: Path, mode: int) -> None:
    path.chmod(mode)


async def open_and_close(path: Path, controllers: dict[str, str] = CONTROLLERS) -> None:
    async with Store.open(path, gate="callguard", controllers=controllers):
        pass


async def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        await open_and_close(path)
    return str(caught.value)


@contextmanager
def changed(path: Path) -> Iterator[Connection]:
    with closing(connect(path, isolation_level=None)) as connection:
        yield connection


async def test_the_file_and_its_companions_are_for_owner_and_group(path: Path) -> None:
    before = os.umask(0o077)
    try:
        async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
            await store.save(make_leg(given()))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"callguard.db": 0o640, "callguard.db-wal": 0o640, "callguard.db-shm": 0o640}


async def test_a_commit_is_on_the_disk_and_keys_are_held(path: Path) -> None:
    await open_and_close(path)
    async with open_to_write(path) as database:
        settings = {
            name: (await database.connection.execute_fetchall(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    values = {name: next(iter(rows))[0] for name, rows in settings.items()}
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


async def test_what_was_saved_is_there_when_it_is_opened_again(path: Path) -> None:
    leg = make_leg(given())
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        await store.save(leg)
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        saved = await store.outcome(leg.channel, leg.linkedid)
    assert saved is not None
    assert saved.leg_id == leg.leg_id


async def test_a_controllers_name_is_brought_up_to_date_and_none_is_forgotten(path: Path) -> None:
    await open_and_close(path, {"acme": "Acme Energy", "zeta": "Zeta"})
    await open_and_close(path, {"acme": "Acme Power"})
    with changed(path) as database:
        assert database.execute("SELECT * FROM controllers ORDER BY 1").fetchall() == [
            ("acme", "Acme Power"),
            ("zeta", "Zeta"),
        ]


async def test_without_its_folder_there_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "callguard.db"
    assert await refusal(path) == f"{path}: there is no folder {path.parent}: create it, or name another"


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert "unable to open database file" in await refusal(tmp_path)


async def test_something_else_than_a_database_is_left_as_it_is(path: Path) -> None:
    write(path, DIARY)
    assert "file is not a database" in await refusal(path)
    assert read(path) == DIARY


async def test_a_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with changed(path) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    assert "is a database of another program" in await refusal(path)
    with changed(path) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


async def test_a_newer_database_is_not_touched(path: Path) -> None:
    await open_and_close(path)
    with changed(path) as database:
        database.execute("INSERT INTO migrations VALUES (99, '0099_later', 0)")
        before = database.execute("SELECT epoch FROM gates").fetchall()
    assert "has schema 99" in (said := await refusal(path))
    assert "install the newer callguard" in said
    with changed(path) as database:
        assert database.execute("SELECT epoch FROM gates").fetchall() == before


async def test_a_damaged_page_is_a_store_error(path: Path) -> None:
    leg = make_leg(given())
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        await store.save(leg)
    with changed(path) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'legs'").fetchone()
    healthy = read(path)
    assert healthy is not None
    write(path, healthy[: (page - 1) * 4096] + b"\xa5" * 4096 + healthy[page * 4096 :])
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        with pytest.raises(StoreError, match="malformed"):
            await store.calls(10)
        with pytest.raises(StoreError, match="malformed"):
            await store.save(make_leg(given()))


async def test_a_file_that_may_only_be_read_is_refused(open_folder: Path) -> None:
    path = open_folder / "callguard.db"
    await open_and_close(path)
    permit(path, 0o444)
    with an_ordinary_user():
        assert await refusal(path) == f"{path}: {path} may not be written by this user"


async def test_a_folder_that_may_only_be_read_is_refused(open_folder: Path) -> None:
    permit(open_folder, 0o555)
    path = open_folder / "callguard.db"
    with an_ordinary_user():
        assert await refusal(path) == f"{path}: cannot be created: Permission denied"


async def test_what_root_creates_belongs_to_the_folders_owner(open_folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(open_folder, 65534, 65534)
    async with Store.open(open_folder / "callguard.db", gate=None, controllers=CONTROLLERS):
        owners = {(file.stat().st_uid, file.stat().st_gid) for file in open_folder.iterdir()}
    assert owners == {(open_folder.stat().st_uid, open_folder.stat().st_gid)}


async def test_a_command_beside_the_service_takes_no_gate(path: Path, store: Store) -> None:
    async with Store.open(path, gate=None, controllers=CONTROLLERS) as command:
        await command.save(make_leg(given()))
    await store.save(make_leg(given()))
    with changed(path) as database:
        assert database.execute("SELECT app, epoch FROM gates").fetchall() == [("callguard", 1)]


async def test_an_existing_store_can_be_read_beside_the_service(path: Path, store: Store) -> None:
    leg = make_leg(given())
    async with Reader.reading(path) as reader:
        await store.save(leg)
        assert [one.leg_id for one in await reader.calls(10)] == [leg.leg_id]
    await store.save(make_leg(given()))


async def test_a_store_in_a_folder_that_is_closed_is_not_said_to_be_missing(open_folder: Path) -> None:
    await open_and_close(path := open_folder / "callguard.db")
    permit(open_folder, 0o000)
    with an_ordinary_user(), pytest.raises(InputError, match="unable to open database file"):
        async with Reader.reading(path):
            pass
    permit(open_folder, 0o700)


@pytest.mark.parametrize("content", [None, b""])
async def test_reading_creates_nothing(path: Path, content: bytes | None) -> None:
    if content is not None:
        write(path, content)
    with pytest.raises(InputError):
        async with Reader.reading(path):
            pass
    assert read(path) == content


async def test_reading_refuses_an_older_schema(path: Path) -> None:
    await open_and_close(path)
    with changed(path) as database:
        database.execute("DELETE FROM migrations")
    with pytest.raises(InputError, match="has schema 0, older than"):
        async with Reader.reading(path):
            pass
