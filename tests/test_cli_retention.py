"""``callguard recordings`` and ``audit``: what is kept and why, held, purged, and what lies there that should not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from tests.retained import NOW, House, opened
from tests.store.legs import CONTRACT, given, make_leg
from tests.test_cli import callguard

PURGED_WITHIN_S = 60.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as one:
        yield one


def run(house: House, *words: str, code: int = 0) -> str:
    done = callguard(*words, "--config", str(house.folder.parent / "callguard.toml"), COLUMNS="200", TZ="UTC")
    assert (done.returncode, done.stderr if code < 2 else "") == (code, ""), done.stderr
    assert "390612345678" not in done.stdout + done.stderr
    return done.stdout if code < 2 else done.stderr


def told(house: House, *words: str, code: int = 0) -> Any:
    return json.loads(run(house, *words, "--json", code=code))


async def test_recordings_are_listed_with_what_becomes_of_each(house: House) -> None:
    assert run(house, "recordings", "list") == "No recordings\n"
    over, still, held = await house.recorded(91), await house.recorded(89), await house.recorded(91)
    gone = await house.recorded(1)
    await house.recordings.withdrawn(gone.leg_id, NOW)
    run(house, "recordings", "hold", held.call_id, "--reason", "claim 7", "--until", "2099-12-31")
    shown = run(house, "recordings", "list")
    for said in (
        *(one.call_id for one in (over, still, held, gone)), "restricted", "destroyed", "withdrawn",
        "recording.quality (consent): until", "90 days after the recording", "until 2100-01-01 00:00:00+00:00: claim 7",
    ):  # fmt: skip
        assert said in shown
    by_call = {one["call"]: one for one in told(house, "recordings", "list")}
    assert {call: (one["state"], one.get("overdue"), one["restricted"]) for call, one in by_call.items()} == {
        over.call_id: ("kept", True, False), still.call_id: ("kept", False, False), held.call_id: ("kept", True, True),
        gone.call_id: ("destroyed", None, False),
    }  # fmt: skip
    assert by_call[still.call_id]["ends"][0]["ended_by"] == "time"
    overdue = told(house, "recordings", "list", "--overdue")
    assert {one["call"] for one in overdue} == {over.call_id, held.call_id}
    assert over.call_id in run(house, "recordings", "list", "--overdue")
    assert run(house, "recordings", "list", "--untagged") == "No such recordings\n"
    assert "at a time" in run(house, "recordings", "list", "--overdue", "--orphaned", code=2)


async def test_purge_explains_each_and_destroys_only_what_nothing_keeps(house: House) -> None:
    over, still, held = await house.recorded(91), await house.recorded(9_999, CONTRACT), await house.recorded(91)
    marked = await house.recorded(1)
    run(house, "recordings", "hold", held.call_id, "--reason", "claim")
    run(house, "recordings", "unlawful", marked.call_id, "--reason", "the wrong line")
    everything = await house.left()
    planned = told(house, "recordings", "purge", "--dry-run")
    assert {one["call"]: one["restricted"] for one in planned} == {
        over.call_id: False, held.call_id: True, marked.call_id: False,
    }  # fmt: skip
    said = run(house, "recordings", "purge", "--dry-run")
    assert f"Would be destroyed (time): call {over.call_id}" in said and f"Held: call {held.call_id}" in said
    assert "2 would be destroyed, 1 stay though overdue" in said
    assert await house.left() == everything
    done = {one["call"]: one for one in told(house, "recordings", "purge")}
    assert {call: one["destroyed"] for call, one in done.items()} == {
        over.call_id: True, held.call_id: False, marked.call_id: True,
    }  # fmt: skip
    assert (done[marked.call_id]["reason"], done[over.call_id]["reason"]) == ("unlawful", "time")
    assert await house.left() == {still.leg_id, held.leg_id}
    run(house, "recordings", "release", held.call_id, "--reason", "settled")
    said = run(house, "recordings", "purge")
    assert f"Destroyed (time): call {held.call_id}, leg {held.leg_id}\n    recording.quality (consent): until" in said
    assert "1 are destroyed, 0 stay" in said
    assert run(house, "recordings", "purge") == "0 are destroyed, 0 stay though overdue\n"
    shown = json.loads(run(house, "calls", "show", held.call_id, "--json"))
    (leg,) = shown["legs"]
    assert [one["kind"] for one in leg["evidence"]][-3:] == [
        "recording.held", "recording.released", "recording.destroyed",
    ]  # fmt: skip
    assert leg["evidence"][-1]["said"]["ends"][0]["ended_by"] == "time"


async def test_a_purge_that_cannot_remove_a_file_says_so_and_goes_on(house: House) -> None:
    stuck, goes = await house.recorded(91), await house.recorded(91)
    house.file(stuck).unlink()
    house.file(stuck).mkdir()
    came_to = {one["call"]: one for one in told(house, "recordings", "purge", code=1)}
    assert came_to[stuck.call_id]["problem"] and not came_to[stuck.call_id]["destroyed"]
    assert came_to[goes.call_id]["destroyed"]
    assert f"): call {stuck.call_id}" in run(house, "recordings", "purge", code=1)


async def test_a_purge_that_is_killed_in_the_middle_is_begun_again_and_nothing_is_lost_or_done_twice(
    house: House,
) -> None:
    over = [await house.recorded(91) for _ in range(20)]
    copies(house, over, 30)
    still = await house.recorded(1)
    before = len(list(house.folder.glob("*.wav")))
    words = ["-m", "callguard", "recordings", "purge", "--config", str(house.folder.parent / "callguard.toml")]
    purge = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.DEVNULL, env={})
    async with asyncio.timeout(PURGED_WITHIN_S):
        while len(list(house.folder.glob("*.wav"))) > before - 60:
            assert purge.returncode is None
            await asyncio.sleep(0.002)
    purge.kill()
    await purge.wait()
    left = len(list(house.folder.glob("*.wav")))
    assert 1 < left < before
    run(house, "recordings", "purge")
    assert await house.left() == {still.leg_id}
    with closing(connect(house.folder.parent / "s.db")) as database:
        said = database.execute(
            "SELECT leg_id, COUNT(*) FROM evidence WHERE kind = 'recording.destroyed' GROUP BY leg_id"
        )
        counts = dict(said.fetchall())
    assert len(counts) == before - 1 and set(counts.values()) == {1} and still.leg_id not in counts


def copies(house: House, legs: list[Any], times: int) -> None:
    """Many more recordings like these, written past the store's pace of commits."""
    with closing(connect(house.folder.parent / "s.db", isolation_level=None)) as database:
        database.execute("BEGIN")
        for leg in legs:
            for number in range(times):
                new = {"new": f"{leg.leg_id}-{number}", "old": leg.leg_id}
                for table in ("legs", "grants", "recordings", "recording_files"):
                    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                    kept = [name for name in columns if name != "grant_id"]
                    other = {
                        **dict.fromkeys(("leg_id", "call_id", "channel", "file"), ":new"), "name": ":new || '.wav'",
                    }  # fmt: skip
                    values = ", ".join(other.get(name, name) for name in kept)
                    database.execute(
                        f"INSERT INTO {table} ({', '.join(kept)}) SELECT {values} FROM {table} WHERE leg_id = :old", new
                    )
                house.folder.joinpath(f"{new['new']}.wav").write_bytes(b"sound")
                house.folder.joinpath(f"{new['new']}.json").write_text("{}")
        database.execute("COMMIT")


