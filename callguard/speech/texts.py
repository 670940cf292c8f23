"""The texts of notices: read from one TOML file per language, checked, and composed for a profile.

A notice has a short layer (the *essential* part, then the question) and a full one (the details): layered notices are
what the Article 29 Working Party recommends (WP260 rev.01, "Layered approach in a non-digital environment").
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from callguard.controller import OPTIONAL, Controller, Language, Line
from callguard.core.model import Basis
from callguard.errors import InputError, SetupError
from callguard.notice_sections import NoticeVersion
from callguard.sections import Profile, PurposeId, PurposeSetting
from callguard.speech.notice import (
    Change,
    Consent,
    ConsentToTwo,
    Denied,
    Detail,
    Element,
    Frozen,
    InCall,
    Informed,
    OptOut,
    Part,
    Rights,
    Whisper,
)

MAX_WORDS = 35
MAX_SECOND_WORDS = 15
MAX_KEYS = 3

SWITCH = "switch"

_PACKAGE = Path(__file__).parents[1]


class Voice(Frozen):
    """How espeak-ng speaks a language: the name of a voice file, and its speed in words per minute."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,60}$")]
    words_per_minute: Annotated[int, Field(ge=100, le=220)] = 165


class Texts(Frozen):
    """All texts of one language; `name` is the language's own name for itself.

    `switch` is said at the end of the other languages' full layers, in this one: which key brings it.
    """

    language: Language
    name: Line
    version: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
    voice: Voice
    purposes: dict[PurposeId, Line]
    bases: dict[Basis, Line]
    consent: Consent
    consent_to_two: ConsentToTwo
    informed: Informed
    optout: OptOut
    right: Rights
    denied: Denied
    call: InCall
    whisper: Whisper | None = None
    change: Change | None = None
    switch: Part
    details: Annotated[tuple[Detail, ...], Field(min_length=1, max_length=40)]
    _file: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _one_piece_for_a_name(self) -> Self:
        for notice in (self.consent, self.consent_to_two, self.informed):
            names = [detail.name for detail in self.details if detail.is_for(notice.kinds, OPTIONAL)]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"details: two pieces are named {min(twice)!r} in one notice")
        return self

    @property
    def file(self) -> Path:
        """Where they were read, for messages."""
        return self._file

    def notice(self, purposes: Sequence[PurposeSetting]) -> Consent | ConsentToTwo | Informed:
        """The kind of notice that these purposes need."""
        if purposes[0].basis is not Basis.CONSENT:
            return self.informed
        return self.consent if len(purposes) == 1 else self.consent_to_two

    def parts(self, purposes: Sequence[PurposeSetting], given: Collection[str]) -> dict[str, Part]:
        """The parts for a profile by their names: the notice's as they are heard, then those beside it.

        Args:
            purposes: the profile's.
            given: which of its texts the controller gives; a detail that needs another is left out.
        """
        asks = purposes[0].basis is Basis.CONSENT
        notice = self.notice(purposes)
        return {
            **notice.parts(),
            **{f"details-{detail.name}": detail for detail in self.details if detail.is_for(notice.kinds, given)},
            **({"remembered": self.consent.remembered} if asks else {}),
            "goodbye": self.consent.goodbye if asks else self.informed.goodbye,
            **self.optout.parts(),
            **self.right.parts(),
            **self.denied.parts(),
            **self.call.parts(asks=asks),
            SWITCH: self.switch,
        }


