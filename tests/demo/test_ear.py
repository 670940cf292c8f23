"""What arrives at a phone."""

from __future__ import annotations

import asyncio
import socket
import time

import numpy as np
import pytest

from callguard.demo import rtp, ulaw
from callguard.demo.ear import Arrival, Ear, keys, sound
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.tones import CALLER_BEFORE, tones


def arrivals(*timeline: Segment, at: float = 1_000.0, late_s: float = 0.0, from_ms: int = 0) -> list[Arrival]:
    """As sent; what is sent from `from_ms` on comes `late_s` later."""
    return [
        Arrival(at + packet.at_ms / 1000 + (late_s if packet.at_ms >= from_ms else 0), packet.data)
        for packet in rtp.packets(timeline)
    ]


def test_nothing_heard() -> None:
    assert sound([]).first_audible() is None
    assert len(sound([]).samples) == 0


def test_silence_is_nothing_heard() -> None:
    assert sound(arrivals(Silence(1_000))).first_audible() is None


def test_first_audible_is_when_it_came() -> None:
    heard = sound(arrivals(Silence(400), Tone(CALLER_BEFORE, 200)))
    assert heard.started == 1_000.0
    assert heard.first_audible() == pytest.approx(1_000.4, abs=0.003)


def test_a_pause_is_heard_as_silence_of_its_length() -> None:
    heard = sound(arrivals(Tone(CALLER_BEFORE, 400), late_s=0.5, from_ms=200))
    assert len(heard.samples) == 8 * 900
    first, second = tones(heard.samples, ulaw.RATE)
    assert [first.end_ms, second.start_ms] == pytest.approx([200, 700], abs=5)


def test_jitter_is_not_heard() -> None:
    generator = np.random.default_rng(1)
    jittered = [
        Arrival(arrival.at + float(generator.uniform(0, 0.04)), arrival.data)
        for arrival in arrivals(Tone(CALLER_BEFORE, 1_000))
    ]
    assert np.array_equal(sound(jittered).samples, sound(arrivals(Tone(CALLER_BEFORE, 1_000))).samples)


def test_each_key_counts_once() -> None:
    stream = arrivals(Key("1"), Silence(40), Key("1"), Key("2"), Tone(1000, 100), Key("#"))
    assert keys(stream) == "112#"
    assert keys([arrival for arrival in stream if not arrival.payload[1] & 0x80]) == "", "a key that did not end"


def test_events_and_other_payloads_are_no_sound() -> None:
    stream = arrivals(Key("1", ms=400))
    comfort_noise = Arrival(999.0, bytes([0x80, 13]) + bytes(10) + b"\x40")
    assert len(sound([comfort_noise, *stream]).samples) == 0


def test_contributing_sources_are_no_payload() -> None:
    data = bytes([0x82, 0]) + bytes(10) + bytes(8) + b"\x10\x20"
    assert Arrival(0.0, data).payload == b"\x10\x20"


async def test_ear_keeps_rtp_with_the_time_it_came() -> None:
    packets = list(rtp.packets([Tone(CALLER_BEFORE, 100)]))
    async with Ear() as ear, Ear() as other:
        before = time.time()
        other.send(b"too short", ("127.0.0.1", ear.port))
        other.send(bytes(40), ("127.0.0.1", ear.port))
        for packet in packets:
            other.send(packet.data, ("127.0.0.1", ear.port))
        async with asyncio.timeout(5):
            while len(ear.arrivals) < len(packets):
                await asyncio.sleep(0)
        after = time.time()
    assert [arrival.data for arrival in ear.arrivals] == [packet.data for packet in packets]
    assert all(before <= arrival.at <= after for arrival in ear.arrivals)


async def test_sending_to_nobody_is_no_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = nobody.getsockname()
    async with Ear() as ear:
        for _ in range(3):
            ear.send(bytes(12), address)
