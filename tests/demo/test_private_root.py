"""Building the private root, with a stand-in for debootstrap: what fails or is interrupted leaves nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from callguard.demo import private_root
from callguard.errors import SetupError

TOLD_TO_HANG = """
import sys
from pathlib import Path
from callguard.demo import private_root
private_root.SYSTEM_PATH = sys.argv[1]
private_root.ready(Path(sys.argv[2]))
"""


@pytest.fixture
def debootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in debootstrap's place."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "debootstrap"
    program.touch(0o755)
    monkeypatch.setattr(private_root, "SYSTEM_PATH", f"{folder}:{private_root.SYSTEM_PATH}")
    return program


def test_hosts_name_this_machine() -> None:
    assert private_root.hosts("pbx.example") == "127.0.0.1 localhost\n127.0.0.1 pbx.example\n::1 localhost\n"


def test_without_root_it_says_what_else_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="needs root: run this as root, start a Docker engine, or"):
        private_root.ready(tmp_path)


def test_without_debootstrap_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_root, "SYSTEM_PATH", str(tmp_path))
    with pytest.raises(SetupError, match="apt-get install --no-install-recommends debootstrap"):
        private_root.ready(tmp_path)


def test_a_failure_is_told_and_leaves_nothing(tmp_path: Path, debootstrap: Path) -> None:
    debootstrap.write_text('#!/bin/sh\nmkdir -p "$4/usr"\necho "E: [no] mirror"\nexit 1\n')
    with pytest.raises(SetupError, match=r"E: \[no\] mirror .*log\)"):
        private_root.ready(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.name != "bin"]


def test_signatures_are_checked(tmp_path: Path, debootstrap: Path) -> None:
    debootstrap.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    with pytest.raises(SetupError, match="--force-check-gpg forky"):
        private_root.ready(tmp_path)


async def test_a_killed_build_ends_whole_and_is_swept_by_the_next(tmp_path: Path, debootstrap: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    debootstrap.write_text(f'#!/bin/sh\nmkdir -p "$4/usr"\nexec >{fifo}\necho up\nexec sleep 60\n')
    builder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TOLD_TO_HANG, private_root.SYSTEM_PATH, tmp_path, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(10):
        line = asyncio.StreamReader()
        end = os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(line), end)
        try:
            assert await line.readline() == b"up\n"
            builder.kill()
            await builder.wait()
            # The stand-in holds the other end: it closes when the last process of the build is gone.
            assert await line.read() == b""
        finally:
            pipe.close()
    assert list(tmp_path.glob("asterisk-*.part-*"))
    assert not (tmp_path / "asterisk-forky").exists()
    debootstrap.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(SetupError):
        private_root.ready(tmp_path)
    assert not list(tmp_path.glob("asterisk-*.part-*"))


def test_a_whole_root_is_used_as_it_is(tmp_path: Path, debootstrap: Path) -> None:
    debootstrap.write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "asterisk-forky" / "etc").mkdir(parents=True)
    root = private_root.ready(tmp_path)
    assert (root / "etc" / "hosts").read_text().startswith("127.0.0.1 localhost\n127.0.0.1 ")
