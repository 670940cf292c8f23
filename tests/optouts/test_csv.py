"""``callguard optout import`` and ``export``: whole or not at all, each bad line named, and what goes out comes in."""

from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.cli import csv_files, optout_files
from callguard.cli.optout_csv import Lines, lines, row, writer
from callguard.core.decide import Scope
from callguard.store.dial_records import NewOptOut, StoredOptOut
from tests.optouts.conftest import NUMBER, Done, Run, bad, listed

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def read(data: bytes, region: str | None = "ES") -> tuple[list[NewOptOut], list[str]]:
    """What a file says, and what is wrong with it."""
    *_, found = Lines(), *lines(data, "list.csv", region, NOW)
    return list(found.opt_outs.values()), [str(problem) for problem in found.problems]


@pytest.fixture
def take(run: Run, tmp_path: Path) -> Run:
    """Imports a file of this content."""

    def typed(content: bytes | str, *arguments: str) -> Done:
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return run("optout", "import", str(file), *arguments)

    return typed


# What a file says


@pytest.mark.parametrize(
    "data",
    [
        b"number,scope,reason\r\n912 34 56 78,all,asked\r\n",
        b"\xef\xbb\xbfnumber;scope;reason\n+34912345678;ALL;asked\n",
        b'"reason","Number","scope"\n"asked","0034 912-345-678","all"',
        b"number , scope,reason\r\r(912) 345 678, all ,asked\r,,\r",
    ],
)
def test_a_file_may_be_as_spreadsheets_write_it(data: bytes) -> None:
    assert read(data) == ([NewOptOut(NUMBER, Scope.ALL, reason="asked")], [])


def test_what_a_file_leaves_out_is_as_when_one_is_added() -> None:
    assert read(b"number\n912345678\n") == ([NewOptOut(NUMBER, Scope.MARKETING)], [])
    assert read(b"scope,number,since\n,912345678,\n") == ([NewOptOut(NUMBER, Scope.MARKETING)], [])


def test_times_have_an_offset_and_days_are_of_this_machine() -> None:
    ((one,), wrong) = read(b"number,since,until\n912345678,2026-01-31T09:30:00.25+01:00,2027-01-31T09:30Z\n")
    assert (one.since, one.until, wrong) == (
        datetime(2026, 1, 31, 8, 30, 0, 250_000, UTC),
        datetime(2027, 1, 31, 9, 30, tzinfo=UTC),
        [],
    )
    ((one,), wrong) = read(b"number,since,until\n912345678,2026-01-31,2026-12-31\n")
    assert (one.since, one.until, wrong) == (
        datetime(2026, 1, 31).astimezone(),
        datetime(2027, 1, 1).astimezone(),
        [],
    )


