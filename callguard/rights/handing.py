"""What a person gets (GDPR Art. 15(3), 20): gathered from the store, and written to one ZIP."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO

from callguard.config import Config
from callguard.core.retention import Verdict
from callguard.errors import InputError
from callguard.keys import master
from callguard.keys.names import Shelf
from callguard.keys.reading import opening
from callguard.retention import judged
from callguard.rights import export
from callguard.rights.audio import Sound, sounds
from callguard.rights.facts import HELD
from callguard.rights.jws import Signer
from callguard.rights.receipts import Setting
from callguard.store.about import Subject, SubjectLeg
from callguard.store.retention_reader import RetentionReader


async def gather(
    reader: RetentionReader, settings: Config, controller: str, number: str, *, with_audio: bool, though_held: bool
) -> tuple[Subject, tuple[Sound, ...]] | None:
    """What a controller knows of a number in E.164, and what becomes of each recording; None where nothing is known.

    Args:
        though_held: held recordings too.

    Raises:
        InputError: a recording cannot be read.
        StoreError: the store cannot be read.
    """
    for one in await known(reader, settings, controller, number, datetime.now(UTC)):
        return one, tuple(await _sounds(reader, one, settings, though_held)) if with_audio else ()
    return None


async def known(
    reader: RetentionReader, settings: Config, controller: str | None, number: str, now: datetime
) -> tuple[Subject, ...]:
    """Who has a number, each recording with when it is to be destroyed by the rules that are in force now."""
    found = await reader.subjects(controller, number)
    legs = [leg.detail.leg.leg_id for one in found for leg in one.legs]
    due = {one.recording.leg_id: one.verdict for one in await judged(reader, settings, legs, now)}
    return tuple(replace(one, legs=tuple(_judged(leg, due) for leg in one.legs)) for one in found)


def write(out: IO[bytes], settings: Config, one: Subject, found: tuple[Sound, ...], key: Signer, now: datetime) -> str:
    """Write the ZIP. Returns: the SHA-256 of its manifest, in hex. Raises: SetupError, as `export.write` does."""
    files = export.documents(one, _setting(settings, one), found, key, now)
    files["manifest.json"] = manifest = export.manifest(one, files, found, key, now)
    files["manifest.jws"] = export.signature(manifest, key)
    export.write(out, files, found, now)
    return hashlib.sha256(manifest).hexdigest()


def _judged(leg: SubjectLeg, due: Mapping[str, Verdict]) -> SubjectLeg:
    recording, verdict = leg.detail.recording, due.get(leg.detail.leg.leg_id)
    if recording is None or verdict is None:
        return leg
    told = replace(recording, destroy_at=None, reason=HELD)
    if not verdict.restricted:
        due_at = min((at for at in (recording.destroy_at, verdict.due_at) if at is not None), default=None)
        told = replace(recording, destroy_at=due_at, reason=verdict.reason or recording.reason)
    return replace(leg, detail=replace(leg.detail, recording=told))


async def _sounds(reader: RetentionReader, one: Subject, settings: Config, though_held: bool) -> list[Sound]:
    masters, shelf = master.load(settings), Shelf.of(settings.recording)
    found: list[Sound] = []
    for it in one.legs:
        leg = it.detail.leg
        until = leg.recording_ended_at or datetime.now(UTC)
        shared = await reader.others_in_call(leg.leg_id, leg.started_at, until)
        names = [file.name for file in it.detail.recording.files] if it.detail.recording else []
        openings = {name: await opening(reader, masters, shelf, name) for name in names}
        try:
            held = not though_held and await reader.is_held(leg.leg_id, datetime.now(UTC))
            found += sounds(it, settings.recording.folder, openings, shared=shared, held=held)
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
