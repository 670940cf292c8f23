"""Files that come with callguard but are not Python."""

from __future__ import annotations

from pathlib import Path

import callguard

IN_CHECKOUT = {"asterisk": "docker/asterisk", "dialplan": "dialplan", "prompts": "prompts", "systemd": "systemd"}


def shipped(name: str) -> Path:
    """The folder `name` of the installed package's data, or its place in a checkout.

    Names and places are those of ``force-include`` in pyproject.toml.
    """
    package = Path(callguard.__file__).parent
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / IN_CHECKOUT[name]
