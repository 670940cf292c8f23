"""``callguard optout`` and ``callguard check``: what is kept, what is said, and by which exit code."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from callguard.cli import optout
from callguard.cli.optout import TOGETHER
from callguard.core.decide import Scope
from callguard.errors import StoreError
from callguard.store import Store
from tests.optouts.conftest import NUMBER, Run, bad, listed
from tests.test_cli import callguard

# Adding


def test_who_opts_out_is_kept_and_denied(run: Run, two: Path) -> None:
    done = run("optout", "add", NUMBER, "--controller", "zeta")
    assert (done.code, done.out, done.err) == (0, "Kept: opted out of marketing for zeta\n", "")
    (one,) = run("optout", "list", "--json").json
    since = datetime.fromisoformat(one.pop("since"))
    assert abs(since - datetime.now().astimezone()) < timedelta(minutes=1)
    assert one == {
        "controller": "zeta",
        "number": NUMBER,
        "block": None,
        "scope": "marketing",
        "purpose": None,
        "campaign": None,
        "source": "command",
        "reason": None,
        "until": None,
    }
    denied = run("check", NUMBER, "--profile", "sales")
    assert (denied.code, denied.out.splitlines()[0]) == (3, "Denied: optout.marketing")


def test_the_same_again_says_so(run: Run) -> None:
    run("optout", "add", NUMBER)
    done = run("optout", "add", NUMBER, "--reason", "again")
    assert (done.code, done.out) == (0, "Kept already: opted out of marketing for acme\n")
    assert listed(run) == [("acme", "marketing")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scope", "all"], "all calls"),
        (["--scope", "purpose", "--purpose", "recording.quality"], "purpose recording.quality"),
        (["--scope", "campaign", "--campaign", "spring"], "campaign spring"),
    ],
)
def test_every_scope_can_be_kept_and_ended(run: Run, arguments: list[str], words: str) -> None:
    assert words in run("optout", "add", NUMBER, *arguments).out
    assert listed(run) == [("acme", arguments[1])]
    assert words in run("optout", "list").out
    assert run("optout", "remove", NUMBER, *arguments).out == f"Ended: opt-out of {words} for acme\n"
    assert listed(run) == []


def test_ending_another_scope_ends_nothing_and_says_so(run: Run) -> None:
    run("optout", "add", NUMBER, "--scope", "all")
    done = run("optout", "remove", NUMBER)
    assert (done.code, done.out) == (0, "Nothing to end: not opted out of exactly marketing for acme\n")
    assert listed(run) == [("acme", "all")]


@pytest.mark.parametrize(
    "typed", [["912 34 56 78"], ["912", "34", "56", "78"], ["912-345-678"], ["(912) 345 678"], ["0034912345678"]]
)
def test_a_number_may_be_typed_as_it_is_dialled_there(run: Run, typed: list[str]) -> None:
    run("optout", "add", *typed)
    assert [one["number"] for one in run("optout", "list", "--json", *typed).json] == [NUMBER]


def test_a_number_can_come_from_standard_input(run: Run) -> None:
    assert run("optout", "add", "-", stdin=b"912 34 56 78\n").code == 0
    assert len(run("optout", "list", "-", "--json", stdin=NUMBER.encode()).json) == 1
    assert run("check", "-", stdin=NUMBER.encode() + b"\r\n").code == 0
    assert run("optout", "remove", "-", stdin=NUMBER.encode()).out.startswith("Ended")


def test_the_help_says_that_others_see_a_number_and_what_to_do(run: Run) -> None:
    for command in ("add", "remove"):
        assert "write - to have it read from standard input" in " ".join(run("optout", command, "--help").out.split())


@pytest.mark.parametrize(
    "number",
    [
        "nonsense-4711", "12", "", "sip:4711@example.org", "+34912345678;rm", "${4711}", "4711\r\nX: 1", "9" * 300,
        "\u0664\u0667\u0661\u0661\u0664\u0667\u0661\u0661\u0664",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["add", "remove", "list"])
def test_what_is_no_number_is_one_line_that_does_not_repeat_it(run: Run, command: str, number: str) -> None:
    done = run("optout", command, number)
    assert bad(done, "NUMBER: this is no phone number")
    assert not number or number not in done.err
    assert "4711" not in done.err


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\xff\xfe\x00", b"9" * 10_000, b"+34912345678 or so"])
def test_rubbish_on_standard_input_is_one_line(run: Run, stdin: bytes) -> None:
    done = run("optout", "add", "-", stdin=stdin)
    assert bad(done, "standard input:1: NUMBER: this is no phone number" if stdin.strip() else "NUMBER: there is none")


def test_a_list_on_standard_input_is_kept_whole_and_ended_whole(run: Run) -> None:
    run("optout", "add", NUMBER)
    done = run("optout", "add", "-", stdin=b"600111223\r\n\n600 111 224\n+34912345678\n600111223\n 600111225 ")
    assert (done.code, done.err) == (0, "")
    assert done.out == "Kept for 3 of 4 numbers, kept already for 1: opted out of marketing for acme\n"
    numbers = {one["number"] for one in run("optout", "list", "--json").json}
    assert numbers == {NUMBER, "+34600111223", "+34600111224", "+34600111225"}
    done = run("optout", "remove", "-", stdin=b"600111223\n600111224\n")
    assert done.out == "Ended for 2 of 2 numbers: opt-out of marketing for acme\n"
    assert len(listed(run)) == 2


@pytest.mark.parametrize("line", [b"abc", b"600111223 600111224", b"9" * 100, b"600111223" + b" " * 100])
@pytest.mark.parametrize("command", ["add", "remove"])
def test_of_a_list_with_a_bad_line_nothing_is_kept_and_the_line_is_named(run: Run, command: str, line: bytes) -> None:
    run("optout", "add", NUMBER)
    done = run("optout", command, "-", stdin=NUMBER.encode() + b"\n600111223\n" + line + b"\n600111224\n")
    assert bad(done, "standard input:3: NUMBER: this is no phone number")
    assert "60011" not in done.err
    assert [one["number"] for one in run("optout", "list", "--json").json] == [NUMBER]


def test_a_list_longer_than_what_is_written_at_once_is_kept_whole(run: Run) -> None:
    stdin = b"".join(b"%d\n" % number for number in range(600_000_000, 600_000_000 + TOGETHER + 1))
    assert run("optout", "add", "-", stdin=stdin).out.startswith(f"Kept for {TOGETHER + 1} of {TOGETHER + 1} numbers:")
    assert len(listed(run)) == TOGETHER + 1


@pytest.mark.parametrize("command", [("check",), ("optout", "list")])
def test_where_one_number_is_looked_up_a_list_is_one_line(run: Run, command: tuple[str, ...]) -> None:
    assert bad(run(*command, "-", stdin=b"600111223\n600111224\n"), "standard input:2: NUMBER: one at a time")


def test_of_a_list_that_the_store_does_not_end_it_is_said_how_many_are_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Store.opt_in

    async def full(self: Store, controller: str, number: str, *rest: Any, **more: Any) -> bool:
        if number == "+34600111224":
            raise StoreError("the disk is full")
        return await ended(self, controller, number, *rest, **more)

    monkeypatch.setattr(Store, "opt_in", full)
    monkeypatch.setattr(optout, "TOGETHER", 1)
    three = b"600111223\n600111224\n600111225\n"
    run("optout", "add", "-", stdin=three)
    done = run("optout", "remove", "-", stdin=three)
    assert (done.code, done.out) == (1, "")
    assert done.err == "callguard: the disk is full (done for 1 of 3 numbers; again, it is done for the rest)\n"


def test_a_list_that_nobody_can_add_at_once_is_not_begun(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optout, "MOST", 2)
    assert bad(run("optout", "add", "-", stdin=b"600111223\n600111224\n600111225\n"), "more than 2 at once")
    assert run("optout", "add", "-", stdin=b"600111223\n600111224\n").code == 0


def test_a_national_number_needs_a_country(run: Run, two: Path) -> None:
    two.write_text(two.read_text(encoding="utf-8").replace('region = "ES"', 'region = "IT"', 1), encoding="utf-8")
    assert bad(run("optout", "list", "912345678"), "say --region")
    assert run("optout", "add", "912345678", "--controller", "acme", "--region", "es").code == 0
    assert [one["number"] for one in run("optout", "list", "--json").json] == [NUMBER]
    assert bad(run("optout", "list", "912345678", "--region", "XX"), "--region: is no country's code")


def test_with_two_controllers_one_is_named(run: Run, two: Path) -> None:
    for command in ("add", "remove"):
        assert bad(run("optout", command, NUMBER), "--controller: say which; there are: acme, zeta")
        assert bad(run("optout", command, NUMBER, "--controller", "acmo"), "--controller: is not in the configuration")
    assert bad(run("optout", "list", "--controller", "acmo"), "--controller: is not in the configuration")


def test_the_list_is_of_one_controller_where_one_is_named(run: Run, two: Path) -> None:
    for controller in ("acme", "zeta"):
        run("optout", "add", NUMBER, "--controller", controller)
    assert listed(run) == [("zeta", "marketing"), ("acme", "marketing")]
    assert listed(run, "--controller", "acme", NUMBER) == [("acme", "marketing")]
    assert listed(run, "+34912345679") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--purpose", "recording.quality"], "--purpose: goes with --scope purpose"),
        (["--scope", "purpose"], "--purpose: goes with --scope purpose, which needs it"),
        (["--scope", "campaign"], "--campaign: goes with --scope campaign, which needs it"),
        (["--scope", "purpose", "--purpose", "No Such"], "--purpose: a name of small letters"),
        (["--scope", "campaign", "--campaign", "a" * 41], "--campaign: a name of small letters"),
        (["--until", "tomorrow"], "--until: a day such as"),
        (["--until", "9999-12-31"], "--until: is after the year 9000: leave it out"),
        (["--until", "2020-01-31"], "--until: is past already"),
        (["--reason", "two\nlines"], "--reason: one line"),
        (["--reason", "\x1b[2J"], "--reason: one line"),
        (["--reason", "x" * 201], "--reason: one line"),
    ],
)
def test_what_makes_no_sense_is_one_line(run: Run, written: Path, arguments: list[str], said: str) -> None:
    assert bad(run("optout", "add", NUMBER, *arguments), said)
    assert not (written.parent / "callguard.db").exists()


def test_an_opt_out_lasts_through_its_last_day(run: Run) -> None:
    today = datetime.now().astimezone()
    run("optout", "add", NUMBER, "--until", today.date().isoformat(), "--reason", "[bold]asked[/bold]")
    (one,) = run("optout", "list", "--json").json
    end = datetime.fromisoformat(one["until"]).astimezone()
    assert (end.hour, end.minute) == (0, 0)
    assert timedelta() < end - today <= timedelta(hours=25)
    assert "[bold]asked[/bold]" in run("optout", "list").out


def test_an_empty_list_says_so(run: Run) -> None:
    run("optout", "add", NUMBER)
    run("optout", "remove", NUMBER)
    assert run("optout", "list").out == "No opt-outs\n"
    assert run("optout", "list", "--json").json == []


def test_reading_makes_no_store(run: Run, written: Path) -> None:
    for command in (["optout", "list"], ["check", NUMBER]):
        assert bad(run(*command), "callguard.db: there is no store yet")
    assert not (written.parent / "callguard.db").exists()


# Checking


def test_who_may_be_called_is_allowed(run: Run) -> None:
    run("optout", "add", NUMBER)
    done = run("check", NUMBER)
    assert (done.code, done.out.splitlines()[0]) == (0, "Allowed: dial.allowed")
    assert "marketing" in done.out  # the opt-out that was seen, and that does not concern service calls


def test_the_decision_is_explained_in_json(run: Run, two: Path) -> None:
    run("optout", "add", NUMBER, "--controller", "zeta")
    run("optout", "add", NUMBER, "--controller", "zeta", "--scope", "campaign", "--campaign", "spring")
    run("optout", "add", NUMBER, "--controller", "acme", "--scope", "all")
    done = run("check", "912345678", "--profile", "sales", "--at", "2099-01-31T09:30+01:00", "--json")
    assert done.code == 3
    explained = done.json
    assert [one["scope"] for one in explained.pop("opt_outs")] == ["campaign", "marketing"]
    assert (explained.pop("registries"), explained.pop("grants"), explained.pop("bases")) == ([], [], [])
    law = explained.pop("law")
    assert (law["called"], law["calling"], law["zones"]) == ("ES", "ES", ["Europe/Madrid"])
    hours = next(one for one in law["rules"] if one["rule"] == "es.hours")
    assert (hours["denies"], hours["saw"]) == (True, "Saturday 2099-01-31 09:30 Europe/Madrid")
    assert hours["source"].startswith("TRLGDCU")
    assert hours["allowed_from"] == "2099-02-02T08:00:00+00:00"
    assert explained == {
        "allow": False,
        "rule": "optout.marketing",
        "rules": ["optout.marketing", "optout.campaign", "es.hours", "es.basis", "es.lists"],
        "allowed_from": None,
        "number": NUMBER,
        "controller": "zeta",
        "profile": "sales",
        "calls": "marketing",
        "purpose": "marketing.calls",
        "campaign": "spring",
        "at": "2099-01-31T09:30:00+01:00",
        "needs_basis": False,
        "caller_id": None,
    }


def test_all_rules_that_deny_are_told(run: Run) -> None:
    run("optout", "add", NUMBER, "--scope", "all")
    run("optout", "add", NUMBER, "--scope", "purpose", "--purpose", "recording.quality")
    lines = run("check", NUMBER, "--purpose", "recording.quality").out.splitlines()
    assert lines[:2] == ["Denied: optout.all", "Also denied by: optout.purpose"]


@pytest.mark.parametrize("command", [("check",), ("optout", "add"), ("optout", "remove"), ("optout", "list")])
@pytest.mark.parametrize(
    "words", [(NUMBER, "+34912345679"), ("912345678", "912345679"), (NUMBER, "or so"), ("or", NUMBER)]
)
def test_two_numbers_are_one_too_many(run: Run, command: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = run(*command, *words)
    assert bad(done, "NUMBER: one at a time")
    assert "91234567" not in done.err


@pytest.mark.parametrize("words", [("+34", "912345678"), ("912", "345", "678"), ("+34", "912", "345", "678")])
def test_one_number_may_be_typed_with_spaces(run: Run, words: tuple[str, ...]) -> None:
    run("optout", "add", NUMBER, "--scope", "all")
    done = run("check", *words, "--json")
    assert (done.code, done.json["number"]) == (3, NUMBER)


@pytest.mark.parametrize("number", ["nonsense", "12", "+34912345678;rm"])
def test_what_is_no_number_is_denied_whoever_has_opted_out(run: Run, number: str) -> None:
    run("optout", "add", NUMBER, "--scope", "all")
    done = run("check", number, "--json")
    assert (done.code, done.json["rules"], done.json["opt_outs"]) == (3, ["number.invalid"], [])
    assert "It is no phone number" in run("check", number).out


def test_an_opt_out_is_seen_at_its_time(run: Run) -> None:
    run("optout", "add", NUMBER, "--scope", "all", "--until", "2098-12-31")
    assert run("check", NUMBER).code == 3
    assert run("check", NUMBER, "--at", "2020-01-31T09:30").code == 0
    assert run("check", NUMBER, "--at", "2099-01-02").code == 0


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "soon", "2027-13-01", "0001-01-01T00:00+99:00", ""]
)
def test_what_is_no_time_is_one_line(run: Run, at: str) -> None:
    assert bad(run("check", NUMBER, "--at", at), "--at: a time such as")


def test_the_profile_is_the_one_that_can_be_meant(run: Run, two: Path) -> None:
    run("optout", "add", NUMBER, "--controller", "zeta")
    assert bad(run("check", NUMBER), "--profile: say which; there are: sales, service")
    assert bad(run("check", NUMBER, "--profile", "sails"), "--profile: is not in the configuration")
    assert run("check", NUMBER, "--campaign", "spring", "--json").json["profile"] == "sales"
    assert run("check", NUMBER, "--purpose", "recording.quality", "--json").json["profile"] == "service"
    assert bad(run("check", NUMBER, "--campaign", "autumn"), "--profile: say which")


@pytest.mark.parametrize("what", ["purpose", "campaign"])
@pytest.mark.parametrize("command", ["check", "add"])
def test_what_no_profile_has_is_warned_of(run: Run, two: Path, what: str, command: str) -> None:
    run("optout", "add", NUMBER, "--controller", "acme", "--scope", "all")
    known = {"purpose": "recording.contract", "campaign": "spring"}[what]
    for name, warned in ((known, False), ("marketing.clals" if what == "purpose" else "sprnig", True)):
        words = ["check", NUMBER, "--profile", "sales"]
        if command == "add":
            words = ["optout", "add", NUMBER, "--controller", "zeta", "--scope", what]
        done = run(*words, f"--{what}", name)
        assert done.code in (0, 3)
        said = f"No profile of zeta has the {what} {name} now, so no call is for it: is it spelt right?\n"
        assert done.err == (said if warned else "")


async def test_a_command_in_another_process_is_seen_by_the_service_and_does_not_fence_it(written: Path) -> None:
    async with Store.open(
        written.parent / "callguard.db", gate="callguard", controllers={"acme": "Acme Energy"}
    ) as service:
        done = callguard("optout", "add", NUMBER, CALLGUARD_CONFIG=str(written))
        assert (done.returncode, done.stderr) == (0, "")
        now = datetime.now().astimezone()
        assert [one.source for one in await service.opt_outs("acme", NUMBER, now)] == ["command"]
        assert await service.opt_in("acme", NUMBER, Scope.MARKETING, now, "key")
        assert callguard("check", NUMBER, CALLGUARD_CONFIG=str(written)).returncode == 0


def test_an_older_store_is_updated_by_the_service_and_by_no_command(run: Run, written: Path) -> None:
    run("optout", "add", NUMBER)
    store = written.parent / "callguard.db"
    with closing(connect(store, isolation_level=None)) as database:
        database.execute("DELETE FROM migrations WHERE number = (SELECT MAX(number) FROM migrations)")
    for command in (("add", NUMBER), ("remove", NUMBER), ("list",), ("list", NUMBER)):
        assert bad(run("optout", *command), f"{store}: has schema", "start the service to update it")
    assert bad(run("check", NUMBER, "--profile", "service"), f"{store}: has schema", "start the service to update it")
