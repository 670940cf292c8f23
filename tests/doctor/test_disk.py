"""On what the recordings' folder lies, by what the kernel says of its mounts and block devices."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from callguard.doctor import disk, here
from callguard.doctor.facts import ClearRows, Disk, Unknown
from callguard.key_sections import Keys
from callguard.keys.master import MasterKey, Masters
from callguard.store import Store
from tests.doctor.healthy import settings

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /dev/shm rw,nosuid - tmpfs tmpfs rw
24 22 253:0 / /srv rw - xfs /dev/mapper/srv rw
25 22 253:1 / /srv/half rw - ext4 /dev/mapper/half rw
26 22 0:40 / /mnt/share rw - nfs4 there:/share rw
27 22 0:41 / /mnt/a\\040b rw master:1 - fuse.gocryptfs /cipher rw
28 22 0:42 / /mnt/snap rw - btrfs /dev/not-there rw
"""


@pytest.fixture
def kernel(tmp_path: Path) -> tuple[Path, Path]:
    """A plain disk, LVM on LUKS, and LVM on LUKS and a plain disk."""
    (mounts := tmp_path / "mountinfo").write_text(MOUNTS, encoding="utf-8")
    blocks = tmp_path / "block"
    for number, uuid, slaves in (
        ("8:1", "", ()), ("253:5", "CRYPT-LUKS2-0123-luks", ("8:1",)), ("253:0", "LVM-abc", ("253:5",)),
        ("253:1", "LVM-abc", ("253:5", "8:1")),
    ):  # fmt: skip
        (blocks / number / "slaves").mkdir(parents=True)
        if uuid:
            (blocks / number / "dm").mkdir()
            (blocks / number / "dm" / "uuid").write_text(f"{uuid}\n", encoding="ascii")
        for slave in slaves:
            (blocks / number / "slaves" / slave).symlink_to(blocks / slave)
    return mounts, blocks


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/var/spool/callguard", Disk("ext4 on /dev/sda1", safe=False)),
        ("/dev/shm/callguard", Disk("tmpfs", safe=True, lasts=False)),
        ("/srv/callguard", Disk("xfs on /dev/mapper/srv", safe=True)),
        ("/srv/halfway", Disk("xfs on /dev/mapper/srv", safe=True)),
        ("/srv/half/way", Disk("ext4 on /dev/mapper/half", safe=False)),
        ("/mnt/a b/callguard", Disk("fuse.gocryptfs", safe=True)),
        ("/mnt/share", Unknown("/mnt/share lies on nfs4, and what is below that is not seen from here")),
        ("/mnt/snap", Unknown("the kernel does not say on what /mnt/snap lies (btrfs)")),
    ],
)
def test_memory_and_encrypted_disks_are_told_from_others(
    kernel: tuple[Path, Path], folder: str, found: Disk | Unknown
) -> None:
    assert disk.below(Path(folder), *kernel) == found


def test_a_kernel_that_says_nothing_is_not_well(tmp_path: Path) -> None:
    assert isinstance(disk.below(tmp_path, tmp_path / "none", tmp_path), Unknown)


async def test_this_machine_says_something_of_its_folders_and_keys(tmp_path: Path) -> None:
    found = await here.look(settings(tmp_path))
    assert found.keys == "/srv/master.key: keys.master.file: cannot be read: No such file or directory"
    assert isinstance(found.disk, Disk | Unknown)
    (key := tmp_path / "key").write_text(bytes(range(32)).hex(), encoding="ascii")
    key.chmod(0o600)
    keys = Keys.model_validate({"master": {"file": str(key)}})
    config = settings(tmp_path).model_copy(update={"keys": keys})
    assert isinstance((await here.look(config)).clear_files, Unknown)
    store = config.store.model_copy(update={"path": tmp_path / "callguard.db"})
    async with Store.open(store.path, gate=None, controllers={"acme": "Acme"}):
        found = await here.look(config.model_copy(update={"store": store}))
    assert (found.keys, found.clear_files, found.clear_rows) == ("", 0, ClearRows())
    masters = Masters(MasterKey.new())
    async with Store.open(store.path, gate="callguard", controllers={"acme": "Acme"}, keys=lambda: masters) as opened:
        await opened.agent_grants_it("Grete Muster", "works-council-7", datetime.now(UTC))
        found = await here.look(config.model_copy(update={"store": store}))
        assert "none of the master keys opens its key" in found.keys
        without = await here.look(config.model_copy(update={"store": store, "keys": None}))
        assert "are encrypted, and the configuration has no [keys]" in without.keys
