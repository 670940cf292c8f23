"""What goes to standard output is all that is there: what is said of it goes to standard error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.optouts.conftest import NUMBER, Run
from tests.rights.conftest import RECORDED, folder, known, run, two, written

__all__ = ["folder", "known", "run", "two", "written"]


def test_a_signed_statement_on_standard_output_is_it_alone(run: Run, known: Path) -> None:
    done = run("complaint", NUMBER, "-o", "-")
    assert (done.code, sorted(json.loads(done.out))) == (0, ["payload", "signatures"])
    assert "Signed by" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("complaint", NUMBER, "-o", "-", "--json"), "--json: goes with a file"),
        (("subject", "export", NUMBER, "-o", "-", "--json", "--controller", "acme"), "--json: goes with a file"),
        (("backup", "-"), "FILE: is no file: what is written is read back"),
        (("recordings", "export", RECORDED, "-o", "-"), "--output: is no file: `recordings play`"),
    ],
)
def test_two_things_do_not_go_there(
    run: Run, known: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert (done.code, done.out) == (2, "") and says in done.err
    assert not (tmp_path / "-").exists()
