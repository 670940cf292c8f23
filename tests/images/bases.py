"""The images that the Dockerfiles begin with, made from Debian's packages: nothing is taken from a registry."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

from callguard.demo.private_root import CONFINED, SYSTEM_PATH
from callguard.demo.tree import cache
from callguard.errors import SetupError

# A mirror's index may have expired; its signature is checked all the same. sid's script serves for releases that an
# older debootstrap does not know.
BUILD = """
set -eu
script=
[ -e "/usr/share/debootstrap/scripts/$RELEASE" ] || script=sid
debootstrap --variant=minbase --force-check-gpg "$RELEASE" "$ROOT" '' $script
echo 'Acquire::Check-Valid-Until "false";' >"$ROOT/etc/apt/apt.conf.d/90expired"
rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/*
tar --create --file "$TAR" --directory "$ROOT" --exclude './dev/*' .
"""


def base(release: str) -> Path:
    """A tar of a minimal Debian, in the cache folder; made if it is not there (half a minute, 130 MB).

    Raises:
        SetupError: debootstrap failed; the text has its last words.
    """
    tar = cache() / f"base-{release}.tar"
    with tar.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tar.exists():
            with tempfile.TemporaryDirectory(dir=cache(), prefix=f"base-{release}-") as folder:
                part = Path(folder) / "tar"
                environment = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
                environment |= {"PATH": SYSTEM_PATH, "LC_ALL": "C", "RELEASE": release}
                done = subprocess.run(
                    [*CONFINED, "sh", "-c", BUILD],
                    env={**environment, "ROOT": f"{folder}/root", "TAR": str(part)},
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
                )  # fmt: skip
                if done.returncode:
                    raise SetupError(f"no Debian {release}: {' / '.join(done.stdout.splitlines()[-3:])}")
                part.rename(tar)
    return tar
