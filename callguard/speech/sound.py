"""Sound as numbers: read, cut, resample, level, write. Pure: bytes in, bytes out.

Whatever the source, every prompt leaves here in one shape, so that none is louder than the next and none has a gap
of its own: 16-bit mono, its voiced part at -20 dBFS, no silence before the voice (but the lead that the first prompt
of a call needs) and 200 ms after it.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from callguard.speech.formats import RATES as RATES
from callguard.speech.formats import REVISION as REVISION
from callguard.speech.formats import Format as Format

LEVEL_DBFS = -20.0
PEAK_DBFS = -1.0
SILENCE_DBFS = -60.0
TAIL_MS = 200
MARGIN_MS = 40
MAX_S = 60
FADE_MS = 10
LIMITER_MS = 2
FRAME_MS = 20
PAUSE_DB = 30.0
"""A frame this much quieter than the loudest one is a pause and does not count for the level (after ITU-T P.56)."""
EDGE_DB = 45.0
"""What is this much quieter than the loudest frame, at either end, is no voice and is cut off."""

Samples = NDArray[np.float64]


class UnusableSound(ValueError):
    """What is wrong with a sound, in a few words."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel of samples between -1 and 1, and how many of them make a second."""

    samples: Samples
    rate: int

    @property
    def length_ms(self) -> int:
        return round(len(self.samples) * 1000 / self.rate)


def read(data: bytes) -> Sound:
    """The sound in a WAV file; two channels are mixed to one.

    Raises:
        UnusableSound: it is not 16-bit PCM in one or two channels at 8 kHz or more, or is empty, cut short or endless.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            raw = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise UnusableSound(f"is not a PCM WAV file ({str(error) or 'it ends in its header'})") from error
    if width != 2:
        raise UnusableSound(f"has {8 * width} bits a sample; 16 are needed")
    if channels not in (1, 2):
        raise UnusableSound(f"has {channels} channels; one or two are needed")
    if rate < min(RATES.values()):
        raise UnusableSound(f"is sampled at {rate} Hz; at least {min(RATES.values())} are needed")
    if not frames:
        raise UnusableSound("is empty")
    if frames > MAX_S * rate:
        raise UnusableSound(f"lasts {frames // rate} s; a prompt has {MAX_S} at most")
    if len(raw) != frames * channels * width:
        raise UnusableSound("is cut short: it holds less than its header says")
    samples = np.frombuffer(raw, dtype="<i2").reshape(-1, channels).mean(axis=1) / 32_768
    return Sound(samples, rate)


def write(sound: Sound) -> bytes:
    """A 16-bit mono WAV file with the 44-byte header that Asterisk's format_wav expects."""
    pcm = np.rint(sound.samples * 32_767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def shape(sound: Sound, rate: int, lead_ms: int = 0) -> Sound:
    """A prompt at `rate` from a recording: cut to the voice, resampled, levelled, faded, with silence around it.

    Raises:
        UnusableSound: there is nothing to hear in it.
    """
    voice = _resample(_cut(sound), rate)
    levelled = _fade(_limit(_level(voice)))
    lead, tail = (np.zeros(rate * ms // 1000) for ms in (lead_ms, TAIL_MS))
    return Sound(np.concatenate((lead, levelled.samples, tail)), rate)


def level_dbfs(sound: Sound) -> float:
    """The level of the voiced part: root mean square of the frames that are no pause, in dB of full scale."""
    loudness = _frames_dbfs(sound)
    voiced = loudness[loudness > loudness.max() - PAUSE_DB]
    return float(10 * np.log10(np.mean(10 ** (voiced / 10))))


def _frames_dbfs(sound: Sound) -> Samples:
    size = sound.rate * FRAME_MS // 1000
    padded = np.pad(sound.samples, (0, -len(sound.samples) % size))
    power = np.mean(padded.reshape(-1, size) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def _cut(sound: Sound) -> Sound:
    loudness = _frames_dbfs(sound)
    if loudness.max() < SILENCE_DBFS:
        raise UnusableSound("holds nothing that can be heard")
    voiced = np.flatnonzero(loudness > loudness.max() - EDGE_DB)
    frame, margin = sound.rate * FRAME_MS // 1000, sound.rate * MARGIN_MS // 1000
    start, end = voiced[0] * frame - margin, (voiced[-1] + 1) * frame + margin
    return Sound(sound.samples[max(0, start) : end], sound.rate)


def _resample(sound: Sound, rate: int) -> Sound:
    return Sound(np.asarray(soxr.resample(sound.samples, sound.rate, rate, quality="VHQ")), rate)


def _level(sound: Sound) -> Sound:
    return Sound(sound.samples * 10 ** ((LEVEL_DBFS - level_dbfs(sound)) / 20), sound.rate)


def _limit(sound: Sound) -> Sound:
    """Peaks held below full scale by turning the few milliseconds around each down, so that nothing clips.

    The gain of a sample is the mean of the lowest gains around it, none of which is above what the sample needs.
    """
    ceiling = 10 ** (PEAK_DBFS / 20)
    reach = sound.rate * LIMITER_MS // 1000
    needed = ceiling / np.maximum(np.abs(sound.samples), ceiling)
    lowest = sliding_window_view(np.pad(needed, 2 * reach, constant_values=1), 2 * reach + 1).min(axis=1)
    gain = np.convolve(lowest, np.full(2 * reach + 1, 1 / (2 * reach + 1)), mode="valid")
    return Sound(sound.samples * gain, sound.rate)


def _fade(sound: Sound) -> Sound:
    """Short ramps at both ends, against clicks."""
    size = min(sound.rate * FADE_MS // 1000, len(sound.samples) // 2)
    ramp = np.linspace(0, 1, size, endpoint=False)
    envelope = np.ones(len(sound.samples))
    envelope[:size] = ramp
    envelope[len(envelope) - size :] = ramp[::-1]
    return Sound(sound.samples * envelope, sound.rate)
