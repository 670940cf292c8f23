"""``callguard subject show``: a person found by number, and nobody else."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from callguard.store.columns import Columns
from callguard.store.queries import sql
from tests.optouts.conftest import NUMBER, Run, bad
from tests.rights.conftest import DIALLED, OTHER, OTHERS, RECORDED, REFUSED, SHARED, WITHDRAWN

ASKED = (
    "subjects_of_number", "legs_of_subject", "grants_of_subject", "evidence_of_subjects_legs", "recordings_of_subject",
    "segments_of_subject", "incidents_of_subject", "opt_outs_of_number_ever", "decisions_of_subject",
    "evidence_of_subject", "endings_of_number", "subject_grants_of_number", "others_in_call", "incidents_between",
)  # fmt: skip


def test_all_that_is_known_is_told_by_controller(run: Run, known: Path) -> None:
    acme, zeta = run("subject", "show", NUMBER, "--json").json
    assert [one["call"] for one in acme["calls"]] == [RECORDED, SHARED, REFUSED, WITHDRAWN]
    first, _, no, gone = acme["calls"]
    assert first["answers"][0].items() >= {"purpose": "recording.quality", "state": "given", "reason": "key"}.items()
    assert first["recording"]["destroy_at"] and len(first["recording"]["files"][0]["sha256"]) == 64
    assert first["evidence"][0]["kind"] == "gate"
    assert first["evidence"][0]["said"]["heard"][0]["heard_ms"] == 9_000
    assert [one["kind"] for one in first["incidents"]] == ["recording.unwatched"]
    assert (no["recorded"], no["answers"][0]["state"]) == (False, "refused")
    assert (gone["recording"]["state"], gone["answers"][-1]["state"]) == ("destroyed", "withdrawn")
    assert (zeta["opt_outs"][0]["source"], zeta["grants"][0]["evidence"]) == ("request", "form 17")
    assert (zeta["decisions"][0]["call"], zeta["decisions"][0]["allow"]) == (DIALLED, False)
    assert [one["kind"] for one in zeta["evidence"]] == ["optout.added", "optout.ended", "grant.given", "dial.decided"]
    (only,) = run("subject", "show", NUMBER, "--json", "--controller", "zeta").json
    assert only["controller"] == "zeta"


def test_it_is_told_in_words_and_in_the_order_of_time(run: Run, known: Path) -> None:
    done = run("subject", "show", "-", stdin=f"{NUMBER}\n".encode())
    assert done.code == 0
    said = (
        "of acme", "of zeta", "Call from the person, profile service, in en: given",
        "recording.quality: given (consent, key, notice version 3)", "Recording interrupted (agent)", "form 17",
        "Opted out of marketing (request): by letter <b>&", "Incident: recording.unwatched",
        "recording.quality: refused (consent, key, notice version 3)", "Recording destroyed (withdrawn)",
        "Call to the person denied by", "Recording to be destroyed", "optout.ended",
    )  # fmt: skip
    assert [one for one in said if one not in done.out] == []
    table = done.out.split("\n\n")[1].splitlines()[1:]
    assert len(table) > 15 and [line[:25] for line in table] == sorted(line[:25] for line in table)


def test_where_somebody_stands_is_told_once_it_is_known_who_asks(run: Run, known: Path) -> None:
    """R65; of no answer but the last, and by no word of anybody's."""
    for proofs in ((), ("--proof", "caller_id"), ("--proof", "known")):
        assert bad(run("subject", "status", NUMBER, *proofs), "--proof")
    proved = ("--proof", "call_back", "--proof", "known")
    run("subject", "show", NUMBER)
    run("request", "open", NUMBER, "--right", "access", "--via", "phone", "--controller", "acme")
    run("optout", "add", NUMBER, "--controller", "acme", "--reason", "an angry letter")
    acme, zeta = run("subject", "status", NUMBER, *proved).out.splitlines()
    assert acme.startswith("acme: recording.quality: withdrawn on 2026-11-22; recordings kept: 2, without a set end; ")
    assert "opted out of marketing since" in acme and "access asked for, open, due on" in acme
    assert zeta.startswith("zeta: recordings kept: 0")
    assert not {"angry", NUMBER} & set(f"{acme} {zeta}".split())
    told = run("subject", "status", NUMBER, *proved, "--controller", "acme", "--json").json["status"][0]
    assert (told["recordings"]["kept"], told["answers"][0]["state"]) == (2, "withdrawn")
    looked = run("audit", "access", "--json").json
    assert "subject status" in {one["action"] for one in looked}
    assert "Nothing is known" in run("subject", "status", "+34600999888", *proved).out


def test_when_a_recording_is_destroyed_is_what_the_rules_say(run: Run, known: Path) -> None:
    """By the controller's term, not only by what somebody has said of it; and what is held has no such time."""
    (before,) = [call for call in shown(run) if call["call"] == SHARED]
    assert before["recording"]["destroy_at"] is None
    assert "no time set" in run("subject", "show", NUMBER).out
    text = known.read_text(encoding="utf-8")
    known.write_text(f'{text}\n[retention.acme]\n"recording.quality" = {{ days = 36_500 }}\n', encoding="utf-8")
    (after,) = [call for call in shown(run) if call["call"] == SHARED]
    assert after["recording"]["destroy_at"].startswith("2126-")
    assert "no time set" not in run("subject", "show", NUMBER).out
    assert run("recordings", "hold", SHARED, "--reason", "a claim").code == 0
    (held,) = [call for call in shown(run) if call["call"] == SHARED]
    assert (held["recording"]["destroy_at"], held["recording"]["reason"]) == (None, "held")
    assert "held" in run("subject", "show", NUMBER).out


def shown(run: Run) -> list[Any]:
    calls: list[Any] = run("subject", "show", NUMBER, "--json", "--controller", "acme").json[0]["calls"]
    return calls


def test_nobody_else_is_in_it(run: Run, known: Path) -> None:
    for words in ((), ("--json",)):
        said = run("subject", "show", NUMBER, *words).out
        assert SHARED in said
        assert not [one for one in (OTHER, OTHER[1:], OTHERS) if one in said]


def test_nothing_known_is_said_so_and_is_no_error(run: Run, known: Path) -> None:
    done = run("subject", "show", "+34912345000")
    assert (done.code, done.out) == (0, "Nothing is known of +34912345000.\n")
    assert run("subject", "show", OTHER, "--controller", "zeta").out == f"Nothing is known of {OTHER} by zeta.\n"
    assert run("subject", "show", "+34912345000", "--json").json == []
    assert bad(run("subject", "show", "nobody"), "NUMBER: ")
    assert bad(run("subject", "show", NUMBER, "--controller", "nobody"), "--controller: ")


@pytest.mark.parametrize("query", ASKED)
def test_no_look_reads_a_table_from_end_to_end(known: Path, query: str) -> None:
    parameters = {
        "controller": None, "number": NUMBER, "subject_id": "x", "leg_id": RECORDED, "since": 0, "until": 1,
    }  # fmt: skip
    with connect(known.parent / "callguard.db") as database:
        Columns().register(database)
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql(query)}", parameters)]
    # There is a row for each controller (c), or for each length of prefixes (l), not for each person.
    assert [step for step in plan if step.startswith("SCAN") and step.split()[1] not in ("c", "l")] == []
