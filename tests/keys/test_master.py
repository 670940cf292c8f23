"""Master keys: where they come from, and what is said of one that cannot be used."""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from callguard.config import Config
from callguard.errors import InputError
from callguard.key_sections import Keys
from callguard.keys import master
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import MasterKey, Masters
from callguard.keys.wrapping import unwrap, wrap
from tests.doctor.healthy import settings

SECRET = bytes(range(32))
ID = MasterKey.of(SECRET).id


def with_keys(folder: Path, keys: dict[str, object]) -> Config:
    return settings(folder).model_copy(update={"keys": Keys.model_validate(keys)})


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "master.key"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


IN_BASE64 = base64.b64encode(SECRET).decode()


@pytest.mark.parametrize("text", [f"{IN_BASE64}\n", SECRET.hex(), f"  {SECRET.hex().upper()}\n"])
def test_a_master_key_comes_from_a_file_the_environment_or_a_command(tmp_path: Path, text: str) -> None:
    file = key_file(tmp_path, text)
    command = [sys.executable, "-c", "import sys; print(sys.argv[1])", text.strip()]
    for source in ({"file": str(file)}, {"env": "OUR_KEY"}, {"command": command}):
        masters = master.load(with_keys(tmp_path, {"master": source}), {"OUR_KEY": text})
        assert masters is not None
        assert masters.ids == (ID,)
        assert (masters.current.secret, SECRET.hex() in repr(masters.current)) == (SECRET, False)


def test_without_keys_nothing_is_encrypted(tmp_path: Path) -> None:
    assert master.load(settings(tmp_path).model_copy(update={"keys": None})) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, SECRET.hex(), mode)
    with pytest.raises(InputError) as refused:
        master.load(with_keys(tmp_path, {"master": {"file": str(file)}}))
    assert str(refused.value) == f"{file}: keys.master.file: is not for its owner's eyes only: chmod 600"


def test_what_systemd_hands_over_may_have_an_access_control_list(tmp_path: Path) -> None:
    config = with_keys(tmp_path, {"master": {"file": str(key_file(tmp_path, SECRET.hex(), 0o440))}})
    assert master.load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is not None
    for environment in ({}, {"CREDENTIALS_DIRECTORY": str(tmp_path / "another")}, {"CREDENTIALS_DIRECTORY": ""}):
        with pytest.raises(InputError, match="chmod 600"):
            master.load(config, environment)
    key_file(tmp_path, SECRET.hex(), 0o444)
    with pytest.raises(InputError, match="chmod 600"):
        master.load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("text", ["", "secret", "ab" * 16, "00" * 32, "ab" * 32, f"{IN_BASE64}{IN_BASE64}", "é"])
def test_what_is_no_random_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"keys\.master\.file: holds no master key: 32 random bytes") as refused:
        master.load(with_keys(tmp_path, {"master": {"file": str(key_file(tmp_path, text))}}))
    assert not text or text not in str(refused.value).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"file": "/nowhere/key"}, "/nowhere/key: keys.master.file: cannot be read: No such file"),
        ({"env": "NOT_SET"}, "keys.master.env: the environment has no NOT_SET"),
        ({"command": ["/nowhere/program"]}, "keys.master.command: /nowhere/program cannot be run: No such file"),
        ({"command": ["sh", "-c", "echo half; exit 3"]}, "keys.master.command: sh failed with exit code 3"),
        ({"command": ["sh", "-c", "sleep 5"]}, "keys.master.command: sh says nothing within 0 s"),
        ({"command": ["echo", "no key"]}, "keys.master.command: holds no master key"),
    ],
)
def test_a_key_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object], problem: str
) -> None:
    if source == {"command": ["sh", "-c", "sleep 5"]}:
        monkeypatch.setattr(master, "COMMAND_WITHIN_S", 0.05)
    with pytest.raises(InputError) as refused:
        master.load(with_keys(tmp_path, {"master": source}), {})
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize("source", [{}, {"file": "/a", "env": "B"}, {"command": []}, {"env": "no name"}])
def test_a_source_is_one_of_the_three(source: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"one of file, env and command|at least 1|should match"):
        Keys.model_validate({"master": source})


def test_a_wrapped_key_opens_in_its_own_place_only() -> None:
    wrapped = wrap(SECRET, bytes(32), b"one")
    assert unwrap(wrapped, bytes(32), b"one") == SECRET
    for tried in (
        unwrap(wrapped, bytes(32), b"two"), unwrap(wrapped, SECRET, b"one"),
        unwrap(wrapped[:-1], bytes(32), b"one"), unwrap(wrapped[:-1] + b"?", bytes(32), b"one"),
    ):  # fmt: skip
        assert tried is None
    assert wrap(SECRET, bytes(32), b"one") != wrapped


def test_a_content_key_is_read_by_its_master_for_its_subject_and_by_nobody_else() -> None:
    old, new = MasterKey.new(), MasterKey.new()
    subject, other = str(uuid4()), str(uuid4())
    stored = Masters(old).new_content_key(subject)
    key = Masters(new, [old]).content_key(stored)
    assert key.secret.hex() not in stored.wrapped
    again = Masters(new, [old]).rewrapped(stored)
    assert (again.id, again.subject_id, again.master) == (stored.id, subject, new.id)
    assert Masters(new).content_key(again) == key
    with pytest.raises(CannotOpen, match=f"master key {old.id} wrapped it") as lost:
        Masters(new).content_key(stored)
    assert lost.value.fault is Fault.WRONG_KEY
    with pytest.raises(CannotOpen) as moved:
        Masters(old).content_key(replace(stored, subject_id=other))
    assert moved.value.fault is Fault.ALTERED
