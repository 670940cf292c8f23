"""Facts about this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callguard.config import Config
from callguard.core.requests import Right, Via
from callguard.doctor import here
from callguard.doctor.facts import RecordingFolder, StoreIs, Unknown
from callguard.doctor.tried import remove_left_over
from callguard.ledger.keys import signer
from callguard.store import Store
from callguard.store.right_records import Due
from callguard.telephony.recording import TRIED
from tests.doctor.healthy import settings
from tests.users import an_ordinary_user


@pytest.mark.parametrize(
    ("text", "value"), [("2s", 2.0), ("1min 30s", 90.0), ("500ms", 0.5), ("infinity", 0.0), ("0", 0.0), ("", 0.0)]
)
def test_systemds_time_spans(text: str, value: float) -> None:
    assert here.seconds(text) == pytest.approx(value)


async def test_a_machine_without_anything_says_what_is_missing(tmp_path: Path) -> None:
    found = await here.look(settings(tmp_path))
    assert "callguard prompts build" in found.prompts
    assert found.store is not None
    assert "/srv/callguard.db" in found.store.what
    assert found.store.kind is StoreIs.MISSING
    assert isinstance(found.folder, Unknown)
    assert "/srv/recordings" in found.folder.because


async def test_the_recordings_folder_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    folder.chmod(0o2770)
    for name, age_s in (("a.wav", 0), ("b.wav", 0), ("old.wav", 8 * 86_400), ("a.json", 0)):
        (folder / name).write_bytes(b"x" * 7_000)
        os.utime(folder / name, (folder.stat().st_mtime - age_s,) * 2)
    config = settings(tmp_path)
    folders = config.recording.folder.model_copy(update={"path_here": folder})
    config = config.model_copy(update={"recording": config.recording.model_copy(update={"folder": folders})})
    found = (await here.look(config)).folder
    assert isinstance(found, RecordingFolder)
    assert (found.mode, found.writable, found.day_bytes) == (0o2770, True, 2_000)
    assert found.free_bytes > 0


async def test_asterisk_elsewhere_has_limits_that_are_not_known(tmp_path: Path) -> None:
    found = await here.look(settings(tmp_path, ari_url="http://pbx.example:8088"))
    assert found.open_files["asterisk"] == Unknown("Asterisk is on another machine")


async def test_requests_of_people_are_counted_by_when_they_are_due(tmp_path: Path) -> None:
    config, now = with_store(tmp_path), datetime.now(UTC)
    async with Store.open(config.store.path, gate=None, controllers={"acme": "Acme"}) as store:
        for number, days in enumerate((40, 26, 1)):
            received = now - timedelta(days=days)
            await store.open_request("acme", f"+39061234567{number}", Right.ACCESS, Via.LETTER, received)
    assert (await here.look(config)).requests == Due(overdue=1, soon=1)


async def test_a_signing_key_that_others_may_read_is_told(tmp_path: Path) -> None:
    config = with_store(tmp_path)
    assert (await here.look(config)).ledger_key == ""
    signer(config.ledger_key_file, config.ledger.origin)
    assert (await here.look(config)).ledger_key == ""
    config.ledger_key_file.chmod(0o644)
    assert "chmod 600" in (await here.look(config)).ledger_key


def with_store(folder: Path) -> Config:
    config = settings(folder)
    return config.model_copy(update={"store": config.store.model_copy(update={"path": folder / "callguard.db"})})


async def test_a_store_that_is_no_database_is_not_taken_for_one_that_a_start_would_make(tmp_path: Path) -> None:
    (tmp_path / "callguard.db").write_bytes(b"no database" * 1_000)
    fault = (await here.look(with_store(tmp_path))).store
    assert fault is not None
    assert fault.kind is StoreIs.DAMAGED
    assert "file is not a database" in fault.what


async def test_a_store_of_somebody_else_is_closed_and_not_missing(open_folder: Path) -> None:
    """What `run` refuses, too: it cannot be read, or only read, or its folder cannot be entered."""
    config, file = with_store(open_folder), open_folder / "callguard.db"
    async with Store.open(file, gate=None, controllers={"acme": "Acme"}):
        pass
    assert (await here.look(config)).store is None
    for mode, folders in ((0o000, 0o777), (0o444, 0o777), (0o666, 0o555), (0o666, 0o000)):
        file.chmod(mode)
        open_folder.chmod(folders)
        with an_ordinary_user():
            fault = (await here.look(config)).store
        open_folder.chmod(0o777)
        assert fault is not None, (mode, folders)
        assert fault.kind is StoreIs.CLOSED, (mode, folders)


async def test_a_recordings_folder_that_is_closed_is_not_looked_at(open_folder: Path) -> None:
    config = settings(open_folder)
    folder = config.recording.folder.model_copy(update={"path_here": open_folder})
    config = config.model_copy(update={"recording": config.recording.model_copy(update={"folder": folder})})
    open_folder.chmod(0o000)
    with an_ordinary_user():
        found = (await here.look(config)).folder
    open_folder.chmod(0o777)
    assert found == Unknown(f"{open_folder} cannot be looked at: Permission denied")


async def test_what_an_earlier_look_left_in_the_recordings_folder_is_removed(tmp_path: Path) -> None:
    old, another, call = (tmp_path / f"{name}.wav" for name in (f"{TRIED}old", f"{TRIED}new", "call"))
    for file in (old, another, call):
        file.write_bytes(b"")
    for file in (old, call):
        os.utime(file, (1_000_000, 1_000_000))
    remove_left_over(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((another, call))
