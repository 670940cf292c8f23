"""Every notice of a configuration, measured as it is heard: seconds of the built audio, words, keys, elements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from callguard.config import Config
from callguard.speech import texts
from callguard.speech.catalogue import Catalogue
from callguard.speech.lint import lint
from callguard.speech.notice import Element
from callguard.speech.texts import Piece


@dataclass(frozen=True, slots=True)
class Measured:
    """One part; `length_ms` and `source` are None where nothing could be measured."""

    piece: Piece
    length_ms: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A profile's texts in one language; each fault is one line."""

    profile: str
    language: str
    parts: tuple[Measured, ...]
    faults: tuple[str, ...]

    @property
    def short(self) -> tuple[Measured, ...]:
        return tuple(part for part in self.parts if part.piece.is_short)

    @property
    def full(self) -> tuple[Measured, ...]:
        return tuple(part for part in self.parts if part.piece.is_layer and not part.piece.is_short)

    @property
    def longest(self) -> Measured:
        """The piece of the full layer that takes the longest; of unmeasured ones, the one with the most words."""
        return max(self.full, key=lambda part: (part.length_ms or 0, part.piece.words))


def length_ms(parts: Iterable[Measured]) -> int | None:
    """How long they last together, or None where one was not measured."""
    lengths = [part.length_ms for part in parts]
    return None if None in lengths else sum(length for length in lengths if length is not None)


def words(parts: Iterable[Measured]) -> int:
    return sum(part.piece.words for part in parts)


def keys(parts: Iterable[Measured]) -> str:
    """The keys that they announce, in order."""
    return "".join(sorted(frozenset[str]().union(*(part.piece.keys for part in parts))))


def elements(parts: Iterable[Measured]) -> list[Element]:
    """What they tell, in the order of the enumeration."""
    told = frozenset[Element]().union(*(part.piece.elements for part in parts))
    return [element for element in Element if element in told]


def report(config: Config) -> tuple[Notice, ...]:
    """All notices, in the order of profiles and languages.

    Where texts have faults that keep them from being built, nothing is measured, and these faults are all there is.

    Raises:
        InputError: a text cannot be used, or prompts are not built or out of date; the text says what to run.
        SetupError: no texts are set and callguard's own are missing.
    """
    folder = config.prompts.texts or texts.default_folder()
    filled = []
    for name, profile in config.profiles.items():
        controller = config.controllers[profile.controller]
        for language in profile.languages:
            filled.append(
                (
                    name,
                    language,
                    texts.fill(name, profile, controller, texts.load(folder, language), config.notices_of(name)),
                )
            )
    built = not any(texts.short_layer_faults(pieces) for *_, pieces in filled)
    catalogue = Catalogue.load(config) if built else None
    return tuple(_notice(config, name, language, pieces, catalogue) for name, language, pieces in filled)


def _notice(config: Config, name: str, language: str, pieces: tuple[Piece, ...], catalogue: Catalogue | None) -> Notice:
    def measured(piece: Piece) -> Measured:
        if catalogue is None:
            return Measured(piece, None, None)
        entry = catalogue.entry(name, language, piece.part)
        return Measured(piece, entry.length_ms, entry.source)

    profile = config.profiles[name]
    faults = lint(profile, config.controllers[profile.controller], pieces, catalogue)
    return Notice(name, language, tuple(map(measured, pieces)), tuple(faults))
