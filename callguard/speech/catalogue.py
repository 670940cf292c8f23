"""The prompts that are built and may be played, each proved to be the file that the configuration asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from callguard.config import Config
from callguard.core.model import Prompt
from callguard.errors import InputError
from callguard.speech.formats import RATES, Format
from callguard.speech.plan import Take, plan

FILE = "catalogue.json"
# What is played has its hash for a name and is never overwritten: a build under a running service cannot make the
# service's evidence name what was not heard.
PLAYED = "played"
BUILD = "run `callguard prompts build`"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}/[a-z0-9_-]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioFile(_Model):
    """What a file has to be: its size in bytes and its hash."""

    size: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def is_of(self, data: bytes) -> bool:
        return self.size == len(data) and self.sha256 == hashlib.sha256(data).hexdigest()


class Entry(_Model):
    """One prompt as it was built; `source` says who speaks."""

    id: str
    language: str
    version: str
    text: str
    source: Literal["espeak-ng", "studio"]
    fingerprint: str
    length_ms: Annotated[int, Field(gt=0)]
    files: Annotated[dict[Format, AudioFile], Field(min_length=len(RATES))]

    @property
    def played(self) -> str:
        """Path below the prompts' folder, without extension, under which this very sound is played."""
        return f"{PLAYED}/{self.files['wav'].sha256}"


class Archived(_Model):
    """What was said in a sound that was played: beside it, and kept as it is, for whom evidence names the sound to."""

    language: str
    version: str
    text: str
    sha256: dict[Format, str]

    @classmethod
    def of(cls, entry: Entry) -> Self:
        sha256 = {extension: file.sha256 for extension, file in entry.files.items()}
        return cls(language=entry.language, version=entry.version, text=entry.text, sha256=sha256)


def said_in(folder: Path, sha256: Mapping[str, str]) -> str | None:
    """The text of a sound, by the hashes of its files; None where it is not archived in this prompts' folder."""
    try:
        found = Archived.model_validate_json((folder / PLAYED / f"{sha256.get('wav')}.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return found.text if found.sha256 == sha256 else None


class Built(_Model):
    """The content of ``catalogue.json``: entries by their path below the folder, without extension."""

    format: Literal[1] = 1
    prompts: dict[Name, Entry] = {}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What was built in this folder.

        Raises:
            InputError: nothing, or the file cannot be read or is not a catalogue.
        """
        file = folder / FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError as error:
            raise InputError(f"no prompts are built yet: {BUILD}", file=file) from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=file) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise InputError(f"is not a catalogue ({first['msg']}): {BUILD}", file=file, field=field) from error

    def fault(self, take: Take, folder: Path) -> InputError | None:
        """Why what was built does not serve this take, or None when it does."""
        entry = self.prompts.get(take.name)
        if entry is None:
            return InputError(f"{take.piece.id} in {take.piece.language} is not built: {BUILD}", file=folder / FILE)
        if (entry.version, entry.text) != (take.piece.version, take.piece.text):
            return InputError(f"was built from another text than the configured one: {BUILD}", file=folder / take.name)
        if entry.fingerprint != take.fingerprint:
            return InputError(
                f"was built in another way (voice, studio file or release): {BUILD}", file=folder / take.name
            )
        for extension, expected in entry.files.items():
            for name in (take.name, entry.played):
                file = folder / f"{name}.{extension}"
                try:
                    data = file.read_bytes()
                except OSError as error:
                    return InputError(f"cannot be read ({error.strerror}): {BUILD}", file=file)
                if not expected.is_of(data):
                    return InputError(f"is not the file that was built: {BUILD}", file=file)
        return None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The prompts of a configuration, ready to be played; `folder` is where Asterisk finds them."""

    folder: Path
    entries: Mapping[tuple[str, str], Entry]

    @classmethod
    def load(cls, config: Config) -> Catalogue:
        """All prompts that the configuration needs, each file checked against its hash.

        Raises:
            InputError: one is missing, altered, out of date or hidden behind another file; the text says what to do.
            SetupError: no texts are set and callguard's own are missing.
        """
        folder = config.prompts.folder.path_here
        takes = plan(config)
        built = Built.read(folder)
        for take in takes:
            if fault := built.fault(take, folder):
                raise fault
        _nothing_hides(takes, folder)
        return cls(
            folder=config.prompts.folder.in_asterisk,
            entries={(take.piece.id, take.piece.language): built.prompts[take.name] for take in takes},
        )

    def entry(self, profile: str, language: str, part: str) -> Entry:
        """One prompt's record, with the text that is spoken.

        Raises:
            InputError: there is no such prompt.
        """
        try:
            return self.entries[f"{profile}/{part}", language]
        except KeyError:
            raise InputError(f"there is no prompt {profile}/{part} in {language}", field="profiles") from None

    def prompt(self, profile: str, language: str, part: str) -> Prompt:
        """One prompt; `part` is one of `Texts.parts`, such as ``essential``, ``question-1`` or ``optout-done``.

        Raises:
            InputError: there is no such prompt.
        """
        entry = self.entry(profile, language, part)
        return Prompt(
            id=entry.id,
            language=entry.language,
            version=entry.version,
            media=str(self.folder / entry.played),
            length_ms=entry.length_ms,
            sha256={extension: file.sha256 for extension, file in entry.files.items()},
        )

    def details(self, profile: str, language: str) -> tuple[Prompt, ...]:
        """The full layer, piece by piece.

        Raises:
            InputError: the profile has no prompts in this language.
        """
        pieces = tuple(
            self.prompt(profile, language, prompt_id.removeprefix(f"{profile}/"))
            for prompt_id, spoken in self.entries
            if spoken == language and prompt_id.startswith(f"{profile}/details-")
        )
        if not pieces:
            raise InputError(f"there are no details of {profile} in {language}", field="profiles")
        return pieces


def _nothing_hides(takes: Iterable[Take], folder: Path) -> None:
    """Asterisk plays the format that suits the channel best, and may take a channel's language for a folder's name.

    So neither another format of a prompt nor a folder beside it may exist, or what is heard is not what is proved.
    """
    expected = {folder / f"{take.name}.{extension}" for take in takes for extension in RATES}
    stems = {file.with_suffix("") for file in expected}
    for place in sorted({file.parent for file in expected}):
        try:
            found = sorted(place.iterdir())
        except OSError as error:
            raise InputError(f"cannot be listed: {error.strerror}", file=place) from error
        for path in found:
            if path.is_dir() or (path not in expected and path.with_suffix("") in stems):
                raise InputError("Asterisk could play this in place of a prompt: remove it", file=path)