async def test_a_hold_and_its_release_by_command(house: House) -> None:
    leg = await house.recorded(91)
    assert "is past already" in run(
        house, "recordings", "hold", leg.call_id, "--reason", "x", "--until", "2001-01-01", code=2
    )
    assert "--reason: is empty" in run(house, "recordings", "hold", leg.call_id, "--reason", " ", code=2)
    assert "CALL: is no id" in run(house, "recordings", "hold", "call", "--reason", "x", code=2)
    assert "there is no such hold in force" in run(house, "recordings", "release", leg.call_id, "--reason", "x", code=2)
    said = run(house, "recordings", "hold", leg.call_id, "--reason", "one")
    assert said == f"Held until it is released, and restricted: 1 recording of call {leg.call_id}\n"
    run(house, "recordings", "hold", leg.call_id, "--reason", "two")
    several = run(house, "recordings", "release", leg.call_id, "--reason", "x", code=2)
    assert "several are in force, so say which, or --all: " in several and "(one)" in several
    (one, two) = (await house.store.holds([leg.leg_id]))[leg.leg_id]
    said = run(house, "recordings", "release", leg.call_id, "--reason", "x", "--hold", two.hold_id)
    assert said == f"Released: 1 hold of call {leg.call_id}\n"
    assert "goes without" in run(
        house, "recordings", "release", leg.call_id, "--reason", "x", "--hold", one.hold_id, "--all", code=2
    )
    shown = run(house, "calls", "show", leg.call_id)
    assert "Held since" in shown and "one" in shown and "restricted" in shown
    run(house, "recordings", "release", leg.call_id, "--reason", "x", "--all")
    assert "restricted" not in run(house, "calls", "show", leg.call_id)
    run(house, "recordings", "purge")
    for words in (("hold",), ("unlawful",)):
        assert "is destroyed" in run(house, "recordings", *words, leg.call_id, "--reason", "x", code=2)


