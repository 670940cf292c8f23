"""What a phone sends: a timeline of tones, silence and keys as one RTP stream (RFC 3550, 3551, 4733).

Pure: the same timeline always gives the same packets. SIPp plays them from a capture file; the demo's agent sends
them itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from callguard.demo import ulaw

PACKET_MS: Final = 20
PACKET_SAMPLES: Final = PACKET_MS * ulaw.RATE // 1000
PCMU: Final = 0
TELEPHONE_EVENT: Final = 101
KEYS: Final = "0123456789*#ABCD"
KEY_VOLUME: Final = 10
END_PACKETS: Final = 3

# The first and last 4 ms of a tone, so that it does not click.
RAMP: Final = np.sin(np.linspace(0, np.pi / 2, 4 * ulaw.RATE // 1000, endpoint=False)) ** 2


@dataclass(frozen=True, slots=True)
class Tone:
    """A sine of `hz` for `ms`, `level_db` relative to full scale."""

    hz: float
    ms: int
    level_db: float = -10.0


@dataclass(frozen=True, slots=True)
class Silence:
    ms: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key held down for `ms`. Audio pauses meanwhile, as on most phones, unless a tone goes on `over` it."""

    digit: str
    ms: int = 100
    over: Tone | None = None


Segment = Tone | Silence | Key


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet and when it leaves, in ms from the stream's start."""

    at_ms: int
    data: bytes


def length_ms(timeline: Sequence[Segment]) -> int:
    return sum(segment.ms for segment in timeline)


def packets(
    timeline: Sequence[Segment], *, ssrc: int = 0x43474431, sequence: int = 1, timestamp: int = 0
) -> Iterator[Packet]:
    """The stream, PCMU in packets of 20 ms.

    A key is a telephone-event of the same stream (RFC 4733, 2.5): its timestamp is that of its start, its duration
    grows with each packet, and the last packet is sent three times.

    Raises:
        ValueError: a length is not a multiple of 20 ms, or a digit is none.
    """
    for segment in timeline:
        if segment.ms <= 0 or segment.ms % PACKET_MS:
            raise ValueError(f"{segment}: lengths are multiples of {PACKET_MS} ms")
        if isinstance(segment, Key) and segment.digit not in tuple(KEYS):
            raise ValueError(f"{segment}: not a key of a phone")
    sounds = _sounds(timeline)
    at_ms, talking = 0, False

    def packet(payload_type: int, marker: bool, since_ms: int, payload: bytes) -> Packet:
        nonlocal sequence
        head = struct.pack(
            "!BBHII", 0x80, marker << 7 | payload_type, sequence & 0xFFFF,
            timestamp + since_ms * ulaw.RATE // 1000 & 0xFFFF_FFFF, ssrc,
        )  # fmt: skip
        sequence += 1
        return Packet(at_ms, head + payload)

    for index, segment in enumerate(timeline):
        start_ms, heard = at_ms, not isinstance(segment, Key) or segment.over is not None
        voice = _voice(sounds, index, at_ms, segment.ms) if heard else b""
        for until_ms in range(PACKET_MS, segment.ms + 1, PACKET_MS):
            if isinstance(segment, Key):
                last = until_ms == segment.ms
                event = struct.pack(
                    "!BBH", KEYS.index(segment.digit), last << 7 | KEY_VOLUME, until_ms * ulaw.RATE // 1000
                )
                for _ in range(END_PACKETS if last else 1):
                    yield packet(TELEPHONE_EVENT, until_ms == PACKET_MS, start_ms, event)
            if heard:
                first = (at_ms - start_ms) * ulaw.RATE // 1000
                yield packet(PCMU, not talking, at_ms, voice[first : first + PACKET_SAMPLES])
            talking = heard
            at_ms += PACKET_MS


def capture(stream: Sequence[Packet]) -> bytes:
    """`stream` as a capture file (libpcap 2.4, Ethernet, IPv4, UDP). SIPp puts its own addresses and ports in."""
    file = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)]
    for packet in stream:
        size = 8 + len(packet.data)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
        frame = bytes(12) + b"\x08\x00" + ip + struct.pack("!HHHH", 6_000, 6_000, size, 0) + packet.data
        seconds, rest_ms = divmod(packet.at_ms, 1000)
        file.append(struct.pack("<IIII", seconds, rest_ms * 1000, len(frame), len(frame)) + frame)
    return b"".join(file)


def _sounds(timeline: Sequence[Segment]) -> list[Tone | None]:
    return [segment.over if isinstance(segment, Key) else segment if isinstance(segment, Tone) else None
            for segment in timeline]  # fmt: skip


def _voice(sounds: Sequence[Tone | None], index: int, start_ms: int, length_ms: int) -> bytes:
    """One segment's sound. A tone that goes on in the next segment goes on without a seam."""
    count, tone = length_ms * ulaw.RATE // 1000, sounds[index]
    if tone is None:
        return ulaw.SILENCE * count
    time = (np.arange(count) + start_ms * ulaw.RATE // 1000) / ulaw.RATE
    wave = 32_767 * 10 ** (tone.level_db / 20) * np.sin(2 * np.pi * tone.hz * time)
    if index == 0 or not _same(sounds[index - 1], tone):
        wave[: len(RAMP)] *= RAMP
    if index == len(sounds) - 1 or not _same(sounds[index + 1], tone):
        wave[-len(RAMP) :] *= RAMP[::-1]
    return ulaw.encode(wave.round().astype(np.int16))


def _same(one: Tone | None, other: Tone) -> bool:
    return one is not None and (one.hz, one.level_db) == (other.hz, other.level_db)


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
