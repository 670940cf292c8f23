"""On what a folder lies: memory, an encrypted disk, or one that whoever takes it away can read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from callguard.doctor.facts import Disk, Known, Unknown

MEMORY = frozenset({"tmpfs", "ramfs"})
ENCRYPTING = frozenset({"ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"})
# These have no disk of this machine below them that could be looked at, or encrypt by themselves, or not.
NOT_SEEN = frozenset({"overlay", "nfs", "nfs4", "cifs", "9p", "zfs", "fuse.sshfs", "virtiofs", "ceph"})


def below(
    folder: Path, mounts: Path = Path("/proc/self/mountinfo"), blocks: Path = Path("/sys/dev/block")
) -> Known[Disk]:
    """What a folder's file system lies on (proc(5); dm-crypt's devices have a UUID that begins with CRYPT-).

    Args:
        mounts: where the kernel tells its mounts.
        blocks: where it tells its block devices, by number.
    """
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
        mount = max(_mounts_above(os.path.realpath(folder), text), key=lambda one: len(one[0]))
    except (OSError, ValueError):
        return Unknown(f"the kernel does not say on what {folder} lies")
    _, device, kind, source = mount
    if kind in MEMORY:
        return Disk(kind, safe=True, lasts=False)
    if kind in ENCRYPTING:
        return Disk(kind, safe=True)
    if kind in NOT_SEEN:
        return Unknown(f"{folder} lies on {kind}, and what is below that is not seen from here")
    block = blocks / device
    if not block.exists():  # btrfs gives its own numbers
        block = blocks / _number_of(source)
    if not block.exists():
        return Unknown(f"the kernel does not say on what {folder} lies ({kind})")
    return Disk(f"{kind} on {source}", safe=_encrypted(block))


def _mounts_above(folder: str, text: str) -> Iterator[tuple[str, str, str, str]]:
    """Mount point, device number, file system and its source, of each mount that the folder is in."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, source, *_) = before.split(), after.split()
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if folder == point or folder.startswith(point.rstrip("/") + "/"):
            yield point, fields[2], kind, source


def _number_of(source: str) -> str:
    try:
        number = Path(source).stat().st_rdev
    except OSError:
        return "none"
    return f"{os.major(number)}:{os.minor(number)}"


def _encrypted(block: Path) -> bool:
    """Whether it is dm-crypt's, or all that it lies on is (LVM, RAID)."""
    try:
        if (block / "dm" / "uuid").read_text(encoding="ascii").startswith("CRYPT-"):
            return True
    except OSError:  # not of the device mapper
        pass
    slaves = block / "slaves"
    there = sorted(slaves.iterdir()) if slaves.is_dir() else []
    return bool(there) and all(map(_encrypted, there))
