"""Asterisk's files are read as Asterisk reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.setup.conf import Reader, uncommented


def reader(tmp_path: Path, **files: str) -> Reader:
    for name, text in files.items():
        (tmp_path / f"{name}.conf").write_text(text, encoding="utf-8")
    return Reader(tmp_path)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("enabled = yes ; really", ["enabled = yes "]),
        ("a = 1\\;2 ; three", ["a = 1\\;2 "]),
        ("a = 1\n;-- b = 2\nc = 3\n--; d = 4", ["a = 1", "", "", " d = 4"]),
        (";--- no block\na = 1", ["", "a = 1"]),
        (";-- one ;-- two --; still --; a = 1", [" a = 1"]),
    ],
)
def test_comments_are_left_out(text: str, left: list[str]) -> None:
    assert uncommented(text) == (left, False)


def test_a_comment_that_is_not_closed_is_seen() -> None:
    assert uncommented("a = 1\n;-- the rest")[1]


def test_a_setting_is_found_where_it_stands(tmp_path: Path) -> None:
    found = reader(tmp_path, http="[general]\nservername=x\nbindaddr => 127.0.0.1 ; here\n").value(
        "http.conf", "general", "bindaddr"
    )
    assert found is not None
    assert (found.file.name, found.line, found.value) == ("http.conf", 3, "127.0.0.1")


def test_the_last_of_two_settings_counts(tmp_path: Path) -> None:
    found = reader(tmp_path, http="[general]\nenabled=no\n[other]\nenabled=no\n[general]\nEnabled=yes\n").value(
        "http.conf", "general", "enabled"
    )
    assert found is not None
    assert found.value == "yes"


def test_included_files_are_read_in_the_section_they_stand_in(tmp_path: Path) -> None:
    more = tmp_path / "more.d"
    more.mkdir()
    (more / "1.conf").write_text("a = 1\n[next]\n", encoding="utf-8")
    read = reader(tmp_path, x='[first]\n#include "more.d/*.conf"\nb = 2\n#tryinclude nowhere.conf\n')
    assert [(each.section, each.name) for each in read.entries("x.conf") if each.name] == [
        ("first", "a"),
        ("next", "b"),
    ]


def test_an_absolute_path_begins_at_asterisks_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "other.conf").write_text("[there]\na = 1\n", encoding="utf-8")
    (tmp_path / "etc" / "x.conf").write_text("#include /other.conf\n", encoding="utf-8")
    assert [each.section for each in Reader(tmp_path / "etc", tmp_path).entries("x.conf")] == ["there", "there"]


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    assert reader(tmp_path, x="a = 1\n#include x.conf\n").entries("x.conf")


def test_a_template_is_no_section(tmp_path: Path) -> None:
    (only,) = [each for each in reader(tmp_path, x="[phones](!)\na = 1\n").entries("x.conf") if each.name]
    assert only.section == ""
