"""Policies' files: what is wrong is one line with file, line and field, and a site's own only add and exempt."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from phonenumbers import timezone

from callguard import config
from callguard.core.decide import Place
from callguard.errors import InputError
from callguard.policies.load import NO_LAW, SHIPPED, is_holiday, lint, load, read
from callguard.prepare import prepare

from .conftest import Write, marketing

HEAD = 'country = "ES"\n\n'
RULE = '[[rule]]\nid = "own.a"\nkind = "cap"\nsource = "ours"\nmost = 3\ndays = 7\n'
HOURS = '[[rule]]\nid = "own.h"\nkind = "hours"\nsource = "ours"\nwindows = {{ {} }}\n'
EXEMPT = (
    '[[rule]]\nid = "own.staff"\nkind = "exemption"\nsource = "our staff"\n'
    'lifts = ["es.hours", "es.basis", "es.lists"]\nnumbers = ["+34612345"]\n'
)
NIGHT = "2026-11-22T02:00"


def test_a_sites_own_rules_are_added(write: Write) -> None:
    settings = write(HEAD + RULE, 'country = "CH"\nzones = ["Europe/Zurich"]\n')
    book = load(settings)
    assert "own.a" in {finding.rule for finding in book.law.judge(marketing(book, "+34912345678", NIGHT))}
    assert book.law.decide(marketing(book, "+41446681800", NIGHT)).allow
    assert book.law.digest != load(write(HEAD + RULE.replace("3", "4"))).law.digest


def test_a_sites_own_policy_exempts_named_phones_from_named_rules(write: Write) -> None:
    book = load(write(HEAD + EXEMPT))
    assert book.law.decide(marketing(book, "+34612345678", NIGHT)).allow
    assert book.law.decide(marketing(book, "+34612346678", NIGHT)).rules == ("es.hours", "es.basis")


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        ("country = ES", 1, "", "not TOML"),
        ('country = "XX"', 1, "country", "two capital letters"),
        ('name = "Spain"', None, "country", "Field required"),
        (HEAD + RULE + RULE, 10, "rule.1.id", "own.a is there already"),
        (HEAD + RULE.replace("own.a", "es.hours"), 4, "rule.0.id", "es.hours is in"),
        (HEAD + RULE.replace("own.a", "Own A"), 4, "rule.0.id", "should match pattern"),
        (HEAD + RULE.replace('"cap"', '"cup"'), 5, "rule.0.kind", "there is no kind 'cup'; there are: hours, cap, "),
        (HEAD + RULE.replace('kind = "cap"\n', ""), 3, "rule.0.kind", "is missing"),
        (HEAD + RULE + 'valid_from = "2026"\n', 9, "rule.0.valid_from", "a day such as 2027-01-31 is needed"),
        (HEAD + RULE + 'valid_to = "2026-02-30"\n', 9, "rule.0.valid_to", "a day such as 2027-01-31 is needed"),
        (HEAD + RULE.replace("days", "dais"), 8, "rule.0.dais", "there is no such setting"),
        (HEAD + RULE + "hours = 3\n", 3, "rule.0", "in days or in hours"),
        (
            HEAD + RULE + "valid_from = 2026-02-01\nvalid_to = 2026-01-01\n",
            10,
            "rule.0.valid_to",
            "is before",
        ),
        (HEAD + RULE + 'areas = ["FL"]\n', 9, "rule.0.areas", "there is no [areas.FL] of ES"),
        (HEAD + RULE + 'lifted_by = ["wishes"]\n', 9, "rule.0.lifted_by", "Input should be 'consent'"),
        (HEAD + HOURS.format('mon = ["09:00-08:00"]'), 7, "rule.0.windows", "opens before it closes"),
        (HEAD + HOURS.format('mon = ["09:00-12:00", "11:59-13:00"]'), 7, "rule.0.windows", "overlap"),
        (HEAD + HOURS.format('mon-fri = ["09:00-12:00"], wed = []'), 7, "rule.0.windows", "wed is named twice"),
        (HEAD + HOURS.format('fri-mon = ["09:00-12:00"]'), 7, "rule.0.windows", "is no day"),
        (HEAD + HOURS.format('mon = ["9-12"]'), 7, "rule.0.windows", "is no window"),
        (HEAD + HOURS.format('mon = ["09:00-24:30"]'), 7, "rule.0.windows", "opens before it closes"),
        (
            'country = "AC"\nzones = ["Atlantic/St_Helena"]\n\n' + HOURS.format('mon = ["09:00-12:00"], holiday = []'),
            8,
            "rule.0.windows",
            "the holidays of AC are not known",
        ),
        ('country = "ES"\nzones = ["Europe/Atlantis"]\n', 2, "zones", "is no time zone"),
        ('country = "CH"\n', None, "zones", "no other policy has this country's"),
        (HEAD + EXEMPT.replace("+34612345", "+34612"), 8, "rule.0.numbers", "should match pattern"),
        (HEAD + EXEMPT.replace("es.lists", "es.list"), 7, "rule.0.lifts", "there is no rule 'es.list'"),
    ],
)
def test_what_is_wrong_is_told_by_file_line_and_field(
    write: Write, tmp_path: Path, text: str, line: int | None, field: str, problem: str
) -> None:
    settings = write(text)
    for check in (lambda: load(settings), lambda: lint([tmp_path / "policies" / "own0.toml"])):
        with pytest.raises(InputError) as caught:
            check()
        said = str(caught.value)
        place = f"{tmp_path}/policies/own0.toml:" + (f"{line}:" if line else "")
        assert said.startswith(place)
        assert problem in said
        assert f" {field}" in said
        assert "\n" not in said


def test_nothing_is_served_with_a_policy_that_is_wrong(write: Write, tmp_path: Path) -> None:
    write(HEAD + RULE.replace("3", "0"))
    with pytest.raises(InputError, match=r"own0\.toml:7: rule\.0\.most: Input should be greater"):
        prepare(tmp_path / "callguard.toml")


def test_one_id_in_two_files_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"own1\.toml:4: rule\.0\.id: own\.a is in .*own0\.toml already"):
        load(write(HEAD + RULE, HEAD + RULE))


def test_the_shipped_policies_have_no_exemptions(tmp_path: Path) -> None:
    file = tmp_path / "es.toml"
    file.write_text(HEAD + EXEMPT, encoding="utf-8")
    with pytest.raises(InputError, match=r"es\.toml:5: rule\.0\.kind: only a site's own policy"):
        read(file, own=False)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff")
    for name, problem in (("none.toml", ": cannot be read: No such file"), ("own.toml", ":1: is not UTF-8")):
        with pytest.raises(InputError, match=f"{name}{problem}"):
            lint([tmp_path / name])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('adopt = ["it.ours"]', r"callguard\.toml:12: law\.adopt: there is no rule 'it\.ours'"),
        ('policies = "/nowhere/at/all"', r"callguard\.toml:12: law\.policies: there is no folder /nowhere/at/all"),
        ('without = ["es.hours"]', r"callguard\.toml:12: law\.without: there is no such setting"),
    ],
)
def test_what_the_configuration_says_of_the_law_is_checked(
    write: Write, tmp_path: Path, setting: str, said: str
) -> None:
    write()
    file = tmp_path / "callguard.toml"
    text = file.read_text(encoding="utf-8").replace("\n[law]\n", f"\n[law]\n{setting}\n")
    lines = [line for line in text.splitlines() if line == setting or not line.startswith(("adopt", "policies"))]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load(config.load(file, {}))


def test_without_policies_nobody_is_called_for_marketing() -> None:
    assert NO_LAW.law.decide(marketing(NO_LAW, "+390612345678", NIGHT)).rules == ("law.unknown",)


@pytest.mark.parametrize(
    ("number", "country", "areas", "zones"),
    [
        ("+34928123456", "ES", None, ("Atlantic/Canary",)),
        ("+34612345678", "ES", None, ("Atlantic/Canary", "Europe/Madrid")),
        ("+447700900123", "GB", None, ("Europe/London",)),
        ("+34500000000", "ES", None, ("Europe/Madrid", "Atlantic/Canary")),
        ("+18135550123", "US", {"FL"}, ("America/New_York", "America/Chicago")),
        ("+17875550123", "US", set(), ("America/Puerto_Rico",)),
        ("+14165550123", "CA", None, ("America/Toronto",)),
        ("+80012345678", None, None, ()),
    ],
)
def test_where_a_number_is_of(
    write: Write, number: str, country: str | None, areas: set[str] | None, zones: tuple[str, ...]
) -> None:
    known = None if areas is None else frozenset(areas)
    assert load(write()).places.of(number) == Place(country, known, zones)


def test_a_number_that_could_be_anywhere_has_all_zones(write: Write) -> None:
    places = load(write()).places
    for number in ("+18005550123", "+11234567890"):
        found = places.of(number)
        assert found.areas is None
        assert {"America/New_York", "America/Los_Angeles", "Pacific/Honolulu"} <= set(found.zones)


def test_a_zone_that_the_machine_does_not_know_gives_way_to_those_of_the_country(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "time_zones_for_number", lambda number: ("Europe/Old_Madrid",))
    assert load(write()).places.of("+34912345678").zones == ("Europe/Madrid", "Atlantic/Canary")


def test_holidays_are_the_nations() -> None:
    assert is_holiday("ES", date(2026, 12, 8))
    assert not is_holiday("ES", date(2026, 5, 15))  # Madrid's own
    assert not is_holiday("XX", date(2026, 12, 25))


def test_all_shipped_files_are_read_alone() -> None:
    for path in SHIPPED.glob("*.toml"):
        assert read(path, own=False).model.zones


def test_what_is_learnt_ahead_no_first_dial_has_to_read() -> None:
    """In a process of its own: what another test has read would not be read again."""
    code = """
import sys
from datetime import UTC, datetime
import phonenumbers
from callguard.core.decide import Facts
from callguard.policies.load import load_from
book = load_from(None, (), None)
book.learn()
before = set(sys.modules)
for region in ("IT", "ES", "PL", "FR", "DE", "GB", "US", "CA", "PR", "JM", "JE", "VA"):
    example = phonenumbers.example_number(region)
    place = book.places.of(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    book.law.decide(Facts("+1", "marketing", None, None, datetime.now(UTC), (), (), place=place))
print(*(set(sys.modules) - before))
"""
    read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert read.split() == []


def test_a_policy_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(b'country = "ES"\r\n# Espa\xf1a\n')
    with pytest.raises(InputError, match=r"own\.toml:2: is not UTF-8"):
        lint([file])
