"""``callguard prompts``: what is made, what is measured, and where it can be heard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.test_cli import callguard
from tests.test_config import GOOD


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose prompts are built, and what the command said of it."""
    folder = tmp_path_factory.mktemp("site")
    text = GOOD.replace('languages = ["en", "es"]', 'languages = ["en"]').replace('"/var/lib/callguard', f'"{folder}')
    (folder / "callguard.toml").write_text(text, encoding="utf-8")
    done = prompts(folder, "build", "--json")
    assert done.returncode == 0, done.stderr
    (folder / "said.json").write_text(done.stdout, encoding="utf-8")
    return folder


def prompts(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "CALLGUARD_CONFIG": str(folder / "callguard.toml"), **environment}
    return callguard("prompts", *arguments, **settings)


def changed(folder: Path, to: Path, old: str, new: str) -> Path:
    """The same configuration and prompts folder, with one passage replaced."""
    text = (folder / "callguard.toml").read_text(encoding="utf-8")
    assert old in text
    (to / "callguard.toml").write_text(text.replace(old, new), encoding="utf-8")
    return to


def test_a_build_says_what_it_made_and_what_it_kept(folder: Path) -> None:
    said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    assert said["folder"] == f"{folder}/prompts"
    assert (said["kept"], said["removed"]) == (0, [])
    assert {"en/service-essential", "en/service-details-recipients"} <= set(said["made"])
    again = prompts(folder, "build")
    number = len(said["made"])
    assert again.stdout == f"Prompts are in {folder}/prompts: 0 made, {number} kept as they were\n"


def test_a_good_notice_has_no_faults(folder: Path) -> None:
    done = prompts(folder, "lint", COLUMNS="100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No faults." in done.stdout
    row = next(line for line in done.stdout.splitlines() if "service" in line)
    assert "12." in row and "33" in row and "1 2 3" in row


def test_what_is_measured_is_told_as_json(folder: Path) -> None:
    read = json.loads(prompts(folder, "lint", "--json").stdout)
    assert read["limits"] == {
        "short_seconds": 13, "short_words": 35, "second_question_words": 15, "keys": 3, "piece_seconds": 15,
    }  # fmt: skip
    (notice,) = read["notices"]
    assert (notice["profile"], notice["language"], notice["faults"]) == ("service", "en", [])
    parts = {part["part"]: part for part in notice["parts"]}
    assert notice["short"]["seconds"] == pytest.approx(parts["essential"]["seconds"] + parts["question-1"]["seconds"])
    assert notice["short"]["keys"] == ["1", "2", "3"]
    assert {"recipients", "transfers", "complaint", "retention"} <= set(notice["full"]["elements"])
    assert parts["details-keys"]["keys"] == ["9"]


def test_too_many_words_are_a_fault_before_anything_is_built(folder: Path, tmp_path: Path) -> None:
    long = changed(folder, tmp_path, "Acme Energy", "The Acme Energy and Water Company")
    done = prompts(long, "lint", COLUMNS="100")
    assert (done.returncode, done.stderr) == (1, "")
    assert "service in en: essential part and question have 37 words, 35 at most\n" in done.stdout
    assert "callguard prompts build" in done.stdout


def test_audio_that_takes_too_long_is_a_fault_that_names_profile_language_and_part(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "prompts", tmp_path / "prompts")
    changed(folder, tmp_path, f"{folder}/", f"{tmp_path}/")
    changed(tmp_path, tmp_path, "Acme Energy", "Intercontinental Telecommunications")
    slow = changed(tmp_path, tmp_path, '"nobody"', f'"{"nobody but us, " * 12}"')
    stale = prompts(slow, "lint")
    assert (stale.returncode, stale.stderr.count("\n")) == (2, 1)
    assert "was built from another text" in stale.stderr
    made = json.loads(prompts(slow, "build", "--json").stdout)["made"]
    assert {"en/service-essential", "en/service-details-recipients"} < set(made)
    assert len(made) < 8
    done = prompts(slow, "lint")
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("service in en: ")]
    assert len(faults) == 2
    assert faults[0].startswith("service in en: short layer: lasts 14.")
    assert faults[1].startswith("service in en: details-recipients: lasts 1")


def test_what_is_not_built_cannot_be_measured_or_heard(folder: Path, tmp_path: Path) -> None:
    empty = changed(folder, tmp_path, f"{folder}/prompts", f"{tmp_path}/prompts")
    for command in (("lint",), ("listen", "service/essential")):
        done = prompts(empty, *command)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "no prompts are built yet: run `callguard prompts build`" in done.stderr


def test_a_prompt_is_named_with_its_text(folder: Path) -> None:
    done = prompts(folder, "listen", "service/essential")
    file, text, about = done.stdout.splitlines()
    assert Path(file).read_bytes()[:4] == b"RIFF"
    assert text.startswith("Acme Energy. May we record this call")
    assert "espeak-ng" in about
    read = json.loads(prompts(folder, "listen", "service/essential", "--language", "en", "--json").stdout)
    assert (read["file"], read["text"], read["source"]) == (file, text, "espeak-ng")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("service/essentials",), "PROFILE/PART: there is no such part of service; there are: essential, question-1,"),
        (("service",), "PROFILE/PART: there is no such part of service; there are: essential,"),
        (("sales/essential",), "PROFILE/PART: there is no such profile; there are: service"),
        (("service/essential", "--language", "es"), "--language: is not spoken by service; there are: en"),
    ],
)
def test_an_unknown_prompt_lists_those_there_are(asked: tuple[str, ...], said: str, folder: Path) -> None:
    done = prompts(folder, "listen", *asked)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def player(folder: Path, name: str, body: str) -> str:
    """A program of this name, alone on a PATH."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(folder)


def test_a_prompt_is_played_by_what_is_there(folder: Path, tmp_path: Path) -> None:
    alone = player(tmp_path, "paplay", f'echo "$@" > {tmp_path}/played')
    done = prompts(folder, "listen", "service/essential", "--play", PATH=alone)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "played").read_text(encoding="utf-8").strip() == done.stdout.splitlines()[0]


def test_where_nothing_plays_it_is_said_in_one_line(folder: Path, tmp_path: Path) -> None:
    done = prompts(folder, "listen", "service/essential", "--play", PATH=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nothing here plays sound (aplay, paplay, play)" in done.stderr
    silent = player(tmp_path, "aplay", "echo first >&2; echo no such device >&2; exit 3")
    done = prompts(folder, "listen", "service/essential", "--play", PATH=silent)
    assert (done.returncode, done.stderr) == (1, "callguard: aplay could not play it: no such device\n")
