"""A private Asterisk: its own folder, ports, secrets and user, loopback only, gone when it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from callguard.demo import image
from callguard.demo.ports import CALLERS, Line, Ports, leased
from callguard.demo.tree import Kind, Tree, cache
from callguard.errors import SetupError, TelephonyError
from callguard.sections import Folder
from callguard.shipped import render, shipped

BOOT_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
CONNECT_INTERVAL_S = 0.05

# What Asterisk creates is for its group too: recordings are read by callguard, which runs as its own user.
UMASK = 0o007
SHARED = 0o2770


def _random() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords of one Asterisk's life."""

    ari: str = field(default_factory=_random, repr=False)
    ami: str = field(default_factory=_random, repr=False)
    sip: str = field(default_factory=_random, repr=False)


class Pbx:
    """One running Asterisk, as an async context manager.

    It may be stopped, killed and started again inside the context: ports, folders, secrets and AstDB stay.

    Args:
        tree: the installed Asterisk, from `callguard.demo.tree.find`.
        keep: leave the instance's folder, with recordings, prompts and logs, when the context ends.
        name_prefix: whether the agent sees ``[REC]`` or ``[NO REC]`` before the caller's name.
    """

    def __init__(self, tree: Tree, *, keep: bool = False, name_prefix: bool = True) -> None:
        self.tree = tree
        self.name = f"callguard-{secrets.token_hex(4)}"
        self.path = tree.instances / self.name
        self.secrets = Secrets()
        self._name_prefix = name_prefix
        self._keep = keep
        self._leave = contextlib.AsyncExitStack()
        self._ports: Ports | None = None
        self._lines: list[Line] = []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ports(self) -> Ports:
        if self._ports is None:
            raise SetupError("this Asterisk has no ports outside its context")
        return self._ports

    @property
    def ari_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def ami_port(self) -> int:
        return self.ports.ami

    @property
    def sip_port(self) -> int:
        return self.ports.sip

    @property
    def agent_port(self) -> int:
        return self.ports.agent

    @property
    def pid(self) -> int | None:
        """The process that we started (Asterisk itself, or the container's client), or None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._ports = stack.enter_context(leased(cache() / "ports", self.path, keep=self._keep))
            self._lines = list(self._ports.lines)
            stack.push_async_callback(self.stop)
            self._lay_out()
            await self.start()
            self._leave = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._leave.aclose()
        finally:
            self._ports = None

    @contextlib.contextmanager
    def line(self) -> Iterator[Line]:
        """The ports of one caller, nobody else's until it is done."""
        if not self._lines:
            raise SetupError(f"more than {CALLERS} callers at once")
        line = self._lines.pop()
        try:
            yield line
        finally:
            self._lines.append(line)

    def folder(self, name: str) -> Folder:
        """A folder that callguard and Asterisk share, such as ``recordings`` or ``prompts``; made if needed."""
        here = self.path / name
        self._make(here, SHARED)
        return Folder(path_here=here, path_in_asterisk=self.tree.seen(here))

    async def start(self) -> None:
        """Start Asterisk and wait until it is fully booted.

        Raises:
            SetupError: it did not boot; the text has the last lines of its log.
        """
        known = [len(text) for text in self._logs()]
        with (self.path / "log" / "console").open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *self.tree.start(self.name, self.path, ["-f", "-C", self._conf]),
                stdin=asyncio.subprocess.PIPE if self.tree.kind is Kind.DOCKER else asyncio.subprocess.DEVNULL,
                stdout=console, stderr=console, cwd="/", umask=UMASK, start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(BOOT_LIMIT_S):
                await self._booted(self._process)
        except (TimeoutError, TelephonyError) as error:
            await self.kill()
            lines = "".join(text[old:] for text, old in zip(self._logs(), known, strict=True)).splitlines()
            last = " / ".join(lines[-3:]) or "it said nothing"
            raise SetupError(f"the private Asterisk did not start: {last}") from error

    async def stop(self) -> None:
        """End Asterisk in good order: calls get their BYE."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End Asterisk by SIGKILL, as a crash would: calls get nothing."""
        if self._process is None or self._process.returncode is not None:
            return
        if self.tree.kind is Kind.DOCKER:
            await _run(image.kill(self.name))
        else:
            self._process.kill()
        await self._process.wait()

    async def cli(self, command: str) -> str:
        """What Asterisk's command line answers to `command`.

        Raises:
            TelephonyError: Asterisk is not there or not ready.
        """
        code, answer = await _run(self.tree.join(self.name, ["-C", self._conf, "-rx", command]))
        if code:
            raise TelephonyError(f"Asterisk's command line did not answer: {answer.strip()[-200:]}")
        return answer

    def log(self) -> str:
        """Notices, warnings and errors that Asterisk logged, and what it printed before it could log."""
        return "".join(self._logs())

    @property
    def _conf(self) -> str:
        return str(self.tree.seen(self.path / "etc" / "asterisk.conf"))

    def _logs(self) -> list[str]:
        files = (self.path / "log" / name for name in ("console", "messages"))
        return [file.read_text(encoding="utf-8", errors="replace") if file.exists() else "" for file in files]

    async def _booted(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None:
            with contextlib.suppress(TelephonyError):
                # The answer also comes, without these words, when Asterisk ends while it boots.
                if "fully booted" in await self.cli("core waitfullybooted"):
                    return
            await asyncio.sleep(CONNECT_INTERVAL_S)
        raise TelephonyError("it ended")

    def _lay_out(self) -> None:
        self._make(self.path, 0o750)
        for name in ("etc", "lib", "spool", "spool/monitor", "run", "log", "log/cdr-custom"):
            self._make(self.path / name, 0o750)
        values = self._values()
        for file in (*shipped("asterisk").glob("*.conf"), *shipped("dialplan").glob("*.conf")):
            target = self.path / "etc" / file.name
            target.touch(0o640)
            target.write_text(render(file.read_text(encoding="utf-8"), values), encoding="utf-8")
            self._give(target)

    def _values(self) -> dict[str, str]:
        inside, loopback = self.tree.seen(self.path), "127.0.0.1"
        return {
            "ETC": f"{inside}/etc", "RUN": f"{inside}", "DIALPLAN": f"{inside}/etc",
            "MODULES": f"{self.tree.modules}", "DATA": f"{self.tree.data}",
            "SIP_ADDRESS": loopback, "SIP_PORT": f"{self.sip_port}", "AGENT_PORT": f"{self.agent_port}",
            "RTP_START": f"{self.ports.rtp[0]}", "RTP_END": f"{self.ports.rtp[1]}",
            "HTTP_ADDRESS": loopback, "HTTP_PORT": f"{self.ports.http}",
            "AMI_ADDRESS": loopback, "AMI_PORT": f"{self.ami_port}", "AMI_PERMIT": "127.0.0.1/255.255.255.255",
            "SIP_SECRET": self.secrets.sip, "ARI_SECRET": self.secrets.ari, "AMI_SECRET": self.secrets.ami,
            "NAME_PREFIX": "yes" if self._name_prefix else "no",
            "SOUNDS": f"{self.folder('prompts').in_asterisk}",
        }  # fmt: skip

    def _make(self, folder: Path, mode: int) -> None:
        folder.mkdir(exist_ok=True)
        self._give(folder)
        folder.chmod(mode)

    def _give(self, path: Path) -> None:
        if self.tree.user:
            os.chown(path, *self.tree.user)


async def _run(command: Sequence[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd="/",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace")
