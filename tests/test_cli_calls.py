"""``callguard calls``: what happened, by ids alone."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from callguard.core.conversation import Why
from callguard.core.decide import Decision, Facts
from callguard.core.incidents import Incident
from callguard.store import Store
from callguard.store.dial_records import DialRecord
from callguard.store.records import Kept, LegRecord, RecordedFile
from tests.store.legs import CONTROLLERS, QUALITY, START, given, make_leg, refused
from tests.test_cli import callguard
from tests.test_config import GOOD

NUMBER = "390612345678"
PAUSED, RESUMED, ENDED = (START + timedelta(seconds=seconds) for seconds in (20, 35, 60))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "callguard.toml"
    file.write_text(GOOD.replace('path = "/var/lib/callguard', f'path = "{tmp_path}'), encoding="utf-8")
    return file


def asked(written: Path, *words: str) -> str:
    done = callguard("calls", *words, "--config", str(written), COLUMNS="200", TZ="UTC")
    assert (done.returncode, done.stderr) == (0, "")
    assert NUMBER not in done.stdout
    return done.stdout


def told(written: Path, call: str) -> tuple[dict[str, object], dict[str, list[dict[str, object]]]]:
    """The one leg of a call as JSON, and apart from it the lists in it."""
    found = json.loads(asked(written, "show", call, "--json"))
    (leg,) = found["legs"]
    return leg, {name: leg.pop(name) for name in ("answers", "segments", "pauses", "evidence", "incidents")}


async def recorded(store: Store) -> LegRecord:
    """A leg that was recorded, with a pause for card data, and of whose recording something has to be looked into."""
    leg = replace(make_leg(given()), call_id=str(uuid4()), notice_version="3")
    await store.save(leg)
    await store.segment_ended(leg.leg_id, 0, None, PAUSED, Why.AGENT, 0)
    await store.segment_begun(leg.leg_id, 1, RESUMED, Why.AGENT)
    files = (RecordedFile("a.wav", 960_044, "ab" * 32),)
    await store.recording_kept(leg.leg_id, Kept(files, 48_750, ENDED), None)
    await store.incident(Incident.RECORDING_UNWATCHED, ENDED, {"segment": 1}, leg.leg_id)
    return leg


async def test_a_call_is_shown_with_all_that_is_known_of_it(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        assert asked(written, "list") == "No calls\n"
        leg = await recorded(store)
    shown = asked(written, "show", leg.call_id)
    for said in (
        leg.leg_id, leg.channel, "service of acme, inbound, in en", "kept, 48.8 s, ended 2026-11-22 09:01:00+00:00",
        "recording.quality", "consent", "2026-11-22 09:00:20+00:00", "agent", "a.wav", "960044", "ab" * 32,
        "recording.paused", "recording.kept", "recording.unwatched", "segment: 1",
    ):  # fmt: skip
        assert said in shown
    found, parts = told(written, leg.call_id)
    assert (found["call"], found["outcome"], found["granted"]) == (leg.call_id, "given", ["recording.quality"])
    assert found["recording"] == {
        "state": "kept", "reason": None, "ended_at": ENDED.isoformat(), "duration_ms": 48_750, "destroy_at": None,
        "destroyed_at": None, "quarantined_at": None,
        "files": [{"name": "a.wav", "size": 960_044, "sha256": "ab" * 32}],
    }  # fmt: skip
    assert [(one["purpose"], one["state"], one["reason"], one["notice_version"]) for one in parts["answers"]] == [
        ("recording.quality", "given", "key", "3")
    ]
    assert [(one["segment"], one["began_at"], one["ended_why"]) for one in parts["segments"]] == [
        (0, None, "agent"), (1, RESUMED.isoformat(), None),
    ]  # fmt: skip
    assert parts["pauses"] == [{"from": PAUSED.isoformat(), "until": RESUMED.isoformat(), "why": "agent"}]
    assert [one["kind"] for one in parts["evidence"]] == [
        "gate", "recording.paused", "recording.resumed", "recording.kept",
    ]  # fmt: skip
    proof = parts["evidence"][0]["said"]
    assert isinstance(proof, dict)
    assert proof["heard"][0]["heard_ms"] == 9_000
    assert "salt" not in proof
    assert [one["kind"] for one in parts["incidents"]] == ["recording.unwatched"]


async def test_a_call_that_nobody_recorded_and_one_that_was_withdrawn(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        no, yes = (replace(make_leg(said), call_id=str(uuid4())) for said in (refused(), given()))
        await store.save(no)
        await store.save(replace(yes, started_at=START + timedelta(minutes=1)))
        await store.withdraw(yes.leg_id, ENDED, "key")
    lines = asked(written, "list").splitlines()[1:]
    assert [(line.split()[2], line.split()[-1]) for line in lines] == [(yes.call_id, "withdrawn"), (no.call_id, "no")]
    assert len(json.loads(asked(written, "list", "--json", "--limit", "1"))) == 1
    found, parts = told(written, no.call_id)
    assert (found["recorded"], found["recording"], parts["pauses"]) == (False, None, [])
    found, parts = told(written, yes.call_id)
    assert found["withdrawn_at"] == ENDED.isoformat()
    assert [one["state"] for one in parts["answers"]] == ["given", "withdrawn"]


async def test_where_nothing_was_captured_it_is_said_and_what_was_kept_is_told_from_it(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        kept = await recorded(store)
        nothing = replace(make_leg(given()), call_id=str(uuid4()), started_at=START + timedelta(minutes=1))
        await store.save(nothing)
        await store.recording_absent(nothing.leg_id, ENDED)
    lines = asked(written, "list").splitlines()[1:]
    assert [line.strip().split(maxsplit=6)[3:] for line in lines] == [
        ["service", "in", "given", "nothing captured"],
        ["service", "in", "given", "kept"],
    ]
    assert "nothing captured" in asked(written, "show", nothing.call_id)
    assert told(written, kept.call_id)[0]["recording_state"] == "kept"
    assert told(written, nothing.call_id)[0]["recording_state"] is None


async def test_on_a_narrow_screen_and_in_a_pipe_nothing_is_cut_off(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        leg = await recorded(store)
    config = ["--config", str(written)]
    piped = callguard("calls", "list", *config, COLUMNS="80").stdout.splitlines()
    assert [len(line.split()) for line in piped] == [6, 7]
    narrow = on_a_terminal("calls", "list", *config)
    assert max(map(len, narrow.splitlines())) <= 80
    for said in (leg.call_id, "2026-11-22", "service", "in", "given", "Outcome", "Recorded", "kept"):
        assert said in narrow
    for shown in (
        callguard("calls", "show", leg.call_id, *config, COLUMNS="80").stdout,
        on_a_terminal("calls", "show", leg.call_id, *config),
    ):
        assert "ab" * 32 in shown
        assert leg.channel in shown


def on_a_terminal(*arguments: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.Popen(
            [sys.executable, "-m", "callguard", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "dumb", "TZ": "UTC"}, cwd="/",
        )  # fmt: skip
        os.close(theirs)
        read = bytearray()
        # A terminal that nobody has open any more ends in EIO.
        with suppress(OSError):
            while part := screen.read(4096):
                read += part
        assert done.wait(60) == 0
    return read.decode().replace("\r\n", "\n")


async def test_a_pause_that_lasts_until_the_call_ends(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        leg = replace(make_leg(given()), call_id=str(uuid4()))
        await store.save(leg)
        await store.segment_ended(leg.leg_id, 0, None, PAUSED, Why.STRANGER, 300)
    _, parts = told(written, leg.call_id)
    assert parts["pauses"] == [{"from": PAUSED.isoformat(), "until": None, "why": "stranger"}]
    assert "300 ms" in asked(written, "show", leg.call_id)


async def test_a_dial_that_was_denied_is_a_call_too(written: Path) -> None:
    call, at = str(uuid4()), datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    facts = Facts(f"+{NUMBER}", "service", QUALITY.id, None, at, (), ())
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        await store.decided(DialRecord.of(call, "acme", "service", facts, Decision(allow=False, rules=("optout.all",))))
    assert asked(written, "show", call) == (
        "Dial denied by optout.all, 2026-11-22 09:00:00+00:00, profile service of acme\n"
    )
    found = json.loads(asked(written, "show", call, "--json"))
    assert found["legs"] == []
    assert (found["decision"]["allow"], found["decision"]["rules"]) == (False, ["optout.all"])


async def test_what_is_no_call_is_one_line(written: Path) -> None:
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS):
        pass
    for words, problem in (("hello", "is no id of a call"), (str(uuid4()), "the store has no such call")):
        done = callguard("calls", "show", words, "--config", str(written))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert problem in done.stderr


async def test_one_id_joins_a_call_and_its_ticket_until_who_called_is_erased(written: Path) -> None:
    """R69."""
    leg = replace(make_leg(given()), call_id=str(uuid4()))
    at = ("--config", str(written))
    async with Store.open(written.parent / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        await store.save(leg)
        assert asked(written, "ticket", "INC-4711") == "No call is known by it\n"
        for _ in range(2):
            found = json.loads(asked(written, "ticket", "INC-4711", "--call", leg.call_id, "--json"))
            assert [one["call"] for one in found] == [leg.call_id]
        assert json.loads(asked(written, "show", leg.call_id, "--json"))["tickets"] == ["INC-4711"]
        assert "INC-4711" in asked(written, "show", leg.call_id)
        (detail,) = await store.call(leg.call_id)
        assert [one.kind for one in detail.evidence if one.kind == "call.ticket"] == ["call.ticket"]
        assert b"4711" not in detail.evidence[-1].body
        for words in (("+34600000001",), ("INC-1", "--call", str(uuid4()))):
            refused_ = callguard("calls", "ticket", *words, *at)
            assert (refused_.returncode, refused_.stderr.count("\n")) == (2, 1)
        (subject,) = await store.subjects(None, str(leg.number))
        await store.erase(subject.subject_id, ENDED)
    assert asked(written, "ticket", "INC-4711") == "No call is known by it\n"
