"""Files that come with callguard but are not Python, and the values that go into them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import callguard

IN_CHECKOUT = {
    "asterisk": "docker/asterisk", "dialplan": "dialplan", "docs": "docs", "prompts": "prompts", "systemd": "systemd",
}  # fmt: skip


def shipped(name: str) -> Path:
    """The folder `name` of the installed package's data, or its place in a checkout.

    Names and places are those of ``force-include`` in pyproject.toml.
    """
    package = Path(callguard.__file__).parent
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / IN_CHECKOUT[name]


def render(text: str, values: Mapping[str, str]) -> str:
    """`text` with each ``@NAME@`` replaced. A name without a value is a KeyError: the file and its user differ."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)
