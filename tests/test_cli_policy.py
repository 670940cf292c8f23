"""``callguard policy``, and what ``check`` tells of the law."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from callguard.dial_sections import Law
from tests.optouts.conftest import NUMBER, SALES, Run, run, two, written

__all__ = ["run", "two", "written"]
STAFF = """
country = "ES"
[[rule]]
id = "own.staff"
kind = "exemption"
source = "our staff's phones"
lifts = ["es.hours", "es.basis", "es.lists"]
numbers = ["+34912345"]
"""
NIGHT = ("--profile", "sales", "--at", "2026-11-22T02:00+01:00")


def test_show_tells_each_rule_and_whether_it_applies(run: Run) -> None:
    lines = {line.split()[0]: line for line in run("policy", "show").out.splitlines()}
    assert "no: voluntary" in lines["it.hours"]
    assert "Mon-Fri 09:00-20:00, Sat 10:00-19:00, Sun never, eves of holidays 10:00-19:00" in lines["it.hours"]
    assert "no: unverified" in lines["it.prefix"]
    assert "no: ended 2026-08-10" in lines["fr.bloctel"]
    assert "yes, disputed" in lines["us.recording.disputed"]
    assert "4 calls in 30 days at most" in lines["fr.cap"]
    assert "lifted by consent" in lines["fr.hours"]
    assert "three" not in lines["us.fl.cap"] and "3 calls in 24 hours at most (FL)" in lines["us.fl.cap"]


def test_show_of_one_country_in_json(run: Run, written: Path) -> None:
    with written.open("a", encoding="utf-8") as file:
        file.write('\n[law]\nadopt = ["es.cli"]\n')
    shown = run("policy", "show", "es", "--json").json
    rules = {one["rule"]: one for one in shown["rules"]}
    assert {one["country"] for one in shown["rules"]} == {"ES"}
    assert len(shown["policy"]) == 16
    assert (rules["es.cli"]["applies"], rules["es.cli"]["why"]) == (True, "adopted")
    assert rules["es.hours"] == {
        "country": "ES", "rule": "es.hours", "kind": "hours", "applies": True, "why": "yes",
        "says": "Mon-Fri 09:00-21:00, Sat-Sun never, holidays never",
        "source": "TRLGDCU (RDL 1/2007) art. 96: 9 to 21, not on weekends and holidays",
        "status": "in_force", "verified": True, "calls": "marketing", "valid_from": None, "valid_to": None,
        "areas": [], "purposes": [], "lifted_by": [],
    }  # fmt: skip
    refused = run("policy", "show", "CH")
    assert (refused.code, refused.err) == (
        2, "callguard: COUNTRY: there is no policy for it; there are CA, DE, ES, FR, GB, IT, PL, US\n",
    )  # fmt: skip


def test_a_rule_that_is_yet_to_come_does_not_apply(run: Run, written: Path, tmp_path: Path) -> None:
    own(written, tmp_path, STAFF.replace("source", "valid_from = 2099-01-01\nsource"))
    lines = {line.split()[0]: line for line in run("policy", "show", "ES").out.splitlines()}
    assert "no: from 2099-01-01 on" in lines["own.staff"]


def own(written: Path, tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "own.toml").write_text(text, encoding="utf-8")
    with written.open("a", encoding="utf-8") as file:
        file.write(f'\n[law]\npolicies = "{folder}"\n')
    return folder / "own.toml"


def test_lint_checks_files_and_the_configurations_own(run: Run, written: Path, tmp_path: Path) -> None:
    file = own(written, tmp_path, STAFF)
    assert run("policy", "lint", str(file)).out == "1 file is right\n"
    assert "rules are right; policy " in run("policy", "lint").out
    file.write_text(STAFF.replace("exemption", "exception"), encoding="utf-8")
    for arguments in ((str(file),), ()):
        wrong = run("policy", "lint", *arguments)
        assert wrong.code == 2
        assert wrong.err.startswith(f"callguard: {file}:5: rule.0.kind: ")
    wrong = run("check", NUMBER)
    assert (wrong.code, wrong.err.startswith(f"callguard: {file}:5: rule.0.kind: ")) == (2, True)


def test_the_pages_own_policy_is_right(run: Run, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "policies.md").read_text(encoding="utf-8")
    law, own_policy = re.findall(r"(?ms)^```toml\n(.*?)^```", page)
    (tmp_path / "own.toml").write_text(own_policy, encoding="utf-8")
    assert run("policy", "lint", str(tmp_path / "own.toml")).out == "1 file is right\n"
    assert Law.model_validate(tomllib.loads(law)["law"]).adopt == ("it.hours",)


def test_check_names_each_rule_what_it_saw_its_source_and_when_that_changes(run: Run, two: Path) -> None:
    run("optout", "list")
    run("optout", "add", "+34912345679", "--controller", "zeta")
    done = run("check", NUMBER, *NIGHT)
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[0] == "Denied: es.hours"
    assert lines[1] == "Also denied by: es.basis, es.lists"
    at = next(n for n, line in enumerate(lines) if line.startswith("Law of ES (called) and ES (calling); policy "))
    assert lines[at + 1 : at + 4] == [
        "  denies  es.hours: Sunday 2026-11-22 02:00 Europe/Madrid",
        "          TRLGDCU (RDL 1/2007) art. 96: 9 to 21, not on weekends and holidays",
        "          allowed from Monday 2026-11-23 09:00 Europe/Madrid",
    ]
    assert "  silent  es.recorded: the agent speaks first" in lines
    assert "          time alone does not change that" in lines


def test_check_says_from_when_on_a_call_is_allowed(run: Run, two: Path, tmp_path: Path) -> None:
    own(two, tmp_path, STAFF.replace('"es.hours", ', ""))
    run("optout", "add", "+34912345679", "--controller", "zeta")
    done = run("check", NUMBER, *NIGHT)
    assert done.out.splitlines()[:2] == [
        "Denied: es.hours", "Allowed from Monday 2026-11-23 09:00 Europe/Madrid, if nothing else changes",
    ]  # fmt: skip
    assert run("check", NUMBER, *NIGHT, "--json").json["allowed_from"] == "2026-11-23T08:00:00+00:00"


def test_check_tells_of_an_exemption_and_of_service_calls(run: Run, two: Path, tmp_path: Path) -> None:
    own(two, tmp_path, STAFF)
    run("optout", "add", "+34912345679", "--controller", "zeta")
    allowed = run("check", NUMBER, *NIGHT)
    assert allowed.code == 0
    assert "es.hours: Sunday 2026-11-22 02:00 Europe/Madrid; lifted by own.staff" in allowed.out
    service = run("check", NUMBER, "--profile", "service")
    assert (service.code, "  no rule is about such a call" in service.out) == (0, True)
    assert SALES  # the profile that is asked about


def test_check_counts_earlier_calls_where_the_law_does(run: Run, two: Path) -> None:
    run("optout", "add", "+33142345678", "--controller", "zeta")
    run("optout", "remove", "+33142345678", "--controller", "zeta")
    rules = run("check", "+33142345678", "--profile", "sales", "--json").json["law"]["rules"]
    found = {one["rule"]: one for one in rules}
    assert found["fr.silence"]["denies"]
    assert found["fr.silence"]["saw"].endswith(", 60 days of silence")
    assert found["fr.cap"]["saw"] == "0 calls allowed in the last 30 days, 4 at most"
