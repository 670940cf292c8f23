"""Files are written together, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callguard.errors import SetupError
from callguard.setup.write import File, Owned, write_all
from tests.setup.conftest import contents


def test_a_file_has_its_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_all([File(tmp_path / "new" / "a", b"x", Owned(0o640))], [(tmp_path / "new", Owned(0o2770))])
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "a").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o2770


def test_a_folder_that_was_closed_is_opened_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o750)
    write_all([], [(tmp_path / "closed", Owned(0o755))])
    assert (tmp_path / "closed").stat().st_mode & 0o7777 == 0o751


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("real")
    write_all([File(tmp_path / "link", b"new", Owned(0o644))])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_where_one_cannot_be_written_all_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old", encoding="utf-8")
    (tmp_path / "old").chmod(0o604)
    (tmp_path / "taken").mkdir()
    before = contents(tmp_path)
    files = [File(tmp_path / name, b"new", Owned(0o644)) for name in ("old", "fresh/new", "taken")]
    with pytest.raises(SetupError, match="taken cannot be written, and nothing is changed"):
        write_all(files, [(tmp_path / "fresh", Owned(0o755))])
    assert contents(tmp_path) == before
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o604
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old", "taken"]


def test_a_file_where_a_folder_is_to_be_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "recordings"
    file.touch(0o640)
    with pytest.raises(SetupError, match="recordings cannot be written, and nothing is changed: it is no folder"):
        write_all([], [(tmp_path / "made", Owned(0o755)), (file, Owned(0o2770))])
    assert file.stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "made").exists()
