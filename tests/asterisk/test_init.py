"""`callguard init` on a running Asterisk that has Debian's own configuration."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callguard import config
from callguard.demo.pbx import Pbx
from callguard.demo.tree import Tree
from callguard.setup.answers import text_fields
from callguard.shipped import render, shipped
from tests.setup.conftest import contents

READY_S = 20.0
# What an administrator had before callguard came.
OFFICE = """
[globals]
OFFICE = open

[office]
exten => _X.,1,Gosub(callguard-outbound,s,1(${EXTEN},service))
 same => n,Set(DB(test/dial)=${CALLGUARD_DIAL}/${CALLGUARD_REASON}/${OFFICE})
 same => n,Hangup()
"""


class Stock(Pbx):
    """An Asterisk with Debian's own files: only its folders and ports are ours."""

    def __init__(self, tree: Tree, files: Path) -> None:
        super().__init__(tree)
        self._files = files

    @property
    def etc(self) -> Path:
        return self.path / "etc"

    def _lay_out(self) -> None:
        super()._lay_out()
        # Debian loads all modules that there are; the demo's, and one that makes a call, are enough and quicker.
        ours = {name: (self.etc / name).read_bytes() for name in ("asterisk.conf", "modules.conf")}
        shutil.rmtree(self.etc)
        shutil.copytree(self._files, self.etc)
        for name, data in ours.items():
            (self.etc / name).write_bytes(data)
        with (self.etc / "modules.conf").open("a") as modules:
            modules.write("load = res_clioriginate.so\n")
        for name, setting, port in (("http", "bindport", self.ports.http), ("manager", "port", self.ports.ami)):
            file = self.etc / f"{name}.conf"
            text, count = re.subn(rf"(?m)^;?{setting}\s*=.*$", f"{setting} = {port}", file.read_text(), count=1)
            assert count == 1, name
            file.write_text(text)
        with (self.etc / "extensions.conf").open("a", encoding="utf-8") as dialplan:
            dialplan.write(OFFICE)
        for path in (self.etc, *self.etc.rglob("*")):
            self._give(path)

    def init(self, *options: str) -> str:
        """What `callguard init` says."""
        places = ["--folder", str(self.path / "callguard"), "--state", str(self.path / "state")]
        places += ["--root", str(self.tree.root), "--asterisk-folder", str(self.etc)]
        return run("init", *places, *options)

    async def reload(self, said: str) -> None:
        """The commands for Asterisk that `said` tells an administrator to give."""
        commands = [shlex.split(line)[2] for line in said.splitlines() if line.startswith("asterisk -rx ")]
        assert commands
        for command in commands:
            assert "No such" not in await self.cli(command), command


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "callguard", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@asynccontextmanager
async def serving(configuration: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "callguard", "run", "--config", str(configuration),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = b""
        async with asyncio.timeout(READY_S):
            while b"serving" not in said:
                line = await process.stdout.readline()
                assert line, said.decode()
                said += line
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.fixture
async def stock_pbx(tree: Tree, debian: Path) -> AsyncIterator[Stock]:
    async with Stock(tree, debian) as running:
        yield running


async def dial(pbx: Pbx, number: str) -> str:
    """What the office's dialplan hears about dialling a number."""
    await pbx.cli("database del test dial")
    await pbx.cli(f"channel originate Local/{number}@office application Wait 5")
    async with asyncio.timeout(10):
        while "Value: " not in (answer := await pbx.cli("database get test dial")):
            await asyncio.sleep(0.05)
    return answer.partition("Value: ")[2].strip()


async def manager(pbx: Pbx, secret: str, *actions: str) -> list[str]:
    """The first line that each action is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", pbx.ami_port)
    answers = []
    try:
        for action in (f"Login\r\nUsername: callguard\r\nSecret: {secret}\r\nEvents: off", *actions):
            writer.write(f"Action: {action}\r\n\r\n".encode())
            async with asyncio.timeout(10):
                answers.append((await reader.readuntil(b"\r\n\r\n")).decode())
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


async def test_callguard_is_put_into_a_stock_debian_serves_there_and_is_taken_out_again(stock_pbx: Stock) -> None:
    pbx = stock_pbx
    before = contents(pbx.etc)
    said = [word for name in text_fields(marketing=False) for word in ("--say", f"{name}=nothing")]
    told = pbx.init(
        "--controller", "Acme Energy", "--region", "ES", "--outside-prefix", "0", "--emergency", "091",
        "--recordings", str(pbx.folder("recordings").path_here), *said, "--apply",
    )  # fmt: skip
    configuration = pbx.path / "callguard" / "callguard.toml"
    settings = config.load(configuration)
    secrets = {name: config.secret(settings, name) for name in ("ari", "ami")}
    assert not any(secret in told for secret in secrets.values())
    await pbx.reload(told)
    run("prompts", "build", "--config", str(configuration))

    features = await pbx.cli("features show")
    assert re.search(r"callguard-stop .* \*9\s", features)
    assert await dial(pbx, "0112") == "emergency/emergency/open"
    assert await dial(pbx, "600000001") == "deny/gate.absent/open"
    async with serving(configuration):
        assert (await dial(pbx, "600000001")).startswith("allow/")
        for number in ("112", "911", "085", "0085", "091", "0091"):
            assert await dial(pbx, number) == "emergency/emergency/open", number
    # Enough rights for callguard, which has served; and no more.
    login, ping, *more = await manager(
        pbx, secrets["ami"], "Ping", "Originate\r\nChannel: Local/1@office\r\nApplication: Wait",
        "Command\r\nCommand: core show uptime", "UpdateConfig\r\nSrcFilename: http.conf\r\nDstFilename: x.conf", "AGI",
    )  # fmt: skip
    assert "Success" in login
    assert "Success" in ping
    assert ["Permission denied" in answer for answer in more] == [True] * 4

    assert "need no change" in pbx.init("--apply")
    await pbx.reload(pbx.init("--remove", "--apply"))
    after = {name: data for name, data in contents(pbx.etc).items() if not name.endswith(".before-callguard")}
    assert after == before
    assert "no existence of 'callguard-inbound'" in await pbx.cli("dialplan show callguard-inbound")
    (refused,) = await manager(pbx, secrets["ami"])
    assert "Authentication failed" in refused


async def test_the_example_dialplan_is_one_that_asterisk_takes(pbx: Pbx, tmp_path: Path) -> None:
    etc, folder = tmp_path / "asterisk", tmp_path / "callguard"
    etc.mkdir()
    run(
        "init", "--folder", str(folder), "--asterisk-folder", str(etc), "--state", str(tmp_path),
        "--controller", "Acme", "--numbers", "+34912345678", "--outside-prefix", "0",
    )  # fmt: skip
    site = pbx.path / "etc" / "site.conf"
    was = site.read_bytes()
    try:
        site.write_bytes(was + (folder / "asterisk" / "example.conf").read_bytes())
        await pbx.cli("dialplan reload")
        assert "callguard-inbound,s,1(service)" in await pbx.cli("dialplan show 34912345678@callguard-example-in")
        assert "callguard-outbound,s,1(${EXTEN:1},service)" in await pbx.cli("dialplan show 0123@callguard-example-out")
    finally:
        site.write_bytes(was)
        await pbx.cli("dialplan reload")


def test_demo_and_init_have_the_same_accounts() -> None:
    included = {
        line for name in ("ari", "manager") for line in (shipped("asterisk") / f"{name}.conf").read_text().splitlines()
    }
    assert {f'#include "@DIALPLAN@/callguard-{name}.conf"' for name in ("ari", "manager")} <= included
    assert "[callguard]" not in included
    assert "@" not in render((shipped("dialplan") / "callguard-ari.conf").read_text(), {"ARI_SECRET": "x"})
