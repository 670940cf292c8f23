"""What keeps a call from waiting for other work in the same process."""

from __future__ import annotations

import gc
import sys

TURN_S = 0.0005
"""How long another thread may go on in Python while the event loop wants to, in seconds. Python's own 5 ms are longer
than ten decisions; what threads do here for long (hashing, SQLite, files) they do outside of it."""


def keep_short() -> None:
    """Give the interpreter's lock back sooner, for the whole process (`sys.setswitchinterval`)."""
    sys.setswitchinterval(TURN_S)


def settle() -> None:
    """Leave all that is there by now out of garbage collections: it stays, and to look through it takes 70 ms."""
    gc.freeze()
