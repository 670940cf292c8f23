"""Which Asterisk callguard works with."""

from __future__ import annotations

# The first versions whose ARI takes REST requests over the event WebSocket; every later branch does.
OLDEST = {20: 14, 21: 9, 22: 4}


def recent_enough(version: tuple[int, int] | None) -> bool:
    """Whether ARI of this version takes REST requests over the event WebSocket."""
    if version is None:
        return False
    major, minor = version
    return minor >= OLDEST[major] if major in OLDEST else major > max(OLDEST)
