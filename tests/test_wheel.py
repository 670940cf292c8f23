"""What is installed from a wheel: all that callguard needs at run time, and a demo that runs on nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LEFT_BY_TOOLS = {"__pycache__"}


def built(source: Path, target: str, to: Path) -> Path:
    """The one file that the build of a source tree makes."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(to)],
        cwd=source, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (file,) = to.iterdir()
    return file


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution alone, as those do who get it from there."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return built(source, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment's bin: callguard's own files from the wheel, other packages from this run's."""
    environment = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    python = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", wheel],
        check=True, timeout=60,
    )  # fmt: skip
    # A folder that a .pth names is searched after this environment's own, and its own .pth files, the checkout's among
    # them, are not read.
    (packages,) = (environment / "lib").glob("python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


def run(bin_: Path, *command: str, path: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """A command of the clean environment, from a folder in which there is nothing of ours."""
    kept = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [str(bin_ / command[0]), *command[1:]],
        cwd=bin_.parent, env={**kept, "PATH": path}, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


def files(folder: Path) -> set[str]:
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and not LEFT_BY_TOOLS & set(file.parts)
    }


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_and_all_that_is_not_python(wheel: Path) -> None:
    held = names(wheel)
    assert {f"callguard/{name}" for name in files(ROOT / "callguard")} <= held
    placed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {"prompts", "dialplan", "docker/asterisk"} <= placed.keys()
    for here, there in placed.items():
        assert {f"{there}/{name}" for name in files(ROOT / here)} <= held
    for needed in ("store/sql/migrations/0001_first.sql", "data/dialplan/callguard.conf", "data/asterisk/manager.conf"):
        assert f"callguard/{needed}" in held


def test_the_wheel_is_the_same_from_the_checkout_as_from_the_source_distribution(wheel: Path, tmp_path: Path) -> None:
    assert names(built(ROOT, "wheel", tmp_path)) == names(wheel)


def test_the_wheel_names_licence_and_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (info,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(archive.read(info))
        licence = archive.read(info.replace("METADATA", "licenses/LICENSE"))
    assert said["License-Expression"] == "Apache-2.0"
    assert licence == (ROOT / "LICENSE").read_bytes()
    needed = {one for one in said.get_all("Requires-Dist") or () if "extra ==" not in one}
    assert needed == set(PROJECT["project"]["dependencies"])


def test_the_source_distribution_holds_what_builds_and_tests_it_and_no_address_of_an_index(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
        for member in archive.getmembers():
            name = Path(member.name).name
            assert not name.endswith(".lock")
            if name.startswith("requirements"):
                text = archive.extractfile(member)
                assert text is not None
                assert b"://" not in text.read()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "tools/setup"} <= held
    assert "tests/test_wheel.py" in held
    assert not {name for name in held if name.startswith((".venv", ".git/", "dist"))}


def test_callguard_comes_from_the_wheel_alone_and_says_what_it_is_without_any_system_tool(installed: Path) -> None:
    where = run(installed, "python", "-c", "import callguard; print(callguard.__file__)", path="/nowhere")
    assert Path(where.stdout).is_relative_to(installed.parent)
    version = run(installed, "callguard", "--version", path="/nowhere")
    assert (version.returncode, version.stdout) == (0, f"callguard {PROJECT['project']['version']}\n")
    help_ = run(installed, "callguard", "--help", path="/nowhere")
    assert help_.returncode == 0
    assert "optout" in help_.stdout


def test_the_unit_that_init_writes_names_a_page_that_the_wheel_brought(installed: Path, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("extensions", "features", "http", "manager", "ari"):
        (etc / f"{name}.conf").write_text("[general]\n", encoding="utf-8")
    done = run(
        installed, "callguard", "init", "--controller", "Acme", "--region", "ES", "--folder", str(tmp_path / "own"),
        "--state", str(tmp_path / "state"), "--asterisk-folder", str(etc), "--user", "callguard-of-a-test",
        path=os.environ["PATH"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    unit = (tmp_path / "own" / "systemd" / "callguard.service").read_text(encoding="utf-8")
    (page,) = (line.removeprefix("Documentation=file:") for line in unit.splitlines() if "Documentation=" in line)
    assert Path(page).is_relative_to(installed.parent)
    assert Path(page).read_bytes() == (ROOT / "docs" / "operate.md").read_bytes()


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Asterisk's configuration, dialplan, prompts and store: all of them the wheel's. The whole demo is `make demo`."""
    file = tmp_path / "demo.json"
    calls = ("agrees", "refuses", "agrees, withdraws")
    chosen = [word for name in calls for word in ("--only", name)]
    done = run(installed, "callguard", "demo", *chosen, "--json", str(file), path=os.environ["PATH"], seconds=180)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["name"], row["outcome"], row["recording_ms"] is not None, row["wrong"]) for row in rows] == [
        ("agrees", "given", True, []), ("refuses", "refused", False, []), ("agrees, withdraws", "given", True, []),
    ]  # fmt: skip
