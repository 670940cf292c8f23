"""An installation with a store, its signed ledger, prompts that were played, receipts, and a key for backups."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from callguard import config
from callguard.config import Config
from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Basis
from callguard.keys.master import MasterKey
from callguard.ledger.checkpoints import make
from callguard.store import Store
from callguard.store.dial_records import NewGrant
from callguard.store.records import Kept, RecordedFile
from tests.store.legs import CONTROLLERS, START, given, make_leg
from tests.test_cli import callguard
from tests.test_config import GOOD

ONE, TWO, THREE = "+390612345671", "+390612345672", "+390612345673"
LEG = "0192f0c1-2d3e-7a4b-8c5d-6e7f80910a1b"
PLAYED = f"{'ab' * 32}.wav"


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "callguard.toml"

    @property
    def store(self) -> Path:
        return self.folder / "callguard.db"

    @property
    def backup(self) -> Path:
        return self.folder / "one.cgbackup"

    @property
    def settings(self) -> Config:
        return config.load(self.file, {})

    def run(self, *arguments: str) -> tuple[int, str, str]:
        done = callguard(*arguments, "--config", str(self.file))
        return done.returncode, done.stdout, done.stderr

    def made(self, *arguments: str) -> Path:
        code, out, problem = self.run("backup", str(self.backup), *arguments)
        assert (code, problem) == (0, ""), problem
        assert "read back whole" in out
        return self.backup


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A store with a leg that is recorded, a person with a grant, and one who opted out."""
    found = Place(tmp_path)
    set_up(found)
    return found


def set_up(place: Place) -> None:
    folder = place.folder
    recordings = folder / "spool"
    for name in ("spool", "prompts", "prompts/played", "registries"):
        (folder / name).mkdir()
    (folder / "prompts" / "played" / PLAYED).write_bytes(b"heard")
    (folder / "registries" / "fub.acme.receipts").write_bytes(b"answered")
    (folder / "backup.key").write_text(MasterKey.new().text, encoding="ascii")
    (folder / "backup.key").chmod(0o600)
    text = GOOD.replace("/var/lib/callguard", str(folder)).replace("/var/spool/callguard", str(recordings))
    key = folder / "backup.key"
    text += f'\n[backup]\nkey = {{ file = "{key}" }}\nerasures = ["{folder / "elsewhere" / "erasures.jsonl"}"]\n'
    place.file.write_text(text, encoding="utf-8")
    asyncio.run(_fill(place, recordings))


async def _fill(place: Place, recordings: Path) -> None:
    async with Store.open(place.store, gate=None, controllers=CONTROLLERS) as store:
        await store.save(make_leg(given(), leg_id=LEG, number=ONE, file=LEG))
        (recordings / f"{LEG}.wav").write_bytes(b"audio")
        (recordings / f"{LEG}.json").write_bytes(b"{}")
        await store.recording_kept(LEG, Kept((RecordedFile(f"{LEG}.wav", 5, "ef" * 32),), 1000, START), None)
        await store.opt_out("acme", TWO, Scope.ALL, START, "key")
        grant = NewGrant(THREE, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, "form 7")
        await store.grant_all("acme", [grant], START + timedelta(hours=1), "import")
        await make(store, place.settings)
