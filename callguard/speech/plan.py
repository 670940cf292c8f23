"""What is to be built: every prompt that the configuration needs, and what each is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from callguard.config import Config
from callguard.errors import InputError
from callguard.speech import formats, texts
from callguard.speech.texts import Piece, Texts, Voice


@dataclass(frozen=True, slots=True)
class Take:
    """One prompt to be made.

    Attributes:
        piece: what is said.
        voice: who says it, where there is no studio file.
        texts: the file that the text and the voice are from.
        studio: a recording of the piece, which replaces synthesis.
        fingerprint: hash of how the text becomes sound: whose voice or which recording, and our own shaping.
    """

    piece: Piece
    voice: Voice
    texts: Path
    studio: Path | None
    fingerprint: str

    @property
    def name(self) -> str:
        """Path below the prompts' folder, without extension, such as ``en/service-essential``.

        Asterisk looks for an absolute path in ``<folder>/<channel's language>/<file>`` first (main/file.c,
        `fileexists_core`): below ``en/`` there is no folder, so nothing can be played in place of this file.
        """
        return f"{self.piece.language}/{file_stem(self.piece.id)}"

    @property
    def sound(self) -> tuple[object, ...]:
        """What the sound depends on: takes that are equal here sound alike, whatever their names."""
        return self.fingerprint, None if self.studio else self.piece.text, self.piece.may_open


def file_stem(prompt_id: str) -> str:
    """``service-essential`` for ``service/essential``: a profile's name has no hyphen, so no two can meet."""
    return prompt_id.replace("/", "-")


def plan(config: Config) -> tuple[Take, ...]:
    """All takes, in the order of profiles and languages.

    Raises:
        InputError: a text or a studio file cannot be read or used.
        SetupError: no texts are set and callguard's own are missing.
    """
    folder = config.prompts.texts or texts.default_folder()
    languages = {language for profile in config.profiles.values() for language in profile.languages}
    loaded = {language: texts.load(folder, language) for language in sorted(languages)}
    return tuple(
        _take(piece, loaded[language], folder)
        for name, profile in config.profiles.items()
        for language in profile.languages
        for piece in _composed(config, name, loaded[language])
    )


def unused(takes: Collection[Take]) -> tuple[Path, ...]:
    """Studio files beside the texts that are no take's: the name is wrong, or its part or profile is gone."""
    used = {take.studio for take in takes}
    folders = {take.texts.parent / take.piece.language for take in takes}
    return tuple(
        file for folder in sorted(folders) for file in sorted(folder.glob("*"))
        if file.suffix.lower() == ".wav" and file not in used
    )  # fmt: skip


def _composed(config: Config, name: str, loaded: Texts) -> tuple[Piece, ...]:
    profile = config.profiles[name]
    controller = config.controllers[profile.controller]
    if fault := texts.too_long_a_name(name, profile, controller, loaded):
        raise config.wrong(fault, "controllers", profile.controller, "name")
    return texts.compose(name, profile, controller, loaded, config.notices_of(name))


def _take(piece: Piece, source: texts.Texts, folder: Path) -> Take:
    studio = folder / piece.language / f"{file_stem(piece.id)}.wav"
    made_from: dict[str, object] = {"revision": formats.REVISION}
    try:
        made_from["studio"] = hashlib.sha256(studio.read_bytes()).hexdigest()
    except FileNotFoundError:
        made_from["voice"] = source.voice.model_dump()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=studio) from error
    return Take(
        piece=piece,
        voice=source.voice,
        texts=source.file,
        studio=studio if "studio" in made_from else None,
        fingerprint=hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest(),
    )
