"""What the tests of opt-outs share: a configuration, and the commands run in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callguard import cli
from tests.test_config import GOOD

NUMBER = "+34912345678"
SALES = """
[controllers.zeta]
name = "Zeta Water"
address = "2 Main Street, Springfield"
contact = "privacy at zeta dot example"
recipients = "nobody"
transfers = "none"
retention = "90 days"
authority = "the data protection agency"
automated = "none"
number_source = "your contract with us"
more_at = "zeta dot example slash privacy"

[profiles.sales]
controller = "zeta"
languages = ["en"]
calls = "marketing"
campaign = "spring"
caller_ids = ["+34910000061"]
region = "ES"

[[profiles.sales.purposes]]
id = "recording.contract"
basis = "consent"
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A configuration with one controller, and one profile whose calls are service calls in Spain."""
    file = tmp_path / "callguard.toml"
    text = GOOD.replace('path = "/var/lib/callguard', f'path = "{tmp_path}').replace(
        "[[profiles.service.purposes]]", 'region = "ES"\n\n[[profiles.service.purposes]]'
    )
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def two(written: Path) -> Path:
    """The same with a second controller, whose profile sells."""
    written.write_text(written.read_text(encoding="utf-8") + SALES, encoding="utf-8")
    return written


@pytest.fixture
def run(written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process as the shell would."""
    monkeypatch.setenv("CALLGUARD_CONFIG", str(written))
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["callguard", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    return typed


def bad(done: Done, *said: str) -> bool:
    """One line on standard error, which says this; exit code 2."""
    return (done.code, done.out, done.err.count("\n")) == (2, "", 1) and all(part in done.err for part in said)


def listed(run: Run, *arguments: str) -> list[tuple[str, str]]:
    return [(one["controller"], one["scope"]) for one in run("optout", "list", "--json", *arguments).json]
