"""Make the audio that is missing or out of date, and describe all of it in the catalogue."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from callguard.config import Config
from callguard.errors import InputError, SetupError
from callguard.speech.catalogue import FILE, PLAYED, Archived, AudioFile, Built, Catalogue, Entry
from callguard.speech.plan import Take, plan, unused
from callguard.speech.render import Rendering, render

FOLDER_MODE = 0o755
FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Done:
    """What a build did.

    Attributes:
        made, removed: the names of prompts.
        kept: how many were as they should be.
        unused: studio files that no prompt is made from.
    """

    catalogue: Catalogue
    made: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int
    unused: tuple[Path, ...]


def build(config: Config, progress: Callable[[int, int], None] | None = None) -> Done:
    """Bring the prompts' folder up to date; what is as it should be is left alone.

    Each file is replaced at once, the catalogue last: whoever is interrupted leaves a folder that `Catalogue.load`
    refuses and the next build mends. A service that runs plays what it has loaded until it is reloaded.

    Args:
        config: names the folder, the texts and what is needed.
        progress: called with the number of prompts that are ready and the number of all.

    Raises:
        InputError: a text, a voice or a studio file cannot be used.
        SetupError: espeak-ng is missing or failed, or the folder cannot be written.
    """
    folder = config.prompts.folder.path_here
    takes = plan(config)
    before = _built_before(folder)
    ready = {take.name: before.prompts[take.name] for take in takes if not before.fault(take, folder)}
    due = [take for take in takes if take.name not in ready]
    report = progress or (lambda done, of: None)
    report(len(ready), len(takes))
    try:
        for place in (folder, folder / PLAYED, *sorted({(folder / take.name).parent for take in takes})):
            _open_folder(place)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            # Opt-outs and denied calls are told alike in many profiles: what sounds alike is rendered once.
            alike: dict[object, list[Take]] = {}
            for take in due:
                alike.setdefault(take.sound, []).append(take)
            firsts = [group[0] for group in alike.values()]
            for group, rendering in zip(alike.values(), pool.map(render, firsts), strict=True):
                for take in group:
                    ready[take.name] = _keep(take, rendering, folder)
                    report(len(ready), len(takes))
        for entry in ready.values():
            if not (archived := folder / f"{entry.played}.json").exists():
                _write(archived, f"{Archived.of(entry).model_dump_json(indent=2)}\n".encode())
        if ready != before.prompts:
            catalogue = Built(prompts=dict(sorted(ready.items()))).model_dump_json(indent=2)
            _write(folder / FILE, f"{catalogue}\n".encode())
        removed = sorted(before.prompts.keys() - ready.keys())
        for name in removed:
            for extension in before.prompts[name].files:
                (folder / f"{name}.{extension}").unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{error.filename or folder}: prompts cannot be written: {error.strerror}") from error
    made = tuple(take.name for take in due)
    return Done(Catalogue.load(config), made, tuple(removed), len(takes) - len(made), unused(takes))


def _built_before(folder: Path) -> Built:
    try:
        return Built.read(folder)
    except InputError:
        return Built()  # missing or damaged: everything is made anew


def _keep(take: Take, rendering: Rendering, folder: Path) -> Entry:
    entry = Entry(
        id=take.piece.id,
        language=take.piece.language,
        version=take.piece.version,
        text=take.piece.text,
        source="studio" if take.studio else "espeak-ng",
        fingerprint=take.fingerprint,
        length_ms=rendering.length_ms,
        files={extension: AudioFile.of(data) for extension, data in rendering.files.items()},
    )
    for extension, data in rendering.files.items():
        _write(folder / f"{take.name}.{extension}", data)
        _write(folder / f"{entry.played}.{extension}", data)
    return entry


def _write(file: Path, data: bytes) -> None:
    """Replace a file at once; Asterisk, which is another user, may read it whatever the umask is."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        temporary.chmod(FILE_MODE)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & FOLDER_MODE != FOLDER_MODE:
        folder.chmod(mode | FOLDER_MODE)
