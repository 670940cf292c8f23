"""Asterisk in a container: command lines, and the lifeline that ends it with us."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

from callguard.demo import image


def test_container_shares_the_network_and_one_folder_and_nothing_else() -> None:
    command = image.run(
        "callguard-1", Path("/cache/pbx/one"), (1000, 100), ["-f", "-C", "/cache/pbx/one/etc/asterisk.conf"]
    )
    assert command[:2] == ["docker", "run"]
    options = dict(itertools.pairwise(command))
    assert options["--name"] == "callguard-1"
    assert options["--network"] == "host"
    assert options["--user"] == "1000:100"
    assert [command[at + 1] for at, word in enumerate(command) if word == "--volume"] == [
        "/cache/pbx/one:/cache/pbx/one"
    ]
    assert {"--rm", "--interactive", "--init"} <= set(command)
    assert command[-3:] == ["-f", "-C", "/cache/pbx/one/etc/asterisk.conf"]


def test_another_dockerfile_has_another_tag() -> None:
    assert image.tag(b"FROM one") != image.tag(b"FROM two")
    assert image.tag(b"FROM one") == image.tag(b"FROM one")


def test_other_commands_name_the_container() -> None:
    assert image.join("callguard-1", ["-rx", "core stop now"]) == [
        "docker", "exec", "callguard-1", "asterisk", "-rx", "core stop now",
    ]  # fmt: skip
    assert image.kill("callguard-1") == ["docker", "kill", "callguard-1"]


async def test_lifeline_ends_asterisk_when_standard_input_closes(tmp_path: Path) -> None:
    """With a stand-in on PATH that would never end by itself, not even politely."""
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\ntrap '' TERM HUP\necho up $1\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", image.LIFELINE, "sh", "-f",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert process.stdin and process.stdout
    assert await process.stdout.readline() == b"up -f\n"
    process.stdin.close()
    async with asyncio.timeout(10):
        assert await process.wait() == -9
