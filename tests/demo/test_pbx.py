"""The private Asterisk, for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import stat
import sys
from pathlib import Path

import pytest

from callguard.demo.agent import Agent
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Silence
from callguard.demo.sipp import call
from callguard.demo.tree import Tree
from callguard.errors import SetupError, TelephonyError
from callguard.shipped import render

LOOPBACK = "0100007F"

STARTS_AND_WAITS = """
import asyncio, sys
from callguard.demo.pbx import Pbx
from callguard.demo.tree import find

async def main():
    async with Pbx(find()) as pbx:
        print(pbx.pid, pbx.path, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_placeholder_without_a_value_is_an_error() -> None:
    assert render("a@b.c @NAME@ @x@", {"NAME": "value"}) == "a@b.c value @x@"
    with pytest.raises(KeyError, match="OTHER"):
        render("@OTHER@", {"NAME": "value"})


async def test_it_is_up_on_its_own_ports_with_its_own_secrets(pbx: Pbx) -> None:
    assert f"127.0.0.1:{pbx.sip_port}" in await pbx.cli("pjsip show transports")
    assert f"sip:agent@127.0.0.1:{pbx.agent_port}" in await pbx.cli("pjsip show aor agent")
    reader, writer = await asyncio.open_connection("127.0.0.1", pbx.ami_port)
    writer.write(f"Action: Login\r\nUsername: callguard\r\nSecret: {pbx.secrets.ami}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert (await reader.readuntil(b"\r\n\r\n")).count(b"Response: Success") == 1
    writer.close()
    await writer.wait_closed()


async def test_it_listens_on_loopback_only(pbx: Pbx) -> None:
    async with Agent(pbx.agent_port, answer_after_ms=0) as agent, asyncio.TaskGroup() as group:
        group.create_task(call(pbx, "1000", (Silence(200),)))
        await (await agent.called()).up()
        listening = _listening(pbx)
    assert {port for _, port in listening} >= {pbx.sip_port, pbx.ports.http, pbx.ami_port}
    assert any(port in range(pbx.ports.rtp[0], pbx.ports.rtp[1] + 1) for _, port in listening)
    assert {address for address, _ in listening} == {LOOPBACK}


async def test_it_has_no_complaints(pbx: Pbx) -> None:
    assert "WARNING" not in pbx.log()
    assert "ERROR" not in pbx.log()


async def test_it_is_no_root_and_its_files_are_not_for_everyone(pbx: Pbx) -> None:
    status = Path(f"/proc/{pbx.pid}/status").read_text()
    uid = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    assert uid == [str(pbx.path.stat().st_uid)] * 4
    assert "0" not in uid
    assert _mode(pbx.path) == _mode(pbx.path / "etc") == 0o750
    assert {_mode(file) for file in (pbx.path / "etc").iterdir()} == {0o640}
    assert {file.stat().st_uid for file in (pbx.path / "etc").iterdir()} == {int(uid[0])}
    shared = pbx.folder("recordings")
    assert _mode(shared.path_here) == 0o2770
    assert shared.in_asterisk == pbx.tree.seen(shared.path_here)


async def test_nothing_is_left_unfilled_in_its_configuration(pbx: Pbx) -> None:
    for file in (pbx.path / "etc").iterdir():
        assert not re.search(r"@[A-Z_]+@", file.read_text())


async def test_secrets_are_on_no_command_line(pbx: Pbx) -> None:
    words = Path(f"/proc/{pbx.pid}/cmdline").read_bytes().decode()
    assert not [secret for secret in (pbx.secrets.ari, pbx.secrets.ami, pbx.secrets.sip) if secret in words]
    assert not [secret for secret in (pbx.secrets.ari, pbx.secrets.ami, pbx.secrets.sip) if secret in repr(pbx.secrets)]


async def test_two_at_once(pbx: Pbx, tree: Tree) -> None:
    async with Pbx(tree) as other:
        assert "System uptime" in await other.cli("core show uptime")
        assert "System uptime" in await pbx.cli("core show uptime")
        assert other.path != pbx.path
    assert "System uptime" in await pbx.cli("core show uptime")


async def test_stopped_and_killed_it_comes_back_as_it_was(pbx: Pbx) -> None:
    await pbx.cli("database put test key value")
    await pbx.stop()
    assert pbx.pid is None
    with pytest.raises(TelephonyError):
        await pbx.cli("core show uptime")
    await pbx.start()
    assert "value" in await pbx.cli("database get test key")
    first = pbx.pid
    await pbx.kill()
    assert pbx.pid is None
    await pbx.start()
    assert pbx.pid not in (None, first)
    assert f"127.0.0.1:{pbx.sip_port}" in await pbx.cli("pjsip show transports")
    await pbx.stop()
    await pbx.stop()
    await pbx.kill()


async def test_its_folder_goes_unless_it_is_kept(tree: Tree) -> None:
    async with Pbx(tree) as gone, Pbx(tree, keep=True) as kept:
        recordings = kept.folder("recordings").path_here
    try:
        assert not gone.path.exists()
        assert recordings.is_dir()
        with pytest.raises(SetupError, match="outside its context"):
            str(gone.ports)
    finally:
        for folder, _, files in os.walk(kept.path, topdown=False):
            for name in files:
                Path(folder, name).unlink()
            Path(folder).rmdir()


async def test_a_boot_that_fails_says_why(pbx: Pbx) -> None:
    await pbx.stop()
    (pbx.path / "etc" / "modules.conf").write_text("[modules]\nautoload = no\nrequire = no_such_module.so\n")
    with pytest.raises(SetupError, match=r"did not start: .*no_such_module"):
        await pbx.start()
    assert pbx.pid is None
    (pbx.path / "etc" / "modules.conf").write_text("[modules]\nautoload = no\nrequire = another_one.so\n")
    with pytest.raises(SetupError, match=r"did not start: (?!.*no_such_module).*another_one"):
        await pbx.start()


async def test_when_we_are_killed_it_goes_too_and_the_next_one_cleans_up(tree: Tree) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS_AND_WAITS, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    pid, path = (await process.stdout.readline()).decode().split()
    asterisk = os.pidfd_open(int(pid))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(asterisk, ended.set)
    try:
        assert not ended.is_set()
        process.send_signal(signal.SIGKILL)
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(asterisk)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(asterisk, signal.SIGKILL)
        os.close(asterisk)
    await process.wait()
    assert Path(path).exists()
    async with Pbx(tree):
        assert not Path(path).exists()


def _listening(pbx: Pbx) -> set[tuple[str, int]]:
    """Address (as in /proc) and port of each TCP listener, and of each UDP socket in Asterisk's block of ports.

    Its resolver has UDP sockets besides, on ports of the system's choice, that only take answers to its questions.
    """
    inodes = {str(entry.readlink()) for entry in Path(f"/proc/{pbx.pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            address, port = local.split(":")[0], int(local.split(":")[1], 16)
            ours = port in range(pbx.ports.first, pbx.ports.rtp[1] + 1) if table.startswith("udp") else state == "0A"
            if f"socket:[{inode}]" in inodes and ours:
                found.add((address, port))
    return found


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
