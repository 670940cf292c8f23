"""``callguard request``, ``subject erase`` and ``rectify``: as an officer goes from receipt to answer."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any
from zipfile import ZipFile

import pytest

from callguard.actors import name_of
from tests.optouts.conftest import NUMBER, Run
from tests.rights.conftest import AUDIO, OTHER, OTHERS, RECORDED, SHARED

BOTH = ("--proof", "call_back", "--proof", "known")
ACME = ("--controller", "acme")


def opened(run: Run, right: str, *words: str, controller: str = "acme") -> str:
    done = run("request", "open", NUMBER, "--right", right, "--controller", controller, "--json", *words)
    assert done.code == 0, done.err
    return str(done.json["request"])


def approved(run: Run, right: str, *words: str, controller: str = "acme") -> str:
    which = opened(run, right, *words, controller=controller)
    assert run("request", "identify", which, *BOTH).code == 0
    assert run("request", "approve", which).code == 0
    return which


def shown(run: Run, which: str) -> Any:
    return run("request", "show", which, "--json").json


def ledger(known: Path) -> list[Any]:
    with closing(connect(known.parent / "callguard.db")) as database:
        return [json.loads(body) for (body,) in database.execute("SELECT body FROM ledger ORDER BY seq")]


def test_nothing_is_handed_out_before_it_is_known_who_asks_and_is_approved(
    run: Run, known: Path, tmp_path: Path
) -> None:
    which, file = opened(run, "access", "--via", "letter", "--received", "2026-11-22"), tmp_path / "one.zip"
    assert (shown(run, which)["state"], shown(run, which)["due_at"][:10]) == ("open", "2026-12-22")
    for told in ("who asks", "who asks"):
        done = run("request", "run", which, "-o", str(file))
        assert (done.code, told in done.err) == (3, True)
        done = run("request", "approve", which)
        assert (done.code, told in done.err) == (3, True)
        assert "not enough" in run("request", "identify", which, "--proof", "caller_id").out
    run("request", "identify", which, *BOTH)
    done = run("request", "run", which, "-o", str(file))
    assert (done.code, "not approved" in done.err, file.exists()) == (3, True, False)
    run("request", "approve", which)
    assert run("request", "run", which).code == 2  # where to?
    planned = run("request", "run", which, "--dry-run", "--json").json
    assert (planned["calls"], planned["recordings"]) == (4, 2)
    assert not file.exists()
    assert run("request", "run", which, "-o", str(file), "--with-audio").code == 0
    with ZipFile(file) as archive:
        assert archive.read(f"recordings/{RECORDED}.wav") == AUDIO
        assert json.loads(archive.read("data.json"))["requests"][0]["right"] == "access"
    one = shown(run, which)
    assert (one["state"], [it["step"] for it in one["steps"]]) == (
        "done", ["open", "note", "note", "identify", "approve", "run"],
    )  # fmt: skip
    assert run("request", "run", which, "-o", str(file), "--force").code == 3
    said = [it for it in ledger(known) if it["kind"].startswith("request.")]
    assert [it["kind"] for it in said] == [
        "request.opened", "request.noted", "request.noted", "request.identified", "request.approved", "request.done",
    ]  # fmt: skip
    # Whoever did each step is named by a random id there, and by name to the officer alone.
    assert {it["actor"] for it in said} == {said[0]["actor"]} and said[0]["roles"] is None
    assert {it["who"] for it in one["steps"]} == {name_of(os.getuid())}
    assert f"approve, by {name_of(os.getuid())}" in run("request", "show", which).out
    with ZipFile(file) as archive:
        assert '"who"' not in archive.read("data.json").decode()
    assert said[3]["identity"] == ["call_back", "caller_id", "known"]
    assert NUMBER[1:] not in json.dumps(said)


def test_one_that_is_pending_already_is_named_and_what_is_overdue_is_first(run: Run, known: Path) -> None:
    first = opened(run, "restriction")
    late = opened(run, "erasure", "--received", "2025-01-31")
    assert opened(run, "erasure") == late
    listed = run("request", "list", "--json").json
    assert [(one["request"], one["overdue"]) for one in listed] == [(late, True), (first, False)]
    assert NUMBER not in run("request", "list", "--json").out + run("request", "list").out
    assert "OVERDUE" in run("request", "list").out
    assert run("request", "extend", late, "--reason", "many calls").code == 0
    assert shown(run, late)["due_at"][:10] == "2025-04-30"
    assert run("request", "extend", late, "--reason", "once more").code == 1
    done = run("request", "refuse", late, "--reason", "did not answer", "--unidentified")
    assert (done.code, "complain" in done.out, shown(run, late)["state"]) == (0, True, "expired")
    assert [one["request"] for one in run("request", "list", "--json").json] == [first]
    assert len(run("request", "list", "--all", "--json").json) == 2


def test_an_objection_and_a_withdrawal_are_done_at_once(run: Run, known: Path) -> None:
    which = opened(run, "objection", "--via", "phone")
    assert shown(run, which)["state"] == "done"
    assert run("check", NUMBER, "--profile", "service", "--json").code == 0
    (one,) = run("optout", "list", NUMBER, *ACME, "--json").json
    assert (one["scope"], one["source"]) == ("marketing", "request")
    which = opened(run, "withdrawal", controller="zeta")
    assert shown(run, which)["state"] == "done"
    (grant,) = run("grant", "list", NUMBER, "--json").json
    assert grant["state"] == "withdrawn"


def test_what_is_restricted_is_neither_played_nor_exported(run: Run, known: Path, tmp_path: Path) -> None:
    assert run("recordings", "export", RECORDED, "-o", str(tmp_path / "a.wav")).code == 0
    which = approved(run, "restriction")
    assert "2 recordings are held" in run("request", "run", which).out
    done = run("recordings", "export", RECORDED, "-o", str(tmp_path / "b.wav"))
    assert (done.code, "Art. 18" in done.err, (tmp_path / "b.wav").exists()) == (3, True, False)
    assert run("recordings", "release", RECORDED, "--reason", "settled").code == 0
    assert run("recordings", "export", RECORDED, "-o", str(tmp_path / "b.wav")).code == 0


def test_a_name_is_put_right_and_a_note_stands_beside_what_was_wrong(run: Run, known: Path, tmp_path: Path) -> None:
    words = ("--name", "Ana María", "--note", "she had said no", "--call", RECORDED)
    assert run("subject", "rectify", NUMBER, *ACME, *words).code == 2  # who asks?
    done = run("subject", "rectify", NUMBER, *ACME, *BOTH, *words)
    assert (done.code, "2 corrections" in done.out) == (0, True)
    (one, _) = run("subject", "show", NUMBER, "--json").json
    assert one["name"] == "Ana María"
    assert [(it["what"], it["value"], it["call"]) for it in one["corrections"]] == [
        ("name", "Ana María", None), ("note", "she had said no", RECORDED),
    ]  # fmt: skip
    assert next(it for it in one["calls"] if it["call"] == RECORDED)["outcome"] == "given"  # as it was
    assert "she had said no" in run("subject", "show", NUMBER).out
    run("subject", "export", NUMBER, "-o", str(tmp_path / "one.zip"), *ACME)
    with ZipFile(tmp_path / "one.zip") as archive:
        assert b"she had said no" in archive.read("index.html")
    assert "Ana" not in json.dumps(ledger(known), ensure_ascii=False)


@pytest.mark.parametrize("words", [(), ("--call", RECORDED), ("--name", " "), ("--note", "a\nb")])
def test_a_rectification_says_what_is_right(run: Run, known: Path, words: tuple[str, ...]) -> None:
    assert run("request", "open", NUMBER, "--right", "rectification", *ACME, *words).code == 2


def test_who_is_erased_is_gone_and_is_denied_and_every_other_place_is_named(
    run: Run, known: Path, folder: Path
) -> None:
    dry = run("subject", "erase", NUMBER, *ACME, "--dry-run", "--json")
    assert (dry.code, len(dry.json["recordings"]), dry.json["opt_outs_kept"]) == (0, 2, 1)
    assert (folder / f"{RECORDED}.wav").exists()
    done = run("subject", "erase", NUMBER, *ACME, *BOTH, "--yes", "--json")
    assert done.code == 0, done.err
    assert {one["what"][:3] for one in done.json["beyond"]} >= {"CDR", "CEL"}
    assert (done.json["opt_outs_kept"], done.json["suppression_added"]) == (1, True)
    assert done.json["tell_the_person"][0].startswith("What was kept about you is erased.")
    assert sorted(file.name for file in folder.glob("*.wav")) == [f"{OTHERS}.wav"]
    acme, zeta = run("subject", "show", NUMBER, "--json").json
    assert (acme["calls"], acme["decisions"], acme["name"], len(zeta["decisions"])) == ([], [], None, 1)
    assert [(one["scope"], one["source"]) for one in acme["opt_outs"]] == [("marketing", "erasure")]
    assert run("request", "list", "--all", "--json").json[0]["state"] == "done"
    assert run("ledger", "verify").code == 0
    proof = known.parent / "proof.json"
    assert run("ledger", "checkpoint").code == 0
    assert run("ledger", "prove", RECORDED, "-o", str(proof)).code == 0
    assert NUMBER[1:] not in proof.read_text()
    (noted,) = (known.parent / "erasures.jsonl").read_text().splitlines()
    assert NUMBER[1:] not in noted
    assert NUMBER[1:] not in done.err
    # Their own recording is not handed to the other one of that call, whose voice is in it, without a word.
    assert run("subject", "export", OTHER, "-o", str(known.parent / "o.zip"), *ACME, "--with-audio").code == 0
    with ZipFile(known.parent / "o.zip") as archive:
        assert not [name for name in archive.namelist() if SHARED in name and name.endswith(".wav")]


def test_a_dry_run_names_the_requests_that_stand_in_the_way_or_end_with_it(run: Run, known: Path) -> None:
    run("optout", "add", NUMBER, "--scope", "all", *ACME)
    erasure, access = opened(run, "erasure"), opened(run, "access")
    for command in (("subject", "erase", NUMBER, *ACME), ("request", "run", erasure)):
        planned = run(*command, "--dry-run", "--json").json
        assert planned["opt_outs_kept"] == 1  # of everything, so no other is added
        assert [(one["right"], one["request"]) for one in planned["requests_in_the_way"]] == [("access", access)]
        assert [one["request"] for one in planned["requests_closed"]] == [erasure]
        shown = run(*command, "--dry-run").out
        assert f"to be answered or refused first: access {access}, open, due " in shown
        assert f"Done with it: erasure {erasure}, open" in shown
    assert [(one["action"], one["controller"]) for one in run("audit", "access", "--json").json] == [
        ("request run", "acme"), ("request run", "acme"), ("subject erase", "acme"), ("subject erase", "acme"),
    ]  # fmt: skip
    refused = run("subject", "erase", NUMBER, *ACME, *BOTH, "--yes")
    assert refused.code == 3 and access in refused.err
    run("request", "refuse", access, "--reason", "not theirs")
    assert run("subject", "erase", NUMBER, *ACME, "--dry-run", "--json").json["requests_in_the_way"] == []
    done = run("subject", "erase", NUMBER, *ACME, *BOTH, "--yes", "--json")
    assert (done.code, done.json["opt_outs_kept"], done.json["suppression_added"]) == (0, 1, False)
    assert run("request", "list", "--json").json == []


def test_who_is_erased_is_not_called_for_marketing_again(run: Run, known: Path) -> None:
    assert run("subject", "erase", NUMBER, "--controller", "zeta", *BOTH, "--yes").code == 0
    (sole,) = [one for one in run("optout", "list", NUMBER, "--json").json if one["source"] == "erasure"]
    assert (sole["controller"], sole["scope"], sole["until"]) == ("zeta", "marketing", None)
    done = run("check", NUMBER, "--profile", "sales", "--json")
    assert (done.code, "optout.marketing" in done.json["rules"]) == (3, True)


def test_an_erasure_asks_once_more_and_waits_for_what_the_person_is_to_get(
    run: Run, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = approved(run, "erasure")
    access = opened(run, "access")
    done = run("request", "run", which, "--yes")
    assert (done.code, access in done.err) == (3, True)
    assert run("request", "refuse", access, "--reason", "taken back").code == 0
    assert run("request", "run", which).code == 1  # nobody says yes
    assert shown(run, which)["state"] == "approved"
    assert run("request", "run", which, "--yes").code == 0
    assert (shown(run, which)["state"], shown(run, which)["number"]) == ("done", None)


def test_proof_that_is_locked_is_shown_to_who_has_to_prove_and_to_nobody_else(run: Run, written: Path) -> None:
    german = "+4930123456"
    words = ("--purpose", "marketing.calls", "--basis", "consent", "--channel", "paper", "--evidence", "form 17")
    assert run("grant", "add", german, *words, "--since", "2026-01-01").code == 0
    done = run("subject", "erase", german, *BOTH, "--yes")
    assert (done.code, "Proof of consent stays, locked, until 2031-01-01" in done.out) == (0, True)
    told = run("subject", "show", german).out
    assert "restricted proof until 2031-01-01" in told and "form 17" not in told
    assert "form 17" not in run("complaint", german).out + run("complaint", german, "--json").out
    assert run("grant", "list", german, "--json").json == []
    (one,) = run("complaint", german, "--restricted", "--json").json["restricted"]
    assert (one["why"][:8], one["grants"][0]["evidence"]) == ("de.proof", "form 17")
    assert "form 17" in run("complaint", german, "--restricted").out


@pytest.mark.parametrize("which", ["x", "01890a5d-ac96-774b-bcce-b302099a8057"])
@pytest.mark.parametrize("command", ["show", "approve", "run"])
def test_what_is_no_request_is_one_line(run: Run, known: Path, which: str, command: str) -> None:
    done = run("request", command, which)
    assert (done.code, done.err.count("\n")) == (2, 1)
