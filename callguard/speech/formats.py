"""The files that prompts are built as; apart from `sound`, so that the service, which only plays, needs no numpy."""

from __future__ import annotations

from typing import Literal

REVISION = 2
"""Counts up when the same source would give other bytes, so that prompts are built anew."""

Format = Literal["wav", "wav16"]
RATES: dict[Format, int] = {"wav": 8_000, "wav16": 16_000}
"""Asterisk's file name extensions for 16-bit RIFF/WAVE, and the only sampling rate that each may hold, in Hz."""
