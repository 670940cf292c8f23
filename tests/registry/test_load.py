"""A list as it is given out becomes the list in force: found in it is what was in it, whatever it looks like."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.dial_sections import Registry
from callguard.errors import InputError, SetupError
from callguard.registry import build as building
from callguard.registry import load as loading
from callguard.registry import source as sources
from callguard.registry.lines import AREA_NUMBER, CHUNK
from callguard.registry.load import load
from callguard.registry.number_set import SPAN, Head, NumberSet, is_bitmap
from tests.registry.generate import fictitious, nanp

NANP = Registry(format="nanp", country=("US",), max_age_days=31)
UK = Registry(format="e164", country=("GB",), max_age_days=28)
DAY = date(2026, 11, 20)
LISTED = fictitious(200)
LATE = 30.0
When: TypeAlias = tuple[int, int, int, int, int, int]


def take(
    path: Path, into: Path, registry: Registry = NANP, day: date | None = DAY, **options: Any
) -> tuple[Head, Head | None]:
    options.setdefault("force", False)
    options.setdefault("told", lambda *_: None)
    return load(path, into, "us", registry, day, **options)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "registries" / "us.numbers"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return text(tmp_path / "us.txt", nanp(LISTED))


def text(path: Path, lines: str | bytes) -> Path:
    path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    return path


def zipped(
    path: Path, content: str | bytes, *others: str, when: When = (2026, 11, 18, 6, 0, 0), more: str | bytes = "x"
) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("list.txt", content), *((other, more) for other in others)):
            member = zipfile.ZipInfo(name, when)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return path


def held(path: Path) -> set[str]:
    """Which of the fictitious numbers are in it."""
    with NumberSet.verified(path, "us") as numbers:
        return {one for one in fictitious(400) if one in numbers}


def refused(said: str, *arguments: Any, **options: Any) -> None:
    """One line that says this and no number, and the list in force is as it was, with nothing beside it."""
    into: Path = arguments[1]
    before = into.read_bytes() if into.exists() else None
    with pytest.raises(InputError) as error:
        take(*arguments, **options)
    line = str(error.value)
    assert said in line and line.startswith(str(arguments[0])) and "\n" not in line
    assert "5550" not in line
    assert (into.read_bytes() if into.exists() else None) == before
    assert not into.parent.exists() or [one.name for one in into.parent.iterdir()] == ([into.name] if before else [])


# What is taken


def test_what_is_in_the_list_is_found_and_nothing_else(listed: Path, into: Path) -> None:
    head, before = take(listed, into)
    assert (head.registry, head.numbers, head.list_date, before) == ("us", len(LISTED), DAY, None)
    assert abs(head.imported_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert held(into) == set(LISTED)
    assert into.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: lines.replace("\n", "\r\n"), id="lines as Windows ends them"),
        pytest.param(lambda lines: lines.rstrip("\n"), id="a last line without its end"),
        pytest.param(lambda lines: "\ufeff" + lines, id="a byte order mark"),
        pytest.param(lambda lines: lines + lines, id="everything twice"),
        pytest.param(lambda lines: lines.replace("\n", "\n\n", 3) + "\n\n", id="empty lines"),
    ],
)
def test_how_a_list_is_written_does_not_matter(tmp_path: Path, into: Path, change: Callable[[str], str]) -> None:
    head, _ = take(text(tmp_path / "us.txt", change(nanp(LISTED))), into)
    assert head.numbers == len(LISTED)
    assert held(into) == set(LISTED)


def test_an_archive_is_read_as_it_is_and_says_its_day(tmp_path: Path, into: Path) -> None:
    head, _ = take(zipped(tmp_path / "us.zip", nanp(LISTED)), into, day=None)
    assert head.list_date == date(2026, 11, 18)
    assert held(into) == set(LISTED)


def test_a_file_without_a_date_is_of_the_day_it_was_written(listed: Path, into: Path) -> None:
    noon = datetime(2026, 11, 19, 12).astimezone().timestamp()
    os.utime(listed, (noon, noon))
    assert take(listed, into, day=None)[0].list_date == date(2026, 11, 19)


def test_numbers_in_international_format(tmp_path: Path, into: Path) -> None:
    """Of any length, with and without plus. (+44 1632 960XXX and +44 7700 900XXX are kept for fiction.)"""
    take(text(tmp_path / "tps.txt", "+441632960001\n447700900002\r\n+44163296003\n"), into, UK)
    with NumberSet.verified(into, "us") as numbers:
        found = [f"+{one}" in numbers for one in (441632960001, 447700900002, 44163296003, 441632960002)]
    assert found == [True, True, True, False]


def test_a_list_longer_than_what_is_read_at_once(tmp_path: Path, into: Path) -> None:
    """More than one chunk; a prefix with so many that it becomes a bitmap, and one that only seems to have."""
    made = random.Random(1)
    suffixes = made.sample(range(SPAN), 400_000)
    sparse, dense = suffixes[:200_000], suffixes
    lines = "".join(f"201,{one:07}\n" for one in dense) + "".join(f"202,{one:07}\n" for one in sparse * 2)
    assert len(lines) > CHUNK
    assert is_bitmap(len(dense)) and not is_bitmap(len(sparse))
    head, _ = take(text(tmp_path / "us.txt", lines), into)
    assert head.numbers == 600_000
    looked_up = suffixes[150_000:250_000] + made.sample(range(SPAN), 50_000)
    wanted = {f"+1{area}{one:07}" for area, has in ((201, set(dense)), (202, set(sparse))) for one in has}
    with NumberSet.verified(into, "us") as numbers:
        for one in looked_up:
            for area in (201, 202, 203):
                number = f"+1{area}{one:07}"
                assert (number in numbers) == (number in wanted)
    assert into.stat().st_size < 1_250_000 + 4 * 200_000 + 1_000


british = st.text("0123456789", min_size=5, max_size=13).map(lambda digits: int(f"44{digits}"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(british, min_size=1, max_size=60), st.sets(british, max_size=60))
def test_a_list_answers_as_a_set_does(tmp_path: Path, listed: set[int], others: set[int]) -> None:
    into = tmp_path / "list.numbers"
    lines = [f"+{one}" for one in listed]
    head, _ = take(text(tmp_path / "uk.txt", "\n".join(lines)), into, UK, force=True)
    assert head.numbers == len(listed)
    with NumberSet.verified(into, "us") as numbers:
        assert {one for one in listed | others if f"+{one}" in numbers} == listed


def test_progress_is_told_to_its_end(listed: Path, into: Path) -> None:
    told: list[tuple[str, int, int]] = []
    take(listed, into, told=lambda *said: told.append(said))
    size = listed.stat().st_size
    assert told[0] == ("Reading", size, size)
    assert told[-1] == ("Writing", 100, 100)


# What is refused


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("201,555010", 3),
        ("201,55501000", 3),
        ("2015550100", 3),
        ("201;5550100", 3),
        ("201,5550100,2026-11-20,A", 3),
        ("201,555O100", 3),
        ("201, 550100", 3),
        ("101,5550100", 3),
        ("<row>", 3),
        ("٢٠١,5550100", 3),
        ("x" * 5_000, 3),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line_that_is_wrong_is_named(
    tmp_path: Path, listed: Path, into: Path, line: str, number: int, end: str
) -> None:
    take(listed, into)
    bad = text(tmp_path / "new.txt", f"201,5550101\n202,5550101\n{line}{end}")
    refused(f":{number}: {AREA_NUMBER}", bad, into, force=True)


def test_a_wrong_line_far_down_is_named_too(tmp_path: Path, into: Path) -> None:
    good = "201,5550101\n" * (CHUNK // 12 + 7)
    refused(f":{CHUNK // 12 + 9}: ", text(tmp_path / "new.txt", f"{good}\n201\n{good}"), into)


@pytest.mark.parametrize(
    "line", ["+33199000001", "01632960001", "+44 1632 960001", "+", "++441632960001", "44", "+" + "4" * 16]
)
def test_a_number_of_another_country_or_none_is_named(tmp_path: Path, into: Path, line: str) -> None:
    bad = text(tmp_path / "tps.txt", f"+441632960001\n{line}\n+441632960002")
    refused(":2: a number in international format is needed that begins with +44, and nothing", bad, into, UK)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_list_is_refused(tmp_path: Path, listed: Path, into: Path, content: str) -> None:
    take(listed, into)
    refused(": there is no number in it", text(tmp_path / "new.txt", content), into, force=True)


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    whole = zipped(tmp_path / "new.zip", nanp(LISTED)).read_bytes()
    for length in (4, 40, len(whole) // 2, len(whole) - 1):
        refused(": the archive is damaged or cut off", text(tmp_path / "new.zip", whole[:length]), into)


def test_an_archive_that_is_damaged_is_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    data = bytearray(zipped(tmp_path / "new.zip", nanp(LISTED)).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(8)
    with pytest.raises(InputError, match=r"damaged or cut off|three digits"):
        take(text(tmp_path / "new.zip", bytes(data)), into)
    assert held(into) == set(LISTED)


def test_an_archive_that_is_packed_in_an_unknown_way_is_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    # APPNOTE.TXT, 4.3.7 and 4.3.12: where the method stands in the file's own head, and in the directory's entry.
    data = bytearray(zipped(tmp_path / "new.zip", nanp(LISTED)).read_bytes())
    for method in (8, data.index(b"PK\x01\x02") + 10):
        data[method : method + 2] = (99).to_bytes(2, "little")
    refused(": the archive is packed in a way that is not known here", text(tmp_path / "new.zip", bytes(data)), into)


@pytest.mark.parametrize("change", [str.rstrip, "\ufeff{}".format, str, lambda lines: lines.replace("\n", "\r\n")])
def test_an_archive_of_several_files_is_one_list_of_the_oldests_day(
    tmp_path: Path, into: Path, change: Callable[[str], str]
) -> None:
    """As of a file for each area code; what macOS adds to an archive is no part of it."""
    parts = [change(nanp(LISTED[at::3])) for at in range(3)]
    archive = tmp_path / "us.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as whole:
        for at, part in enumerate(parts):
            whole.writestr(zipfile.ZipInfo(f"us/20{at}.TXT", (2026, 11, 18 + at, 6, 0, 0)), part)
        whole.writestr(zipfile.ZipInfo("us/empty.txt", (2026, 11, 20, 6, 0, 0)), "")
        whole.writestr("__MACOSX/us/._201.TXT", b"\0")
        whole.mkdir("us")
    head, _ = take(archive, into, day=None)
    assert (head.list_date, head.numbers) == (date(2026, 11, 18), len(LISTED))
    assert held(into) == set(LISTED)


def test_of_several_files_the_one_that_is_wrong_is_named_with_its_own_line(tmp_path: Path, into: Path) -> None:
    lines = nanp(LISTED)
    for more, line in (("read me\n", 1), (f"{lines}\n\nx", len(LISTED) + 3), (lines + "x" * 5_000, len(LISTED) + 1)):
        made = zipped(tmp_path / "new.zip", lines.rstrip("\n"), "z.txt", more=more)
        refused(f"new.zip, z.txt:{line}: three digits", made, into)
    refused("new.zip, a.txt:1: three digits", zipped(made, lines, "a.txt", "z.txt"), into)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (("readme.pdf",), "files of several kinds (.pdf, .txt): leave those"),
        (("readme",), "files of several kinds (.txt, no ending): leave those"),
        (tuple(f"{at}.txt" for at in range(1_000)), "more than 1000 files"),
    ],
)
def test_an_archive_of_what_is_no_one_list_is_refused(
    tmp_path: Path, into: Path, others: tuple[str, ...], said: str
) -> None:
    refused(said, zipped(tmp_path / "new.zip", nanp(LISTED), *others), into)


def test_where_their_order_counts_several_files_are_refused(tmp_path: Path) -> None:
    """A change file, and answers about numbers: what a later line says would have to be known."""
    with (
        pytest.raises(InputError, match=r"new\.zip: an archive with one file is needed here, not 2"),
        sources.opened(zipped(tmp_path / "new.zip", nanp(LISTED), "b.txt")),
    ):
        pass


def test_an_archive_without_a_file_is_refused(tmp_path: Path, into: Path) -> None:
    made = tmp_path / "new.zip"
    with zipfile.ZipFile(made, "w") as archive:
        archive.mkdir("us")
    refused("there is no file in the archive", made, into)


def test_several_files_of_xml_are_refused(tmp_path: Path, into: Path) -> None:
    xml = "<list><ac val='201'><ph val='5550123'/></ac></list>"
    refused("XML is read from one file", zipped(tmp_path / "new.zip", xml, "b.txt", more=xml), into)


def test_a_bomb_among_several_files_is_found(tmp_path: Path, into: Path) -> None:
    made = zipped(tmp_path / "new.zip", nanp(LISTED), "b.txt", more=bytes(20_000_000))
    refused("that is no list", made, into)


def test_entries_that_share_what_is_packed_are_found(tmp_path: Path, into: Path) -> None:
    """Each entry of the directory names the same data, which lies in the archive once."""
    made = zipped(tmp_path / "new.zip", nanp(Random(1).choices(LISTED, k=2_000)))
    with zipfile.ZipFile(made) as archive:
        (one,) = archive.infolist()
        assert one.file_size < one.compress_size * sources.MOST_PACKED / 2
    data = made.read_bytes()
    at, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry, many = data[at:end], 400
    # APPNOTE.TXT, 4.3.16: how many entries there are, and how long they are together.
    tail = bytearray(data[end:])
    for place, size, value in ((8, 2, many), (10, 2, many), (12, 4, many * len(entry))):
        tail[place : place + size] = value.to_bytes(size, "little")
    refused("that is no list", text(made, data[:at] + entry * many + bytes(tail)), into)


def test_a_zip_bomb_is_refused_unread(tmp_path: Path, into: Path) -> None:
    refused("would unpack to 20000000: that is no list", zipped(tmp_path / "new.zip", bytes(20_000_000)), into)


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    # APPNOTE.TXT, 4.4.9: where the size that it unpacks to stands, in both heads.
    data = bytearray(zipped(tmp_path / "new.zip", nanp(LISTED)).read_bytes())
    for size in (22, data.index(b"PK\x01\x02") + 24):
        data[size : size + 4] = (12 * 10).to_bytes(4, "little")
    refused(": the archive is damaged or cut off", text(tmp_path / "new.zip", bytes(data)), into, force=True)


@pytest.mark.parametrize("name", ["new.txt", "new.zip"])
def test_what_is_larger_than_any_list_is_refused(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sources, "LARGEST", 2_000)
    made = (zipped if name.endswith("zip") else text)(tmp_path / name, nanp(LISTED))
    refused("no list of numbers" if name.endswith("zip") else "larger than any list", made, into)


def test_an_archive_with_a_password_is_refused(tmp_path: Path, into: Path) -> None:
    data = bytearray(zipped(tmp_path / "new.zip", nanp(LISTED)).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused("asks for a password", text(tmp_path / "new.zip", bytes(data)), into)


def test_an_archive_that_says_no_day_needs_one(tmp_path: Path, into: Path) -> None:
    undated = zipped(tmp_path / "new.zip", nanp(LISTED), when=(1980, 1, 1, 0, 0, 0))
    refused("does not say of which day it is: give --date", undated, into, day=None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, into: Path) -> None:
    refused("cannot be read: No such file", tmp_path / "nothing.txt", into)
    refused("cannot be read: Is a directory", tmp_path, into)


def test_a_list_of_a_day_to_come_is_refused(listed: Path, into: Path) -> None:
    refused("is yet to come", listed, into, day=datetime.now(UTC).date() + timedelta(days=2))


def test_an_older_list_is_taken_only_by_force(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    older = text(tmp_path / "old.txt", nanp(LISTED[:150]))
    refused(
        "the list is of 2026-11-19, older than the one in force, of 2026-11-20", older, into, day=date(2026, 11, 19)
    )
    head, before = take(older, into, day=date(2026, 11, 19), force=True)
    assert before is not None
    assert (head.numbers, before.numbers) == (150, 200)


def test_less_than_half_of_a_list_is_taken_only_by_force(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    half = text(tmp_path / "half.txt", nanp(LISTED[:99]))
    refused("it has 99 numbers, less than half of the 200 in force", half, into)
    assert take(half, into, force=True)[0].numbers == 99


def test_what_is_in_force_and_cannot_be_read_is_replaced(listed: Path, into: Path) -> None:
    into.parent.mkdir()
    into.write_bytes(b"nonsense")
    assert take(listed, into)[1] is None
    assert held(into) == set(LISTED)


# What goes wrong on the way


@pytest.mark.parametrize("sync", ["fdatasync", "fsync"])
def test_a_disk_that_is_full_leaves_the_list_in_force(
    listed: Path, into: Path, monkeypatch: pytest.MonkeyPatch, sync: str
) -> None:
    """A list goes through to the disk in parts, and then as a whole."""
    monkeypatch.setattr(building, "SYNCED_TOGETHER", 1)
    take(listed, into)
    before = into.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, sync, full)
    with pytest.raises(SetupError, match="registries cannot be written to: No space left on device"):
        take(listed, into)
    assert into.read_bytes() == before
    assert list(into.parent.iterdir()) == [into]


def test_two_imports_at_once_do_not_mix(listed: Path, into: Path) -> None:
    into.parent.mkdir()
    with loading._scratch(into.parent), pytest.raises(SetupError, match=r"another import into .* is going on"):
        take(listed, into)
    take(listed, into)
    assert held(into) == set(LISTED)


IMPORTS = """
import sys
from datetime import date
from pathlib import Path
from callguard.registry.load import load
from callguard.dial_sections import Registry
path, into = map(Path, sys.argv[1:])
us = Registry(format="nanp", country="US", max_age_days=31)
load(path, into, "us", us, date(2026, 11, 21), force=True, told=lambda *_: print("reads", flush=True))
"""


def test_an_import_that_is_killed_leaves_the_list_in_force(tmp_path: Path, listed: Path, into: Path) -> None:
    """A pipe that never ends holds it in the middle: some numbers are read, and more are waited for."""
    take(listed, into)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        subprocess.Popen([sys.executable, "-c", IMPORTS, str(pipe), str(into)], stdout=subprocess.PIPE) as importing,
        pipe.open("wb") as writing,
    ):
        writing.write(b"201,5550199\n" * (CHUNK // 12 + 1))
        writing.flush()
        assert importing.stdout is not None
        assert importing.stdout.readline() == b"reads\n"
        importing.send_signal(signal.SIGKILL)
        assert importing.wait(LATE) == -signal.SIGKILL
    assert (into.parent / ".importing").is_dir()
    assert held(into) == set(LISTED)
    take(listed, into)
    assert list(into.parent.iterdir()) == [into]


# A list that is read while others are written


def test_who_has_a_list_open_keeps_it(tmp_path: Path, listed: Path, into: Path) -> None:
    take(listed, into)
    with NumberSet.verified(into, "us") as before:
        take(text(tmp_path / "new.txt", nanp(fictitious(400)[200:])), into)
        assert {one for one in fictitious(400) if one in before} == set(LISTED)
    assert held(into) == set(fictitious(400)[200:])


# A list that was damaged since


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda data: b"", "is no list of numbers that callguard has made", id="empty"),
        pytest.param(lambda data: b"SQLite format 3\0" * 100, "is no list of numbers", id="foreign"),
        pytest.param(lambda data: data[:60], "is cut off", id="cut in its head"),
        pytest.param(lambda data: data[:-1], "is cut off", id="cut at its end"),
        pytest.param(lambda data: data + b"\0", "is cut off", id="longer"),
        pytest.param(lambda data: data[:60] + b"\xff" + data[61:], "is damaged at its beginning", id="its head"),
        pytest.param(
            lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "is damaged: import", id="its body"
        ),
        pytest.param(lambda data: data[:8] + b"\2" + data[9:], "of another callguard (version 2, not 1)", id="version"),
    ],
)
def test_a_damaged_list_is_refused(listed: Path, into: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    take(listed, into)
    into.write_bytes(damage(into.read_bytes()))
    with pytest.raises(InputError) as error:
        NumberSet.verified(into, "us")
    assert str(error.value).startswith(f"{into}: ") and said in str(error.value)


def test_the_list_of_another_registry_is_refused(listed: Path, into: Path) -> None:
    take(listed, into)
    with pytest.raises(InputError, match="is the list of us, not of ca"):
        NumberSet.verified(into, "ca")


def test_a_list_cut_short_under_its_reader_is_no_crash(listed: Path, into: Path) -> None:
    take(listed, into)
    with NumberSet.verified(into, "us") as numbers:
        os.truncate(into, 130)
        with pytest.raises(InputError, match="is cut off"):
            _ = LISTED[100] in numbers
