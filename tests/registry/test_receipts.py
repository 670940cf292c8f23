"""What a registry answered about submitted numbers: by whom, about which, as of when; and nothing by halves."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.dial_sections import Registry
from callguard.errors import InputError
from callguard.registry import receipt as receiving
from callguard.registry.receipt import Received, receive
from callguard.registry.receipts import HEAD_BYTES, Receipts, Screened
from tests.registry.test_load import text, zipped

# AGCOM keeps no numbers for fiction: these are too short to be anybody's.
NUMBERS = [f"+3906999{one:03}" for one in range(100)]
RPO = Registry.model_validate({"mode": "scrub", "country": "IT", "max_age_days": 15})
DAY = date(2026, 11, 20)
LATER = DAY + timedelta(days=3)
NAMES = ("rpo", "acme")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "registries" / "rpo.acme.receipts"


def marked(listed: list[str], may: list[str]) -> str:
    return "".join(f"{one},listed\n" for one in listed) + "".join(f"{one},callable\n" for one in may)


def take(path: Path, into: Path, day: date = DAY, **options: Any) -> Received:
    options = {"submitted": None, "callable_": False, "force": False, "told": lambda *_: None, **options}
    return receive(path, into, NAMES, RPO, day, **options)


def answers(into: Path) -> dict[str, Screened | None]:
    with Receipts(into, *NAMES) as receipts:
        return {one: receipts.answer(one) for one in NUMBERS}


def refused(said: str, path: Path, into: Path, **options: Any) -> None:
    before = into.read_bytes() if into.exists() else None
    with pytest.raises(InputError) as error:
        take(path, into, **options)
    line = str(error.value)
    assert said in line and "\n" not in line and "06999" not in line
    assert (into.read_bytes() if into.exists() else None) == before
    assert not into.parent.exists() or [one.name for one in into.parent.iterdir()] == (
        [] if before is None else [into.name]
    )


def expected(listed: list[str], may: list[str], day: date = DAY) -> dict[str, Screened | None]:
    said = {one: Screened(day, True) for one in listed} | {one: Screened(day, False) for one in may}
    return {one: said.get(one) for one in NUMBERS}


@pytest.mark.parametrize("way", ["marked", "listed of submitted", "callable of submitted", "zipped"])
def test_what_was_answered_is_known_and_nothing_else(tmp_path: Path, into: Path, way: str) -> None:
    listed, may = NUMBERS[:20], NUMBERS[20:60]
    submitted = text(tmp_path / "submitted.txt", "\n".join(listed + may).replace("+", ""))
    options: dict[str, Any] = {} if way in ("marked", "zipped") else {"submitted": submitted}
    if way == "zipped":
        path = zipped(tmp_path / "answer.zip", marked(listed, may).replace("\n", "\r\n"))
    elif way == "marked":
        path = text(tmp_path / "answer.txt", marked(listed + listed, may))
    else:
        path = text(tmp_path / "answer.txt", "\n".join(listed if way.startswith("listed") else may))
        options["callable_"] = way.startswith("callable")
    received = take(path, into, **options)
    assert (received.submitted, received.listed) == (60, 20)
    assert (received.head.numbers, received.head.listed, received.head.list_date) == (60, 20, DAY)
    assert answers(into) == expected(listed, may)
    assert into.stat().st_mode & 0o777 == 0o640


def test_the_latest_answer_about_a_number_counts_in_whatever_order_they_come(tmp_path: Path, into: Path) -> None:
    take(text(tmp_path / "new.txt", marked(NUMBERS[:2], NUMBERS[2:4])), into, LATER)
    received = take(text(tmp_path / "old.txt", marked(NUMBERS[2:6], NUMBERS[:2])), into, DAY)
    assert (received.head.numbers, received.head.list_date) == (6, LATER)
    assert answers(into) == expected(NUMBERS[:2], NUMBERS[2:4], LATER) | {
        one: Screened(DAY, True) for one in NUMBERS[4:6]
    }


def test_of_two_answers_of_a_day_the_stricter_counts(tmp_path: Path, into: Path) -> None:
    take(text(tmp_path / "one.txt", marked(NUMBERS[:1], NUMBERS[1:2])), into)
    take(text(tmp_path / "two.txt", marked(NUMBERS[1:2], NUMBERS[:1])), into)
    assert answers(into) == expected(NUMBERS[:2], [])


def test_what_was_answered_long_ago_is_forgotten(tmp_path: Path, into: Path) -> None:
    long_ago = DAY - timedelta(days=RPO.max_age_days + receiving.FORGOTTEN_AFTER_DAYS + 1)
    take(text(tmp_path / "old.txt", marked(NUMBERS[:1], NUMBERS[1:2])), into, long_ago)
    take(text(tmp_path / "new.txt", marked(NUMBERS[2:3], NUMBERS[3:4])), into, DAY)
    assert answers(into) == expected(NUMBERS[2:3], NUMBERS[3:4])


receipt = st.tuples(st.integers(0, 30), st.dictionaries(st.sampled_from(NUMBERS[:20]), st.booleans(), min_size=1))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(receipt, min_size=1, max_size=5))
def test_receipts_answer_as_a_table_does(tmp_path: Path, given: list[tuple[int, dict[str, bool]]]) -> None:
    into = tmp_path / "some.receipts"
    into.unlink(missing_ok=True)
    table: dict[str, tuple[date, bool]] = {}
    for days, said in given:
        day = DAY - timedelta(days=days)
        listed = [one for one, is_listed in said.items() if is_listed]
        path = text(tmp_path / "answer.txt", marked(listed, [one for one in said if one not in listed]))
        take(path, into, day, force=True)
        for one, is_listed in said.items():
            table[one] = max(table.get(one, (day, is_listed)), (day, is_listed))
    assert answers(into) == {one: Screened(*table[one]) if one in table else None for one in NUMBERS}


@pytest.mark.parametrize(
    "line", ["+390699", "+390699900,yes", "+390699900", ",listed", "listed", "+33199000001,listed", "0699900,listed"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line_that_is_wrong_is_named(tmp_path: Path, into: Path, line: str, end: str) -> None:
    take(text(tmp_path / "one.txt", marked(NUMBERS[:1], [])), into)
    refused(":2: a number in international", text(tmp_path / "x", f"{NUMBERS[0]},listed\n{line}{end}"), into)


def test_an_answer_that_contradicts_itself_or_what_was_submitted_is_refused(tmp_path: Path, into: Path) -> None:
    both = text(tmp_path / "both.txt", marked(NUMBERS[:2], NUMBERS[1:3]))
    refused("both.txt:3: says that a number may be called, and another line that it is listed", both, into)
    later = text(tmp_path / "later.txt", f"\n{NUMBERS[0]},callable\r\n\n{NUMBERS[1]},callable\n{NUMBERS[1]},listed")
    refused("later.txt:4: says that a number may be called", later, into)
    submitted = text(tmp_path / "submitted.txt", "\n".join(NUMBERS[:10]))
    other = text(tmp_path / "other.txt", "\n".join(NUMBERS[8:13]))
    refused("3 of its 5 numbers were not submitted", other, into, submitted=submitted)
    refused("yet to come", both, into, day=datetime.now(UTC).date() + timedelta(days=2))


def test_that_nobody_is_listed_is_believed_only_by_force(tmp_path: Path, into: Path) -> None:
    """An answer that was not fetched well is an empty file, too."""
    submitted, empty = text(tmp_path / "submitted.txt", "\n".join(NUMBERS[:3])), text(tmp_path / "empty.txt", "")
    refused("says that none of the numbers is listed", empty, into, submitted=submitted)
    refused("there is no number in it", empty, into, submitted=empty)
    refused("there is no number in it", empty, into)
    refused("says that none of", text(tmp_path / "x", marked([], NUMBERS[:2])), into)
    assert take(empty, into, submitted=submitted, force=True).listed == 0
    assert take(empty, into, submitted=submitted, callable_=True).listed == 3


def test_more_numbers_than_fit_are_refused(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MOST_NUMBERS", 5)
    refused("more than 5 numbers: submit fewer", text(tmp_path / "x", marked(NUMBERS[:6], [])), into)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda data: b"", "is no file of receipts", id="empty"),
        pytest.param(lambda data: data[:60], "is cut off", id="cut in its head"),
        pytest.param(lambda data: data[:-1], "is cut off", id="cut at its end"),
        pytest.param(lambda data: data[:60] + b"\xff" + data[61:], "is damaged at its beginning", id="its head"),
        pytest.param(lambda data: data[:-3] + b"\xff" + data[-2:], "is damaged: move it away", id="its body"),
        pytest.param(lambda data: data[:8] + b"\2" + data[9:], "of another callguard (version 2", id="version"),
    ],
)
def test_damaged_receipts_are_refused_and_nothing_is_added(
    tmp_path: Path, into: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    path = text(tmp_path / "one.txt", marked(NUMBERS[:5], NUMBERS[5:9]))
    take(path, into)
    into.write_bytes(damage(into.read_bytes()))
    refused(said, path, into)


def test_receipts_of_others_are_refused(tmp_path: Path, into: Path) -> None:
    take(text(tmp_path / "one.txt", marked(NUMBERS[:5], [])), into)
    with pytest.raises(InputError, match="is that of rpo and acme, not of rpo and other"):
        Receipts(into, "rpo", "other")
    with pytest.raises(InputError, match="there is no receipt yet: callguard registry receipt"):
        Receipts(into.with_name("nothing"), "rpo", "other")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Receipts(tmp_path, "rpo", "acme")


def test_receipts_cut_short_under_their_reader_are_no_crash(tmp_path: Path, into: Path) -> None:
    take(text(tmp_path / "one.txt", marked(NUMBERS, [])), into)
    with Receipts(into, *NAMES) as receipts:
        os.truncate(into, HEAD_BYTES + 8)
        with pytest.raises(InputError, match="is cut off"):
            receipts.answer(NUMBERS[70])
