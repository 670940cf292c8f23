"""Sound: what is refused, and the one shape in which all of it leaves."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from callguard.speech import sound
from callguard.speech.sound import Samples, Sound, UnusableSound, level_dbfs, read, shape, write

RATE = 22_050


def tone(seconds: float, amplitude: float = 0.5, rate: int = RATE, hertz: float = 440) -> Samples:
    return np.asarray(amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate))


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(int(seconds * rate))


def wav(data: bytes, channels: int = 1, width: int = 2, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a PCM WAV file"),
        (b"ID3\x04 an MP3 by its first bytes, and long enough", "is not a PCM WAV file"),
        (wav(bytes(200))[:30], "is not a PCM WAV file"),
        (wav(bytes(200)).replace(b"\x01\x00\x01\x00", b"\x03\x00\x01\x00", 1), "is not a PCM WAV file"),
        (wav(bytes(200), width=1), "has 8 bits a sample; 16 are needed"),
        (wav(bytes(300), width=3), "has 24 bits a sample; 16 are needed"),
        (wav(bytes(240), channels=6), "has 6 channels; one or two are needed"),
        (wav(bytes(200), rate=7_999), "is sampled at 7999 Hz; at least 8000 are needed"),
        (wav(b""), "is empty"),
        (wav(bytes(200))[:-20], "is cut short"),
        (wav(bytes(2 * 8_000 * 61), rate=8_000), "lasts 61 s; a prompt has 60 at most"),
    ],
)
def test_a_file_that_cannot_be_used(data: bytes, problem: str) -> None:
    with pytest.raises(UnusableSound, match=problem):
        read(data)


def test_two_channels_become_one() -> None:
    stereo = np.stack([np.full(100, 1000, "<i2"), np.full(100, 3000, "<i2")], axis=1)
    mixed = read(wav(stereo.tobytes(), channels=2, rate=8_000))
    assert len(mixed.samples) == 100
    assert np.allclose(mixed.samples * 32_768, 2000)


def test_what_is_written_is_what_format_wav_of_asterisk_reads() -> None:
    data = write(Sound(tone(1, rate=16_000), 16_000))
    assert len(data) == 44 + 2 * 16_000
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 16_000)


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("amplitude", [0.01, 0.2, 1.0])
def test_the_voice_is_at_one_level_whatever_its_source_and_pauses(amplitude: float, rate: int) -> None:
    voice = np.concatenate((tone(1, amplitude), silence(2), tone(1, amplitude)))
    shaped = shape(Sound(voice, RATE), rate)
    assert level_dbfs(shaped) == pytest.approx(sound.LEVEL_DBFS, abs=0.3)
    middle = shaped.samples[rate // 4 : rate // 2]
    assert 10 * np.log10(np.mean(middle**2)) == pytest.approx(sound.LEVEL_DBFS, abs=0.3)


def test_peaks_never_clip() -> None:
    clicks = tone(2, 0.01)
    clicks[::2000] = 1.0
    assert np.abs(shape(Sound(clicks, RATE), 16_000).samples).max() <= 10 ** (sound.PEAK_DBFS / 20) + 1e-9


def test_silence_around_the_voice_is_always_the_same() -> None:
    voice = np.concatenate((silence(1.3), tone(1), silence(0.7)))
    shaped = shape(Sound(voice, RATE), 8_000, lead_ms=300)
    assert shaped.length_ms == pytest.approx(300 + 1000 + 2 * sound.MARGIN_MS + sound.TAIL_MS, abs=2 * sound.FRAME_MS)
    assert not shaped.samples[: 8 * 300].any()
    assert not shaped.samples[-8 * sound.TAIL_MS :].any()


def test_the_ends_are_faded() -> None:
    shaped = shape(Sound(tone(1), RATE), 8_000)
    edge = 8 * sound.FADE_MS
    loud = np.abs(shaped.samples[edge : 2 * edge]).max()
    assert np.abs(shaped.samples[: edge // 10]).max() < 0.1 * loud


def test_nothing_to_hear_is_refused() -> None:
    with pytest.raises(UnusableSound, match="nothing that can be heard"):
        shape(Sound(tone(1, amplitude=0.0005), RATE), 8_000)
