"""Asterisk in a container: the command lines for it. The image holds no configuration and no secret."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from callguard.errors import SetupError
from callguard.shipped import shipped

# As the Dockerfile sets them.
USER = (5060, 5060)
MODULES = Path("/usr/lib/asterisk/modules")
DATA = Path("/usr/share/asterisk")

# Standard input is a lifeline: when our process dies, however it dies, it closes, and Asterisk is ended.
LIFELINE = 'exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec asterisk "$@" </dev/null 3<&-'


def engine_answers() -> bool:
    """Whether a container engine can be used from here."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def tag(dockerfile: bytes) -> str:
    """The image's name; another Dockerfile has another one."""
    return f"callguard-asterisk:{hashlib.sha256(dockerfile).hexdigest()[:12]}"


def build() -> None:
    """Build the image unless it is there.

    Raises:
        SetupError: the engine could not build it.
    """
    dockerfile = _dockerfile()
    if (
        subprocess.run(["docker", "image", "inspect", tag(dockerfile)], capture_output=True, check=False).returncode
        == 0
    ):
        return
    built = subprocess.run(["docker", "build", "--tag", tag(dockerfile), "-"], input=dockerfile, check=False)
    if built.returncode:
        raise SetupError("docker could not build Asterisk's image: its own message is above")


def run(name: str, folder: Path, user: tuple[int, int], arguments: Sequence[str]) -> list[str]:
    """Run Asterisk in a container that sees its instance's folder, under the same path, and nothing else of ours."""
    return [
        "docker", "run", "--rm", "--interactive", "--init", "--name", name, "--network", "host",
        "--user", f"{user[0]}:{user[1]}", "--volume", f"{folder}:{folder}", tag(_dockerfile()),
        "sh", "-c", f"umask 0007; {LIFELINE}", "sh", *arguments,
    ]  # fmt: skip


def join(name: str, arguments: Sequence[str]) -> list[str]:
    """Run a second Asterisk process in the container."""
    return ["docker", "exec", name, "asterisk", *arguments]


def kill(name: str) -> list[str]:
    """End the container at once."""
    return ["docker", "kill", name]


def _dockerfile() -> bytes:
    return (shipped("asterisk") / "Dockerfile").read_bytes()
