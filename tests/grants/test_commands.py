"""``callguard grant``: what is kept, what ends it, and what a dial makes of it."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.cli import grant_files
from callguard.cli.grant_csv import Asked, Lines, asked, grant_lines, reported_lines, row, writer
from callguard.core.grants import Channel, Reported
from callguard.core.model import Basis, GrantState
from callguard.store.dial_records import NewEnding, NewGrant, StoredGrant
from tests.optouts.conftest import NUMBER, Run, bad

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
HEADING = "number,purpose,basis,channel,since,until,evidence"
LINE = "912 34 56 78,marketing.energy,consent,paper,2026-01-31T09:30:00+01:00,,form 17"
OTHER = "600111223,marketing.energy,contract,contract,2026-01-31T09:30:00+01:00,,K-1042"
GIVEN = NewGrant(
    NUMBER, "marketing.energy", Basis.CONSENT, Channel.PAPER, datetime(2026, 1, 31, 8, 30, tzinfo=UTC), None, "form 17"
)
ADD = ("--purpose", "marketing.energy", "--basis", "consent", "--channel", "phone", "--evidence", "form 17")
ZETA = ("--controller", "zeta")


def read(data: str, region: str | None = "ES") -> tuple[list[NewGrant], list[str]]:
    *_, found = Lines(), *grant_lines(data.encode(), "list.csv", region, NOW)
    return list(found.grants), [str(problem) for problem in found.problems]


def decided(run: Run) -> str:
    """What a dial would come to."""
    return str(run("check", NUMBER, "--profile", "sales", "--json").json["rule"])


# What a file says


@pytest.mark.parametrize(
    "data",
    [
        f"{HEADING}\r\n{LINE}\r\n",
        "\ufeffnumber;evidence;Basis;channel;since;purpose\n912345678;form 17;CONSENT;Paper;2026-01-31T08:30Z;"
        "marketing.energy\n",
        f"{HEADING}\n{LINE}\n\n{LINE}\n",
    ],
)
def test_a_file_may_be_as_spreadsheets_write_it(data: str) -> None:
    assert read(data) == ([GIVEN], [])


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("number", "nobody", "number: this is no phone number"),
        ("purpose", "", "purpose: is missing: a grant without a purpose is none"),
        ("purpose", "No Such", "purpose: a name of small letters"),
        ("purpose", "recording.quality", "purpose: recordings are asked for in each call"),
        ("basis", "", "basis: is none of consent, contract, legal_obligation"),
        ("basis", "wish", "basis: is none of consent, contract, legal_obligation"),
        ("channel", "", "channel: is none of phone, paper, online, in_person, contract"),
        ("since", "", "since: is missing: when it was given decides"),
        ("since", "yesterday", "since: a day such as"),
        ("since", "2026-11-22T09:00:01Z", "since: is in the future"),
        ("until", "2026-01-30", "until: is not after since"),
        ("until", "never", "until: a day such as"),
        ("evidence", "", "evidence: is missing: what cannot be shown was not granted"),
        ("evidence", "\x1b[2J", "evidence: one line of at most 200"),
        ("evidence", "x" * 201, "evidence: one line of at most 200"),
        ("evidence", "call to 0034-912-345-678", "evidence: is the number itself"),
    ],
)
def test_a_bad_line_is_named_and_no_number_is_in_what_is_said(column: str, cell: str, said: str) -> None:
    """R23, R25: without a purpose, or without evidence, nothing is granted."""
    cells = dict(zip(HEADING.split(","), LINE.split(","), strict=True)) | {column: cell}
    found, (wrong,) = read(f"{HEADING}\n{OTHER}\n{','.join(cells.values())}\n")
    assert len(found) == 1
    assert wrong.startswith(f"list.csv:3: {said}")
    assert "12345678" not in wrong


@pytest.mark.parametrize("missing", ["number", "purpose", "basis", "channel", "since", "evidence"])
def test_a_column_that_is_needed_is_missed_before_anything_is_read(run: Run, asking: Path, missing: str) -> None:
    heading = ",".join(column for column in HEADING.split(",") if column != missing)
    done = run("grant", "import", "-", *ZETA, stdin=f"{heading}\n".encode())
    assert bad(done, f"standard input:1: {missing}: no column has this name")
    assert not (asking.parent / "callguard.db").exists()


def test_a_reported_number_says_why_and_may_say_when() -> None:
    def lines(data: str, reason: Reported | None = None) -> tuple[list[NewEnding], list[str]]:
        *_, found = Lines(), *reported_lines(data.encode(), "list.csv", "ES", NOW, reason)
        return list(found.endings), [str(problem) for problem in found.problems]

    ending = NewEnding(NUMBER, GrantState.SUSPENDED, None, "reassigned")
    assert lines("number\n912345678\n912345678\n", Reported.REASSIGNED) == ([ending], [])
    assert lines("number,reason,at\n912345678,Unallocated,2026-11-22T08:00Z\n", Reported.REASSIGNED) == (
        [NewEnding(NUMBER, GrantState.SUSPENDED, None, "unallocated", NOW - timedelta(hours=1))], [],
    )  # fmt: skip
    _, wrong = lines("number,at,reason\n912345678,,\n912345678,2026-11-23,reassigned\nnobody,,reassigned\n912345678\n")
    assert [each.partition(" ")[2] for each in wrong] == [
        "reason: is none of unallocated, reassigned", "at: is in the future",
        "number: this is no phone number", "has 1 fields, and the heading has 3",
    ]  # fmt: skip


def test_who_is_asked_about_has_a_number_or_a_contract() -> None:
    found, wrong = asked(b"number,contract\n912345678,\n,K-1042\n912345678,'=K\n , \n,\n nobody,\n", "list.csv", "ES")
    assert found == [Asked(2, NUMBER, None), Asked(3, None, "K-1042"), Asked(4, NUMBER, "=K")]
    assert list(map(str, wrong)) == ["list.csv:7: number: this is no phone number"]


STORED = st.builds(
    StoredGrant,
    purpose=st.from_regex(r"[a-q][a-z0-9_.]{0,9}", fullmatch=True),
    basis=st.sampled_from(Basis),
    channel=st.sampled_from(Channel),
    since=st.integers(1, 10**9).map(lambda ms: NOW - timedelta(milliseconds=ms)),
    until=st.none() | st.integers(1, 10**9).map(lambda ms: NOW + timedelta(milliseconds=ms)),
    evidence=st.text(st.characters(exclude_categories=("Cs", "Cc", "Nd", "Zs")), min_size=1, max_size=200).filter(
        str.isprintable
    )
    | st.builds("".join, st.tuples(st.text("'=+-@", max_size=4), st.just("1+1"))),
    controller=st.just("acme"),
    number=st.integers(600_000_000, 699_999_999).map("+34{}".format),
    source=st.just("import"),
)


@given(st.lists(STORED, unique_by=lambda one: one.number))
def test_a_file_says_what_it_was_written_from(grants: list[StoredGrant]) -> None:
    out = io.StringIO(newline="")
    writer(out).writerows(map(row, grants))
    assert read(out.getvalue(), None) == (
        [NewGrant(g.number, g.purpose, g.basis, g.channel, g.since, g.until, g.evidence) for g in grants], [],
    )  # fmt: skip
    assert not any(cells["evidence"][0] in "=+-@" for cells in csv.DictReader(io.StringIO(out.getvalue(), newline="")))


# Keeping and ending


def test_only_who_has_granted_it_is_called(run: Run, asking: Path) -> None:
    assert run("grant", "add", NUMBER, *ADD, *ZETA).out == "Kept: consent for marketing.energy, zeta\n"
    assert decided(run) == "dial.allowed"
    other = run("check", "+34912345679", "--profile", "sales")
    assert (other.code, other.out.splitlines()[0]) == (3, "Denied: basis.missing")
    assert "For marketing.energy it rests on: nothing that counts" in other.out
    seen = run("check", NUMBER, "--profile", "sales")
    assert "Grant for marketing.energy: consent, phone, since " in seen.out
    assert "For marketing.energy it rests on: consent" in seen.out.splitlines()
    told = run("check", NUMBER, "--profile", "sales", "--json").json
    assert (told["bases"], told["needs_basis"], told["grants"][0]["state"]) == (["consent"], True, "given")
    assert run("check", NUMBER, "--profile", "service").code == 0


def test_a_withdrawal_counts_with_the_next_dial_and_its_history_stays(run: Run, asking: Path) -> None:
    since = ("--since", "2026-01-31T09:30+01:00", *ZETA)
    assert run("grant", "add", NUMBER, *ADD, *since).code == 0
    assert run("grant", "add", NUMBER, *ADD, *since).out.startswith("Kept already")
    done = run("grant", "withdraw", NUMBER, "--purpose", "marketing.energy", *ZETA)
    assert (done.code, done.out) == (0, "Withdrawn: what was granted for marketing.energy, zeta\n")
    assert decided(run) == "basis.missing"
    assert run("grant", "add", NUMBER, *ADD, *since).code == 0
    assert decided(run) == "basis.missing"
    assert run("grant", "add", NUMBER, *ADD, *ZETA).code == 0
    assert decided(run) == "dial.allowed"
    newest, oldest = run("grant", "list", NUMBER, "--json").json
    assert (newest["state"], oldest["state"], oldest["evidence"]) == ("given", "withdrawn", "form 17")
    assert (oldest["number"], oldest["controller"], oldest["ended_at"] > oldest["since"]) == (NUMBER, "zeta", True)
    table = run("grant", "list").out.splitlines()
    assert len(table) == 3 and "withdrawn" in table[2]
    assert run("grant", "list", "--controller", "acme").out == "No grants\n"


def test_an_opt_out_withdraws_and_ending_it_gives_nothing_back_unless_it_was_a_mistake(run: Run, asking: Path) -> None:
    run("grant", "add", NUMBER, *ADD, *ZETA)
    for mistake, comes_to in (("--mistake", "dial.allowed"), (None, "basis.missing")):
        run("optout", "add", NUMBER, *ZETA)
        assert decided(run) == "optout.marketing"
        assert run("optout", "remove", NUMBER, *ZETA, *((mistake,) if mistake else ())).code == 0
        assert decided(run) == comes_to


def test_a_list_of_numbers_is_withdrawn_or_none_of_it(run: Run, asking: Path) -> None:
    run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{LINE}\n{OTHER}\n".encode())
    ends = ("grant", "withdraw", "-", "--purpose", "marketing.energy", *ZETA)
    assert bad(run(*ends, stdin=b"912345678\nnobody\n"), "standard input:2: NUMBER: this is no phone number")
    assert decided(run) == "dial.allowed"
    assert run(*ends, "--revoked", stdin=b"912345678\n600111223\n").out.startswith("Revoked for 2 numbers: ")
    assert {one["state"] for one in run("grant", "list", "--json").json} == {"revoked"}
    assert run(*ends, "--invalid", stdin=b"912345678\n").code == 0
    assert bad(run(*ends, "--revoked", "--invalid", stdin=b"912345678\n"), "--revoked: goes without --invalid")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--purpose", "recording.quality"), "--purpose: recordings are asked for in each call"),
        (("--basis", "wish"), "'wish' is not one of 'consent'"),
        (("--channel", "fax"), "'fax' is not one of 'phone'"),
        (("--evidence", ""), "--evidence: is missing"),
        (("--evidence", "912345678 +34912345678"), "--evidence: is the number itself"),
        (("--since", "2999-01-01"), "--since: is in the future"),
        (("--until", "2020-01-01"), "--until: is past already"),
    ],
)
def test_what_cannot_be_granted_is_one_line(run: Run, asking: Path, changed: tuple[str, str], said: str) -> None:
    done = run("grant", "add", "-", *ADD, *ZETA, *changed, stdin=NUMBER.encode())
    assert bad(done, said)
    assert NUMBER[3:] not in done.err
    assert not (asking.parent / "callguard.db").exists()


def test_what_no_profile_calls_for_is_warned_of(run: Run, asking: Path) -> None:
    done = run("grant", "add", NUMBER, *ADD, "--purpose", "marketing.enrgy", *ZETA)
    assert done.code == 0
    assert done.err.startswith("No profile of zeta has the purpose marketing.enrgy now")


def test_a_number_of_somebody_else_suspends_what_was_granted_on_it(run: Run, asking: Path, tmp_path: Path) -> None:
    run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{LINE}\n{OTHER}\n".encode())
    done = run("grant", "suspend", NUMBER, "--reason", "reassigned", *ZETA)
    assert (done.code, done.out) == (0, "Suspended what was granted on 1 of 1 numbers, for zeta\n")
    assert decided(run) == "basis.missing"
    file = tmp_path / "reported.csv"
    file.write_text("number,reason\n600111223,unallocated\nnobody,reassigned\n600111224,\n")
    done = run("grant", "suspend", "--csv", str(file), *ZETA)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].endswith("reported.csv: 2 bad lines, so nothing is kept")
    assert [one["state"] for one in run("grant", "list", "600111223", "--json").json] == ["given"]
    file.write_text("number,reason\n600111223,unallocated\n600111224,\n")
    assert run("grant", "suspend", "--csv", str(file), "--reason", "reassigned", *ZETA).out.startswith("Suspended what")
    assert {one["state"] for one in run("grant", "list", "--json").json} == {"suspended"}
    late = OTHER.replace("600111223", "600111224")
    assert run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{late}\n".encode()).code == 0
    assert run("grant", "list", "600111224", "--json").json[0]["state"] == "suspended"
    assert bad(run("grant", "suspend", NUMBER, *ZETA), "--reason: say which: unallocated, reassigned")
    assert bad(run("grant", "suspend", "--reason", "reassigned", *ZETA), "NUMBER: say a number, or a file")
    assert bad(run("grant", "suspend", NUMBER, "--csv", str(file), *ZETA), "NUMBER: say a number, or a file")


# Files


def test_a_list_is_kept_and_counted_and_an_old_one_brings_nothing_back(run: Run, asking: Path) -> None:
    list_ = f"{HEADING}\n{LINE}\n{OTHER}\n{OTHER}\n{LINE.replace(',,', ',2026-02-01,')}\n".encode()
    done = run("grant", "import", "-", *ZETA, "--dry-run", stdin=list_)
    assert done.out == "Nothing is kept: 4 read, 1 repeated, 1 over already, none bad\n"
    assert not (asking.parent / "callguard.db").exists()
    done = run("grant", "import", "-", *ZETA, stdin=list_)
    assert (done.code, done.err) == (0, "")
    assert done.out == "4 read, 2 added, 0 there already, 1 repeated, 1 over already: grants for zeta\n"
    run("grant", "withdraw", NUMBER, "--purpose", "marketing.energy", *ZETA)
    again = run("grant", "import", "-", *ZETA, "--json", stdin=list_).json
    assert again == {
        "controller": "zeta", "dry_run": False, "read": 4, "added": 0, "already": 2, "repeated": 1, "over": 1,
    }  # fmt: skip
    assert decided(run) == "basis.missing"


def test_a_dry_run_refuses_the_store_that_the_import_would(run: Run, asking: Path) -> None:
    list_ = f"{HEADING}\n{LINE}\n".encode()
    assert run("grant", "import", "-", *ZETA, stdin=list_).code == 0
    with closing(sqlite3.connect(asking.parent / "callguard.db", isolation_level=None)) as older:
        older.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    for how in ((), ("--dry-run",)):
        assert bad(run("grant", "import", "-", *ZETA, *how, stdin=list_), "start the service to update it")


def test_of_a_file_with_bad_lines_nothing_is_kept_and_they_are_told(run: Run, asking: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{HEADING}\n{OTHER}\n{LINE.removesuffix('form 17')}\n{LINE.replace('paper', 'fax')}\n")
    done = run("grant", "import", str(file), *ZETA)
    assert (done.code, done.out) == (2, "")
    first, second, last = done.err.splitlines()
    assert first.endswith("list.csv:3: evidence: is missing: what cannot be shown was not granted (GDPR Art. 7(1))")
    assert second.endswith("list.csv:4: channel: is none of phone, paper, online, in_person, contract")
    assert last.endswith("list.csv: 2 bad lines, so nothing is kept")
    assert not (asking.parent / "callguard.db").exists()


def test_more_than_can_be_added_at_once_is_not_begun(run: Run, asking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_files, "MOST", 1)
    done = run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{LINE}\n{OTHER}\n".encode())
    assert bad(done, "standard input: has more than 1 lines, so nothing is kept")
    done = run("grant", "suspend", "-", "--reason", "reassigned", *ZETA, stdin=b"912345678\n600111223\n")
    assert bad(done, "standard input: NUMBER: more than 1 at once")
    done = run("grant", "withdraw", "-", "--purpose", "marketing.energy", *ZETA, stdin=b"912345678\n600111223\n")
    assert bad(done, "standard input: NUMBER: more than 1 at once")


PROCESSOR = """
[processors.dialers]
name = "Dialers & Sons"
controllers = ["zeta"]
contract = "DPA 2026-04"
"""


@pytest.mark.parametrize(
    ("purpose", "code"), [("sharing.partner", 0), ("sharing", 3), ("sharing.others", 3), ("marketing.energy", 3)]
)
def test_a_list_is_handed_on_only_where_all_in_it_agree(
    run: Run, asking: Path, tmp_path: Path, purpose: str, code: int
) -> None:
    """R45."""
    file = tmp_path / "for-partner.csv"
    given = ("--basis", "consent", "--channel", "phone", "--evidence", "form 18", *ZETA)
    run("grant", "add", NUMBER, *ADD, *ZETA)
    run("grant", "add", NUMBER, "--purpose", purpose, *given)
    run("optout", "add", NUMBER, "--scope", "campaign", "--campaign", "spring", *ZETA)
    for command in ("grant", "optout"):
        done = run(command, "export", str(file), "--to", "partner", "--force", *ZETA)
        assert (done.code, file.exists()) == (code, code == 0), done.err
    if code:
        assert (
            "recipient.not_told: the last notice that 1 of 1 people heard does not name partner" in done.err
            if purpose == "sharing"
            else "partner is no processor of zeta, and 1 of 1 people have not granted sharing.partner" in done.err
        )
        assert NUMBER not in done.err
    looked = run("audit", "access", "--json").json
    assert [(one["action"], bool(one["denied"])) for one in looked] == [
        ("optout export", bool(code)), ("grant export", bool(code)),
    ]  # fmt: skip
    assert [one["to"] for one in looked] == [None if code else "partner"] * 2


def test_who_withdraws_is_handed_on_no_more(run: Run, asking: Path) -> None:
    purpose = ("--purpose", "sharing.partner")
    given = (*purpose, "--basis", "consent", "--channel", "phone", "--evidence", "form 18", *ZETA)
    run("grant", "add", NUMBER, *given)
    assert run("grant", "export", "-", "--to", "partner", *ZETA).code == 0
    run("optout", "add", NUMBER, "--scope", "campaign", "--campaign", "spring", *ZETA)
    run("grant", "withdraw", NUMBER, *purpose, *ZETA)
    done = run("optout", "export", "-", "--to", "partner", *ZETA)
    assert (done.code, done.out) == (3, "")


def test_a_processor_works_for_the_controllers_that_it_is_said_of(run: Run, asking: Path) -> None:
    asking.write_text(asking.read_text(encoding="utf-8") + PROCESSOR, encoding="utf-8")
    for controller in ("zeta", "acme"):
        run("optout", "add", NUMBER, "--controller", controller)
    assert run("optout", "export", "-", "--to", "dialers", *ZETA).code == 0
    assert run("optout", "export", "-", "--to", "dialers", "--controller", "acme").code == 3
    assert bad(run("optout", "export", "-", "--to", "Dialers & Sons", *ZETA), "--to: a name of small letters")


def test_what_counts_is_exported_and_can_be_imported(run: Run, asking: Path, tmp_path: Path) -> None:
    run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{LINE}\n{OTHER}\n".encode())
    run("grant", "withdraw", NUMBER, "--purpose", "marketing.energy", *ZETA)
    file = tmp_path / "out.csv"
    done = run("grant", "export", str(file), *ZETA)
    assert (done.code, done.out) == (0, f"{file}: 1 grants for zeta\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    exported = csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert [one["evidence"] for one in exported] == ["K-1042"]
    assert bad(run("grant", "export", str(file), *ZETA), "is there already: --force replaces it")
    out = run("grant", "export", "-", *ZETA).out
    assert out.encode() == file.read_bytes()
    assert run("grant", "import", "-", *ZETA, "--json", stdin=out.encode()).json["already"] == 1


def test_a_batch_is_asked_which_of_it_have_a_basis(run: Run, asking: Path) -> None:
    """R29."""
    run("grant", "import", "-", *ZETA, stdin=f"{HEADING}\n{LINE}\n{OTHER}\n".encode())
    asks = ("grant", "check", "-", *ZETA)
    all_of_them = run(*asks, stdin=b"number,contract\n912345678,\n,K-1042\n600111223,K-1042\n")
    assert (all_of_them.code, all_of_them.out.splitlines()[-1]) == (0, "3 of 3 have a basis")
    some = run(*asks, stdin=b"number,contract\n912345678,K-1042\n,K-1043\n600111224,\n912345678,\n")
    assert (some.code, some.out.splitlines()[-1]) == (3, "1 of 4 have a basis")
    assert "consent for marketing.energy" in some.out
    told = run(*asks, "--json", "--purpose", "marketing.energy", stdin=b"contract\nK-1042\n")
    assert (told.code, told.json) == (
        0,
        [{"line": 2, "number": None, "contract": "K-1042",
          "bases": [{"purpose": "marketing.energy", "basis": "contract"}]}],
    )  # fmt: skip
    assert run(*asks, "--purpose", "marketing.water", stdin=b"contract\nK-1042\n").code == 3
    assert bad(run(*asks, "--purpose", "No Such", stdin=b"contract\nK-1042\n"), "--purpose: a name of small")
    wrong = run(*asks, stdin=b"number\nnobody\n")
    assert (wrong.code, wrong.out) == (2, "")
    run("grant", "suspend", NUMBER, "--reason", "reassigned", *ZETA)
    assert run(*asks, stdin=b"number\n912345678\n").code == 3


def test_it_is_a_command_of_the_program(written: Path) -> None:
    """As the shell starts it, with what the configuration of one controller leaves out."""

    def types(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "callguard", "grant", *arguments],
            env={**os.environ, "CALLGUARD_CONFIG": str(written)},
            input=stdin, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    done = types("add", "-", *ADD, stdin="912345678\n")
    assert (done.returncode, done.stdout) == (0, "Kept: consent for marketing.energy, acme\n")
    done = types("check", "-", stdin="number\n912345678\n600111223\n")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "1 of 2 have a basis")
    done = types("import", "-", stdin="number\n")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_consent_that_is_older_than_the_profile_s_term_is_asked_for_anew(run: Run, asking: Path) -> None:
    """Such as every two years in Spain (Ley 10/2025); what renews it is a grant of its own."""
    text = asking.read_text(encoding="utf-8")
    asking.write_text(text.replace('basis = "grant"\n', 'basis = "grant"\nconsent_months = 24\n'), encoding="utf-8")
    old = (datetime.now(UTC) - timedelta(days=800)).date().isoformat()
    assert run("grant", "add", NUMBER, *ADD, "--since", old, *ZETA).code == 0
    assert decided(run) == "basis.missing"
    anew = ("--purpose", "marketing.energy", "--basis", "consent", "--channel", "phone", "--evidence", "call 18")
    assert run("grant", "add", NUMBER, *anew, *ZETA).code == 0
    assert decided(run) == "dial.allowed"
    assert [one["state"] for one in run("grant", "list", NUMBER, "--json", *ZETA).json] == ["given", "given"]
