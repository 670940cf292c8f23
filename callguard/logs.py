"""What the service says of itself, on standard error: one line an event, by call id, never a number, name or key."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal, TextIO, cast

import structlog

Format = Literal["auto", "console", "keyvalue", "json"]

# syslog's severities (RFC 5424, 6.2.1), which journald takes from the head of a line (sd-daemon(3)).
SEVERITIES: Final = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "info": 6, "debug": 7}
# What an exception says may quote what somebody has dialled or sent.
_DIGITS = re.compile(r"\+?\d{5,}")


def configure(form: Format = "auto", level: str = "info") -> None:
    """Say it in one of these ways: plain lines for a terminal, or key=value or JSON, one line each, for a journal.

    Under systemd's journal a line begins with its priority, so that ``journalctl -p warning`` finds it, and bears no
    time, as the journal has its own. Libraries' warnings come the same way.
    """
    journal = to_journal(os.environ, sys.stderr)
    if form == "auto":
        form = "keyvalue" if journal else "console"
    processors: list[structlog.typing.Processor] = [structlog.processors.add_log_level, _plain_exception]
    if not journal:
        processors.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    if form == "console":
        plain = structlog.dev.plain_traceback
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    else:
        processors.append(_one_line)
        order = ["timestamp", "level", "event", "call", "leg"]
        processors.append(
            structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True, bool_as_flag=False)
            if form == "keyvalue"
            else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        )
    if journal:
        processors.append(_with_priority)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Unfailing(sys.stderr))),
    )
    logging.basicConfig(handlers=[_Bridge(logging.WARNING)], level=logging.WARNING, force=True)


class Unfailing:
    """Where lines go that may be lost: a full disk, or a pipe that nobody reads any more, ends no call.

    What a stream could not take is lost. Later lines are tried again; with the first that is written goes how many were
    not.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> None:
        """Write a line, or lose it. The stream keeps nothing of what it could not write."""
        said = f"{self._lost} lines of this log could not be written before\n{text}" if self._lost else text
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # a stream without one, which is memory; or a closed one
            descriptor = None
        try:
            if descriptor is None:
                self._stream.write(said)
            else:
                data = said.encode(errors="backslashreplace")
                while data:
                    data = data[os.write(descriptor, data) :]
            self._lost = 0
        except (OSError, ValueError):
            self._lost += 1

    def flush(self) -> None:
        """Each line is written at once."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def to_journal(environment: Mapping[str, str], stream: TextIO) -> bool:
    """Whether a stream goes to systemd's journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
        status = os.fstat(stream.fileno())
        return (int(device), int(inode)) == (status.st_dev, status.st_ino)
    except (ValueError, OSError):
        return False


def _plain_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback as plain text: a rich one would show local variables, and so whoever is calling."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = _DIGITS.sub("#####", "".join(traceback.format_exception(error)).rstrip())
    return event


def _one_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        key: value if isinstance(value, bool | int | float) else re.sub(r"\s*\n\s*", " | ", str(value).strip())
        for key, value in event.items()
    }


def _with_priority(_: Any, method: str, line: Any) -> str:
    return f"<{SEVERITIES.get(method, 6)}>{line}"


class _Bridge(logging.Handler):
    """What libraries warn of by the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        say = structlog.get_logger()
        text = _DIGITS.sub("#####", record.getMessage())
        method = say.error if record.levelno >= logging.ERROR else say.warning
        method(text, library=record.name, exc_info=record.exc_info)
