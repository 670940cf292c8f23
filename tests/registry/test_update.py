"""A change file makes the list what it would have been, whole or not at all, while it is asked."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.dial_sections import Registry
from callguard.errors import InputError
from callguard.registry import load as loading
from callguard.registry.load import update
from callguard.registry.merge import Changes
from callguard.registry.number_set import HEAD_BYTES, SPAN, NumberSet, is_bitmap
from tests.registry.generate import fictitious, nanp
from tests.registry.test_load import DAY, LISTED, NANP, UK, held, into, listed, take, text, zipped

__all__ = ["into", "listed"]

NEXT = DAY + timedelta(days=1)
OTHERS = fictitious(400)[200:]


def change(
    path: Path, into: Path, registry: Registry = NANP, day: date | None = NEXT, since: date | None = None
) -> Changes:
    head, before, counted = update(path, into, "us", registry, day, since, lambda *_: None)
    assert head.list_date > before.list_date
    assert head.numbers == before.numbers + counted.added - counted.deleted
    return counted


def refused(said: str, path: Path, into: Path, *arguments: Any) -> None:
    before = into.read_bytes()
    with pytest.raises(InputError) as error:
        change(path, into, *arguments)
    line = str(error.value)
    assert said in line and line.startswith(str(path)) and "\n" not in line and "5550" not in line
    assert into.read_bytes() == before
    assert [one.name for one in into.parent.iterdir()] == [into.name]


def columns(numbers: list[str], kind: str) -> str:
    """As the United States' change list is said to be."""
    return "".join(f"{line},2026-11-21,{kind}\n" for line in nanp(numbers).split())


def signed(numbers: list[str], sign: str) -> str:
    return "".join(f"{sign}{line}\n" for line in nanp(numbers).split())


@pytest.mark.parametrize("way", ["columns", "signs", "both, zipped"])
def test_what_was_added_and_deleted_since_is_so_afterwards(tmp_path: Path, listed: Path, into: Path, way: str) -> None:
    take(listed, into)
    more, less = OTHERS[:50], LISTED[:30]
    lines = {
        "columns": columns(more, "A") + columns(less, "D"),
        "signs": signed(more, "+") + signed(less, "-"),
        "both, zipped": columns(more, "A") + signed(less, "-").replace("\n", "\r\n"),
    }[way]
    made = zipped if "zip" in way else text
    counted = change(made(tmp_path / "changes", lines), into)
    assert counted == Changes(added=50, deleted=30)
    assert held(into) == {*LISTED, *more} - set(less)


