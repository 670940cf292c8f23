"""What faults are tried on: a private Asterisk, callguard as it ships with short prompts, and who plays systemd."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.shipped import shipped
from callguard.speech.plan import plan
from callguard.telephony.ami_events import FAMILIES
from tests.asterisk.supervisor import Supervisor
from tests.faults.clock import Clock
from tests.faults.proxy import Proxy

PROMPT_HZ: Final = 1277
ESSENTIAL_MS: Final = 800
OTHERS_MS: Final = 300
ANSWER_WAIT_S: Final = 2.0
# What is withdrawn stays long enough for its tones to be looked at, also where a clock jumps an hour.
DESTROY_AFTER_S: Final = 7_200
PATIENCE_S: Final = 20.0
DISK_BYTES: Final = 48 << 20
# 5 and a number: called as one whose dial was allowed while callguard was well.
SITE: Final = """\
[from-outside]
exten => _5.,1,Set(__CG_NUMBER=${FILTER(0-9+,${EXTEN:1})})
 same => n,Gosub(callguard-inside,s,1)
 same => n,Dial(PJSIP/agent,30,U(callguard-callee^service))
 same => n,Hangup()
"""


@dataclass(frozen=True, slots=True)
class Bed:
    """Where a fault is tried.

    Attributes:
        manager: who starts callguard again; None where nobody does.
        ari: between callguard and Asterisk's HTTP; `ami` likewise.
        store: the database file.
        work: a folder for the load.
        clock: callguard's own, where it has one.
    """

    pbx: Pbx
    gate: Gate
    manager: Supervisor | None
    ari: Proxy
    ami: Proxy
    store: Path
    work: Path
    clock: Clock

    @property
    def recordings(self) -> Path:
        return self.gate.recordings.path_here

    def signal(self, number: signal.Signals) -> None:
        (self.manager or self.gate).signal(number)

    async def channels(self) -> int:
        """How many channels Asterisk has."""
        return int((await self.pbx.cli("core show channels count")).split()[0])

    async def marks(self) -> set[str]:
        """The legs of which Asterisk keeps something still that was said and is not saved."""
        said = [await self.pbx.cli(f"database show {family}") for family in FAMILIES.values()]
        return {leg for one in said for leg in re.findall(r"(?m)^/\w+/([0-9a-f-]{36})\b", one)}

    def served(self) -> list[float]:
        """When callguard began to serve, each time; in seconds since the epoch."""
        return served(self.gate)

    async def serves_after(self, moment: float) -> None:
        """Wait until callguard has begun to serve since a moment."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(at > moment for at in self.served()):
                await asyncio.sleep(0.02)

    async def health(self) -> str:
        """What callguard says of itself that is wrong, and what to do; nothing where it serves."""

        def ask() -> dict[str, str]:
            try:
                with urlopen(f"http://127.0.0.1:{self.pbx.ports.status}/health", timeout=5) as answer:
                    found: dict[str, str] = json.load(answer)
            except HTTPError as error:
                found = json.load(error)
            return found

        found = await asyncio.to_thread(ask)
        return " ".join(filter(None, (found["problem"], found["do"])))

    async def says(self, health: str, log: str, since: int) -> None:
        """Wait until the administrator is told, by /health and by the log.

        Args:
            since: how long the log was.
        """
        async with asyncio.timeout(PATIENCE_S):
            while health not in await self.health() or log not in self.gate.log()[since:]:
                await asyncio.sleep(0.2)

    async def restart(self) -> None:
        """End callguard in good order and have it started again."""
        began = time.time()
        if self.manager is None:
            await self.gate.stop()
            await self.gate.start()
        else:
            self.manager.signal(signal.SIGTERM)
            await self.serves_after(began)


def served(gate: Gate) -> list[float]:
    """When a callguard began to serve, each time; in seconds since the epoch."""
    found = re.findall(r"(?m)^timestamp=(\S+) level=info event=serving ", gate.log())
    return [datetime.fromisoformat(one).timestamp() for one in found]


@asynccontextmanager
async def bed(
    pbx: Pbx,
    *,
    supervised: bool = True,
    small_disks: bool = False,
    own_clock: bool = False,
    small_socket: bool = False,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Bed]:
    """callguard with an empty store and an empty folder of recordings.

    Args:
        small_disks: store and recordings are on file systems of their own, `DISK_BYTES` each.
        own_clock: callguard's clock can be set, and nobody else's.
        small_socket: little of what Asterisk sends by ARI waits in the kernel for who does not read it.
    """
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callguard-faults-")))
        texts = work / "texts"
        texts.mkdir()
        for file in shipped("prompts").glob("*.toml"):
            (texts / file.name).write_bytes(file.read_bytes())
        site = pbx.path / "etc" / "site.conf"
        site.write_text(SITE, encoding="utf-8")
        site.chmod(0o644)
        await pbx.cli("dialplan reload")
        ari = await stack.enter_async_context(Proxy(pbx.ports.http, small=small_socket))
        ami = await stack.enter_async_context(Proxy(pbx.ports.ami))
        settings = {
            "CALLGUARD_LOG__FORMAT": "keyvalue", "CALLGUARD_LOG__LEVEL": "info",
            "CALLGUARD_ASTERISK__ARI_URL": f"http://127.0.0.1:{ari.port}",
            "CALLGUARD_ASTERISK__AMI_PORT": f"{ami.port}",
        }  # fmt: skip
        if small_disks:
            settings["CALLGUARD_STORE__PATH"] = str(stack.enter_context(small_disk(work / "store")) / "callguard.db")
        clock = Clock(work)
        if own_clock:
            settings |= await clock.prepared()
        gate = Gate(
            pbx, texts=texts, answer_wait_s=ANSWER_WAIT_S, destroy_after_s=DESTROY_AFTER_S,
            environment={**settings, **(environment or {})},
        )  # fmt: skip
        for left in gate.recordings.path_here.iterdir():
            left.unlink()
        if small_disks:
            stack.enter_context(small_disk(gate.recordings.path_here))
        record(gate, texts)
        await stack.enter_async_context(gate)
        manager = None
        if supervised:
            await gate.stop()
            manager = await stack.enter_async_context(Supervisor(gate))
            await manager.hears("READY=1")
        yield Bed(pbx, gate, manager, ari, ami, Path(settings.get("CALLGUARD_STORE__PATH", gate.store)), work, clock)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of `DISK_BYTES` in a folder's place, with its owner and rights."""
    folder.mkdir(exist_ok=True)
    kept = folder.stat()
    rights = f"size={DISK_BYTES},uid={kept.st_uid},gid={kept.st_gid},mode={kept.st_mode & 0o7777:o}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", rights, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """A small disk without a byte left."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
    finally:
        ballast.unlink()


def record(gate: Gate, folder: Path) -> None:
    """Studio files of a tone, short so that many calls fit on a small machine."""
    for take in plan(gate.config):
        ms = ESSENTIAL_MS if take.piece.part == "essential" else OTHERS_MS
        samples = np.sin(2 * np.pi * PROMPT_HZ * np.arange(16 * ms) / 16_000) * 8_000
        file = folder / f"{take.name}.wav"
        file.parent.mkdir(exist_ok=True)
        with wave.open(str(file), "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(16_000)
            audio.writeframes(samples.astype("<i2").tobytes())
