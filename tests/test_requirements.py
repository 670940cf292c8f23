"""requirements.txt, which the image is installed from: what pyproject.toml asks for, as the tests have it, by hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
RENEW = "run the commands in the heads of requirements-dev.txt and then of requirements.txt"


def pinned(file: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Each package's version and the hashes of its files."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+)==(\S+) \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), f"{file} has a line of another form"
    return {name: (version, frozenset(re.findall(r"[0-9a-f]{64}", hashes))) for name, version, hashes in found}


def test_what_callguard_depends_on_is_there_in_a_version_that_pyproject_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    there = pinned("requirements.txt")
    for requirement in map(Requirement, project["dependencies"]):
        assert requirement.name in there, RENEW
        assert requirement.specifier.contains(there[requirement.name][0]), RENEW


def test_the_image_has_the_same_files_as_the_tests_and_none_that_they_have_not() -> None:
    tested = pinned("requirements-dev.txt")
    assert {name: tested.get(name) for name in pinned("requirements.txt")} == pinned("requirements.txt"), RENEW


def test_nothing_for_development_alone_is_in_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    development = {Requirement(one).name for one in project["optional-dependencies"]["dev"]}
    assert not development & pinned("requirements.txt").keys()