async def test_verify_names_each_kind_of_fault_and_nothing_else(house: House) -> None:
    well, missing, changed, gone = [await house.recorded(1) for _ in range(4)]
    running = make_leg(given(), file="running")
    await house.store.save(running)
    for name in ("running.wav", "running.1-in.wav"):
        house.folder.joinpath(name).write_bytes(b"being made")
    (house.folder / "quarantine").mkdir()
    assert all(one["ok"] for one in told(house, "recordings", "verify"))
    assert run(house, "recordings", "list", "--orphaned") == "No files but those of recordings\n"
    house.file(missing).unlink()
    house.file(changed).write_bytes(b"noise")
    await house.recordings.withdrawn(gone.leg_id, NOW)
    house.file(gone).write_bytes(b"sound")
    house.folder.joinpath("foreign.wav").write_bytes(b"x")
    found = told(house, "recordings", "verify", code=1)
    faults = {one["file"]: (one["faults"][0]["fault"], one["call"]) for one in found if not one["ok"]}
    assert faults == {
        house.file(missing).name: ("missing", missing.call_id),
        house.file(changed).name: ("different", changed.call_id),
        house.file(gone).name: ("left_over", gone.call_id), "foreign.wav": ("orphaned", None),
    }  # fmt: skip
    said = run(house, "recordings", "verify", code=1)
    assert "foreign.wav belongs to no recording" in said and "Kept files: 3; as they were kept: 1; not: 2\n" in said
    assert well.call_id not in said
    listed = {one["file"]: one["fault"] for one in told(house, "recordings", "list", "--orphaned")}
    assert listed == {"foreign.wav": "orphaned", house.file(gone).name: "left_over"}
    house.file(well).with_suffix(".json").unlink()
    assert [one["call"] for one in told(house, "recordings", "list", "--untagged")] == [well.call_id]


async def test_the_audit_lists_what_has_no_basis(house: House) -> None:
    well, objected, held = await house.recorded(1), await house.recorded(1), await house.recorded(1)
    assert run(house, "audit", "basis") == "Every record has its lawful basis, and its evidence\n"
    await house.store.hold(held.call_id, "claim", NOW)
    await house.recordings.withdrawn(held.leg_id, NOW)
    await house.store.mark_unlawful(objected.call_id, "wrong", NOW)
    with closing(connect(house.folder.parent / "s.db", isolation_level=None)) as database:
        database.execute("UPDATE legs SET granted = 'recording.other' WHERE leg_id = ?", (well.leg_id,))
    found = told(house, "audit", "basis", code=1)
    assert {(one["record"], one["call"]) for one in found} == {
        *(("recording", one.call_id) for one in (held, objected, well)), ("leg", well.call_id),
    }  # fmt: skip
    said = run(house, "audit", "basis", code=1)
    for words in ("it is held, and restricted", "marked as unlawful", "no grant of these purposes is committed"):
        assert words in said


async def test_a_store_that_is_not_there_is_one_line(tmp_path: Path, house: House) -> None:
    for file in tmp_path.glob("s.db*"):
        file.unlink()
    assert "there is no store yet" in run(house, "recordings", "list", code=2)
    assert "there is no store yet" in run(house, "audit", "basis", code=2)
