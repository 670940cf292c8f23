"""Numbered migrations, each in a transaction of its own."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from sqlite3 import IntegrityError, connect

import pytest

from callguard.errors import InputError
from callguard.store import Store
from callguard.store.database import open_to_write, prepare
from callguard.store.migrations import known, migrate
from callguard.store.times import from_ms

from .legs import CONTROLLERS

FIRST = """-- A comment; with a semicolon.
CREATE TABLE songs (title TEXT NOT NULL);
CREATE TRIGGER no_jazz BEFORE INSERT ON songs WHEN NEW.title = 'jazz'
BEGIN
    SELECT RAISE(ABORT, 'no; jazz');
END;
"""
SECOND = "ALTER TABLE songs ADD COLUMN year INTEGER;\nINSERT INTO songs VALUES ('rock; roll', 1955);\n"
JAZZ = "INSERT INTO songs VALUES ('jazz', 1917);\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_songs.sql").write_text(FIRST)
    return folder


async def apply(path: Path, folder: Path) -> None:
    prepare(path)
    async with open_to_write(path) as database:
        await migrate(database, path, known(folder))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(connect(path)) as database:
        return database.execute(query).fetchall()


async def test_an_older_database_is_brought_up_to_date_with_what_is_in_it(path: Path, folder: Path) -> None:
    await apply(path, folder)
    with closing(connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO songs VALUES ('old')")
    (folder / "0002_years.sql").write_text(SECOND)
    await apply(path, folder)
    await apply(path, folder)
    assert rows(path, "SELECT * FROM songs") == [("old", None), ("rock; roll", 1955)]
    assert rows(path, "SELECT number, name FROM migrations") == [(1, "0001_songs"), (2, "0002_years")]


async def test_a_migration_that_fails_leaves_nothing_of_itself(path: Path, folder: Path) -> None:
    await apply(path, folder)
    (folder / "0002_years.sql").write_text(f"{SECOND}{JAZZ}")
    with pytest.raises(IntegrityError, match="no; jazz"):
        await apply(path, folder)
    assert rows(path, "SELECT * FROM songs") == []
    assert rows(path, "SELECT number FROM migrations") == [(1,)]
    (folder / "0002_years.sql").write_text(SECOND)
    await apply(path, folder)
    assert rows(path, "SELECT * FROM songs") == [("rock; roll", 1955)]


async def test_of_a_new_database_nobody_sees_a_part(path: Path, folder: Path) -> None:
    (folder / "0002_years.sql").write_text(f"{SECOND}{JAZZ}")
    with pytest.raises(IntegrityError, match="no; jazz"):
        await apply(path, folder)
    assert rows(path, "SELECT number FROM migrations") == []
    assert rows(path, "SELECT name FROM sqlite_schema WHERE name = 'songs'") == []


async def test_a_command_updates_no_store_that_a_service_may_have_open(path: Path) -> None:
    prepare(path)
    async with open_to_write(path) as database:
        await migrate(database, path, known()[:-1])
    here = len(known())
    with pytest.raises(InputError, match=f"has schema {here - 1}, older than {here}: start the service to update it"):
        async with Store.open(path, gate=None, controllers=CONTROLLERS):
            pass
    assert rows(path, "SELECT MAX(number) FROM migrations") == [(here - 1,)]
    # What a command has to itself, as a backup that it restores, it may.
    async with Store.open(path, gate=None, controllers=CONTROLLERS, updates=True):
        pass
    assert rows(path, "SELECT MAX(number) FROM migrations") == [(here,)]


async def test_two_that_start_at_once_apply_each_migration_once(path: Path, folder: Path) -> None:
    (folder / "0002_years.sql").write_text(SECOND)
    prepare(path)
    async with open_to_write(path) as one, open_to_write(path) as other:
        await asyncio.gather(*(migrate(database, path, known(folder)) for database in (one, other)))
    assert rows(path, "SELECT * FROM songs") == [("rock; roll", 1955)]


@pytest.mark.parametrize("name", ["0003_gap", "2_short", "0002-dash"])
def test_numbers_run_on_without_a_gap(folder: Path, name: str) -> None:
    (folder / f"{name}.sql").write_text(SECOND)
    with pytest.raises(ValueError, match="migration"):
        known(folder)


def test_a_statement_has_its_end(folder: Path) -> None:
    (folder / "0002_years.sql").write_text("ALTER TABLE songs ADD COLUMN year INTEGER\n")
    with pytest.raises(ValueError, match="without its end"):
        known(folder)


async def test_what_the_first_schema_held_is_kept_by_the_second(path: Path) -> None:
    prepare(path)
    async with open_to_write(path) as database:
        await migrate(database, path, known()[:1])
    with closing(connect(path, isolation_level=None)) as database:
        database.executescript("""
            INSERT INTO controllers VALUES ('acme', 'Acme Energy');
            INSERT INTO subjects VALUES ('s', 'acme', '+390612345678', NULL);
            INSERT INTO legs VALUES ('l', 'call', 'channel', 'linkedid', 'acme', 's', 'service', 'en', 'inbound', 0, 5,
                'given', 'recording.quality', 1, 'file', 'mixed', NULL, NULL);
            INSERT INTO grants VALUES (1, 'l', 's', 'acme', 'recording.quality', 'consent', 'given', 5, NULL, 'key');
        """)
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        (expected,) = await store.expected_recordings()
        (detail,) = await store.call("call")
    assert (expected.leg_id, expected.started_at) == ("l", from_ms(5))
    assert [(grant.purpose, grant.notice_version) for grant in detail.grants] == [("recording.quality", None)]


def test_the_package_has_its_migrations() -> None:
    assert [migration.name for migration in known()] == [
        "0001_first", "0002_both_directions", "0003_languages", "0004_incidents", "0005_agents", "0006_segments",
        "0007_folders", "0008_grants", "0009_callbacks", "0010_ledger", "0011_content_keys", "0012_retention",
        "0013_requests", "0014_blocks", "0015_columns", "0016_access", "0017_notices",
        "0018_quarantine_tickets",
    ]  # fmt: skip
