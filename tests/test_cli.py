"""Commands: each has help, and bad input is one clear line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from callguard.cli import app
from tests.test_config import GOOD


def callguard(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "callguard", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment, cwd="/",
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
