"""Commands: each has help, and bad input is one clear line and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from callguard.cli import app, main
from tests import forking
from tests.test_config import GOOD


def callguard(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return forking.run(*arguments, environment=environment)


def as_somebody(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As `callguard`, by who may not read everything, whoever runs the tests."""
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*less, sys.executable, "-m", "callguard", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={}, cwd="/",
    )  # fmt: skip


def commands() -> list[tuple[str, str | None]]:
    def below(group: object, path: str) -> list[tuple[str, str | None]]:
        found = []
        for name, command in getattr(group, "commands", {}).items():
            found += [(f"{path}{name}", command.help), *below(command, f"{path}{name} ")]
        return found

    return below(typer.main.get_command(app), "")


@pytest.mark.parametrize(("name", "text"), commands())
def test_every_command_has_help(name: str, text: str | None) -> None:
    assert text


def test_no_help_is_taken_for_markup() -> None:
    def texts(command: Any) -> Iterator[str | None]:
        yield command.help
        for one in command.params:
            yield getattr(one, "help", None)
        for below in getattr(command, "commands", {}).values():
            yield from texts(below)

    found = [text for text in texts(typer.main.get_command(app)) if text]
    assert len(found) > 50
    assert [text for text in found if "[" in text] == []


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "callguard.toml"
    for name in ("var/spool/callguard", "var/lib/callguard"):
        (tmp_path / name).mkdir(parents=True)
    file.write_text(GOOD.replace('"/var', f'"{tmp_path}/var'), encoding="utf-8")
    return file


def test_a_mistake_in_the_configuration_is_one_line(written: Path) -> None:
    written.write_text(written.read_text(encoding="utf-8").replace("languages", "langauges"), encoding="utf-8")
    done = callguard("run", "--config", str(written))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{written}:" in done.stderr
    assert "profiles.service.langauges: there is no such setting" in done.stderr


def test_no_secret_is_one_line(written: Path) -> None:
    done = callguard("run", "--config", str(written))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "CALLGUARD_ASTERISK__ARI_SECRET" in done.stderr


def test_prompts_that_are_not_built_are_one_line(written: Path) -> None:
    secrets = {"CALLGUARD_ASTERISK__ARI_SECRET": "x", "CALLGUARD_ASTERISK__AMI_SECRET": "x"}
    done = callguard("run", "--config", str(written), **secrets)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "callguard prompts build" in done.stderr


def test_the_version(written: Path) -> None:
    assert callguard("--version").stdout.startswith("callguard 0.")


def test_a_demo_whose_results_have_no_place_does_not_begin() -> None:
    done = callguard("demo", "--json", "/nowhere/at/all.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "/nowhere/at/all.json: --json: " in done.stderr


def test_a_demo_of_a_call_that_there_is_not_names_those_that_there_are() -> None:
    done = callguard("demo", "--only", "agrees too")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--only: 'agrees too' is no call of the demo; there are: agrees; refuses; " in done.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("calls", "list", "--bogus"), "No such option: --bogus: see callguard calls list --help"),
        (("calls", "show"), "Missing argument 'CALL': see callguard calls show --help"),
        (("calls", "list", "--limit", "0"), "Invalid value for '--limit': "),
        (("optout", "add", "1", "--scope", "bogus"), "Invalid value for '--scope': 'bogus' is not one of 'all', "),
        (("optout", "ad\nd"), "No such command 'ad"),
        (("run", "--config"), "Option '--config' requires an argument"),
    ],
)
def test_a_command_line_that_is_wrong_is_one_line_that_names_the_help(
    typed: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["callguard", *typed])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"callguard: {said}")
    assert ": see callguard" in err
    assert err.endswith(" --help\n")


def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "callguard.toml"
    closed.touch(0)
    done = as_somebody("calls", "list", "--config", str(closed))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"callguard: {closed}: cannot be read: Permission denied\n"


def test_a_group_without_a_command_shows_its_help() -> None:
    done = callguard("optout")
    assert (done.returncode, done.stderr) == (2, "")
    assert "Who does not want to be called." in done.stdout
