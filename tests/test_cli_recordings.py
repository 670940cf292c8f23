"""``callguard recordings`` and ``callguard keys``, as they are typed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from callguard.cli import keys
from callguard.config import load
from callguard.keys import master
from callguard.store import Store
from tests.keys.crasher import sealing
from tests.telephony.test_recording import FIRST, NOW, SECOND, audio, given
from tests.test_cli import callguard
from tests.test_config import GOOD

UNKNOWN = "0192f0c1-0000-7000-8000-00000000000f"


def write(folder: Path, keys: str) -> Path:
    text = GOOD.replace('path = "/var/lib/callguard', f'path = "{folder}')
    text = text.replace('path_here = "/var/spool/callguard"', f'path_here = "{folder}"')
    (file := folder / "callguard.toml").write_text(f"{text}\n{keys}", encoding="utf-8")
    assert load(file).recording.folder.path_here == folder
    return file


def said(*arguments: str | Path, code: int = 0) -> str:
    done = callguard(*map(str, arguments))
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


@pytest.fixture
async def two(tmp_path: Path) -> Path:
    """A configuration with a master key, and two recordings that are encrypted by it."""
    told = said("keys", "new", tmp_path / "master.key")
    assert "keep a copy apart from this machine" in told
    file = write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}')
    masters = master.load(load(file))
    assert masters is not None and masters.current.id in told
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme"}) as store:
        recordings, work = sealing(tmp_path, store, masters)
        async with work.working():
            for leg_id in (FIRST, SECOND):
                await store.save(given(leg_id))
                audio(tmp_path / f"{leg_id}.wav", ms=6_000, value=len(leg_id))
                (tmp_path / f"heard-{leg_id}").write_bytes((tmp_path / f"{leg_id}.wav").read_bytes())
                await recordings.ended(leg_id)
            await work.look()
    return file


async def test_who_has_the_key_lists_plays_exports_and_proves(two: Path, tmp_path: Path) -> None:
    at = ("--config", str(two))
    listed = json.loads(said("recordings", "list", "--json", *at))
    assert {(one["call"], one["state"], one["files"][0]["encrypted"]) for one in listed} == {
        (FIRST, "kept", True), (SECOND, "kept", True),
    }  # fmt: skip
    assert FIRST in said("recordings", "list", *at)
    heard = (tmp_path / f"heard-{FIRST}").read_bytes()
    play = [sys.executable, "-m", "callguard", "recordings", "play", FIRST, *at]
    done = await asyncio.to_thread(subprocess.run, play, stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout == heard
    (tmp_path / "elsewhere").mkdir()  # in the recordings' folder it would belong to no recording
    out = tmp_path / "elsewhere" / "out.wav"
    said("recordings", "export", FIRST, "--output", out, *at)
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (heard, 0o600)
    assert "is there already" in said("recordings", "export", FIRST, "--output", out, *at, code=2)
    assert said("recordings", "verify", *at) == "Kept files: 2; as they were kept: 2; not: 0\n"
    assert said("recordings", "verify", FIRST, *at) == "Kept files: 1; as they were kept: 1; not: 0\n"
    assert "no id of a call" in said("recordings", "verify", "x", *at, code=2)
    assert "no recording of this call" in said("recordings", "export", UNKNOWN, "-o", tmp_path / "none", *at, code=2)
    assert not (tmp_path / "none").exists()


async def test_of_a_call_with_two_recorded_legs_one_is_named(two: Path, tmp_path: Path) -> None:
    """A recording that is in the clear still is played and exported just so."""
    third = FIRST.replace("1", "3")
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme"}) as store:
        await store.save(replace(given(third), call_id=FIRST))
        audio(clear := tmp_path / f"{third}.wav")
        heard = clear.read_bytes()
        await sealing(tmp_path, store, None)[0].ended(third)
    at, out = ("--config", str(two)), tmp_path / "out.wav"
    told = said("recordings", "export", FIRST, "--output", out, *at, code=2)
    assert "--leg: say which; recorded were: " in told and third in told
    said("recordings", "export", FIRST, "--leg", third, "--output", out, *at)
    assert out.read_bytes() == heard
    assert "Kept files that are not encrypted (yet): 1" in said("keys", "list", *at)


async def test_a_player_that_stops_early_is_no_error(two: Path) -> None:
    read, written = os.pipe()
    os.close(read)
    play = [sys.executable, "-m", "callguard", "recordings", "play", FIRST, "--config", str(two)]
    done = await asyncio.to_thread(
        subprocess.run, play, stdout=written, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_what_cannot_be_read_is_named_and_leaves_no_file(two: Path, tmp_path: Path) -> None:
    at, out = ("--config", str(two)), tmp_path / "out.wav"
    damaged = tmp_path / f"{FIRST}.wav.cg"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    told = said("recordings", "verify", *at, code=1)
    assert f"{damaged}: it is cut short: put a copy from a backup in its place" in told
    assert "Kept files: 2; as they were kept: 1; not: 1" in told
    found = json.loads(callguard("recordings", "verify", "--json", *at).stdout)
    assert {one["call"]: [it["fault"] for it in one["faults"]] for one in found} == {FIRST: ["cut_short"], SECOND: []}
    assert "it is cut short" in said("recordings", "export", FIRST, "--output", out, *at, code=1)
    assert not out.exists()
    said("recordings", "export", SECOND, "--output", out, *at)
    without = ("--config", str(write(tmp_path, "")))
    assert "the configuration has no [keys]" in said("recordings", "play", SECOND, *without, code=1)
    assert "keys: is missing: nothing is encrypted" in said("keys", "list", *without, code=2)
    said("keys", "new", tmp_path / "other.key")
    another = ("--config", str(write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/other.key" }}')))
    assert "none of the master keys opens its key" in said("recordings", "play", SECOND, *another, code=1)
    assert "is there already" in said("keys", "new", tmp_path / "other.key", code=2)
    assert "cannot be written" in said("keys", "new", tmp_path / "nowhere" / "key", code=2)


async def test_a_master_key_is_replaced_without_touching_audio(two: Path, tmp_path: Path) -> None:
    before = (tmp_path / f"{FIRST}.wav.cg").read_bytes()
    said("keys", "new", tmp_path / "new.key")
    new = f'[keys]\nmaster = {{ file = "{tmp_path}/new.key" }}'
    config = ("--config", str(write(tmp_path, f'{new}\nold = [{{ file = "{tmp_path}/master.key" }}]')))
    listed = json.loads(said("keys", "list", "--json", *config))
    assert [(one["state"], one["content_keys"]) for one in listed["master_keys"]] == [("in force", 0), ("old", 2)]
    assert said("keys", "rotate", *config).endswith(" now: 2 people's keys; all others were\n")
    assert said("keys", "rotate", *config).endswith(" now: 0 people's keys; all others were\n")
    config = ("--config", str(write(tmp_path, new)))
    assert " in force 2 " in said("keys", "list", *config)
    assert "not: 0" in said("recordings", "verify", *config)
    assert (tmp_path / f"{FIRST}.wav.cg").read_bytes() == before
    # Where the new one is gone, the old one reads nothing any more, and says which one does.
    config = ("--config", str(write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}')))
    lost = said("keys", "rotate", *config, code=1)
    assert "2 people's keys: none of the master keys opens" in lost and "name the one that did in [keys] old" in lost
    assert [one["state"] for one in json.loads(said("keys", "list", "--json", *config))["master_keys"]] == [
        "in force", "missing",
    ]  # fmt: skip


async def test_more_keys_than_calls_can_wait_for_are_wrapped_in_several_transactions(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said("keys", "new", tmp_path / "new.key")
    sources = f'master = {{ file = "{tmp_path}/new.key" }}\nold = [{{ file = "{tmp_path}/master.key" }}]'
    config = write(tmp_path, f"[keys]\n{sources}")
    monkeypatch.setattr(keys, "TOGETHER", 1)
    await asyncio.to_thread(keys.rotate, config)
    assert " now: 2 people's keys; all others were" in capsys.readouterr().out
    assert "not: 0" in said("recordings", "verify", "--config", str(config))


async def test_what_was_destroyed_is_not_played(two: Path, tmp_path: Path) -> None:
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme"}) as store:
        await sealing(tmp_path, store)[0].withdrawn(FIRST, NOW)
    at = ("--config", str(two))
    assert "the recording is destroyed" in said("recordings", "play", FIRST, *at, code=2)
    assert said("recordings", "verify", *at) == "Kept files: 1; as they were kept: 1; not: 0\n"
