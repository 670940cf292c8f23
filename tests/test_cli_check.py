"""``callguard check --caller-id``: what the rules about the number that a call shows would come to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callguard import config
from callguard.store import Store
from tests.optouts.conftest import NUMBER, Run, bad, run, two, written

__all__ = ["run", "two", "written"]

OURS, CALLED = "+34910000062", "+34910000063"
NAMED = 'caller_ids = ["+34910000061"]'
CLI = ("cli.unnamed", "cli.withheld", "cli.foreign", "cli.unproved")
Asked = Callable[..., tuple[list[str], str]]


@pytest.fixture
def named(two: Path) -> Path:
    """The profile that sells names two numbers of its own, one of which somebody called a week ago."""
    text = two.read_text(encoding="utf-8")
    two.write_text(text.replace(NAMED, f'caller_ids = ["{OURS}", "{CALLED}"]'), encoding="utf-8")
    settings = config.load(two)

    async def call() -> None:
        names = {name: one.name for name, one in settings.controllers.items()}
        async with Store.open(settings.store.path, gate=None, controllers=names) as store:
            await store.called(CALLED, datetime.now(UTC) - timedelta(days=7))

    asyncio.run(call())
    return two


@pytest.fixture
def asked(run: Run) -> Asked:
    def ask(*options: str, profile: str = "sales") -> tuple[list[str], str]:
        """The rules about the number shown that deny, and the line that tells of it."""
        command = ("check", NUMBER, "--profile", profile, *options)
        rules = [one for one in run(*command, "--json").json["rules"] if one in CLI]
        return rules, next((line for line in run(*command).out.splitlines() if line.startswith("The number that")), "")

    return ask


@pytest.mark.parametrize(
    ("shows", "rules", "said"),
    [
        ("withheld", ["cli.withheld"], "withheld, and a marketing call has to show one"),
        ("+34600000001", ["cli.foreign"], "none of the profile's 2 caller_ids"),
        ("100", ["cli.foreign"], "none of the profile's 2 caller_ids"),
        (OURS, ["cli.unproved"], "last called never, and that holds for 30 days (cli.unproved): it is allowed once"),
        ("910 00 00 63", [], "the profile's own, last called 2"),
    ],
)
def test_each_rule_about_the_number_shown_can_be_previewed(
    named: Path, asked: Asked, shows: str, rules: list[str], said: str
) -> None:
    denying, line = asked("--caller-id", shows)
    assert denying == rules
    assert said in line


def test_a_proof_is_judged_at_the_time_that_is_asked_about(named: Path, asked: Asked) -> None:
    later = (datetime.now(UTC) + timedelta(days=24)).isoformat(timespec="seconds")
    assert asked("--caller-id", CALLED, "--at", later)[0] == ["cli.unproved"]


def test_json_has_what_is_known_of_it(named: Path, run: Run) -> None:
    def of(*options: str) -> object:
        return run("check", NUMBER, "--profile", "sales", "--json", *options).json["caller_id"]

    told = of("--caller-id", OURS)
    assert told == {"number": OURS, "ours": True, "last_called_at": None, "max_age_days": 30}
    assert of("--caller-id", "withheld") == dict.fromkeys(("number", "ours", "last_called_at", "max_age_days"))
    assert of() is None


def test_where_no_rule_asks_about_it_that_is_said(named: Path, asked: Asked) -> None:
    assert "calls are no marketing" in asked("--caller-id", "withheld", profile="service")[1]
    assert asked() == ([], "")


def test_where_the_profile_names_no_number_none_will_do(named: Path, asked: Asked, run: Run) -> None:
    """Whatever is shown, and also where nothing is said of that."""
    text = named.read_text(encoding="utf-8")
    named.write_text(text.replace(f'caller_ids = ["{OURS}", "{CALLED}"]', ""), encoding="utf-8")
    for shows in ([], ["--caller-id", OURS], ["--caller-id", "+34600000001"]):
        rules, line = asked(*shows)
        assert (rules, "names none of its own: set caller_ids" in line) == (["cli.unnamed"], True)
    assert asked("--caller-id", "withheld")[0] == ["cli.unnamed", "cli.withheld"]
    assert asked("--caller-id", OURS, profile="service")[0] == []
    done = run("check", NUMBER, "--profile", "sales", "--caller-id", OURS, "--json")
    assert done.json["caller_id"]["ours"] is None


@pytest.mark.parametrize("shows", ["", "anonymous", "+", "1" * 31, "٣٤"])
def test_what_is_no_number_is_one_line(two: Path, run: Run, shows: str) -> None:
    done = run("check", NUMBER, "--profile", "sales", "--caller-id", shows)
    assert bad(done, "--caller-id: a number is needed, or the word withheld")


def test_what_is_said_of_the_houses_own_people_is_no_contradiction(named: Path, run: Run) -> None:
    text = named.read_text(encoding="utf-8")
    named.write_text(f'{text}\n[paths]\nstaff = ["{NUMBER}"]\n', encoding="utf-8")
    done = run("check", NUMBER, "--profile", "sales", "--caller-id", "withheld", "--at", "2027-01-31T03:00+01:00")
    assert (done.code, done.out.splitlines()[:2]) == (
        0,
        [
            "Allowed: staff.exempt",
            "One of your own people (paths.staff): what denies below is asked of strangers alone",
        ],
    )
    assert "  would   es.hours: " in done.out
    assert "denies  " not in done.out and "does not change that" not in done.out
