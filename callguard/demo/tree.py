"""Where an Asterisk for demo and tests is: on PATH, in a container, or in a private root of our own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from callguard.demo import image, private_root
from callguard.errors import SetupError
from callguard.telephony.versions import recent_enough

MODULES = ("usr/lib/*/asterisk/modules", "usr/lib/asterisk/modules", "usr/local/lib/asterisk/modules")
# Where root's instances of an installed Asterisk are: its own home is closed to the user that Asterisk runs as.
SYSTEM_CACHE = Path("/var/cache/callguard")
DATA = ("usr/share/asterisk", "var/lib/asterisk", "usr/local/share/asterisk")


class Kind(StrEnum):
    PATH = "path"
    DOCKER = "docker"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class Tree:
    """An installed Asterisk and how one enters it.

    Attributes:
        kind: which of the three.
        root: the folder here that Asterisk sees as ``/``.
        instances: the folder here in which instances have their folders.
        modules: Asterisk's module folder, as Asterisk sees it.
        data: Asterisk's data folder (documentation, REST description), as Asterisk sees it.
        user: uid and gid that Asterisk runs as; None means our own.
    """

    kind: Kind
    root: Path
    instances: Path
    modules: Path
    data: Path
    user: tuple[int, int] | None

    def seen(self, here: Path) -> Path:
        """A path as Asterisk sees it."""
        return Path("/") / here.relative_to(self.root)

    def start(self, name: str, folder: Path, arguments: Sequence[str]) -> list[str]:
        """The command that runs Asterisk in the foreground, and ends it when our process dies, however it dies."""
        if self.kind is Kind.DOCKER:
            return image.run(name, folder, self.user or (os.getuid(), os.getgid()), arguments)
        # The signal is set last: a change of user or of root before it would clear it (prctl(2), PR_SET_PDEATHSIG).
        return [*self._enter(), *_setpriv(self.user, "--pdeathsig=KILL"), "asterisk", *arguments]

    def join(self, name: str, arguments: Sequence[str]) -> list[str]:
        """The command that runs a second Asterisk process, such as its command line, beside the first."""
        if self.kind is Kind.DOCKER:
            return image.join(name, arguments)
        return [*self._enter(), *_setpriv(self.user), "asterisk", *arguments]

    def _enter(self) -> list[str]:
        return ["chroot", str(self.root)] if self.kind is Kind.ROOT else []


def find() -> Tree:
    """The Asterisk to use: the one on PATH if it is recent enough, else a container, else a private root.

    The private root is built when it is not there yet: about a minute, 500 MB in the cache folder.

    Raises:
        SetupError: none of the three is possible here; the text says what to do.
    """
    if recent_enough(installed()):
        return _on_path()
    if image.engine_answers():
        image.build()
        user = image.USER if os.geteuid() == 0 else None
        return Tree(Kind.DOCKER, Path("/"), _made(cache() / "pbx"), image.MODULES, image.DATA, user)
    root = private_root.ready(cache())
    instances = _made(root / "var" / "lib" / "callguard")
    return Tree(Kind.ROOT, root, instances, *_folders(root), _user_in(root / "etc" / "passwd"))


def cache() -> Path:
    """callguard's folder in the user's cache folder (XDG Base Directory Specification); nobody else may enter it."""
    folder = _made(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callguard")
    folder.chmod(0o700)
    return folder


def installed() -> tuple[int, int] | None:
    """The version of the Asterisk on PATH, or None."""
    program = shutil.which("asterisk")
    if program is None:
        return None
    answer = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=10, check=False)
    return parse_version(answer.stdout)


def parse_version(text: str) -> tuple[int, int] | None:
    """Major and minor version from what ``asterisk -V`` says.

    A certified release or one built from a checkout counts otherwise, so it has no version here.
    """
    match = re.match(r"Asterisk (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _on_path() -> Tree:
    folders = _folders(Path("/"))
    if os.geteuid() != 0:
        return Tree(Kind.PATH, Path("/"), _made(cache() / "pbx"), *folders, None)
    user = next(found for name in ("asterisk", "nobody") if (found := _known(name)))
    return Tree(Kind.PATH, Path("/"), _made(SYSTEM_CACHE), *folders, user)


def _folders(root: Path) -> tuple[Path, Path]:
    modules = _first(root, MODULES, "chan_pjsip.so")
    data = _first(root, DATA, "rest-api")
    return Path("/") / modules.relative_to(root), Path("/") / data.relative_to(root)


def _first(root: Path, patterns: Iterable[str], holds: str) -> Path:
    for pattern in patterns:
        for folder in sorted(root.glob(pattern)):
            if (folder / holds).exists():
                return folder
    raise SetupError(f"Asterisk's {holds} is in none of {', '.join(patterns)} under {root}: install its modules")


def _known(name: str) -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _user_in(passwd: Path) -> tuple[int, int]:
    for line in passwd.read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == "asterisk":
            return int(uid), int(gid)
    raise SetupError(f"{passwd} has no user asterisk: delete {passwd.parent.parent}, it is built anew")


def _setpriv(user: tuple[int, int] | None, *options: str) -> list[str]:
    change = [f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"] if user else []
    return ["setpriv", *change, *options, "--"] if change or options else []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
