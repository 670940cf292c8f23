"""Ports of our own for an Asterisk, so that any number of them can run side by side."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callguard.errors import SetupError

# Blocks lie below Linux's ephemeral ports, from which callers and agents take theirs.
BLOCKS = range(10_000, 32_000, 2_000)


CALLERS = 80


@dataclass(frozen=True, slots=True)
class Line:
    """The ports of one caller: SIP, what it hears, and two in a row that SIPp takes for itself but that are not used.

    (SIPp plays sound from the port that the SDP names without opening it, so the ear can have it.)
    """

    sip: int
    ear: int
    spare: int


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one Asterisk, all on 127.0.0.1; RTP has a range, its last port included."""

    first: int

    @property
    def sip(self) -> int:
        return self.first

    @property
    def agent(self) -> int:
        return self.first + 1

    @property
    def http(self) -> int:
        return self.first + 2

    @property
    def ami(self) -> int:
        return self.first + 3

    @property
    def agi(self) -> int:
        """callguard's own, for FastAGI."""
        return self.first + 4

    @property
    def status(self) -> int:
        """callguard's own, for health and metrics."""
        return self.first + 5

    @property
    def lines(self) -> tuple[Line, ...]:
        starts = range(self.first + 100, self.first + 100 + CALLERS * 10, 10)
        return tuple(Line(sip=start, ear=start + 2, spare=start + 4) for start in starts)

    @property
    def rtp(self) -> tuple[int, int]:
        return self.first + 1_000, self.first + 1_999


@contextlib.contextmanager
def leased(locks: Path, folder: Path, *, keep: bool = False) -> Iterator[Ports]:
    """Ports that nobody else has, for as long as this process holds them, and with them the right to `folder`.

    A lock file in `locks` stands for each block of ports and names the holder's folder. A process that was killed
    leaves its folder behind; whoever gets the same block next removes it. `folder` is removed at the end unless
    `keep` is set.

    Raises:
        SetupError: no block is free.
    """
    locks.mkdir(parents=True, exist_ok=True)
    for first in BLOCKS:
        with (locks / str(first)).open("a+") as lock:
            ports = Ports(first)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not _free(ports):
                continue
            lock.seek(0)
            if left := lock.read():
                shutil.rmtree(left, ignore_errors=True)
            _write(lock.fileno(), str(folder))
            try:
                yield ports
            finally:
                if not keep:
                    shutil.rmtree(folder, ignore_errors=True)
                _write(lock.fileno(), "")
            return
    raise SetupError(f"no free block of ports between {BLOCKS.start} and {BLOCKS.stop}: end another demo or test run")


def _free(ports: Ports) -> bool:
    with contextlib.ExitStack() as stack:
        for kind, port in (
            (socket.SOCK_DGRAM, ports.sip), (socket.SOCK_DGRAM, ports.agent),
            (socket.SOCK_STREAM, ports.http), (socket.SOCK_STREAM, ports.ami), (socket.SOCK_STREAM, ports.agi),
            (socket.SOCK_STREAM, ports.status),
        ):  # fmt: skip
            tried = stack.enter_context(socket.socket(socket.AF_INET, kind))
            if kind is socket.SOCK_STREAM:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
