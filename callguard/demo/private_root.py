"""A Debian of our own with Asterisk in it, in the cache folder: nothing of the machine is touched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from callguard.errors import SetupError

RELEASE = "forky"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# All of it runs in namespaces of its own: what it mounts and starts goes when it ends, and it ends with us.
CONFINED = ("setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--")

# sid's script serves for forky, which an older debootstrap does not know. A mirror's index may have expired; its
# signature is checked all the same. policy-rc.d keeps the package from starting its service. Without name servers
# nothing in it is asked of the network.
BUILD = """
set -eu
echo 'downloading Debian'
debootstrap --variant=minbase --force-check-gpg "$RELEASE" "$ROOT" '' sid
echo 'installing Asterisk'
cp --remove-destination --dereference /etc/resolv.conf "$ROOT/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' >"$ROOT/usr/sbin/policy-rc.d"
chmod 755 "$ROOT/usr/sbin/policy-rc.d" "$ROOT"
mount -t proc proc "$ROOT/proc"
chroot "$ROOT" apt-get -o Acquire::Check-Valid-Until=false update
chroot "$ROOT" apt-get install --yes --no-install-recommends asterisk
chroot "$ROOT" apt-get clean
: >"$ROOT/etc/resolv.conf"
"""


def ready(cache: Path) -> Path:
    """The private root, built if it is not there, with this machine's name in its hosts file.

    Raises:
        SetupError: it needs root or a program that is missing, or the build failed.
    """
    if os.geteuid() != 0:
        raise SetupError(
            "a private Asterisk needs root: run this as root, start a Docker engine, or put Asterisk 22 on PATH"
        )
    root = cache / f"asterisk-{RELEASE}"
    console = Console(stderr=True)
    with _only_one(cache / f"asterisk-{RELEASE}.lock", console):
        if not root.exists():
            _build(root, console)
        _name_this_machine(root / "etc" / "hosts")
    return root


def hosts(name: str) -> str:
    """The hosts file. Without the machine's own name in it every SIP transaction may stall 5 s in a look-up."""
    return f"127.0.0.1 localhost\n127.0.0.1 {name}\n::1 localhost\n"


def _build(root: Path, console: Console) -> None:
    if shutil.which("debootstrap", path=SYSTEM_PATH) is None:
        raise SetupError("debootstrap is missing: apt-get install --no-install-recommends debootstrap")
    for left in root.parent.glob(f"{root.name}.part-*"):
        shutil.rmtree(left)
    log = root.with_name(f"{root.name}.log")
    console.print(
        Text(f"Building a private Asterisk in {root} (about 500 MB, a minute); nothing else is touched."),
        soft_wrap=True,
    )
    part = Path(tempfile.mkdtemp(prefix=f"{root.name}.part-", dir=root.parent))
    environment = {"PATH": SYSTEM_PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    environment |= {"RELEASE": RELEASE, "ROOT": str(part)}
    try:
        with (
            log.open("w", encoding="utf-8") as written,
            console.status("starting") as status,
            subprocess.Popen(
                [*CONFINED, "sh", "-c", BUILD], env=environment, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            ) as process,
        ):  # fmt: skip
            try:
                for line in process.stdout or ():
                    written.write(line)
                    status.update(Text(line.strip()[:100]))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            last = " / ".join(log.read_text(encoding="utf-8").splitlines()[-3:])
            raise SetupError(f"the private Asterisk could not be built: {last} (all of it: {log})")
        part.rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _name_this_machine(file: Path) -> None:
    wanted = hosts(socket.gethostname())
    if not file.exists() or file.read_text() != wanted:
        fresh = file.with_name("hosts.new")
        fresh.write_text(wanted)
        fresh.rename(file)


@contextlib.contextmanager
def _only_one(lock: Path, console: Console) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another callguard builds the private Asterisk; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
