"""The tone checker finds what is there, and nothing else: each rule of the gate broken in a file shows."""

from __future__ import annotations

import itertools
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from callguard.demo import tones as checker
from callguard.demo import ulaw
from callguard.demo.tones import (
    AGENT,
    CALLER_AFTER_STOP,
    CALLER_AFTER_YES,
    CALLER_BEFORE,
    CANDIDATES,
    SECOND_AGENT,
    tones,
    tones_in,
)
from callguard.errors import InputError

DTMF = (697, 770, 852, 941, 1209, 1336, 1477, 1633)
RINGBACK = (440, 480)
SPOKEN = (
    "Acme Energy. May we record this call to train staff? You can stop it any time; the service is the same. "
    "Yes, press 1. No, 2, or wait. She sells sea shells by the sea shore while machines hum all evening long."
)

Wave = NDArray[np.float64]


def tone(hz: float, ms: int, level_db: float = -10.0, rate: int = 8_000) -> Wave:
    return np.asarray(10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(ms * rate // 1000) / rate))


def mixed(length_ms: int, *parts: tuple[int, Wave], rate: int = 8_000) -> Wave:
    whole = np.zeros(length_ms * rate // 1000)
    for at_ms, part in parts:
        start = at_ms * rate // 1000
        whole[start : start + len(part)] += part
    return whole


def coded(sound: Wave) -> ulaw.Samples:
    """As it comes out of a call: coded twice, once on each way."""
    samples = np.clip(np.round(sound * 32_767), -32_768, 32_767).astype(np.int16)
    return ulaw.decode(ulaw.encode(ulaw.decode(ulaw.encode(samples))))


def found(sound: Wave) -> list[tuple[float, int, int]]:
    return [(tone.hz, tone.start_ms, tone.end_ms) for tone in tones(coded(sound), 8_000)]


def about(hz: float, start_ms: int, end_ms: int) -> tuple[object, ...]:
    return (hz, pytest.approx(start_ms, abs=6), pytest.approx(end_ms, abs=6))


def speech(voice: str, folder: Path, pitch: int = 50) -> Wave:
    """espeak-ng, loud, at 8 kHz."""
    spoken = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-p", str(pitch), "-w", spoken, SPOKEN], check=True)
    with wave.open(str(spoken)) as file:
        rate, data = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    sound = np.asarray(soxr.resample(data.astype(np.float64), rate, 8_000))
    return np.asarray(sound / np.abs(sound).max() * 0.7)


def test_frequencies_keep_apart() -> None:
    """From each other, and from the first harmonics of everything else that sounds in a call."""
    for one, other in itertools.combinations(CANDIDATES, 2):
        assert abs(one - other) >= 150
        assert all(abs(one * n - other) >= 20 and abs(other * n - one) >= 20 for n in (2, 3))
    for hz in CANDIDATES:
        assert 300 < hz < 3_400, "what a telephone carries"
        assert all(abs(hz - n * foreign) >= 20 for n in (1, 2, 3) for foreign in (*DTMF, *RINGBACK))


class TestBrokenRules:
    """Files that should not exist; each shows what is wrong with it."""

    def test_recorded_before_the_answer(self) -> None:
        sound = mixed(3_000, (0, tone(CALLER_BEFORE, 700)), (700, tone(CALLER_AFTER_YES, 2_000)))
        assert found(sound) == [about(CALLER_BEFORE, 0, 700), about(CALLER_AFTER_YES, 700, 2_700)]

    def test_recorded_after_withdrawal(self) -> None:
        sound = mixed(3_000, (0, tone(CALLER_AFTER_YES, 2_000)), (2_200, tone(CALLER_AFTER_STOP, 800)))
        assert found(sound) == [about(CALLER_AFTER_YES, 0, 2_000), about(CALLER_AFTER_STOP, 2_200, 3_000)]

    @pytest.mark.parametrize("length_ms", [40, 60])
    @pytest.mark.parametrize("level_db", [-10, -20, -30])
    @pytest.mark.parametrize("hz", CANDIDATES)
    def test_a_moment_of_it(self, hz: int, level_db: int, length_ms: int) -> None:
        assert found(mixed(1_000, (503, tone(hz, length_ms, level_db)))) == [about(hz, 503, 503 + length_ms)]

    @pytest.mark.parametrize(("hz", "over"), list(itertools.permutations(CANDIDATES, 2)))
    def test_hidden_under_another_tone(self, hz: int, over: int) -> None:
        sound = mixed(1_000, (100, tone(over, 800, -10)), (311, tone(hz, 60, -30)))
        assert found(sound) == [about(over, 100, 900), about(hz, 311, 371)]

    def test_hidden_under_two_others(self) -> None:
        others = ((0, tone(AGENT, 2_000)), (0, tone(SECOND_AGENT, 2_000)))
        sound = mixed(2_000, *others, (1_000, tone(CALLER_BEFORE, 80, -24)))
        assert about(CALLER_BEFORE, 1_000, 1_080) in found(sound)

    @pytest.mark.parametrize("hz", CANDIDATES)
    def test_hidden_under_speech(self, hz: int, tmp_path: Path) -> None:
        said = speech("en", tmp_path)[: 8_000 * 6]
        heard = found(mixed(len(said) // 8, (0, said), (2_000, tone(hz, 300, -16))))
        assert [tone for tone, _, _ in heard] == [hz]

    def test_in_one_channel_of_two(self, tmp_path: Path) -> None:
        channels = (coded(mixed(1_000)), coded(mixed(1_000, (500, tone(CALLER_BEFORE, 60)))))
        path = tmp_path / "stereo.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
        (only,) = tones_in(path)
        assert (only.hz, only.start_ms, only.end_ms) == about(CALLER_BEFORE, 500, 560)


class TestNothingThere:
    @pytest.mark.parametrize("length_ms", [0, 10, 31, 32, 5_000])
    def test_silence(self, length_ms: int) -> None:
        assert found(mixed(length_ms)) == []

    @pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
    def test_noise(self, level: float) -> None:
        assert found(np.random.default_rng(3).normal(0, level, 8_000 * 30)) == []

    @pytest.mark.parametrize("voice", ["en", "en-us", "en+f3", "en+m7", "es", "es-419+f2", "fr", "en+whisper"])
    @pytest.mark.parametrize("pitch", [50, 99])
    def test_speech(self, voice: str, pitch: int, tmp_path: Path) -> None:
        assert found(speech(voice, tmp_path, pitch)) == []

    def test_all_sixteen_keys_as_tones(self) -> None:
        pairs = list(itertools.product(DTMF[:4], DTMF[4:]))
        presses = [(200 * n, tone(low, 120, -8) + tone(high, 120, -8)) for n, (low, high) in enumerate(pairs)]
        assert found(mixed(200 * len(pairs), *presses)) == []

    def test_call_progress(self) -> None:
        ringback = tone(440, 2_000, -12) + tone(480, 2_000, -12)
        information = [(3_000 + 330 * n, tone(hz, 330, -10)) for n, hz in enumerate((950, 1_400, 1_800))]
        assert found(mixed(5_000, (0, ringback), *information, (4_100, tone(425, 900)))) == []

    def test_a_tone_so_loud_that_it_is_distorted(self) -> None:
        for hz in CANDIDATES:
            assert {heard for heard, _, _ in found(np.clip(mixed(600, (50, tone(hz, 500, 6))), -1, 1))} == {hz}

    @pytest.mark.parametrize("off_hz", [-40, -25, 25, 40])
    def test_a_tone_that_is_nearly_one(self, off_hz: int) -> None:
        assert [found(mixed(500, (0, tone(hz + off_hz, 500)))) for hz in CANDIDATES] == [[]] * len(CANDIDATES)


def test_lost_packets_do_not_end_a_tone() -> None:
    sound = mixed(1_500, (200, tone(CALLER_AFTER_YES, 1_000)))
    sound[8 * 600 : 8 * 640] = 0
    assert found(sound) == [about(CALLER_AFTER_YES, 200, 1_200)]


def test_a_pause_does() -> None:
    sound = mixed(1_500, (200, tone(CALLER_AFTER_YES, 400)), (700, tone(CALLER_AFTER_YES, 400)))
    assert found(sound) == [about(CALLER_AFTER_YES, 200, 600), about(CALLER_AFTER_YES, 700, 1_100)]


def test_other_rates_and_other_candidates() -> None:
    sound = mixed(1_000, (300, tone(1_500, 200, rate=16_000)), (300, tone(2_000, 200, rate=16_000)), rate=16_000)
    samples = np.round(sound * 32_767).astype(np.int16)
    (only,) = tones(samples, 16_000, (1_500,))
    assert (only.hz, only.start_ms, only.end_ms) == about(1_500, 300, 500)
    assert tones(samples, 16_000) == ()


def test_long_sounds_are_looked_at_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = coded(mixed(4_000, (500, tone(CALLER_BEFORE, 3_000)), (1_790, tone(AGENT, 60))))
    whole = tones(sound, 8_000)
    monkeypatch.setattr(checker, "BATCH", 7)
    assert tones(sound, 8_000) == whole
    assert len(whole) == 2


def test_what_is_no_recording(tmp_path: Path) -> None:
    for content in (b"", b"RIFF", b"not audio at all"):
        (tmp_path / "x.wav").write_bytes(content)
        with pytest.raises(InputError, match=r"x\.wav: not a WAV file"):
            tones_in(tmp_path / "x.wav")
    with pytest.raises(InputError, match="not a WAV file"):
        tones_in(tmp_path / "missing.wav")


def test_an_empty_recording_has_no_tones(tmp_path: Path) -> None:
    """44 bytes: what Asterisk leaves of a call that was never bridged."""
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
    assert (tmp_path / "x.wav").stat().st_size == 44
    assert tones_in(tmp_path / "x.wav") == ()
