"""``callguard registry`` and what ``check`` says of it: what is in force, what is said, and by which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from callguard.store import Store
from tests.registry.generate import fictitious, nanp
from tests.test_cli import callguard
from tests.test_config import CALLING

Run = Callable[..., CompletedProcess[str]]

LISTED, OTHER = "+12025550123", "+12025550124"
TODAY = datetime.now(UTC).date()
SALES = """
[profiles.sales]
controller = "acme"
languages = ["en"]
calls = "marketing"
caller_ids = ["+34910000061"]

[[profiles.sales.purposes]]
id = "recording.quality"
basis = "consent"
"""
REGISTRIES = """
[registries.us]
format = "nanp"
country = "US"
max_age_days = 31

[registries.tps]
format = "e164"
country = "GB"
max_age_days = 28
file = "{folder}/elsewhere/tps.list"
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "callguard.toml"
    text = CALLING.replace('path = "/var/lib/callguard', f'path = "{tmp_path}')
    file.write_text(text + SALES + REGISTRIES.replace("{folder}", str(tmp_path)), encoding="utf-8")
    return file


@pytest.fixture
def run(written: Path) -> Run:
    return lambda *arguments: callguard(*arguments, CALLGUARD_CONFIG=str(written), COLUMNS="200", TZ="UTC")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "us.txt"
    file.write_text(nanp([*fictitious(20), LISTED]), encoding="ascii")
    return file


