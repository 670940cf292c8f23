"""A trunk's own record of calls, compared with the decisions kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callguard.cdr import trunk_calls
from callguard.cli import app
from callguard.core.decide import Decision, Facts
from callguard.errors import InputError
from callguard.store import Store
from callguard.store.dial_records import DialRecord

EXAMPLE = Path(__file__).parent.parent / "docs" / "callguard.example.toml"
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ASKED, DENIED, NEVER = "+34600000001", "+34600000002", "+34600000003"


def line(dialled: str, dst: str, *, trunk: str = "PJSIP/trunk-00000001", minutes: int = 0) -> str:
    start, end = (f"{START + timedelta(minutes=minutes, seconds=more):%Y-%m-%d %H:%M:%S}" for more in (0, 20))
    fields = [
        "",
        "21",
        dst,
        "to-trunk",
        '""Ann"" <21>',
        "PJSIP/21-00000001",
        trunk,
        "Dial",
        f"{dialled},60",
        start,
        start,
    ]
    return ",".join(f'"{one}"' for one in [*fields, end]) + ',20,20,"ANSWERED","DOCUMENTATION","1.1",""\n'


@pytest.fixture
async def settings(tmp_path: Path) -> Path:
    """A configuration, and a store with one dial allowed and one denied."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("# [paths] ", '[paths]\ntrunks = ["PJSIP/trunk-*"] #')
    text = text.replace("/var/lib/callguard/callguard.db", str(tmp_path / "callguard.db"))
    file = tmp_path / "callguard.toml"
    file.write_text(text, encoding="utf-8")
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme"}) as store:
        for number, decision in ((ASKED, Decision(True, ())), (DENIED, Decision(False, ("optout.all",)))):
            facts = Facts(number, "service", None, None, START + timedelta(seconds=1), (), ())
            await store.decided(DialRecord.of(number, "acme", "service", facts, decision))
    return file


def reconcile(settings: Path, text: str, *options: str) -> tuple[int, str]:
    record = settings.parent / "Master.csv"
    record.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["reconcile", str(record), "--utc", "--config", str(settings), *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_only_what_was_allowed_just_then_is_not_listed(settings: Path) -> None:
    text = "".join([
        line("PJSIP/600000001@trunk", "600000001"),
        line("PJSIP/600000001@trunk", "600000001", minutes=5),
        line("PJSIP/trunk/sip:+34600000002@example", "s"),
        line("PJSIP/1077600000003@trunk", "600000003"),
        line("PJSIP/112@trunk", "112"),
        line("PJSIP/21", "21", trunk="PJSIP/21-00000007"),
    ])  # fmt: skip
    code, said = reconcile(settings, text, "--json")
    found = json.loads(said)
    assert code == 1
    assert [(one["line"], one["dialled"]) for one in found["without_decision"]] == [
        (2, "600000001"), (3, "+34600000002"), (4, "1077600000003"),
    ]  # fmt: skip
    assert found["calls"] == 4
    code, said = reconcile(settings, text, "--from", "2026-11-20T10:05Z", "--to", "2026-11-20T10:06Z")
    assert code == 1
    assert "600000001" in said and "1 calls by a trunk, 1 without a decision" in said


def test_nothing_is_listed_where_every_call_was_allowed(settings: Path) -> None:
    """The number is what the trunk was given, or what was dialled in the dialplan where the trunk wants a code."""
    text = line("PJSIP/600000001@trunk", "600000001") + line("PJSIP/1077600000001@trunk", "600000001")
    assert reconcile(settings, text) == (0, "2 calls by a trunk, 0 without a decision\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n", "csv:1: 2 columns"),
        (line("PJSIP/1@trunk", "1") + line("PJSIP/1@trunk", "1").replace("2026-11", "soon"), "csv:2: 'soon-20"),
        ('"a', "csv:1: not CSV"),
    ],
)
def test_a_file_that_is_no_cdr_is_told_of_by_line(settings: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        reconcile(settings, text)


def test_a_file_that_is_missing_and_a_configuration_without_trunks_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(trunk_calls(tmp_path / "gone.csv", ("*",), utc=True))
    with pytest.raises(InputError, match="names no trunk"):
        reconcile_without = CliRunner().invoke(app, ["reconcile", "x.csv", "--config", str(EXAMPLE)])
        assert reconcile_without.exception is not None
        raise reconcile_without.exception


def test_times_without_utc_are_this_machines(tmp_path: Path) -> None:
    record = tmp_path / "Master.csv"
    record.write_text(line("PJSIP/1@trunk", "1"), encoding="utf-8")
    (call,) = trunk_calls(record, ("PJSIP/trunk*",), utc=False)
    assert call.start == START.replace(tzinfo=None).astimezone()


def test_an_empty_record_says_nothing_and_is_one_line(settings: Path) -> None:
    with pytest.raises(InputError, match=r"Master\.csv: is empty"):
        reconcile(settings, "")


def test_days_in_the_wrong_order_are_no_day_without_calls(settings: Path) -> None:
    with pytest.raises(InputError, match="--from: is not before --to"):
        reconcile(settings, line("PJSIP/1@trunk", "1"), "--from", "2026-11-23", "--to", "2026-11-22")
