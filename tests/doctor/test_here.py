"""Facts about this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callguard.doctor import here
from callguard.doctor.facts import RecordingFolder, Unknown
from tests.doctor.healthy import settings


@pytest.mark.parametrize(
    ("text", "value"), [("2s", 2.0), ("1min 30s", 90.0), ("500ms", 0.5), ("infinity", 0.0), ("0", 0.0), ("", 0.0)]
)
def test_systemds_time_spans(text: str, value: float) -> None:
    assert here.seconds(text) == pytest.approx(value)


async def test_a_machine_without_anything_says_what_is_missing(tmp_path: Path) -> None:
    found = await here.look(settings(tmp_path))
    assert "callguard prompts build" in found.prompts
    assert "/srv/callguard.db" in found.store
    assert isinstance(found.folder, Unknown)
    assert "/srv/recordings" in found.folder.because


async def test_the_recordings_folder_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    folder.chmod(0o2770)
    for name, age_s in (("a.wav", 0), ("b.wav", 0), ("old.wav", 8 * 86_400), ("a.json", 0)):
        (folder / name).write_bytes(b"x" * 7_000)
        os.utime(folder / name, (folder.stat().st_mtime - age_s,) * 2)
    config = settings(tmp_path)
    folders = config.recording.folder.model_copy(update={"path_here": folder})
    config = config.model_copy(update={"recording": config.recording.model_copy(update={"folder": folders})})
    found = (await here.look(config)).folder
    assert isinstance(found, RecordingFolder)
    assert (found.mode, found.writable, found.day_bytes) == (0o2770, True, 2_000)
    assert found.free_bytes > 0


async def test_asterisk_elsewhere_has_limits_that_are_not_known(tmp_path: Path) -> None:
    found = await here.look(settings(tmp_path, ari_url="http://pbx.example:8088"))
    assert found.open_files["asterisk"] == Unknown("Asterisk is on another machine")