def bad(done: CompletedProcess[str], *said: str) -> bool:
    """One line on standard error, which says this; exit code 2."""
    one_line = (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return one_line and all(part in done.stderr for part in said)


def test_a_list_is_brought_into_force_and_shown(run: Run, tmp_path: Path, listed: Path) -> None:
    missing = run("registry", "status")
    assert missing.returncode == 1
    assert f"us: {tmp_path}/registries/us.numbers: there is no list yet" in missing.stdout
    day = TODAY - timedelta(days=2)
    done = run("registry", "import", "us", str(listed), "--date", day.isoformat())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"us: 21 numbers of {day} are in force\n"
    shown = run("registry", "status", "--json")
    us, tps = json.loads(shown.stdout)
    assert abs(datetime.fromisoformat(us.pop("imported_at")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(us.pop("sha256")) == 64
    assert us == {
        "registry": "us",
        "controller": None,
        "state": "fresh",
        "numbers": 21,
        "list_date": day.isoformat(),
        "age_days": 2,
        "max_age_days": 31,
        "file": f"{tmp_path}/registries/us.numbers",
        "problem": None,
    }
    assert (tps["registry"], tps["state"], tps["numbers"]) == ("tps", "missing", None)
    assert shown.returncode == 1


def test_status_is_well_only_while_every_list_is_fresh(run: Run, tmp_path: Path, listed: Path) -> None:
    tps = tmp_path / "tps.txt"
    tps.write_text("+441632960001\n", encoding="ascii")
    (tmp_path / "elsewhere").mkdir()
    assert run("registry", "import", "us", str(listed)).returncode == 0
    assert run("registry", "import", "tps", str(tps)).returncode == 0
    well = run("registry", "status")
    assert well.returncode == 0
    assert [line.split()[:3] for line in well.stdout.splitlines()[1:]] == [["us", "fresh", "21"], ["tps", "fresh", "1"]]
    old = TODAY - timedelta(days=29)
    done = run("registry", "import", "tps", str(tps), "--date", old.isoformat(), "--force")
    assert done.stdout == f"tps: 1 numbers of {old} are in force (before: 1 of {TODAY})\n"
    assert done.stderr == "callguard: that is older than the 28 days it may be: calls are denied\n"
    stale = run("registry", "status", "--json")
    assert (stale.returncode, [one["state"] for one in json.loads(stale.stdout)]) == (1, ["fresh", "stale"])
    (tmp_path / "elsewhere" / "tps.list").write_bytes(b"nonsense")
    damaged = run("registry", "status")
    assert damaged.returncode == 1
    assert "tps.list: is no list of numbers that callguard has made" in damaged.stdout


def test_what_is_wrong_is_one_line_and_the_old_list_stays(run: Run, tmp_path: Path, listed: Path) -> None:
    assert run("registry", "import", "us", str(listed)).returncode == 0
    worse = tmp_path / "new.txt"
    worse.write_text("201,5550101\n201;5550102\n", encoding="ascii")
    assert bad(run("registry", "import", "us", str(worse)), f"callguard: {worse}:2: three digits, a comma and")
    older = ("--date", (TODAY - timedelta(days=1)).isoformat())
    assert bad(run("registry", "import", "us", str(listed), *older), "older than the one in force", "--force")
    assert bad(run("registry", "import", "us", str(listed), "--date", "yesterday"), "--date: a day such as 2026-")
    assert bad(run("registry", "import", "uk", str(listed)), "NAME: is not in the configuration; there are: tps, us")
    assert bad(run("registry", "import", "us", str(tmp_path / "nothing")), "nothing: cannot be read: No such file")
    (us, _) = json.loads(run("registry", "status", "--json").stdout)
    assert (us["state"], us["numbers"]) == ("fresh", 21)


def test_a_change_file_brings_a_list_up_to_date(run: Run, tmp_path: Path, listed: Path) -> None:
    day = TODAY - timedelta(days=40)
    changes = tmp_path / "changes.txt"
    lines = nanp(fictitious(20)[:2]).split()
    changes.write_text(f"+202,5550124\n+202,5550123\n-{lines[0]}\n-{lines[1]}\n-{lines[1]}\n-999,5550100\n", "ascii")
    assert bad(run("registry", "update", "us", str(changes)), "us.numbers: there is no list yet")
    assert run("registry", "import", "us", str(listed), "--date", day.isoformat()).returncode == 0
    assert bad(run("registry", "update", "us", str(changes), "--date", day.isoformat()), f"of {day} already: give")
    assert bad(run("registry", "update", "us", str(changes), "--since", "2020-01-01"), "changes the list of 2020-01-01")
    assert bad(run("registry", "update", "us", str(changes), "--since", "then"), "--since: a day such as 2026-")
    later = day + timedelta(days=1)
    done = run("registry", "update", "us", str(changes), "--date", later.isoformat(), "--since", day.isoformat())
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"us: 20 numbers of {later} are in force (before: 21 of {day}): 1 added, 2 deleted",
        "1 of 6 lines were in the list already",
        "1 of 6 lines were to be deleted and not in the list",
        "1 of 6 lines are about a number that a later line is about too, which counts",
    ]
    assert done.stderr == "callguard: that is older than the 31 days it may be: calls are denied\n"


def test_a_folder_that_there_is_not_is_named(run: Run, tmp_path: Path) -> None:
    tps = tmp_path / "tps.txt"
    tps.write_text("+441632960001\n", encoding="ascii")
    (tmp_path / "elsewhere").write_text("", encoding="ascii")
    done = run("registry", "import", "tps", str(tps))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path}/elsewhere cannot be written to: " in done.stderr


def test_without_registries_there_is_nothing_to_import(written: Path, run: Run, listed: Path) -> None:
    written.write_text(written.read_text(encoding="utf-8").partition("[registries.us]")[0], encoding="utf-8")
    assert bad(run("registry", "import", "us", str(listed)), "NAME: the configuration has no [registries.NAME]")
    done = run("registry", "status")
    assert (done.returncode, done.stdout) == (0, "No registries\n")


SCREENED = """
[registries.rpo]
mode = "scrub"
country = "IT"
max_age_days = 15

[registries.robinson]
mode = "query"
country = "ES"
query = { url = "http://127.0.0.1:1/listed", secret_file = "{folder}/robinson.secret" }
"""


@pytest.fixture
def screened(written: Path, tmp_path: Path) -> None:
    """Registries that give no list out, and no others."""
    text = written.read_text(encoding="utf-8").partition("[registries.us]")[0]
    written.write_text(text + SCREENED.replace("{folder}", str(tmp_path)), encoding="utf-8")
    secret = tmp_path / "robinson.secret"
    secret.write_text("something secret", encoding="ascii")
    secret.chmod(0o600)


async def test_answers_of_a_registry_are_kept_for_who_submitted(run: Run, tmp_path: Path, screened: None) -> None:
    listed, may, never = (f"+39061234567{one}" for one in (1, 2, 3))
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme Energy"}):
        pass
    missing = run("registry", "status")
    assert missing.returncode == 1
    assert f"rpo for acme: {tmp_path}/registries/rpo.acme.receipts: there is no receipt yet" in missing.stdout
    submitted, answer = tmp_path / "submitted.txt", tmp_path / "answer.txt"
    submitted.write_text(f"{listed}\n{may}\n", encoding="ascii")
    answer.write_text(f"{listed}\n", encoding="ascii")
    day = TODAY - timedelta(days=3)
    given = ("registry", "receipt", "rpo", str(answer), "--submitted", str(submitted))
    done = run(*given, "--date", day.isoformat(), "--controller", "acme")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"rpo for acme: 1 of 2 numbers are listed, as of {day}; 2 numbers are known\n"
    rpo, robinson = json.loads(run("registry", "status", "--json").stdout)
    assert (rpo["registry"], rpo["controller"], rpo["state"], rpo["age_days"]) == ("rpo", "acme", "fresh", 3)
    assert (robinson["state"], robinson["file"], robinson["max_age_days"]) == ("asked", None, None)
    assert run("registry", "status").returncode == 0
    sales = ("--profile", "sales")
    assert run("check", may, *sales).stdout.startswith("Allowed: dial.allowed\n")
    assert "Registry rpo: lists the number" in run("check", listed, *sales).stdout
    unscreened = run("check", never, *sales)
    assert (unscreened.returncode, unscreened.stdout.splitlines()[0]) == (3, "Denied: registry.unscreened")
    assert "Registry rpo: it says nothing of the number: not submitted to it" in unscreened.stdout
    later = (datetime.now(UTC) + timedelta(days=13)).isoformat()
    assert run("check", may, *sales, "--at", later).stdout.startswith("Denied: registry.stale\n")
    unanswered = run("check", "+34912345678", *sales)
    assert (unanswered.returncode, unanswered.stdout.splitlines()[0]) == (3, "Denied: registry.unanswered")
    assert "Registry robinson: it has not answered\n" in unanswered.stdout
    assert "callguard: registry robinson does not answer, and calls" in unanswered.stderr
    (tmp_path / "robinson.secret").chmod(0o644)
    unreadable = run("registry", "status")
    assert (unreadable.returncode, "robinson: " in unreadable.stdout) == (1, True)
    assert "may be read by everyone: chmod 640" in unreadable.stdout


def test_answers_that_do_not_fit_are_one_line(run: Run, tmp_path: Path, screened: None) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text("+390612345671,listed\n+390612345672,callable\n+390612345673\n", encoding="ascii")
    given = ("registry", "receipt", "rpo", str(answer))
    day = ("--date", (TODAY - timedelta(days=16)).isoformat())
    assert bad(run(*given), "--date: the day of the answer is needed")
    assert bad(run(*given, *day, "--controller", "acne"), "--controller: is not in the configuration; there are: acme")
    assert bad(run(*given, *day, "--callable"), "--callable: says something only with --submitted")
    assert bad(run(*given, *day), f"callguard: {answer}:3: a number in international format")
    assert bad(
        run("registry", "import", "rpo", str(answer)), "NAME: is a registry with mode = scrub: receipt takes its"
    )
    assert bad(run("registry", "update", "robinson", str(answer)), "mode = query: it is asked at each dial, and keeps")
    answer.write_text("+390612345671,listed\n", encoding="ascii")
    done = run(*given, *day)
    assert done.returncode == 0
    assert done.stderr == "callguard: that is older than the 15 days it may be: calls are denied\n"


def test_a_controller_whose_calls_are_not_asked_about_is_told_so(
    written: Path, run: Run, tmp_path: Path, screened: None
) -> None:
    written.write_text(written.read_text(encoding="utf-8").replace('calls = "marketing"', ""), encoding="utf-8")
    answer = tmp_path / "answer.txt"
    answer.write_text("+390612345671,listed\n", encoding="ascii")
    done = run("registry", "receipt", "rpo", str(answer), "--date", TODAY.isoformat())
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "no profile of acme makes calls that rpo is asked about" in done.stderr


async def test_check_says_what_each_registry_says(run: Run, tmp_path: Path, listed: Path) -> None:
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme Energy"}):
        pass
    # In Washington it is noon.
    noon = datetime.combine(TODAY, time(17), UTC)
    sales = ("--profile", "sales", "--at", noon.isoformat())
    without = run("check", OTHER, *sales)
    assert (without.returncode, without.stdout.splitlines()[0]) == (3, "Denied: registry.stale")
    assert "Registry us: it has no list that can be used" in without.stdout
    assert "us.numbers: there is no list yet" in without.stderr
    assert run("registry", "import", "us", str(listed)).returncode == 0
    denied = run("check", LISTED, *sales)
    assert (denied.returncode, denied.stdout.splitlines()[0], denied.stderr) == (3, "Denied: registry.listed", "")
    assert f"Registry us: lists the number (list of {TODAY}, 0 days old, 31 at most: fresh)" in denied.stdout
    allowed = run("check", OTHER, *sales, "--json")
    assert (allowed.returncode, json.loads(allowed.stdout)["registries"]) == (0, [
        {"registry": "us", "listed": False, "list_date": TODAY.isoformat(), "max_age_days": 31,
         "screened": True, "answered": True, "stale": False}
    ])  # fmt: skip
    later = (noon + timedelta(days=32)).isoformat()
    stale = run("check", LISTED, "--profile", "sales", "--at", later, "--json")
    assert (stale.returncode, json.loads(stale.stdout)["rules"]) == (3, ["registry.listed", "registry.stale", "us.dnc"])
    for other in ((LISTED, "--profile", "service"), ("+34912345678", *sales), ("nobody", *sales)):
        assert json.loads(run("check", *other, "--json").stdout)["registries"] == []
