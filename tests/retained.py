"""A store with recordings, their folder, and what destroys in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from callguard import config
from callguard.core.model import Purpose
from callguard.retention import Retention
from callguard.store import Store
from callguard.store.records import Kept, LegRecord, RecordedFile
from callguard.telephony.recording import Recordings
from tests.store.legs import CONTROLLERS, QUALITY, given, make_leg
from tests.test_config import GOOD, TERMS

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class House:
    """A store, its folder, and what destroys in it."""

    def __init__(self, folder: Path, store: Store, settings: config.Config) -> None:
        self.folder = folder
        self.store = store
        self.recordings = Recordings(settings.recording, store)
        self.retention = Retention(lambda: settings, store, self.recordings)

    async def recorded(self, days_ago: int, purpose: Purpose = QUALITY, *, folder: str | None = None) -> LegRecord:
        """A recording that ended so long ago, with its file and its sidecar."""
        ended = NOW - days_ago * DAY
        leg_id = str(uuid4())
        leg = make_leg(
            given(purpose), leg_id=leg_id, call_id=str(uuid4()), file=leg_id, saved_at=ended, started_at=ended
        )
        await self.store.save(leg)
        self.file(leg).write_bytes(b"sound")
        self.file(leg).with_suffix(".json").write_text("{}")
        kept = Kept((RecordedFile(self.file(leg).name, 5, sha256(b"sound").hexdigest()),), 1_000, ended)
        await self.store.recording_kept(leg_id, kept, None)
        return leg

    def file(self, leg: LegRecord) -> Path:
        return self.folder / f"{leg.file}.wav"

    async def left(self) -> set[str]:
        """The legs whose recordings are kept, as row, file and sidecar say alike."""
        kept = set(await self.store.kept_legs("", 999))
        assert (
            kept
            == {file.stem for file in self.folder.glob("*.wav")}
            == {one.stem for one in self.folder.glob("*.json")}
        )
        return kept


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """A house with a configuration file and recordings of its own, below a folder."""
    file = folder / "callguard.toml"
    text = GOOD.replace('path_here = "/var/spool/callguard"', f'path_here = "{folder / "recordings"}"')
    file.write_text(text.replace("/var/lib/callguard/callguard.db", f"{folder / 's.db'}") + TERMS, encoding="utf-8")
    (folder / "recordings").mkdir()
    async with Store.open(folder / "s.db", gate="callguard", controllers=CONTROLLERS) as store:
        yield House(folder / "recordings", store, config.load(file, {}))
