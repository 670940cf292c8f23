"""What a person gets (GDPR Art. 15(3), 20): gathered from the store, and written to one ZIP."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import IO

from callguard.config import Config
from callguard.errors import InputError
from callguard.keys import master
from callguard.keys.names import Shelf
from callguard.keys.reading import opening
from callguard.rights import export
from callguard.rights.audio import Sound, sounds
from callguard.rights.jws import Signer
from callguard.rights.receipts import Setting
from callguard.store.about import Subject
from callguard.store.reader import Reader


async def gather(
    reader: Reader, settings: Config, controller: str, number: str, *, with_audio: bool
) -> tuple[Subject, tuple[Sound, ...]] | None:
    """What a controller knows of a number in E.164, and what becomes of each recording; None where nothing is known.

    Raises:
        InputError: a recording cannot be read.
        StoreError: the store cannot be read.
    """
    for one in await reader.subjects(controller, number):
        return one, tuple(await _sounds(reader, one, settings)) if with_audio else ()
    return None


def write(out: IO[bytes], settings: Config, one: Subject, found: tuple[Sound, ...], key: Signer, now: datetime) -> str:
    """Write the ZIP. Returns: the SHA-256 of its manifest, in hex. Raises: SetupError, as `export.write` does."""
    files = export.documents(one, _setting(settings, one), found, key, now)
    files["manifest.json"] = manifest = export.manifest(one, files, found, key, now)
    files["manifest.jws"] = export.signature(manifest, key)
    export.write(out, files, found, now)
    return hashlib.sha256(manifest).hexdigest()


async def _sounds(reader: Reader, one: Subject, settings: Config) -> list[Sound]:
    masters, shelf = master.load(settings), Shelf.of(settings.recording)
    found: list[Sound] = []
    for it in one.legs:
        leg = it.detail.leg
        until = leg.recording_ended_at or datetime.now(UTC)
        shared = await reader.others_in_call(leg.leg_id, leg.started_at, until)
        names = [file.name for file in it.detail.recording.files] if it.detail.recording else []
        openings = {name: await opening(reader, masters, shelf, name) for name in names}
        try:
            found += sounds(it, settings.recording.folder, openings, shared=shared)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=error.filename) from error
    return found


def _setting(settings: Config, one: Subject) -> Setting:
    """What the configuration says around a person's consents, in the language of their last call."""
    first = next((it.languages[0] for it in settings.profiles.values() if it.controller == one.controller), "en")
    language = one.legs[-1].detail.leg.language if one.legs else first
    storage = tuple(f"{it.what} ({it.country})" for it in settings.processing.storage)
    countries = {name: profile.law_of_caller for name, profile in settings.profiles.items()}
    return Setting(one.controller, settings.controllers[one.controller], countries, storage, language)
