"""The tone checker: which tones are in a recording, and from when to when.

It is the ground truth of demo and tests. Callers and agents send tones that change at known moments; what is found
in a file shows what was recorded, whatever a database says.

In each short window the candidate tones are fitted together (least squares), so that one does not hide another. What
they leave over is the neighbourhood. A tone is told from speech, keys and noise by four signs at once: it is loud
enough, it stands out from its neighbourhood, amplitude and phase hold still within the window, and it lasts.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from callguard.demo.ulaw import Samples
from callguard.errors import InputError

# Who sends what. Apart from each other, from keys (DTMF, ITU-T Q.23), from ringback (440 and 480 Hz) and from the
# harmonics of all of these.
CALLER_BEFORE: Final = 1033
CALLER_AFTER_NO: Final = 1669
CALLER_AFTER_YES: Final = 1949
AGENT: Final = 2371
CALLER_AFTER_STOP: Final = 2731
SECOND_AGENT: Final = 3023
CANDIDATES: Final = (CALLER_BEFORE, CALLER_AFTER_NO, CALLER_AFTER_YES, AGENT, CALLER_AFTER_STOP, SECOND_AGENT)

# Thresholds are chosen so that every 40 ms of a tone are found, also under another one 20 dB louder, while 23 minutes
# of espeak-ng in fifteen voices at four pitches have a single false hit, of 54 ms, at the highest pitch.
WINDOW_MS: Final = 32
STEP_MS: Final = 4
LASTS_WINDOWS: Final = 3
LOUD_ENOUGH: Final = 10 ** (-36 / 20)
STANDS_OUT: Final = 10 ** (12 / 20)
HOLDS_STILL: Final = 0.15
NEIGHBOURS_HZ: Final = tuple(sign * hz for hz in range(75, 401, 25) for sign in (-1, 1))

EDGE_WINDOW_MS: Final = 10
# A hole of two lost packets does not end a tone.
HOLE_MS: Final = 50
BATCH: Final = 2_000

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """A tone of `hz` from `start_ms` to `end_ms` of the sound."""

    hz: float
    start_ms: int
    end_ms: int

    @property
    def ms(self) -> int:
        return self.end_ms - self.start_ms


def tones(samples: Samples, rate: int, candidates_hz: Sequence[float] = CANDIDATES) -> tuple[Found, ...]:
    """The tones among `candidates_hz` that are in `samples`, by start.

    Found is what lasts 40 ms or more and is at most 36 dB below full scale, several tones at once, and under other
    sound unless that is louder at the tone's place in the spectrum. Times are exact to about 5 ms. Candidates should
    be 150 Hz or more apart. What candidates do not name is not looked for.
    """
    signal = samples.astype(np.float64) / 32_768
    present = _present(signal, rate, candidates_hz)
    found = [
        tone
        for hz, flags in zip(candidates_hz, present.T, strict=True)
        for tone in _joined(_found(signal, rate, hz, flags))
    ]
    return _in_order(found)


def tones_in(path: Path, candidates_hz: Sequence[float] = CANDIDATES) -> tuple[Found, ...]:
    """The tones in a WAV file of 16 bit; its channels are looked at one by one.

    Raises:
        InputError: it is no such file.
    """
    try:
        with wave.open(str(path)) as file:
            data = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise InputError(f"not a WAV file: {error}", file=path) from error
    if width != 2:
        raise InputError(f"{8 * width} bit instead of 16", file=path)
    return _in_order(tone for first in range(channels) for tone in tones(data[first::channels], rate, candidates_hz))


def _present(signal: Floats, rate: int, candidates_hz: Sequence[float]) -> Flags:
    """For each window (row) and candidate (column) whether the tone is there throughout."""
    length = WINDOW_MS * rate // 1000
    if len(signal) < length:
        return np.zeros((0, len(candidates_hz)), dtype=bool)
    time = np.arange(length) / rate
    angles = 2 * np.pi * np.outer(time, candidates_hz)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    fit, fit_first, fit_second = (
        np.linalg.pinv(part).T for part in (waves, waves[: length // 2], waves[length // 2 :])
    )
    around = np.add.outer(np.asarray(candidates_hz, dtype=np.float64), NEIGHBOURS_HZ)
    taper = np.hanning(length + 1)[:-1]
    spectrum = (taper * 2 / taper.sum())[:, None] * np.exp(-2j * np.pi * np.outer(time, around))

    windows = sliding_window_view(signal, length)[:: STEP_MS * rate // 1000]
    batches = []
    for first in range(0, len(windows), BATCH):
        batch = windows[first : first + BATCH]
        fitted = batch @ fit
        level = np.abs(_amplitudes(fitted))
        half, other_half = (
            _amplitudes(batch[:, : length // 2] @ fit_first), _amplitudes(batch[:, length // 2 :] @ fit_second)
        )  # fmt: skip
        rest = np.abs((batch - fitted @ waves.T) @ spectrum).reshape(len(batch), *around.shape).max(axis=2)
        still = np.abs(half - other_half) < HOLDS_STILL * np.abs(half + other_half)
        batches.append((level > LOUD_ENOUGH) & (level > STANDS_OUT * rest) & still)
    return np.concatenate(batches)


def _amplitudes(fitted: Floats) -> NDArray[np.complex128]:
    cosines, sines = np.split(fitted, 2, axis=1)
    return np.asarray(cosines - 1j * sines)


def _found(signal: Floats, rate: int, hz: float, flags: Flags) -> Iterator[Found]:
    """Each run of windows that hold the tone, widened to where its envelope falls to half."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for first, end in zip(changes[::2], changes[1::2], strict=True):
        if end - first < LASTS_WINDOWS:
            continue
        low = int(first) * STEP_MS * rate // 1000
        high = int(end - 1) * STEP_MS * rate // 1000 + WINDOW_MS * rate // 1000
        margin = WINDOW_MS * rate // 1000
        offset = max(0, low - margin)
        envelope = _envelope(signal[offset : high + margin], rate, hz)
        quiet = np.flatnonzero(envelope < np.median(envelope[low - offset : high - offset]) / 2) + offset
        before, after = quiet[quiet < (low + high) // 2], quiet[quiet >= (low + high) // 2]
        start = int(before[-1]) + 1 if before.size else offset
        stop = int(after[0]) if after.size else min(len(signal), high + margin)
        yield Found(hz, round(start * 1000 / rate), round(stop * 1000 / rate))


def _envelope(signal: Floats, rate: int, hz: float) -> Floats:
    taper = np.hanning(EDGE_WINDOW_MS * rate // 1000 + 2)[1:-1]
    turned = signal * np.exp(-2j * np.pi * hz * np.arange(len(signal)) / rate)
    return np.abs(np.convolve(turned, taper / taper.sum(), mode="same"))


def _joined(found: Iterable[Found]) -> Iterator[Found]:
    last: Found | None = None
    for tone in found:
        if last and tone.start_ms - last.end_ms <= HOLE_MS:
            last = Found(last.hz, last.start_ms, max(last.end_ms, tone.end_ms))
            continue
        if last:
            yield last
        last = tone
    if last:
        yield last


def _in_order(found: Iterable[Found]) -> tuple[Found, ...]:
    return tuple(sorted(found, key=lambda tone: (tone.start_ms, tone.hz)))
