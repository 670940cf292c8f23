"""What is set aside: where it lies for us, under which name, and who may look."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from callguard.sections import Folder
from callguard.telephony.quarantine import here, set_aside

FOLDER = Folder(path_here=Path("/srv/here"), path_in_asterisk=Path("/var/spool/callguard"))


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("/var/spool/callguard/in-600.wav", "/srv/here/in-600.wav"),
        ("/var/spool/callguard/2026/11/in-600.wav", "/srv/here/2026/11/in-600.wav"),
        ("/var/spool/callguard/../asterisk/in-600.wav", None),
        ("/var/spool/callguard", None),
        ("/var/spool/callguard/quarantine/x.wav", None),
        ("/var/spool/callguards/in-600.wav", None),
        ("in-600.wav", None),
        ("", None),
    ],
)
def test_only_the_shared_folder_is_seen(file: str, found: str | None) -> None:
    assert here(FOLDER, file) == (Path(found) if found else None)


def test_a_file_is_moved_under_a_name_that_tells_nothing(tmp_path: Path) -> None:
    for number in ("in-34600000020.wav", "in-34600000020.WAV"):
        file = tmp_path / number
        file.write_bytes(b"audio")
        name = set_aside(tmp_path, file)
        assert not file.exists()
        assert "3460" not in name
        assert (tmp_path / "quarantine" / name).read_bytes() == b"audio"
        assert Path(name).suffix == file.suffix
    assert stat.S_IMODE((tmp_path / "quarantine").stat().st_mode) == 0o2770
    with pytest.raises(FileNotFoundError):
        set_aside(tmp_path, file)
