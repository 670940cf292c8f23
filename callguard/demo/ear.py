"""A phone's media socket: what arrives there, when, and how it sounds."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import numpy as np

from callguard.demo import rtp, ulaw

# Linux: the kernel's time of arrival, so that a busy event loop does not make a sound seem late.
SO_TIMESTAMPNS: Final = 35
TIMESPEC: Final = struct.Struct("@qq")

# Packets that come within this time of when they are due belong together; a later one follows a pause.
JITTER_MS: Final = 60
# About 50 dB below full scale: codec noise is below, any tone or word above.
AUDIBLE: Final = 100


@dataclass(frozen=True, slots=True)
class Arrival:
    """One RTP packet and its time of arrival, in seconds since the epoch."""

    at: float
    data: bytes

    @property
    def payload_type(self) -> int:
        return self.data[1] & 0x7F

    @property
    def payload(self) -> bytes:
        return self.data[12 + 4 * (self.data[0] & 0x0F) :]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """What was heard: 16-bit samples at 8 kHz from `started` (seconds since the epoch), pauses as silence."""

    started: float
    samples: ulaw.Samples

    def first_audible(self) -> float | None:
        """When the first sample that is not silence arrived, in seconds since the epoch."""
        loud = np.flatnonzero(np.abs(self.samples.astype(np.int32)) > AUDIBLE)
        return self.started + int(loud[0]) / ulaw.RATE if loud.size else None


def sound(arrivals: Sequence[Arrival]) -> Sound:
    """The PCMU packets as one sound, by their times of arrival: a PBX may change stream and timestamps at will."""
    voice = [arrival for arrival in arrivals if arrival.payload_type == rtp.PCMU]
    if not voice:
        return Sound(0.0, np.zeros(0, dtype=np.int16))
    started = voice[0].at
    data = bytearray()
    for arrival in voice:
        missing = round((arrival.at - started) * ulaw.RATE) - len(data)
        if missing > JITTER_MS * ulaw.RATE // 1000:
            data += ulaw.SILENCE * missing
        data += arrival.payload
    return Sound(started, ulaw.decode(bytes(data)))


def keys(arrivals: Sequence[Arrival]) -> str:
    """The keys that arrived as telephone-events, in order; each counts once, at its first end packet."""
    pressed: dict[bytes, str] = {}
    for arrival in arrivals:
        if arrival.payload_type == rtp.TELEPHONE_EVENT and arrival.payload[1] & 0x80:
            pressed.setdefault(arrival.data[4:12], rtp.KEYS[arrival.payload[0]])
    return "".join(pressed.values())


class Ear:
    """A UDP socket on 127.0.0.1 that keeps what arrives; an async context manager. Port 0 is any free one."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.arrivals: list[Arrival] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", self._port))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one packet. One that does not fit is lost, as on any network."""
        try:
            self._socket.sendto(data, to)
        except (BlockingIOError, ConnectionRefusedError):
            return

    def _read(self) -> None:
        try:
            while True:
                data, ancillary, _, _ = self._socket.recvmsg(2_048, socket.CMSG_SPACE(TIMESPEC.size))
                if len(data) < 12 or data[0] >> 6 != 2:
                    continue
                (_, _, stamp), *_ = ancillary
                seconds, nanoseconds = TIMESPEC.unpack(stamp[: TIMESPEC.size])
                self.arrivals.append(Arrival(seconds + nanoseconds / 1e9, data))
        except (BlockingIOError, ConnectionRefusedError):
            return
