"""Many callers at once: SIPp makes the calls, and each call tells what it waited for.

Every caller's sound goes to one socket, whose kernel filter passes nothing but packets that are not silent. A bench's
prompts begin with a short tone, so what comes through is the moment at which a caller hears the first sound.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from callguard.demo import rtp
from callguard.demo.ear import SO_TIMESTAMPNS, TIMESPEC
from callguard.demo.pbx import Pbx
from callguard.demo.ports import Line
from callguard.errors import TelephonyError
from callguard.shipped import render

SCENARIO: Final = Path(__file__).with_name("caller.xml")
SO_ATTACH_FILTER: Final = 26
NUMBERS: Final = count(10_000_000)
# What a caller logs: who ended it, a port, and three moments in seconds and microseconds.
LOGGED: Final = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """What each caller does: `timeline` from `after_ms` after the answer on, and `hangs_up_ms` later, the end.

    `stays` is for who waits until the PBX ends the call; hanging up is then a failure.
    """

    timeline: tuple[rtp.Segment, ...]
    after_ms: int
    hangs_up_ms: int
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Waited:
    """What one caller waited for, in seconds: from the INVITE to the first sound, from the key to the end.

    The key counts from when it goes down; it is held for 80 ms.
    """

    sound_s: float | None
    outcome_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What became of a load.

    Attributes:
        calls: how many were made.
        failed: how many did not go as the scenario says: refused, no answer, no end.
        took_s: from the first call to the last call's end.
        waited: of each call that went well.
    """

    calls: int
    failed: int
    took_s: float
    waited: tuple[Waited, ...]


async def load(pbx: Pbx, line: Line, extension: str, caller: Caller, *, rate: int, calls: int) -> Load:
    """Call `extension` `calls` times, `rate` a second.

    Raises:
        TelephonyError: SIPp did not come to an end of its own, or could not begin.
    """
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="callguard-bench-") as name:
        folder = Path(name)
        (folder / "sound.pcap").write_bytes(rtp.capture(list(rtp.packets(caller.timeline, ssrc=1))))
        values = {
            "EXTENSION": extension, "AFTER_MS": str(caller.after_ms), "CAPTURE": str(folder / "sound.pcap"),
            "HANGS_UP_MS": str(caller.hangs_up_ms),
        }  # fmt: skip
        scenario = render(SCENARIO.read_text(encoding="utf-8"), values)
        (folder / "caller.xml").write_text(scenario, encoding="utf-8")
        # Nobody calls twice: a no is remembered.
        numbers = "".join(f"+346{next(NUMBERS):08d};\n" for _ in range(calls))
        (folder / "numbers.csv").write_text(f"SEQUENTIAL\n{numbers}", encoding="ascii")
        async with _first_sounds(line.ear) as sounds:
            began = loop.time()
            process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig=KILL", "--",
                "sipp", f"127.0.0.1:{pbx.sip_port}", "-sf", str(folder / "caller.xml"),
                "-inf", str(folder / "numbers.csv"),
                "-r", str(rate), "-m", str(calls), "-l", str(calls), "-i", "127.0.0.1", "-p", str(line.sip),
                "-mi", "127.0.0.1", "-mp", str(line.spare), "-key", "ear", str(line.ear), "-nostdin", "-aa",
                "-trace_logs", "-log_file", str(folder / "log"),
                "-trace_stat", "-stf", str(folder / "stat"), "-fd", "5",
                "-trace_err", "-error_file", str(folder / "errors"),
                cwd=folder, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                async with asyncio.timeout(calls / rate + 90):
                    await process.wait()
            except TimeoutError as error:
                raise TelephonyError("SIPp did not end") from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            took_s = loop.time() - began
        log = folder / "log"
        if not log.exists() or process.returncode not in (0, 1):
            errors = folder / "errors"
            said = errors.read_text(errors="replace")[-300:] if errors.exists() else "nothing"
            raise TelephonyError(f"SIPp ended with {process.returncode} and said: {said}")
        ended_by = "pbx" if caller.stays else "caller"
        lines = (line.split() for line in log.read_text(encoding="utf-8").splitlines())
        waited = tuple(
            _waited(told, sounds) for by, *told in (one for one in lines if len(one) == LOGGED) if by == ended_by
        )
    return Load(calls, calls - len(waited), took_s, waited)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def _waited(told: Sequence[str], sounds: dict[int, list[float]]) -> Waited:
    port, *times = told
    moments = [float(second) + float(micro) / 1e6 for second, micro in zip(times[::2], times[1::2], strict=True)]
    invited, keyed, ended = moments
    heard = sounds.get(int(port), [])
    at = bisect_left(heard, invited)
    return Waited(heard[at] - invited if at < len(heard) else None, ended - keyed)


@asynccontextmanager
async def _first_sounds(port: int) -> AsyncIterator[dict[int, list[float]]]:
    """When packets came that are not silent, in seconds since the epoch, by the port that they came from."""
    heard: dict[int, list[float]] = defaultdict(list)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        # Classic BPF, the packet from its UDP header on: pass only what has neither of PCMU's two zeros (RFC 3551)
        # 40 samples behind the RTP header. Shorter packets do not pass.
        steps = ((0x30, 0, 0, 8 + 12 + 40), (0x15, 1, 0, 0xFF), (0x15, 0, 1, 0x7F), (6, 0, 0, 0), (6, 0, 0, 0xFFFF))
        program = b"".join(struct.pack("=HBBI", *step) for step in steps)
        kept = ctypes.create_string_buffer(program, len(program))
        ear.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
        )
        ear.setblocking(False)
        ear.bind(("127.0.0.1", port))

        def read() -> None:
            try:
                while True:
                    _, ancillary, _, (_, sender) = ear.recvmsg(256, socket.CMSG_SPACE(TIMESPEC.size))
                    seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2][: TIMESPEC.size])
                    heard[sender].append(seconds + nanoseconds / 1e9)
            except BlockingIOError:
                return

        loop = asyncio.get_running_loop()
        loop.add_reader(ear, read)
        try:
            yield heard
        finally:
            loop.remove_reader(ear)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has used: CPU seconds of all its threads, and resident memory in MB."""

    cpu_s: float
    resident_mb: float


def spent(pid: int) -> Spent:
    """See proc(5), stat and statm."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    ticks = int(stat[11]) + int(stat[12])
    return Spent(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
