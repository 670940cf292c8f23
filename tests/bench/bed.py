"""What a bench runs on: a private Asterisk with short prompts, and the gates that are compared, one at a time."""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np

from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.tree import Tree
from callguard.shipped import shipped
from callguard.speech.plan import plan

# RTP for 1,000 callers and more.
RTP: Final = (33_000, 39_999)
# Short, so that many calls fit on a small machine: what a gate does for a call does not depend on it.
ESSENTIAL_MS: Final = 800
OTHERS_MS: Final = 2_000
TONE_MS: Final = 40
CALLGUARD, PLAIN, FASTAGI, ASYNCARI, BRIDGED = "9000", "9001", "9002", "9003", "9004"

SITE: Final = """\
[from-outside]
exten => 9000,1,Gosub(callguard-inbound,s,1(service))
 same => n,Hangup()
exten => 9001,1,Answer()
 same => n,Read(BENCH_KEY,{sound},1,,1,5)
 same => n,Hangup()
exten => 9002,1,AGI(agi://127.0.0.1:{agi}/gate)
 same => n,Hangup()
exten => 9003,1,Stasis(bench)
 same => n,Hangup()
exten => 9004,1,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/agent,30,b(callguard-agent^s^1))
 same => n,Hangup()
"""


@asynccontextmanager
async def pbx(tree: Tree) -> AsyncIterator[Pbx]:
    async with Pbx(tree) as running:
        sound = running.folder("bench").path_here / "sound.wav"
        _prompt(sound, 8_000, OTHERS_MS + ESSENTIAL_MS)
        site = running.path / "etc" / "site.conf"
        seen = running.tree.seen(sound.with_suffix(""))
        site.write_text(SITE.format(sound=seen, agi=running.ports.agi), encoding="utf-8")
        site.chmod(0o644)
        await widen(running)
        await running.cli("dialplan reload")
        yield running


async def widen(running: Pbx) -> None:
    """Give a private Asterisk ports for the sound of more calls than it has by itself (500 legs)."""
    rtp = running.path / "etc" / "rtp.conf"
    lines = rtp.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith(("rtpstart", "rtpend"))]
    rtp.write_text("\n".join([*lines, f"rtpstart = {RTP[0]}", f"rtpend = {RTP[1]}", ""]), encoding="utf-8")
    await running.cli("module reload res_rtp_asterisk.so")


@asynccontextmanager
async def callguard(
    running: Pbx, folder: Path, answer_wait_s: float = 5.0, kind: type[Gate] = Gate
) -> AsyncIterator[Gate]:
    """callguard as it ships, its store on a disk, with short prompts."""
    texts = folder / "texts"
    texts.mkdir(exist_ok=True)
    for file in shipped("prompts").glob("*.toml"):
        (texts / file.name).write_bytes(file.read_bytes())
    gate = kind(running, texts=texts, answer_wait_s=answer_wait_s)
    for take in plan(gate.config):
        file = texts / f"{take.name}.wav"
        file.parent.mkdir(exist_ok=True)
        _prompt(file, 16_000, ESSENTIAL_MS if take.piece.part == "essential" else OTHERS_MS)
    async with gate:
        yield gate


@asynccontextmanager
async def agents(running: Pbx) -> AsyncIterator[None]:
    """As many agents as are called, all at the one phone that the private Asterisk knows; they say nothing."""
    with running.line() as line:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig=KILL", "--", "sipp", "-sf", str(Path(__file__).with_name("agents.xml")),
            "-i", "127.0.0.1", "-p", str(running.agent_port), "-mi", "127.0.0.1", "-mp", str(line.spare), "-nostdin",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def peer(running: Pbx, kind: str, python: str = sys.executable) -> AsyncIterator[int]:
    """A bare gate as a process of its own; its pid."""
    sound = str(running.tree.seen(running.path / "bench" / "sound"))
    if kind == FASTAGI:
        arguments = ["-m", "tests.bench.peers.fastagi_gate", str(running.ports.agi), sound]
    else:
        arguments = [str(Path(__file__).parent / "peers" / "asyncari_gate.py"), running.ari_url, sound]
    process = await asyncio.create_subprocess_exec(
        python, *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, "BENCH_ARI_SECRET": running.secrets.ari}
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(15):
            await process.stdout.readline()
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _prompt(file: Path, rate: int, ms: int) -> None:
    """A short tone at either end, so that its first packet is heard, and nothing else loads the ear."""
    samples = np.zeros(rate * ms // 1000)
    times = np.arange(rate * TONE_MS // 1000) / rate
    samples[: times.size] = samples[-times.size :] = np.cos(2 * np.pi * 1_000 * times) * 8_000
    with wave.open(str(file), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(samples.astype("<i2").tobytes())
    file.chmod(0o644)
