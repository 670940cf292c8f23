"""``callguard optout`` for blocks of numbers: a company's prefix, or a range."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.cli import optout_files
from tests.optouts.conftest import NUMBER, Run, bad

COMPANY, RANGE = "+34912345*", "+34912345000-+34912345999"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["+34 91 234 5*"], COMPANY),
        (["91", "234", "5*"], COMPANY),
        (["+34 912345000 - +34 912345999"], RANGE),
        (["912 345 000 \u2013 912 345 999"], RANGE),
    ],
)
def test_every_number_in_a_block_is_denied_and_the_block_is_named(
    run: Run, two: Path, typed: list[str], kept: str
) -> None:
    done = run("optout", "add", *typed, "--controller", "zeta", "--reason", "their letter", "--until", "2100-01-31")
    assert (done.code, done.out) == (0, "Kept: opted out of marketing for zeta\n")
    assert run("optout", "add", "-", "--controller", "zeta", stdin=kept.encode()).code == 0
    for written in (NUMBER, "912 345 678", "tel:+34-912-345-678", "(+34) 912 345 678"):
        denied = run("check", written, "--profile", "sales")
        assert (denied.code, denied.out.splitlines()[0]) == (3, "Denied: optout.marketing")
        assert kept in denied.out
    (first, *_) = run("check", NUMBER, "--profile", "sales", "--json").json["opt_outs"]
    assert (first["number"], first["block"]) == (kept, kept)
    outside = run("check", "+34912346000", "--profile", "sales")
    assert "optout" not in outside.out and kept not in outside.out
    for asked in ([NUMBER], typed, []):
        assert {one["number"] for one in run("optout", "list", "--json", *asked).json} == {kept}
    assert kept in run("optout", "list").out
    assert run("optout", "list", "--json", "+34912346000").json == []


def test_who_removes_a_number_is_told_of_the_blocks_that_it_is_in(run: Run) -> None:
    run("optout", "add", COMPANY)
    run("optout", "add", RANGE, "--scope", "all")
    run("optout", "add", NUMBER)
    ended, first, second = run("optout", "remove", NUMBER).out.splitlines()
    assert ended == "Ended: opt-out of marketing for acme"
    assert first == f"The block {COMPANY} stands, and it is in it: opted out of marketing"
    assert second == f"The block {RANGE} stands, and it is in it: opted out of all calls"
    done = run("optout", "remove", "-", stdin=b"912345678\n912345679\n600111222\n")
    assert done.out.splitlines() == [
        "Ended for 0 of 3 numbers, nothing to end for 3: not opted out of exactly marketing for acme",
        f"The block {COMPANY} stands, and 2 of them are in it: opted out of marketing",
        f"The block {RANGE} stands, and 2 of them are in it: opted out of all calls",
    ]
    assert run("optout", "remove", "+34600111222").out.count("\n") == 1


def test_a_block_is_ended_as_a_block(run: Run) -> None:
    run("optout", "add", COMPANY)
    run("optout", "add", NUMBER)
    assert run("optout", "remove", COMPANY).out == "Ended: opt-out of marketing for acme\n"
    assert [one["number"] for one in run("optout", "list", "--json").json] == [NUMBER]
    assert run("optout", "remove", RANGE).out.startswith("Nothing to end")


def test_what_is_known_of_a_number_tells_of_its_block(run: Run, two: Path) -> None:
    run("optout", "add", COMPANY, "--controller", "zeta", "--reason", "their letter")
    told = run("subject", "show", NUMBER)
    assert f"Nothing is known of {NUMBER}." in told.out and COMPANY in told.out
    (zeta,) = run("subject", "show", NUMBER, "--json").json
    assert (zeta["controller"], zeta["subject"], zeta["opt_outs"][0]["block"]) == ("zeta", None, COMPANY)
    run("optout", "add", NUMBER, "--controller", "zeta", "--scope", "all")
    assert f"Opted out of marketing, as one of {COMPANY} (command): their letter" in run("subject", "show", NUMBER).out
    (zeta,) = run("subject", "show", NUMBER, "--json").json
    assert [one["block"] for one in zeta["opt_outs"]] == [COMPANY, None]
    complaint = run("complaint", NUMBER, "--json").json
    assert [one["number"] for one in complaint["opt_outs"]] == [COMPANY, NUMBER]
    assert COMPANY in run("complaint", NUMBER).out
    run("optout", "remove", COMPANY, "--controller", "zeta")
    assert f"The opt-out of marketing, as one of {COMPANY} ends" in run("subject", "show", NUMBER).out


def test_blocks_come_in_and_go_out_with_a_list(run: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(
        "number,scope,until,reason\n"
        "91 234 5*,all,2100-01-31,their letter\n+34912345000-+34912345999,,,\n600111222,,,\n"
        "+34912345*,all,2100-01-31,\n"
    )
    said = run("optout", "import", str(file), "--json").json
    assert (said["read"], said["added"], said["repeated"]) == (4, 3, 1)
    assert run("optout", "import", str(file), "--json", "--dry-run").json["already"] == 3
    assert run("optout", "export", str(out)).code == 0
    before = run("optout", "list", "--json").json
    assert {one["number"] for one in before} == {COMPANY, RANGE, "+34600111222"}
    again = run("optout", "import", str(out), "--json").json
    assert (again["added"], again["already"]) == (0, 3)


def test_of_a_list_with_a_bad_block_nothing_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    run("optout", "add", "+34600111222")
    file.write_text("number\n+34912345*\n+34912345999-+34912345000\n")
    done = run("optout", "import", str(file))
    assert done.code == 2
    assert f"{file}:3: number: this is no phone number (nor a block of them: a range goes from a number to" in done.err
    assert [one["number"] for one in run("optout", "list", "--json").json] == ["+34600111222"]


def test_a_list_that_would_lock_the_store_for_long_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range may come to many prefixes: all of them are added at once."""
    monkeypatch.setattr(optout_files, "MOST_PREFIXES", 20)
    file = tmp_path / "in.csv"
    file.write_text("number\n+34912345001-+34912345998\n")
    assert bad(run("optout", "import", str(file)), f"{file}: ", "split it")
    assert bad(run("optout", "add", "+34912345001-+34912345998"), "NUMBER: ", "split it")
    assert run("optout", "add", RANGE).code == 0


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("+34*", ": it would be a whole country"),
        ("*", ": a prefix is digits with one star at their end"),
        ("+34912345**", ": a prefix is digits with one star at their end"),
        ("+34912345*6", ": a prefix is digits with one star at their end"),
        ("+3491234567891234*", ": a prefix is shorter than a number"),
        ("+520445512345*", ": no number begins so in international format"),
        ("00*", ": it is too short, or could begin numbers of two kinds: begin with + and the country's code"),
        ("+34912345000-", ""),
        ("+34912345999-+34912345000", ": a range goes from a number to a higher one"),
        ("+34912345000-+49301234", ": both ends of a range are of one country, and equally long"),
        ("+34912345000-+34", ": both ends of a range are whole numbers, the second in international format"),
    ],
)
def test_what_is_no_block_is_one_line_that_says_why_and_does_not_repeat_it(run: Run, typed: str, why: str) -> None:
    one, listed = run("optout", "add", typed), run("optout", "add", "-", stdin=f"{typed}\n".encode())
    assert bad(one, f"NUMBER: this is no phone number (nor a block of them{why}")
    assert bad(listed, f":1: NUMBER: this is no phone number (nor a block of them{why}")
    assert "91234" not in one.err + listed.err


def test_a_block_that_nobody_can_be_in_is_kept_and_said_to_be(run: Run, tmp_path: Path) -> None:
    said = "No number that is given out is in the block, which denies nobody so: is it spelt right?\n"
    done = run("optout", "add", "+5204455*")
    assert (done.code, done.err) == (0, said)
    assert [one["number"] for one in run("optout", "list", "--json").json] == ["+5204455*"]
    assert run("optout", "add", "+525512*").err == run("optout", "add", RANGE).err == ""
    file = tmp_path / "in.csv"
    file.write_text(f"number\n+5204455*\n{COMPANY}\n+34012345000-+34012345999\n")
    done = run("optout", "import", str(file))
    assert (done.code, done.err) == (0, said.replace("the block,", "2 of the blocks,"))


def test_a_block_is_nobody_to_be_called_or_granted(run: Run) -> None:
    run("optout", "add", COMPANY)
    assert run("check", COMPANY, "--json").json["rule"] == "number.invalid"
    assert bad(run("subject", "show", COMPANY), "NUMBER: this is no phone number\n")
