"""Why a recording, or a key, cannot be read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from callguard.errors import CallguardError


class Fault(StrEnum):
    """In one name for good: `recordings verify --json` prints it."""

    NOT_ENCRYPTED = "not_encrypted"
    """The file is no encrypted recording of callguard's, or of a later version of it."""
    CUT_SHORT = "cut_short"
    """The end is missing."""
    ALTERED = "altered"
    """Something in it is not what was written."""
    ANOTHER = "another"
    """It is the file of another recording."""
    NO_KEY = "no_key"
    """The content key is not in the store: it was destroyed, or the store is another one."""
    WRONG_KEY = "wrong_key"
    """None of the master keys that we have opens the content key."""
    MISSING = "missing"
    """There is no such file."""
    DIFFERENT = "different"
    """It can be read, and is not what was kept: another size or SHA-256."""
    UNREADABLE = "unreadable"
    """The system does not let it be read."""
    CLEAR_COPY = "clear_copy"
    """A copy that anybody can read lies beside the encrypted one."""


TO_DO = {
    Fault.NOT_ENCRYPTED: "it is no encrypted recording of this callguard: find out who put it there",
    Fault.CUT_SHORT: "it is cut short: put a copy from a backup in its place",
    Fault.ALTERED: "it is not what was written: put a copy from a backup in its place",
    Fault.ANOTHER: "it is the file of another recording: put its own, from a backup, in its place",
    Fault.NO_KEY: "its person's content key is not in the store: it was destroyed and nothing opens the file any more, "
    "or this store is not the one that it belongs to",
    Fault.WRONG_KEY: "none of the master keys opens its key: name the one that did in [keys] old",
    Fault.MISSING: "there is no such file: put a copy from a backup there",
    Fault.DIFFERENT: "it is not what was kept, by its size or SHA-256: put a copy from a backup in its place",
    Fault.UNREADABLE: "it may not be read, or its disk does not let it be: see to that",
    Fault.CLEAR_COPY: "a copy that is not encrypted lies beside it: a callguard that runs removes it within a minute, "
    "or says why not",
}


class CannotOpen(CallguardError):
    """One file, or one key, cannot be opened; all others can. The text names it and says what to do."""

    def __init__(self, fault: Fault, what: Path | str, detail: str = "") -> None:
        super().__init__(f"{what}: {TO_DO[fault]}" + (f" ({detail})" if detail else ""))
        self.fault = fault
        self.why = ", ".join(filter(None, (str(what), detail)))
