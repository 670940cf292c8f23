"""Which channels are trunks': as whoever installs says it, or as far as pjsip.conf shows it."""

from __future__ import annotations

import re

from callguard.errors import InputError
from callguard.setup.conf import Reader

_CHANNEL = re.compile(r"[A-Za-z0-9]+/[\w.*?\[\]-]+", re.ASCII)


def some_trunks(written: str) -> tuple[str, ...]:
    """Patterns of channel names: an endpoint alone stands for all of its channels. Raises: InputError."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if any(not _CHANNEL.fullmatch(part) for part in parts):
        problem = "channels such as PJSIP/trunk, by technology and name, separated by commas"
        raise InputError(problem, field="--trunks")
    return tuple(dict.fromkeys(part if set(part) & set("*?[") else f"{part}-*" for part in parts))


def found_trunks(reader: Reader) -> tuple[str, ...]:
    """The endpoints of pjsip.conf that log in at a provider, or whose provider is known by its address.

    What a template says is not looked into: it is a proposal, for somebody to confirm or mend.

    Raises:
        SetupError: a file is there and cannot be read.
    """
    names: dict[str, None] = {}
    section: dict[str, str] = {}

    def note() -> None:
        kind = section.get("type")
        if kind in ("identify", "registration") and "endpoint" in section:
            names[section["endpoint"]] = None
        elif kind == "endpoint" and "outbound_auth" in section:
            names[section[""]] = None

    for entry in reader.entries("pjsip.conf"):
        if not entry.name:
            note()
            section = {"": entry.section}
        else:
            section[entry.name.lower()] = entry.value
    note()
    return tuple(name for name in (f"PJSIP/{name}" for name in names) if _CHANNEL.fullmatch(name))
