"""Every error that callguard raises on purpose, by whose fault it is.

CallguardError
├── InputError           the person's who gave a file or an option: one line, exit code 2
├── Denied               nobody's: what was asked for may not be done; exit code 3
├── SetupError           this machine's: a program, a right or a file is missing
├── TelephonyError       Asterisk's side
│   ├── Disconnected     the connection is gone; what was asked may or may not have happened
│   └── Refused          Asterisk answered no (ARI status 4xx or 5xx, AMI error)
└── StoreError           the store did not take what it was given; nothing of it is kept
"""

from __future__ import annotations

from pathlib import Path


class CallguardError(Exception):
    """Base of all of them; its text is one line for a person."""


class InputError(CallguardError):
    """What was given cannot be used.

    The text names the file, the line where it is known, and the field: ``file:line: field: what is wrong``.
    """

    def __init__(
        self, problem: str, *, file: Path | str | None = None, line: int | None = None, field: str = ""
    ) -> None:
        place = "" if file is None else f"{file}:{line}: " if line else f"{file}: "
        super().__init__(place + (f"{field}: " if field else "") + problem)


class Denied(CallguardError):
    """What was asked for has no basis, or somebody's word stands against it; nothing of it is done."""


class SetupError(CallguardError):
    """Something on this machine is missing; the text says what to do."""


class TelephonyError(CallguardError):
    """Asterisk, or the way to it, failed."""


class Disconnected(TelephonyError):
    """The connection ended before an answer came."""


class Replaced(Disconnected):
    """Another process uses our application's name; whoever answers to this by taking it back starves every caller."""


class Refused(TelephonyError):
    """Asterisk refused a request; `status` is ARI's status code (0 for AMI)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status = status


class StoreError(CallguardError):
    """The store refused; nothing of the transaction is kept."""