def test_what_is_there_already_or_is_not_is_counted(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    lines = signed(LISTED[:3], "+") + signed(OTHERS[:2], "-") + signed(OTHERS[5:9], "+")
    assert change(text(tmp_path / "changes", lines), into) == Changes(added=4, there=3, not_there=2)


def test_of_several_lines_about_a_number_the_last_counts(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    lines = signed(OTHERS[:1], "+") + signed(LISTED[:1], "-") + signed(OTHERS[:1], "-") + signed(LISTED[:1], "+")
    counted = change(text(tmp_path / "changes", lines), into)
    assert counted == Changes(there=1, not_there=1, repeated=2)
    assert counted.lines == 4
    assert held(into) == set(LISTED)


def test_international_numbers_have_a_sign_before_them(tmp_path: Path, into: Path) -> None:
    take(text(tmp_path / "tps.txt", "+441632960001\n+441632960002\n"), into, UK)
    change(text(tmp_path / "changes", "-441632960001\n+447700900003\n++447700900004\n-+441632960009\n"), into, UK)
    with NumberSet.verified(into, "us") as numbers:
        found = [f"+{one}" in numbers for one in (441632960001, 441632960002, 447700900003, 447700900004)]
    assert found == [False, True, True, True]


def test_a_prefix_may_become_a_bitmap_and_stop_being_one(tmp_path: Path, into: Path) -> None:
    """And is then, byte for byte, what a whole list of the same numbers would be."""
    made = random.Random(2)
    suffixes = made.sample(range(SPAN), 320_000)
    first, more, less = suffixes[:310_000], suffixes[310_000:], suffixes[:15_000]
    assert not is_bitmap(len(first)) and is_bitmap(len(suffixes)) and not is_bitmap(len(suffixes) - len(less))

    def lines(some: list[int], sign: str = "") -> str:
        return "".join(f"{sign}201,{one:07}\n" for one in some) + f"{sign}203,5550100\n"

    take(text(tmp_path / "us.txt", lines(first)), into)
    for day, signs, left in (
        (NEXT, lines(more, "+"), suffixes),
        (NEXT + timedelta(days=1), lines(less, "-"), suffixes[15_000:]),
    ):
        change(text(tmp_path / "changes", signs), into, NANP, day)
        changed = into.read_bytes()
        whole = "".join(f"201,{one:07}\n" for one in left) + ("203,5550100\n" if day == NEXT else "")
        take(text(tmp_path / "us.txt", whole), into, day=day)
        # Blocks may lie in another order; with one or two prefixes they do not.
        assert into.read_bytes()[HEAD_BYTES:] == changed[HEAD_BYTES:]


suffix = st.integers(0, 30).map(lambda one: f"+1{201 + one % 3}55501{one:02}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(suffix, min_size=1), st.lists(st.tuples(st.booleans(), suffix), min_size=1, max_size=40))
def test_a_changed_list_answers_as_a_changed_set_does(
    tmp_path: Path, first: set[str], changes: list[tuple[bool, str]]
) -> None:
    into = tmp_path / "list.numbers"
    always = fictitious(100)
    take(text(tmp_path / "us.txt", nanp([*first, *always])), into, force=True)
    expected = {*first, *always}
    lines = ""
    for adds, number in changes:
        lines += signed([number], "+" if adds else "-")
        (expected.add if adds else expected.discard)(number)
    counted = change(text(tmp_path / "changes", lines), into)
    assert counted.lines == len(changes)
    with NumberSet.verified(into, "us") as numbers:
        assert {one for one in expected | first if one in numbers} == expected


@pytest.mark.parametrize(
    "line",
    [
        "201,5550100",
        "*201,5550100",
        "+201,555010",
        "+",
        "-",
        "+-201,5550100",
        "201,5550100,",
        "201,5550100,A,2026-11-21",
        "201,5550100,2026-11-21,C",
        "201,5550100,2026-11-21A",
        "201,5550100A,A",
        "2015550100,2026-11-21,A",
        "<list type='change'>",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line_that_is_wrong_is_named(tmp_path: Path, listed: Path, into: Path, line: str, end: str) -> None:
    take(listed, into)
    refused(":3: + or -, and then three", text(tmp_path / "changes", f"+201,5550100\n\n{line}{end}"), into)


@pytest.mark.parametrize("line", ["441632960001", "-33199000001", "+", "+441632960001,A"])
def test_a_change_of_another_countrys_number_is_named(tmp_path: Path, into: Path, line: str) -> None:
    take(text(tmp_path / "tps.txt", "+441632960001\n"), into, UK)
    refused(":2: + or -, and then a number in", text(tmp_path / "changes", f"+441632960002\n{line}\n"), into, UK)


def test_days_have_to_follow_one_another(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    changes = text(tmp_path / "changes", signed(OTHERS, "+"))
    for day in (DAY, DAY - timedelta(days=1)):
        refused(f": the change file is of {day}, and the list in force of {DAY} already", changes, into, NANP, day)
    refused(": it changes the list of 2026-11-19, and the one", changes, into, NANP, NEXT, date(2026, 11, 19))
    refused(" is yet to come", changes, into, NANP, date(2126, 1, 1))
    change(changes, into, NANP, NEXT, DAY)
    refused(f": the change file is of {NEXT}, and", changes, into, NANP, NEXT)


@pytest.mark.parametrize("content", ["", "\n"])
def test_a_change_file_without_changes_is_refused(tmp_path: Path, listed: Path, into: Path, content: str) -> None:
    take(listed, into)
    refused(": there is no number in it", text(tmp_path / "changes", content), into)


def test_what_would_leave_little_of_a_list_is_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    refused(": it would leave 99 of 200", text(tmp_path / "changes", signed(LISTED[:101], "-")), into)


def test_more_changes_than_a_list_would_have_are_refused(
    tmp_path: Path, listed: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(listed, into)
    monkeypatch.setattr(loading, "MOST_CHANGES", 10)
    refused(": more than 10 changes: import", text(tmp_path / "changes", signed(OTHERS[:11], "+")), into)


def test_changes_in_xml_or_cut_off_are_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    refused(": change files in XML are not known", text(tmp_path / "changes", "<list type='change'/>"), into)
    whole = zipped(tmp_path / "changes", signed(OTHERS, "+")).read_bytes()
    refused(": the archive is damaged or cut off", text(tmp_path / "changes", whole[: len(whole) // 2]), into)


def test_nothing_is_made_of_a_list_that_is_damaged_or_missing(tmp_path: Path, listed: Path, into: Path) -> None:
    changes = text(tmp_path / "changes", signed(OTHERS, "+"))
    with pytest.raises(InputError, match="there is no list yet: callguard registry import"):
        change(changes, into)
    take(listed, into)
    data = bytearray(into.read_bytes())
    data[HEAD_BYTES + 5] ^= 1
    into.write_bytes(data)
    with pytest.raises(InputError, match="is damaged: import the list again"):
        change(changes, into)
    assert into.read_bytes() == data


def test_who_has_a_list_open_keeps_it_while_it_is_changed(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    with NumberSet.verified(into, "us") as before:
        change(text(tmp_path / "changes", signed(OTHERS, "+") + signed(LISTED[:50], "-")), into)
        assert {one for one in fictitious(400) if one in before} == set(LISTED)
    assert held(into) == {*OTHERS, *LISTED[50:]}
