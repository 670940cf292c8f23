"""Where checkpoints go, so that not even who owns this machine can write history anew: a file, an address, a syslog."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import Awaitable, Collection, Iterator
from pathlib import Path

from callguard.core.checkpoint import Note
from callguard.errors import InputError
from callguard.sections import Ledger

WITHIN_S = 10.0
FILE_MODE = 0o640
SYSLOG_TAG = "callguard-ledger"
# RFC 5424 6.2.1: facility 16 (local0), severity 5 (notice).
_PRIORITY = 16 * 8 + 5


PLACES = ("send_to_file", "send_to_url", "send_to_syslog")


async def send(note: str, settings: Ledger, to: Collection[str] = PLACES) -> dict[str, str]:
    """Send a signed note to each place that is set.

    Args:
        to: these places only, by the setting's name.

    Returns:
        What went wrong, by the setting's name; the text holds no secret.
    """
    ways: dict[str, Awaitable[str]] = {}
    if settings.send_to_file and "send_to_file" in to:
        ways["send_to_file"] = asyncio.to_thread(append, settings.send_to_file, note)
    if settings.send_to_url and "send_to_url" in to:
        ways["send_to_url"] = _post(settings.send_to_url, note)
    if settings.send_to_syslog and "send_to_syslog" in to:
        ways["send_to_syslog"] = asyncio.to_thread(_log, settings.send_to_syslog, note)
    problems = await asyncio.gather(*ways.values())
    return {name: problem for name, problem in zip(ways, problems, strict=True) if problem}


def append(file: Path, note: str) -> str:
    """Append a note to a file of notes; an empty line ends it. Returns: what went wrong; nothing, mostly."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, FILE_MODE)
        try:
            os.write(descriptor, f"{note}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or "it cannot be written"
    return ""


def notes_in(file: Path) -> Iterator[Note]:
    """The signed notes of a file: one, many as `append` writes them, or lines of a syslog.

    Raises:
        InputError: there is none, or something else stands there as well.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, field="--checkpoint") from error
    except UnicodeDecodeError as error:
        raise InputError("is no text", file=file, field="--checkpoint") from error
    if logged := re.findall(rf"{SYSLOG_TAG}: (\".*\")", text):
        written = [str(json.loads(one)) for one in logged]
    else:
        parts = text.strip("\n").split("\n\n")
        written = [f"{one}\n\n{signatures}\n" for one, signatures in zip(parts[::2], [*parts[1::2], ""], strict=False)]
    try:
        yield from map(Note.of, written)
    except ValueError as error:
        raise InputError(str(error), file=file, field="--checkpoint") from error


async def _post(url: str, note: str) -> str:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=WITHIN_S) as client:
            answer = await client.post(
                url, content=note.encode(), headers={"content-type": "text/plain; charset=utf-8"}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"no answer ({type(error).__name__})"
    return "" if answer.is_success else f"answered {answer.status_code}"


def _log(address: str, note: str) -> str:
    """One line: line ends are escaped, as JSON escapes them."""
    line = f"<{_PRIORITY}>{SYSLOG_TAG}: {json.dumps(note)}".encode()
    try:
        if address.startswith("/"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
                local.settimeout(WITHIN_S)
                local.sendto(line, address)
        else:
            host, _, port = address.rpartition(":")
            (family, kind, protocol, _, where), *_ = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
            with socket.socket(family, kind, protocol) as remote:
                remote.sendto(line, where)
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or "it cannot be reached"
    return ""
