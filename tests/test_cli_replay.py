"""``callguard policy replay``: past dials by another law."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from callguard import config
from callguard.core.decide import Facts, OptOut, Scope
from callguard.policies.load import load
from callguard.store import Store
from callguard.store.dial_records import DialRecord
from tests.optouts.conftest import NUMBER, Run, bad, run, two, written

__all__ = ["run", "two", "written"]
# A Monday, 18:00 in Madrid.
AT = datetime(2026, 11, 16, 17, 0, tzinfo=UTC)
FACTS = Facts(NUMBER, "service", None, None, AT, (), (), caller_country="ES", agent_first=True)
OPT_OUT = OptOut(Scope.ALL, None, None, AT - timedelta(days=1), None, "key")
EVENING = """
country = "ES"
[[rule]]
id = "own.evening"
kind = "hours"
calls = "all"
source = "our code"
windows = { mon-fri = ["09:00-17:00"] }
"""


def decided(written: Path, *all_of_them: Facts) -> list[str]:
    """Keep these decisions as the configuration's law makes them, and the last one as an older callguard did."""
    settings = config.load(written)
    book = load(settings)
    calls = [f"00000000-0000-7000-8000-{n:012}" for n in range(len(all_of_them))]

    async def keep() -> None:
        async with Store.open(settings.store.path, gate=None, controllers={"zeta": "Zeta", "acme": "Acme"}) as store:
            for call, facts in zip(calls, all_of_them, strict=True):
                placed = replace(facts, place=book.places.of(facts.number) if facts.number else None)
                decision = book.law.decide(placed)
                await store.decided(DialRecord.of(call, "acme", "service", placed, decision))

    asyncio.run(keep())
    return calls


def test_a_stricter_policy_shows_which_calls_it_would_have_denied(run: Run, two: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "own.toml").write_text(EVENING, encoding="utf-8")
    morning = replace(FACTS, at=AT - timedelta(hours=8))
    evening, _, opted_out, nobody, italian = decided(
        two, FACTS, morning, replace(FACTS, opt_outs=(OPT_OUT,)), replace(FACTS, number=None),
        replace(FACTS, number="+390612345678", caller_country="IT"),
    )  # fmt: skip
    done = run("policy", "replay", "--policies", str(folder))
    assert done.code == 0
    table, call = done.out.splitlines()[:2]
    assert table.split() == ["When", "Call", "Was", "Would", "be"]
    assert evening in call and call.rstrip().endswith("allowed denied: own.evening")
    assert NUMBER not in done.out and opted_out not in done.out and nobody not in done.out and italian not in done.out
    said = " ".join(done.out.split())
    assert (
        "1 that were allowed would be denied, 0 that were denied would be allowed, 1 would be denied by other rules, "
        "3 are the same." in said
    )
    assert NUMBER in run("policy", "replay", "--policy", str(folder), "--numbers").out
    told = run("policy", "replay", "--policies", str(folder), "--json").json
    assert told["differences"] == [{
        "call": evening, "at": "2026-11-16T17:00:00+00:00", "controller": "acme", "profile": "service",
        "allowed": True, "rules": [], "would_be_allowed": False, "would_be_rules": ["own.evening"],
    }]  # fmt: skip
    assert (told["same"], told["would_be_denied"], told["denied_by_other_rules"]) == (3, 1, 1)
    later = run("policy", "replay", "--policies", str(folder), "--since", "2026-11-17", "--json").json
    assert (later["same"], later["differences"]) == (0, [])


def test_under_the_law_that_it_was_made_by_every_decision_is_the_same(run: Run, two: Path) -> None:
    decided(two, FACTS, replace(FACTS, number="+12025550123", calls="marketing", looked_back=timedelta(days=400)))
    told = run("policy", "replay", "--json").json
    assert (told["same"], told["not_enough_kept"], told["differences"]) == (2, {}, [])


def test_what_was_kept_and_is_not_enough_is_counted_and_not_guessed(run: Run, two: Path) -> None:
    french = replace(FACTS, number="+33142345678", calls="marketing", purpose="marketing.calls")
    _, _, erased, older = decided(two, FACTS, french, replace(FACTS, number="+34912345679"), FACTS)
    with sqlite3.connect(config.load(two).store.path) as database:
        database.execute("UPDATE subjects SET number = NULL WHERE number = '+34912345679'")
        database.execute("UPDATE decisions SET facts = json_remove(facts, '$.law') WHERE call_id = ?", (older,))
    database.close()
    told = run("policy", "replay", "--json").json
    assert told["not_enough_kept"] == {
        "earlier calls and refusals were not looked for so far back": 1,
        "the number is not known any more": 1,
        "kept by a callguard that kept less": 1,
    }
    assert (told["same"], told["differences"]) == (1, [])
    out = run("policy", "replay").out
    assert "Not judged, as what was kept is not enough: 1 (the number is not known any more)" in out
    assert erased not in out


def test_a_rule_that_is_adopted_counts_and_what_is_wrong_is_one_line(run: Run, two: Path, tmp_path: Path) -> None:
    sunday = replace(FACTS, number="+390612345678", calls="marketing", at=AT - timedelta(days=1), caller_country="IT")
    decided(two, replace(sunday, looked_back=timedelta(days=400)))
    before, after = (run("policy", "replay", *more, "--json").json for more in ((), ("--adopt", "it.hours")))
    assert before["policy"] != after["policy"]
    assert [(told["same"], told["denied_by_other_rules"]) for told in (before, after)] == [(1, 0), (0, 1)]
    assert bad(run("policy", "replay", "--adopt", "it.hour"), "--adopt: there is no rule 'it.hour'")
    assert bad(run("policy", "replay", "--policies", str(tmp_path / "no")), "--policies: there is no folder")
    assert bad(run("policy", "replay", "--since", "soon"), "--since")