def test_of_two_lines_for_the_same_the_one_that_lasts_longest_counts() -> None:
    data = b"number,until,reason\n912345678,2027-01-31,a\n+34912345678,,b\n912345678,2028-01-31,c\n912345678,,d\n"
    assert read(data) == ([NewOptOut(NUMBER, Scope.MARKETING, reason="b")], [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nobody,,,,,,", "number: this is no phone number"),
        (",all,,,,,", "number: this is no phone number"),
        ("912345678,most,,,,,", "scope: is none of all, marketing, purpose, campaign"),
        ("912345678,purpose,,,,,", "purpose: goes with scope purpose, which needs it"),
        ("912345678,,a.purpose,,,,", "purpose: goes with scope purpose, which needs it"),
        ("912345678,purpose,No Such,,,,", "purpose: a name of small letters"),
        ("912345678,campaign,,,,,", "campaign: goes with scope campaign, which needs it"),
        ("912345678,all,,spring,,,", "campaign: goes with scope campaign, which needs it"),
        ("912345678,campaign,,SPRING,,,", "campaign: a name of small letters"),
        ("912345678,,,,yesterday,,", "since: a day such as"),
        ("912345678,,,,2026-01-31T09:30,,", "since: a day such as"),
        ("912345678,,,,2026-11-22T09:00:01Z,,", "since: is in the future"),
        ("912345678,,,,,2026-13-01,", "until: a day such as"),
        ("912345678,,,,,9999-12-31,", "until: is out of reach: where there is no end"),
        ("912345678,,,,2026-02-01,2026-01-31,", "until: is not after since"),
        ("912345678,,,,,,\x1b[2J", "reason: one line"),
        ('912345678,,,,,,"two\nlines"', "reason: one line"),
        ("912345678,,,,,," + "x" * 201, "reason: one line"),
        ("912345678,all", "has 2 fields, and the heading has 7"),
        ("912345678,,,,,,,", "has 8 fields, and the heading has 7"),
        ('912345678,,,,,,"asked', "is no CSV from here on"),
        ('912345678,,,,,,"asked"again', "is no CSV from here on"),
    ],
)
def test_a_bad_line_is_named_and_no_number_is_in_what_is_said(line: str, said: str) -> None:
    data = f'number,scope,purpose,campaign,since,until,reason\n600111223,,,,,,"one\u2028two"\n\n{line}'
    wrong = read(data.encode())[1]
    assert [each.startswith("list.csv:2: reason: one line") for each in wrong] == [True, False]
    assert wrong[1].startswith(f"list.csv:4: {said}")
    assert "12345678" not in wrong[1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "list.csv: is empty"),
        (b"\xef\xbb\xbf", "list.csv: is empty"),
        (b"+34912345678\n", "list.csv:1: column 1: is none of number, scope"),
        (b"number,name\n", "list.csv:1: column 2: is none of number, scope"),
        (b"number,scope,Number\n", "list.csv:1: number: is there twice"),
        (b"scope,reason\n", "list.csv:1: number: no column has this name"),
        (b"number,reason\n912345678,a\xf1o\n", "list.csv:2: is not UTF-8"),
        (b"number\n912345678\n\x00\n", "list.csv:3: a NUL character"),
        ("number\n912345678\n".encode("utf-16"), "list.csv:1: is not UTF-8"),
    ],
)
def test_what_is_no_such_file_is_one_line_and_makes_no_store(take: Run, written: Path, data: bytes, said: str) -> None:
    done = take(data)
    assert bad(done, said)
    assert "912345678" not in done.err
    assert not (written.parent / "callguard.db").exists()


# Importing


def test_a_list_is_kept_and_counted(run: Run, take: Run) -> None:
    run("optout", "add", NUMBER)
    run("optout", "add", "600111223", "--scope", "all")
    done = take("number,until,reason\n912345678,,\n600111223,,by letter\n600111223,,\n600111224,2020-01-31,\n")
    assert (done.code, done.err) == (0, "")
    assert done.out == "4 read, 1 added, 1 there already, 1 repeated, 1 over already: opt-outs for acme\n"
    added, *before = run("optout", "list", "--json").json
    said = {"number": "+34600111223", "scope": "marketing", "source": "import", "reason": "by letter", "until": None}
    assert added.items() >= said.items()
    assert len(before) == 2
    again = take("number\n600111223\n", "--json").json
    counts = {"read": 1, "added": 0, "already": 1, "repeated": 0, "over": 0}
    assert again == {"controller": "acme", "dry_run": False, **counts}


def test_the_next_dial_sees_it(run: Run, two: Path, take: Run) -> None:
    assert take("number,scope,campaign\n912345678,campaign,spring\n", "--controller", "zeta").code == 0
    denied = run("check", NUMBER, "--profile", "sales")
    assert (denied.code, denied.out.splitlines()[0]) == (3, "Denied: optout.campaign")


def test_a_list_can_come_from_standard_input(run: Run) -> None:
    assert run("optout", "import", "-", stdin=b"number\n912345678\n").code == 0
    assert bad(run("optout", "import", "-", stdin=b"numero\n"), "standard input:1: column 1: is none of")
    assert listed(run) == [("acme", "marketing")]


