"""What the service says of itself, on standard error: one line an event, by call id, never a number, name or key."""

from __future__ import annotations

import sys

import structlog


def configure() -> None:
    """Plain lines for a terminal or the journal.

    Tracebacks are plain too: rich ones would show local variables, and so whoever is calling.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )  # fmt: skip
