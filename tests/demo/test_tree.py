"""Which Asterisk is used, and how it is entered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callguard.demo import image, private_root
from callguard.demo import tree as trees
from callguard.demo.tree import Kind, Tree, find, installed, parse_version
from callguard.errors import SetupError
from callguard.telephony.versions import recent_enough


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1\n", (22, 10)),
        ("Asterisk 16.28.0~dfsg-0+deb11u4", (16, 28)),
        ("Asterisk 20.14.0", (20, 14)),
        ("Asterisk certified-20.7-cert3", None),
        ("Asterisk GIT-master-1234", None),
        ("", None),
    ],
)
def test_version_is_read(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("version", [(20, 14), (20, 99), (21, 9), (22, 4), (22, 10), (23, 0), (24, 1)])
def test_recent_enough(version: tuple[int, int]) -> None:
    assert recent_enough(version)


@pytest.mark.parametrize("version", [(16, 28), (18, 26), (19, 99), (20, 13), (21, 8), (22, 3), None])
def test_too_old(version: tuple[int, int] | None) -> None:
    assert not recent_enough(version)


def test_installed_asks_the_program_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed() is None
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\nexec /bin/echo Asterisk 22.5.2\n")
    program.chmod(0o755)
    assert installed() == (22, 5)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has an old Asterisk and a container engine, with its folders under `tmp_path`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trees, "SYSTEM_CACHE", tmp_path / "system")
    monkeypatch.setattr(trees, "MODULES", (f"{tmp_path.relative_to('/')}/*/modules",))
    monkeypatch.setattr(trees, "DATA", (f"{tmp_path.relative_to('/')}/data",))
    monkeypatch.setattr(trees, "installed", lambda: (16, 28))
    monkeypatch.setattr(image, "engine_answers", lambda: True)
    monkeypatch.setattr(image, "build", (tmp_path / "built").touch)
    return tmp_path


def test_a_recent_asterisk_on_path_comes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "installed", lambda: (22, 4))
    with pytest.raises(SetupError, match=r"chan_pjsip\.so is in none of .*: install its modules"):
        find()
    (machine / "lib" / "modules").mkdir(parents=True)
    (machine / "lib" / "modules" / "chan_pjsip.so").touch()
    (machine / "data" / "rest-api").mkdir(parents=True)
    tree = find()
    assert (tree.kind, tree.root) == (Kind.PATH, Path("/"))
    assert (tree.modules, tree.data) == (machine / "lib" / "modules", machine / "data")
    assert tree.instances.is_dir()
    assert (tree.user is None) == (os.geteuid() != 0)
    assert not (machine / "built").exists()


def test_then_a_container(machine: Path) -> None:
    tree = find()
    assert (tree.kind, tree.root, tree.modules) == (Kind.DOCKER, Path("/"), image.MODULES)
    assert (machine / "built").exists()
    assert tree.instances.is_relative_to(machine / "cache")


def test_then_a_private_root(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nasterisk:x:107:108::/:/bin/sh\n")
    (root / "modules").mkdir()
    (root / "modules" / "chan_pjsip.so").touch()
    (root / "data" / "rest-api").mkdir(parents=True)
    monkeypatch.setattr(trees, "MODULES", ("modules",))
    monkeypatch.setattr(trees, "DATA", ("data",))
    monkeypatch.setattr(image, "engine_answers", lambda: False)
    monkeypatch.setattr(private_root, "ready", lambda cache: root)
    tree = find()
    assert (tree.kind, tree.root, tree.user) == (Kind.ROOT, root, (107, 108))
    assert (tree.modules, tree.data) == (Path("/modules"), Path("/data"))
    assert tree.instances.is_relative_to(root)


def test_nobody_else_may_enter_the_cache(machine: Path) -> None:
    assert trees.cache().stat().st_mode & 0o077 == 0
    assert trees.cache() == machine / "cache" / "callguard"


def _tree(kind: Kind, root: str, user: tuple[int, int] | None) -> Tree:
    return Tree(kind, Path(root), Path(root) / "instances", Path("/modules"), Path("/data"), user)


def test_private_root_changes_root_then_user_then_asks_to_die_with_us() -> None:
    command = _tree(Kind.ROOT, "/c/root", (101, 102)).start("name", Path("/c/root/instances/one"), ["-f"])
    assert command == [
        "chroot", "/c/root", "setpriv", "--reuid=101", "--regid=102", "--clear-groups", "--pdeathsig=KILL", "--",
        "asterisk", "-f",
    ]  # fmt: skip


def test_command_line_of_a_private_root() -> None:
    command = _tree(Kind.ROOT, "/c/root", (101, 102)).join("name", ["-rx", "core show version"])
    assert command == [
        "chroot", "/c/root", "setpriv", "--reuid=101", "--regid=102", "--clear-groups", "--",
        "asterisk", "-rx", "core show version",
    ]  # fmt: skip


def test_on_path_as_an_ordinary_user() -> None:
    tree = _tree(Kind.PATH, "/", None)
    assert tree.start("name", Path("/x"), ["-f"]) == ["setpriv", "--pdeathsig=KILL", "--", "asterisk", "-f"]
    assert tree.join("name", ["-rx", "x"]) == ["asterisk", "-rx", "x"]


def test_container_runs_as_us_unless_told_otherwise() -> None:
    command = _tree(Kind.DOCKER, "/", None).start("name", Path("/x"), ["-f"])
    assert f"{os.getuid()}:{os.getgid()}" in command
    assert "5060:5060" in _tree(Kind.DOCKER, "/", (5060, 5060)).start("name", Path("/x"), ["-f"])


def test_a_path_as_asterisk_sees_it() -> None:
    assert _tree(Kind.ROOT, "/c/root", None).seen(Path("/c/root/instances/one")) == Path("/instances/one")
    assert _tree(Kind.PATH, "/", None).seen(Path("/home/x")) == Path("/home/x")