def test_of_a_file_with_bad_lines_nothing_is_kept_and_they_are_told(run: Run, take: Run) -> None:
    run("optout", "add", NUMBER)
    done = take("number,scope\n600111223,all\nnobody,all\n600111224,some\n")
    assert (done.code, done.out) == (2, "")
    first, second, last = done.err.splitlines()
    assert first.endswith("list.csv:3: number: this is no phone number (nor a block of them)")
    assert second.endswith("list.csv:4: scope: is none of all, marketing, purpose, campaign")
    assert last.startswith("callguard: ") and last.endswith("list.csv: 2 bad lines, so nothing is kept")
    assert "600111" not in done.err
    assert [one["number"] for one in run("optout", "list", "--json").json] == [NUMBER]


def test_of_many_bad_lines_some_are_told_and_the_others_counted(take: Run) -> None:
    done = take("number\n" + "nobody\n" * (csv_files.SHOWN + 3))
    *told, last = done.err.splitlines()
    assert (done.code, len(told)) == (2, csv_files.SHOWN)
    assert last.endswith("list.csv: 23 bad lines, 3 of them not shown, so nothing is kept")


def test_a_dry_run_says_the_same_and_keeps_nothing(run: Run, take: Run, written: Path) -> None:
    list_ = "number\n912345678\n600111223\n600111223\n"
    done = take(list_, "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Nothing is kept, but would be: 3 read, 2 added, 0 there already, 1 repeated")
    assert not (written.parent / "callguard.db").exists()
    run("optout", "add", NUMBER)
    would = take(list_, "--dry-run", "--json").json
    assert len(listed(run)) == 1
    assert take(list_, "--json").json == {**would, "dry_run": False}
    assert take("number\nnobody\n", "--dry-run").code == 2


def test_more_than_can_be_added_at_once_is_not_begun(
    run: Run, take: Run, monkeypatch: pytest.MonkeyPatch, written: Path
) -> None:
    monkeypatch.setattr(optout_files, "MOST", 2)
    assert bad(take("number\n600111223\n600111224\n600111225\n"), "list.csv: has more than 2 lines")
    monkeypatch.setattr(csv_files, "LARGEST", 7)
    assert bad(take("number\n6"), "list.csv: is larger than")
    assert not (written.parent / "callguard.db").exists()


def test_a_file_that_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    assert bad(run("optout", "import", str(tmp_path / "none.csv")), "none.csv: cannot be read: No such file")
    assert bad(run("optout", "import", str(tmp_path)), "cannot be read: Is a directory")


def test_what_no_profile_has_is_warned_of(take: Run) -> None:
    done = take("number,scope,campaign\n600111223,campaign,sprnig\n600111224,campaign,sprnig\n")
    assert done.code == 0
    assert done.err == "No profile of acme has the campaign sprnig now, so no call is for it: is it spelt right?\n"


# Exporting


