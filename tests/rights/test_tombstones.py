"""Who was erased stands in a file beside the store: whole lines alone count, and what is no note is named."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callguard.errors import InputError, SetupError
from callguard.rights.tombstones import Tombstone, note, read
from callguard.store.right_records import ProofKept

AT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ONE = Tombstone("one", "acme", AT)
OTHER = Tombstone("other", "zeta", AT, ProofKept("de.proof: UWG §7a", AT + timedelta(days=1_826)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "erasures.jsonl"


def test_what_is_noted_is_read_each_subject_once_and_by_its_owner_alone(file: Path) -> None:
    assert read(file) == ()
    for one in (ONE, OTHER, ONE):
        note(file, one)
    assert read(file) == (ONE, OTHER)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().splitlines()) == 3


def test_a_line_that_was_broken_off_was_never_noted_and_the_next_takes_its_place(file: Path) -> None:
    note(file, ONE)
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole + whole[:length])
        assert read(file) == (ONE,)
    note(file, OTHER)
    assert read(file) == (ONE, OTHER)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "1", '{"subject":"one"}', '{"subject":1,"controller":"acme","at":"2026-11-23T04:00:00+00:00"}',
     '{"subject":"one","controller":"acme","at":"2026-11-23T04:00:00"}', '{"subject":"one","controller":"acme","at":7}',
     '{"subject":"one","controller":"acme","at":"2026-11-23T04:00:00+00:00","proof":{"why":"x"}}'],
)  # fmt: skip
def test_what_is_no_note_is_named_by_file_and_line(file: Path, line: str) -> None:
    note(file, ONE)
    with file.open("a") as out:
        out.write(f"{line}\n")
    with pytest.raises(InputError, match=rf"{file}:2: is no note of an erasure"):
        read(file)


def test_where_it_cannot_be_written_that_is_said(file: Path) -> None:
    file.mkdir()
    with pytest.raises(SetupError, match="nothing is erased"):
        note(file, ONE)
    with pytest.raises(InputError, match="cannot be read"):
        read(file)


def test_a_note_is_on_the_disk_before_anybody_goes_on(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    note(file, ONE)
    assert sizes[0] == file.stat().st_size and len(sizes) == 2  # the file, and the folder that names it


def test_many_who_note_at_once_lose_no_line(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: note(file, Tombstone(f"s{number}", "acme", AT)), range(64)))
    assert {one.subject_id for one in read(file)} == {f"s{number}" for number in range(64)}
