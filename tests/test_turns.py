"""Neither another thread nor a garbage collection holds the calls up for long."""

from __future__ import annotations

import gc
import sys
from weakref import ref

from callguard import turns


class Kept:
    """Something that only a garbage collection finds to be no longer used."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_when_the_service_has_started_is_not_looked_through_again() -> None:
    before = Kept()
    seen = ref(before)
    turns.settle()
    try:
        del before
        later = ref(Kept())
        gc.collect()
        assert seen() is not None
        assert later() is None
    finally:
        gc.unfreeze()
    gc.collect()
    assert seen() is None


def test_another_thread_has_short_turns() -> None:
    usual = sys.getswitchinterval()
    try:
        turns.keep_short()
        assert sys.getswitchinterval() < usual
    finally:
        sys.setswitchinterval(usual)
