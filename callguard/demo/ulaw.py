"""G.711 µ-law (ITU-T G.711), the audio of the demo's calls: 8 kHz, one byte a sample."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE: Final = 8_000
SILENCE: Final = b"\xff"

BIAS: Final = 132
CLIP: Final = 32_635


def encode(samples: Samples) -> bytes:
    """16-bit samples as µ-law bytes."""
    wide = samples.astype(np.int32)
    magnitude = np.minimum(np.abs(wide), CLIP) + BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    return bytes((~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8))


def decode(data: bytes) -> Samples:
    """µ-law bytes as 16-bit samples."""
    return _DECODED[np.frombuffer(data, dtype=np.uint8)]


def _table() -> Samples:
    inverted = ~np.arange(256) & 0xFF
    exponent, mantissa = inverted >> 4 & 0x07, inverted & 0x0F
    magnitude = ((mantissa << 3) + BIAS << exponent) - BIAS
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


_DECODED: Final = _table()