def test_a_controllers_opt_outs_in_force_are_exported(run: Run, two: Path, tmp_path: Path) -> None:
    run("optout", "add", NUMBER, "--controller", "zeta")
    run("optout", "add", NUMBER, "--controller", "acme", "--scope", "all", "--reason", 'says "no", twice')
    run("optout", "add", "600111223", "--controller", "acme")
    run("optout", "remove", "600111223", "--controller", "acme")
    file = tmp_path / "out.csv"
    done = run("optout", "export", str(file), "--controller", "acme")
    assert (done.code, done.out, done.err) == (0, f"{file}: 1 opt-outs for acme\n", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (said,) = csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert datetime.fromisoformat(said.pop("since")).tzinfo is not None
    assert said == {
        "number": NUMBER, "scope": "all", "purpose": "", "campaign": "", "until": "", "reason": 'says "no", twice',
    }  # fmt: skip
    assert {each.name for each in tmp_path.iterdir() if "out" in each.name} == {"out.csv"}


def test_a_file_that_is_there_is_replaced_by_force_only(run: Run, tmp_path: Path) -> None:
    run("optout", "add", NUMBER)
    file = tmp_path / "out.csv"
    file.write_text("mine")
    assert bad(run("optout", "export", str(file)), "out.csv: is there already: --force replaces it")
    assert file.read_text() == "mine"
    assert run("optout", "export", str(file), "--force").code == 0
    assert NUMBER in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_export_that_fails_leaves_no_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert bad(run("optout", "export", str(file)), "callguard.db: there is no store yet")
    assert not [each for each in tmp_path.iterdir() if "out" in each.name]
    assert bad(run("optout", "export", str(tmp_path / "no" / "out.csv")), "out.csv: cannot be written: No such file")


def test_what_is_exported_can_be_imported(run: Run, tmp_path: Path, written: Path) -> None:
    run("optout", "add", NUMBER, "--until", "2098-12-31", "--reason", "=1+1")
    run("optout", "add", NUMBER, "--scope", "campaign", "--campaign", "spring")
    before = run("optout", "list", "--json").json
    exported = run("optout", "export", "-")
    assert (exported.code, exported.err) == (0, "")
    (written.parent / "callguard.db").unlink()
    for rest in ("-wal", "-shm"):
        (written.parent / f"callguard.db{rest}").unlink(missing_ok=True)
    assert run("optout", "import", "-", stdin=exported.out.encode()).code == 0
    after = run("optout", "list", "--json").json
    assert after == [{**one, "source": "import"} for one in before]
    assert run("optout", "import", "-", "--json", stdin=exported.out.encode()).json["already"] == 2


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
REASONS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200).filter(str.isprintable)
FORMULAS = st.builds("".join, st.tuples(st.text("'=+-@", max_size=4), st.just("1+1")))
STORED = st.builds(
    StoredOptOut,
    controller=st.just("acme"),
    number=st.integers(600_000_000, 699_999_999).map("+34{}".format)
    | st.integers(60_000, 69_999).map("+34{}*".format)
    | st.integers(600_000_000, 699_999_998).map(lambda first: f"+34{first}-+34{first + 1}"),
    scope=st.sampled_from(Scope),
    purpose=NAMES,
    campaign=NAMES,
    since=st.timedeltas(timedelta(hours=9), timedelta(days=26 * 365)).map(lambda ago: NOW - ago),
    until=st.none() | st.timedeltas(timedelta(days=1), timedelta(days=63 * 365)).map(lambda ahead: NOW + ahead),
    source=st.just("key"),
    reason=st.none() | REASONS | FORMULAS,
)


@given(st.lists(STORED, unique_by=lambda one: one.number))
def test_a_file_says_what_it_was_written_from(opt_outs: list[StoredOptOut]) -> None:
    def as_kept(moment: datetime) -> datetime:
        return moment - timedelta(microseconds=moment.microsecond % 1000)

    kept = [
        replace(
            one,
            purpose=one.purpose if one.scope is Scope.PURPOSE else None,
            campaign=one.campaign if one.scope is Scope.CAMPAIGN else None,
            since=as_kept(one.since),
            until=one.until and as_kept(one.until),
        )
        for one in opt_outs
    ]
    out = io.StringIO(newline="")
    to = writer(out)
    to.writerows(map(row, kept))
    assert read(out.getvalue().encode(), None) == (
        [NewOptOut(one.number, one.scope, one.purpose, one.campaign, one.since, one.until, one.reason) for one in kept],
        [],
    )


@given(FORMULAS)
def test_no_reason_is_a_formula(reason: str) -> None:
    cell = row(StoredOptOut(Scope.ALL, None, None, NOW, None, "key", "acme", NUMBER, reason))[-1]
    assert cell[0] not in "=+-@"


def test_who_reads_an_export_may_go_away(run: Run, written: Path) -> None:
    """One line, and no traceback: `export - | head`."""
    # More than are read at once.
    run("optout", "add", "-", stdin=b"".join(b"%d\n" % number for number in range(600_000_000, 600_000_200)))
    gone, out = os.pipe()
    os.close(gone)
    command = [sys.executable, "-m", "callguard", "optout", "export", "-", "--config", str(written)]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(out)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output: cannot be written: Broken pipe" in done.stderr
