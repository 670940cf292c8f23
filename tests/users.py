"""Whose rights a test has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """root may write everything, so what a file's mode forbids is tried as somebody else."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
