"""The dialplan that comes with callguard, and how one content of it is told from another."""

from __future__ import annotations

import hashlib
import re

from callguard.shipped import shipped

_MARKER = re.compile(r"^\[callguard-version\]\n(?:;.*\n)*exten => (\w+),1,NoOp\(\)$", re.MULTILINE)
VERSION_CONTEXT = "callguard-version"


def marker(text: str) -> str:
    """The marker that a dialplan carries. Raises: ValueError, where it carries none."""
    found = _MARKER.search(text)
    if found is None:
        raise ValueError("the dialplan has no [callguard-version]")
    return found[1]


def expected_marker(text: str) -> str:
    """The marker that a dialplan with this content should carry: a hash of all that is not the marker."""
    rest = _MARKER.sub("", text)
    return "v" + hashlib.sha256(rest.encode()).hexdigest()[:12]


def features() -> dict[str, str]:
    """The shipped lines of features.conf: a feature's name, and its code and what follows."""
    lines = (shipped("dialplan") / "callguard-features.conf").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" => ", 1) for line in lines if " => " in line and not line.startswith(";"))
