"""systemd's part, as far as callguard relies on it: sd_notify, WatchdogSec=2, Restart=always (systemd.service(5))."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from types import TracebackType
from typing import Self

from callguard.demo.gate import Gate

WATCHDOG_S, ABORT_S, RESTART_S = 2.0, 1.0, 0.1
LOOK_EVERY_S = 0.02
PATIENCE_S = 20.0


class Supervisor:
    """Runs a gate that is not running, and again when it ends; ends one that does not ping.

    Attributes:
        starts: how often it was started.
        told: the assignments of all its messages, but for the pings.
        exits: how each process ended.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._address = str(gate.folder / "notify")
        self._process: asyncio.subprocess.Process | None = None
        self._leaving = False
        self._alive = 0.0
        self.starts = 0
        self.told: list[str] = []
        self.exits: list[int] = []

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._socket.setblocking(False)
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        await self._keeping
        self._socket.close()

    @property
    def status(self) -> str:
        """The latest one."""
        said = [one.removeprefix("STATUS=") for one in self.told if one.startswith("STATUS=")]
        return said[-1] if said else ""

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def hears(self, what: str, times: int = 1) -> None:
        """Wait until something has been told so often."""
        async with asyncio.timeout(PATIENCE_S):
            while self.told.count(what) < times:
                await asyncio.sleep(LOOK_EVERY_S)

    async def stop(self) -> int:
        """As ``systemctl stop``: end it in good order; its exit code."""
        self._leaving = True
        self.signal(signal.SIGTERM)
        await self._keeping
        return self.exits[-1]

    async def _keep(self) -> None:
        while not self._leaving:
            await self._run()
            if not self._leaving:
                await asyncio.sleep(RESTART_S)

    async def _run(self) -> None:
        self.starts += 1
        environment = {"NOTIFY_SOCKET": self._address, "WATCHDOG_USEC": f"{WATCHDOG_S * 1e6:.0f}"}
        with (self._gate.folder / "log").open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._gate.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self._gate.environment | environment,
            )  # fmt: skip
        ready = False
        ending = asyncio.create_task(process.wait())
        while not ending.done():
            ready = self._listen() or ready
            if ready and time.monotonic() - self._alive > WATCHDOG_S:
                self.signal(signal.SIGABRT)
                self.signal(signal.SIGCONT)
                await asyncio.wait({ending}, timeout=ABORT_S)
                self.signal(signal.SIGKILL)
            await asyncio.wait({ending}, timeout=LOOK_EVERY_S)
        self.exits.append(await ending)
        self._listen()

    def _listen(self) -> bool:
        """Read what was told; whether it was that the process is ready."""
        ready = False
        while True:
            try:
                lines = self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return ready
            self._alive = time.monotonic()
            ready = ready or "READY=1" in lines
            self.told += [line for line in lines if line != "WATCHDOG=1"]