def count_words(text: str) -> int:
    """How many words a text has; a French question mark that stands alone is none."""
    return sum(any(character.isalnum() for character in word) for word in text.split())


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that is ready to be spoken.

    Attributes:
        id: profile and part, such as ``service/essential``, ``service/question-1``, ``service/details-rights``,
            ``service/optout-done``.
        language: BCP 47 tag.
        version: the texts' version.
        text: what is said.
        elements: what it tells.
        keys: the keys it announces.
    """

    id: str
    language: str
    version: str
    text: str
    elements: frozenset[Element] = frozenset()
    keys: frozenset[str] = frozenset()

    @property
    def part(self) -> str:
        return self.id.partition("/")[2]

    @property
    def words(self) -> int:
        """How many words it has."""
        return count_words(self.text)

    @property
    def is_short(self) -> bool:
        """Whether it belongs to the short layer, which everyone hears before the first answer."""
        return self.part in ("essential", "question-1")

    @property
    def is_brief(self) -> bool:
        """Whether it belongs to the short form, which is heard on mere continuation."""
        return self.part.startswith("brief-")

    @property
    def is_layer(self) -> bool:
        """Whether it belongs to the short layer or to the full one."""
        return self.is_short or self.part.startswith("details-")

    @property
    def may_open(self) -> bool:
        """Whether it may be the first that is heard of callguard in a call."""
        return self.part in ("essential", "brief-essential", "remembered", "goodbye") or self.part.startswith(
            ("denied", "whisper")
        )


def default_folder() -> Path:
    """The texts that come with callguard: in the installed package, or in the checkout.

    Raises:
        SetupError: in neither.
    """
    for folder in (_PACKAGE / "data" / "prompts", _PACKAGE.parent / "prompts"):
        if folder.is_dir():
            return folder
    raise SetupError(f"callguard's own texts are missing beside {_PACKAGE}: install it again, or set prompts.texts")


def load(folder: Path, language: str) -> Texts:
    """Read and check one language's texts.

    Raises:
        InputError: one line with file and field.
    """
    file = folder / f"{language}.toml"
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.toml"))) or "none"
        raise InputError(f"there are no texts for language {language!r}; there are: {there}", file=file) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=file) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise InputError(f"not TOML: {error}", file=file, line=int(line[1]) if line else None) from error
    try:
        texts = Texts.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        problem = first["msg"].removeprefix("Value error, ").replace("Extra inputs are not permitted", "is not known")
        raise InputError(problem, file=file, field=".".join(map(str, first["loc"]))) from error
    if texts.language != language:
        raise InputError(f"is {texts.language!r} in a file named for {language!r}", file=file, field="language")
    texts._file = file
    return texts


def compose(
    profile_name: str,
    profile: Profile,
    controller: Controller,
    texts: Texts,
    versions: Sequence[NoticeVersion] = (),
) -> tuple[Piece, ...]:
    """`fill`, for use: what everyone hears has to be short.

    Raises:
        InputError: as `fill`, or what everyone hears has too many words or announces too many keys.
    """
    pieces = fill(profile_name, profile, controller, texts, versions)
    for fault in short_layer_faults(pieces):
        raise InputError(f"profile {profile_name}: {fault}", file=texts.file)
    return pieces


def fill(
    profile_name: str,
    profile: Profile,
    controller: Controller,
    texts: Texts,
    versions: Sequence[NoticeVersion] = (),
) -> tuple[Piece, ...]:
    """The texts of a profile: the notice in the order in which it is heard, then what is said beside it.

    Args:
        versions: of the controller's notice, as the profile has it.

    Raises:
        InputError: a purpose or basis has no phrase, or a text names what it cannot mean.
    """
    basis = profile.purposes[0].basis
    phrases = [_phrase(texts, "purposes", purpose.id, texts.purposes.get(purpose.id)) for purpose in profile.purposes]
    given = controller.spoken(texts.language)
    retentions = [controller.retention_of(purpose.id, texts.language) for purpose in profile.purposes]
    values = dict(given)
    values["basis"] = _phrase(texts, "bases", basis.value, texts.bases.get(basis))
    if len(phrases) > 1:
        for number, (phrase, retention) in enumerate(zip(phrases, retentions, strict=True), 1):
            values |= {f"purpose_{number}": phrase, f"retention_{number}": retention}

    changes = {f"change-{one.version}": one for one in versions if one.material}

    def spoken(name: str, part: Part) -> str:
        question = re.fullmatch(r"(?:brief-)?(?:question|again)-(\d)", name)
        meant = int(question[1]) - 1 if question else 0 if len(phrases) == 1 else None
        alone = {} if meant is None else {"purpose": phrases[meant], "retention": retentions[meant]}
        if (new := changes.get(name)) is not None and isinstance(part, Change):
            since = {"day": str(new.since.day), "month": part.months[new.since.month - 1], "year": str(new.since.year)}
            alone |= since | {"change": new.change_in(texts.language)}
        try:
            return part.text.format_map(values | alone)
        except KeyError as error:
            missing = error.args[0]
            why = "is not given" if missing in OPTIONAL else "could mean none or several of its purposes"
            raise InputError(f"profile {profile_name}: {name}: {{{missing}}} {why}", file=texts.file) from error

    return tuple(
        Piece(
            id=f"{profile_name}/{name}",
            language=texts.language,
            version="+".join((texts.version, *(one.version for one in versions[-1:]))),
            text=spoken(name, part),
            elements=part.elements,
            keys=part.keys,
        )
        for name, part in (
            texts.parts(profile.purposes, given)
            | _whispered(profile_name, profile, texts)
            | _brief(profile_name, profile, texts)
            | {name: _change(profile_name, texts) for name in changes}
        ).items()
    )


def too_long_a_name(profile_name: str, profile: Profile, controller: Controller, texts: Texts) -> str | None:
    """What is wrong with a controller's name that alone makes what everyone hears too long; None for nothing.

    Raises:
        InputError: as `fill`.
    """
    has = count_words(controller.name)
    words = sum(piece.words for piece in fill(profile_name, profile, controller, texts) if piece.is_short)
    bare = controller.model_copy(update={"name": "x"})
    least = sum(piece.words for piece in fill(profile_name, profile, bare, texts) if piece.is_short)
    if not least <= MAX_WORDS < words:
        return None
    # `least` has one word of it for each time that it is said.
    said = (words - least) // (has - 1)
    room = MAX_WORDS - least + said
    return (
        f"has {has} words, {room // said} at most: with it, essential part and question of profile {profile_name} have "
        f"{words} in {texts.language!r}, {MAX_WORDS} at most"
    )


def _whispered(profile_name: str, profile: Profile, texts: Texts) -> dict[str, Part]:
    if not profile.whisper:
        return {}
    if texts.whisper is None:
        problem = f"profile {profile_name}: there are no texts for it"
        raise InputError(problem, file=texts.file, field="whisper")
    return texts.whisper.parts()


def _brief(profile_name: str, profile: Profile, texts: Texts) -> dict[str, Part]:
    if not profile.short_form_months:
        return {}
    parts = texts.notice(profile.purposes).short_form()
    if not parts:
        problem = f"profile {profile_name}: short_form_months needs texts of a short form: brief, and its question"
        raise InputError(problem, file=texts.file)
    return parts


def _change(profile_name: str, texts: Texts) -> Change:
    if texts.change is None:
        raise InputError(f"profile {profile_name}: there is no text for it", file=texts.file, field="change")
    return texts.change


def short_layer_faults(pieces: Sequence[Piece]) -> list[str]:
    """What is too much in what everyone hears, a second question included: words and announced keys."""
    short = [piece for piece in pieces if piece.is_short]
    second = [piece for piece in pieces if piece.part == "question-2"]
    words, second_words = (sum(piece.words for piece in said) for said in (short, second))
    keys = frozenset[str]().union(*(piece.keys for piece in (*short, *second)))
    faults = []
    if words > MAX_WORDS:
        faults.append(f"essential part and question have {words} words, {MAX_WORDS} at most")
    if second_words > MAX_SECOND_WORDS:
        faults.append(f"second question has {second_words} words, {MAX_SECOND_WORDS} at most")
    if len(keys) > MAX_KEYS:
        faults.append(f"keys {', '.join(sorted(keys))} are announced, {MAX_KEYS} at most")
    return faults


def _phrase(texts: Texts, table: str, key: str, phrase: str | None) -> str:
    if phrase is None:
        raise InputError(f"there is no phrase for {key!r}", file=texts.file, field=table)
    return phrase
