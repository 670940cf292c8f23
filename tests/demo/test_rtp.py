"""What a phone sends, packet by packet."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import pytest

from callguard.demo import rtp, ulaw
from callguard.demo.rtp import Key, Packet, Segment, Silence, Tone
from callguard.demo.tones import AGENT, CALLER_BEFORE, tones


def fields(packet: Packet) -> tuple[int, bool, int, int, int]:
    """Payload type, marker, sequence number, timestamp, SSRC."""
    first, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", packet.data[:12])
    assert first == 0x80
    return second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc


def sent(*timeline: Segment) -> list[Packet]:
    return list(rtp.packets(timeline, ssrc=7, sequence=65_534, timestamp=2**32 - 320))


def audio(packets: Sequence[Packet]) -> ulaw.Samples:
    return ulaw.decode(b"".join(packet.data[12:] for packet in packets if fields(packet)[0] == rtp.PCMU))


def test_every_byte_of_ulaw_survives() -> None:
    every = bytes(range(256))
    coded = ulaw.encode(ulaw.decode(every))
    assert [byte for byte in every if coded[byte] != byte] == [0x7F], "minus zero is the only one"


def test_ulaw_is_as_exact_as_g711() -> None:
    samples = np.arange(-32_635, 32_636, dtype=np.int16)
    error = np.abs(ulaw.decode(ulaw.encode(samples)).astype(int) - samples)
    assert np.all(error <= (np.abs(samples.astype(int)) + ulaw.BIAS) / 32), "half a step of its segment"
    assert ulaw.decode(b"\x00\x80\xff").tolist() == [-32_124, 32_124, 0]


def test_audio_is_twenty_ms_a_packet_without_a_gap() -> None:
    packets = sent(Tone(1000, 60), Silence(40))
    assert [packet.at_ms for packet in packets] == [0, 20, 40, 60, 80]
    assert {len(packet.data) for packet in packets} == {12 + 160}
    kinds, markers, sequences, stamps, ssrcs = zip(*map(fields, packets), strict=True)
    assert set(kinds) == {0}
    assert markers == (True, False, False, False, False)
    assert sequences == (65_534, 65_535, 0, 1, 2)
    assert stamps == (2**32 - 320, 2**32 - 160, 0, 160, 320)
    assert set(ssrcs) == {7}


def test_a_key_is_an_event_of_the_same_stream() -> None:
    packets = sent(Silence(20), Key("#", ms=60), Silence(20))
    events = [packet for packet in packets if fields(packet)[0] == rtp.TELEPHONE_EVENT]
    assert [packet.at_ms for packet in events] == [20, 40, 60, 60, 60]
    numbers, ends, durations = zip(*(struct.unpack("!BBH", packet.data[12:]) for packet in events), strict=True)
    assert set(numbers) == {11}
    assert [end & 0x80 for end in ends] == [0, 0, 0x80, 0x80, 0x80]
    assert durations == (160, 320, 480, 480, 480)
    assert [fields(packet)[1] for packet in events] == [True, False, False, False, False]
    assert {fields(packet)[3] for packet in events} == {2**32 - 160}, "the timestamp is that of the start"
    assert [fields(packet)[2] for packet in packets] == [65_534, 65_535, 0, 1, 2, 3, 4], "one sequence"
    assert [packet.at_ms for packet in packets if fields(packet)[0] == rtp.PCMU] == [0, 80]


def test_keys_have_rfc_4733s_numbers() -> None:
    packets = sent(*(Key(digit, ms=20) for digit in "0123456789*#ABCD"))
    assert [packet.data[12] for packet in packets[::3]] == list(range(16))


def test_audio_goes_on_over_a_key_when_asked() -> None:
    tone = Tone(CALLER_BEFORE, 100)
    packets = sent(tone, Key("1", ms=60, over=tone), tone)
    assert len(audio(packets)) == 8 * 260
    (found,) = tones(audio(packets), ulaw.RATE)
    assert found.start_ms <= 5
    assert found.end_ms >= 255


def test_tones_start_and_end_when_they_should() -> None:
    found = tones(audio(sent(Silence(100), Tone(CALLER_BEFORE, 200), Silence(100), Tone(AGENT, 60, -20.0))), ulaw.RATE)
    assert [tone.hz for tone in found] == [CALLER_BEFORE, AGENT]
    times = [time for tone in found for time in (tone.start_ms, tone.end_ms)]
    assert times == pytest.approx([100, 300, 400, 460], abs=5)


def test_a_tone_goes_on_into_the_next_segment_without_a_seam() -> None:
    whole, parts = audio(sent(Tone(1949, 200))), audio(sent(*[Tone(1949, 20)] * 10))
    assert np.array_equal(whole, parts)


def test_level_is_relative_to_full_scale() -> None:
    loud = audio(sent(Tone(1000, 200, level_db=0.0)))
    soft = audio(sent(Tone(1000, 200, level_db=-20.0)))
    assert int(loud.max()) == pytest.approx(32_124, rel=0.01)
    assert int(soft.max()) == pytest.approx(3_277, rel=0.03)


@pytest.mark.parametrize("segment", [Tone(1000, 30), Silence(0), Key("1", ms=-20), Key("x"), Key("12"), Key("")])
def test_what_no_phone_can_send(segment: Segment) -> None:
    with pytest.raises(ValueError, match=r"multiples of 20 ms|not a key"):
        sent(segment)


def test_capture_is_what_libpcap_reads() -> None:
    packets = sent(Silence(20), Key("5", ms=1_000))
    file = rtp.capture(packets)
    assert struct.unpack("<IHH", file[:8]) == (0xA1B2C3D4, 2, 4)
    assert struct.unpack("<I", file[20:24]) == (1,), "Ethernet"
    at, times = 24, []
    for packet in packets:
        seconds, microseconds, size, whole = struct.unpack("<IIII", file[at : at + 16])
        frame = file[at + 16 : at + 16 + size]
        times.append(seconds * 1000 + microseconds / 1000)
        assert size == whole == len(frame)
        assert frame[12:14] == b"\x08\x00"
        assert sum(struct.unpack("!10H", frame[14:34])) % 0xFFFF == 0, "IP checksum"
        assert frame[23] == 17
        assert struct.unpack("!H", frame[38:40]) == (8 + len(packet.data),)
        assert frame[42:] == packet.data
        at += 16 + size
    assert at == len(file)
    assert times == [packet.at_ms for packet in packets]
