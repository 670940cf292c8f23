"""Rows that callguard acts upon are held against what the ledger says of them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.core.conversation import Why
from callguard.core.decide import Facts, Scope, decide
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState, Heard, Purpose
from callguard.ledger.copies import opened
from callguard.ledger.findings import Finding, Tampering
from callguard.ledger.verify import verify
from callguard.store import Store
from callguard.store.dial_records import DialRecord, NewEnding, NewGrant, NewOptOut
from callguard.store.records import Kept, RecordedFile
from tests.store.legs import CONTROLLERS, PROMPT, START, given, make_leg, refused

NUMBER, OTHER = "+390612345678", "+390698765432"
LATER = START + timedelta(hours=1)
FILE = RecordedFile("x.wav", 44, "ef" * 32)
FACTS = Facts(number=NUMBER, calls="marketing", purpose=None, campaign=None, at=START, opt_outs=(), registries=())


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    """Everything that rows say and entries too; of much of it more than once, and some of it ended since."""
    path = tmp_path / "callguard.db"
    async with Store.open(path, gate=None, controllers=CONTROLLERS) as store:
        await store.save(make_leg(given(), leg_id="kept"))
        await store.recording_kept("kept", Kept((FILE,), 1000, START), None)
        await store.save(make_leg(given(), leg_id="withdrawn"))
        await store.recording_kept("withdrawn", Kept((FILE,), 1000, START), None)
        await store.withdraw("withdrawn", LATER, "key")
        await store.recording_destroyed("withdrawn", LATER, "withdrawn")
        await store.save(make_leg(refused(), leg_id="asked"))
        assert await store.agree("asked", LATER, (Purpose("recording.quality", Basis.CONSENT),), "1", "asked")
        await store.opt_out("acme", NUMBER, Scope.PURPOSE, START, "key", purpose="marketing.calls", reason="so")
        await store.opt_out("acme", NUMBER, Scope.ALL, START, "key", until=LATER)
        await store.opt_out("acme", OTHER, Scope.CAMPAIGN, START, "key", campaign="spring")
        await store.opt_in("acme", OTHER, Scope.CAMPAIGN, LATER, "key", campaign="spring")
        listed = [
            NewOptOut(f"+39069{number:07}", Scope.ALL, since=START - timedelta(days=number)) for number in range(5)
        ]
        await store.opt_out_all("acme", listed, START, "import")
        grant = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, "form 7")
        await store.grant_all("acme", [grant], LATER, "import")
        await store.grant_all("acme", [NewEnding(NUMBER, GrantState.WITHDRAWN, None, "letter", None)], LATER, "import")
        for call in ("one", "two"):
            await store.decided(DialRecord.of(call, "acme", "sales", FACTS, decide(FACTS)))
        await store.save(make_leg(given(), leg_id="paused"))
        await store.segment_ended("paused", 0, START, LATER, Why.HOLD, cut_ms=200)
        # Its end was told of twice: the first one holds.
        await store.segment_ended("paused", 0, START, LATER + timedelta(seconds=1), Why.AGENT)
        await store.segment_begun("paused", 1, LATER + timedelta(seconds=2), Why.HOLD)
        await store.save(make_leg(given(), leg_id="anew"))
        await store.segment_ended("anew", 0, START, LATER, Why.WITHDRAWN)
        await store.withdraw("anew", LATER, "key")
        await store.recording_absent("anew", LATER)
        # Who thinks better of it begins another recording, whose parts are its own.
        heard = (Heard(PROMPT, 6_000),)
        yes = (Purpose("recording.quality", Basis.CONSENT),)
        assert await store.agree("anew", LATER, yes, "1", "anew", heard=heard)
        await store.segment_ended("anew", 0, None, LATER + timedelta(seconds=9), Why.AGENT)
    return path


def found(path: Path, script: str = "") -> list[Finding]:
    with closing(connect(path)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.executescript(script)
    with opened(path) as copy:
        return list(verify(copy, []).findings)


async def test_rows_as_they_were_written_are_what_their_entries_say(filled: Path) -> None:
    assert found(filled) == []
    # What was erased, moved to another subject or is over, changes nothing.
    assert (
        found(filled, "UPDATE opt_outs SET reason = NULL; DELETE FROM opt_outs WHERE undone OR campaign <> '';") == []
    )
    assert found(filled, "UPDATE subject_grants SET evidence = NULL; UPDATE decisions SET facts = '{}';") == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("DELETE FROM opt_outs WHERE scope = 'purpose'", "the opt-out of entry 8 is not there"),
        ("UPDATE opt_outs SET until = 1 WHERE scope = 'purpose'", "the opt-out of entry 8 has another until"),
        ("UPDATE opt_outs SET purpose = 'x' WHERE scope = 'purpose'", "the opt-out of entry 8 has another purpose"),
        ("UPDATE opt_outs SET source = 'cli' WHERE scope = 'purpose'", "the opt-out of entry 8 has another source"),
        ("UPDATE opt_outs SET since = 9 WHERE source = 'import'", "has another since in its row"),
        ("UPDATE opt_outs SET until = NULL WHERE undone", "the opt-out of entry 11 has ended, and its row does not"),
        ("UPDATE legs SET outcome = 'refused' WHERE leg_id = 'kept'", "the leg of entry 0 has another outcome"),
        ("UPDATE legs SET granted = 'a.b' WHERE leg_id = 'kept'", "the leg of entry 0 has another granted"),
        ("UPDATE legs SET recording = 0 WHERE leg_id = 'kept'", "the leg of entry 0 has another recording"),
        ("UPDATE legs SET granted = 'a.b' WHERE leg_id = 'asked'", "the leg of entry 7 has another granted"),
        ("UPDATE legs SET withdrawn_at = NULL", "the withdrawal of entry 4 is not in the leg's row"),
        ("UPDATE recording_files SET sha256 = 'x' WHERE leg_id = 'kept'", "the recording of entry 1 has another files"),
        ("DELETE FROM recording_files WHERE leg_id = 'kept'", "the recording of entry 1 has another files"),
        (
            "UPDATE recordings SET state = 'kept', destroyed_at = NULL WHERE leg_id = 'withdrawn'",
            "the recording of entry 5 is destroyed, and its row does not say so",
        ),
        ("DELETE FROM subject_grants", "the grant of entry 17 is not there"),
        ("UPDATE subject_grants SET purpose = 'x'", "the grant of entry 17 has another purpose"),
        ("UPDATE subject_grants SET until = 9", "the grant of entry 17 has another until"),
        ("DELETE FROM grant_endings", "the end of a grant of entry 18 is not there"),
        ("UPDATE grant_endings SET at = 7", "the end of a grant of entry 18 has another ended_at"),
        ("UPDATE decisions SET allow = 1 - allow WHERE call_id = 'one'", "decision of entry 19 has another allow"),
        ("UPDATE decisions SET rules = 'x.y' WHERE call_id = 'two'", "the dial decision of entry 20 has another rules"),
        ("DELETE FROM decisions WHERE call_id = 'one'", "the dial decision of entry 19 is not there"),
        (
            "INSERT INTO subject_grants SELECT 'new', controller, subject_id, purpose, basis, channel, evidence, "
            "source, since, until FROM subject_grants",
            "the grant new is in the store, and no entry says that it was made",
        ),
        ("UPDATE opt_outs SET undone = 1 WHERE scope = 'purpose'", "the opt-out of entry 8 has another undone"),
        ("UPDATE opt_outs SET undone = 1 WHERE source = 'import'", "has another undone in its row"),
        ("UPDATE opt_outs SET undone = 0", "the opt-out of entry 11 has ended, and its row does not"),
        ("DELETE FROM recordings WHERE leg_id = 'kept'", "the recording of entry 1 is not there"),
        ("UPDATE decisions SET call_id = 'three' WHERE call_id = 'one'", "decision of entry 19 has another call"),
        ("UPDATE segments SET ended_at = 1 WHERE leg_id = 'paused'", "part of entry 22 has another ended_at"),
        ("UPDATE segments SET cut_ms = 9000 WHERE leg_id = 'paused'", "part of entry 22 has another cut_ms"),
        ("UPDATE segments SET began_why = 'agent' WHERE number = 1", "part of entry 24 has another began_why"),
        ("DELETE FROM segments WHERE leg_id = 'paused'", "the recording's part of entry 24 is not there"),
        ("UPDATE segments SET ended_at = 1 WHERE leg_id = 'anew'", "the recording's part of entry"),
        (
            "INSERT INTO segments (leg_id, number, began_at, ended_at, cut_ms) VALUES ('kept', 0, 1, 2, 1000)",
            "a part of the recording kept is in the store, and no entry says that it was made",
        ),
    ],
)  # fmt: skip
async def test_a_row_that_is_not_what_its_entry_says_is_named(filled: Path, script: str, said: str) -> None:
    problems = found(filled, f"PRAGMA ignore_check_constraints = ON; {script};")
    assert problems and {one.what for one in problems} == {Tampering.BESIDE_CHANGED}
    assert any(said in one.said for one in problems), problems


async def test_rows_without_an_entry_keep_no_others_from_being_compared(filled: Path) -> None:
    # As an older callguard has left them: an opt-out that only denies, before all others.
    script = """
        UPDATE opt_outs SET rowid = -100 - rowid;
        UPDATE opt_outs SET rowid = -rowid;
        INSERT INTO opt_outs (rowid, opt_out_id, controller, subject_id, scope, source, since)
        SELECT 1, 'first', controller, subject_id, 'all', 'cli', 1 FROM subjects LIMIT 1;
    """
    assert found(filled, script) == []
    (problem,) = found(filled, "UPDATE opt_outs SET source = 'cli' WHERE scope = 'campaign';")
    assert "the opt-out of entry 10 has another source" in problem.said


async def test_rows_are_left_out_where_that_is_asked_for(filled: Path) -> None:
    assert found(filled, "DELETE FROM decisions;") != []
    with opened(filled) as copy:
        assert verify(copy, [], rows=False).findings == ()
