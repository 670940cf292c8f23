"""Prompts are built once for all tests here; who changes something works on a copy."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callguard.config import Config
from callguard.speech.build import build
from callguard.speech.catalogue import PLAYED, Catalogue
from callguard.speech.texts import default_folder

from . import shipped as shipped_controller

ACME = {
    "name": "Acme Energy",
    "address": "12 Station Road, Springfield",
    "contact": "customer service, telephone 0800 123 456",
    "officer": "telephone 0800 654 321",
    "recipients": "the archive company Stacks and Sons",
    "transfers": "to Switzerland, which protects data as well as we do",
    "retention": "90 days",
    "authority": "Agencia Española de Protección de Datos",
    "automated": "none",
    "number_source": "your contract with us",
    "more_at": "acme dot example, slash privacy",
}
PROFILES = {
    "service": [("recording.quality", "consent", False)],
    "orders": [("recording.contract", "contract", True)],
    "advice": [("recording.quality", "consent", False), ("recording.analysis", "consent", False)],
}


def configure(
    folder: Path,
    *,
    texts: Path | None = None,
    in_asterisk: Path | None = None,
    changes: Mapping[str, str] | None = None,
    languages: Sequence[str] = ("en", "es"),
) -> Config:
    """A profile that asks once, one that informs and one that asks twice; `changes` are to the controller."""
    return Config.model_validate(
        {
            "recording": {"folder": {"path_here": folder / "recordings"}},
            "store": {"path": folder / "store.db"},
            "prompts": {"folder": {"path_here": folder / "prompts", "path_in_asterisk": in_asterisk}, "texts": texts},
            "controllers": {"acme": {**ACME, **(changes or {})}},
            "profiles": {
                name: {
                    "controller": "acme",
                    "languages": languages,
                    "whisper": name == "service",
                    "purposes": [
                        {"id": purpose, "basis": basis, "required": required} for purpose, basis, required in purposes
                    ],
                }
                for name, purposes in PROFILES.items()
            },
        }
    )


@dataclass
class Site:
    """A configuration and its prompts, built; `edit` changes the texts before the next use."""

    folder: Path
    config: Config
    catalogue: Catalogue
    progress: list[tuple[int, int]] = field(default_factory=list)

    @property
    def prompts(self) -> Path:
        return self.config.prompts.folder.path_here

    @property
    def texts(self) -> Path:
        assert self.config.prompts.texts
        return self.config.prompts.texts

    def edit(self, language: str, old: str, new: str) -> None:
        file = self.texts / f"{language}.toml"
        before = file.read_text(encoding="utf-8")
        assert old in before
        file.write_text(before.replace(old, new), encoding="utf-8")

    def keep(self, profile: str, languages: Sequence[str]) -> None:
        """Leave one profile in the configuration, in these languages, where a test would make all of them anew."""
        kept = self.config.profiles[profile].model_copy(update={"languages": tuple(languages)})
        self.config = self.config.model_copy(update={"profiles": {profile: kept}})

    def build(self) -> set[str]:
        """Build again; the files that were written, as paths below the prompts' folder, those to be played left out."""

        def seen() -> dict[str, tuple[int, int]]:
            return {
                str(path.relative_to(self.prompts)): (path.stat().st_ino, path.stat().st_mtime_ns)
                for path in self.prompts.rglob("*")
                if path.is_file() and path.parent.name != PLAYED
            }

        before = seen()
        self.progress.clear()
        self.catalogue = build(self.config, lambda ready, of: self.progress.append((ready, of))).catalogue
        return {name for name, stamp in seen().items() if before.get(name) != stamp}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("speech")
    shutil.copytree(default_folder(), folder / "texts")
    config = configure(folder, texts=folder / "texts")
    progress: list[tuple[int, int]] = []
    before = os.umask(0o077)  # as strict as an administrator may have it
    try:
        catalogue = build(config, lambda ready, of: progress.append((ready, of))).catalogue
    finally:
        os.umask(before)
    return Site(folder, config, catalogue, progress)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """One of each kind of notice in each shipped language, built once for all processes that run tests."""
    mine = tmp_path_factory.getbasetemp()
    folder = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "shipped"
    folder.mkdir(exist_ok=True)
    config = shipped_controller.configure(folder, shipped_controller.KINDS)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(config)  # who comes later finds it as it should be
    return config


@pytest.fixture
def site(built: Site, tmp_path: Path) -> Site:
    """A copy of what is built, to be spoilt."""
    shutil.copytree(built.folder, tmp_path, dirs_exist_ok=True)
    config = configure(tmp_path, texts=tmp_path / "texts")
    return Site(tmp_path, config, Catalogue.load(config))


@pytest.fixture
def texts_with(tmp_path: Path) -> Callable[..., Path]:
    """The default texts with one passage of one language replaced."""

    def make(old: str, new: str, language: str = "en") -> Path:
        folder = tmp_path / "texts"
        shutil.copytree(default_folder(), folder)
        file = folder / f"{language}.toml"
        before = file.read_text(encoding="utf-8")
        assert old in before
        file.write_text(before.replace(old, new, 1), encoding="utf-8")
        return folder

    return make
