"""What is wrong with a profile's prompts: too long, too many words, keys that do nothing, or something left untold."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.controller import Controller
from callguard.core.gate import ALL_KEYS, IN_DETAILS, PROTECTING
from callguard.core.model import Basis
from callguard.sections import Profile
from callguard.speech.catalogue import Catalogue
from callguard.speech.notice import DETAILS, OPT_OUT, YES, Element
from callguard.speech.texts import Piece, short_layer_faults

MAX_SHORT_MS = 13_000
MAX_DETAIL_MS = 15_000
# Whoever hears all of it has to be able to answer then, within the time that anybody is held in the gate.
MAX_FULL_MS = 150_000
MAX_ASIDE_MS = 8_000
MAX_DENIED_MS = 5_000
# In the call the other side waits meanwhile.
MAX_SAID_MS = 5_000
# The caller hears nothing meanwhile.
MAX_WHISPER_MS = 2_000

# By the beginning of a part's name; any other has no limit of its own.
_MAX_MS = {
    "details-": MAX_DETAIL_MS,
    "remembered": MAX_ASIDE_MS,
    "change-": MAX_ASIDE_MS,
    "optout-": MAX_ASIDE_MS,
    "right-": MAX_ASIDE_MS,
    "call-stopped": MAX_SAID_MS,
    "call-required": MAX_DETAIL_MS,
    "call-given": MAX_SAID_MS,
    "call-failed": MAX_SAID_MS,
    "denied": MAX_DENIED_MS,
    "whisper": MAX_WHISPER_MS,
    "goodbye": MAX_DETAIL_MS,
}
# Which keys mean something while a part is heard; the first beginning that fits decides.
_WORKING: dict[str, frozenset[str]] = {
    "question-": ALL_KEYS,
    "brief-question-": ALL_KEYS,
    "again-": ALL_KEYS,
    "remembered": ALL_KEYS,
    "optout-number": frozenset(),
    "optout-goodbye": frozenset({OPT_OUT}),
    "details-": IN_DETAILS,
    "denied": frozenset(),
    "whisper": frozenset(),
    "goodbye": frozenset(),
    "call-": frozenset(),
    "": PROTECTING,
}
_ANNOUNCED = {"remembered": YES, "optout-done": OPT_OUT}

_SHORT = frozenset({Element.CONTROLLER, Element.EXISTENCE, Element.PURPOSE, Element.RIGHTS})
_SHORT_ASKING = _SHORT | {Element.CHOICE, Element.WITHDRAWAL}
_SHORT_INFORMING = _SHORT | {Element.OBJECTION}
# Told when the controller gives it: who calls nobody has no source of numbers, and not everyone has to have an officer.
_WHERE_GIVEN = {Element.OFFICER: "officer", Element.SOURCE: "number_source"}
_BOTH = frozenset(Element) - {Element.CHOICE, Element.OBJECTION, Element.WITHDRAWAL} - _WHERE_GIVEN.keys()
# The short layer only points to these: they have to be told whole in the full one.
_FULL_ASKING = frozenset({Element.RIGHTS, Element.WITHDRAWAL})
_FULL_INFORMING = frozenset({Element.RIGHTS, Element.OBJECTION})
_SECOND = frozenset({Element.PURPOSE, Element.CHOICE})


def lint(profile: Profile, controller: Controller, pieces: Sequence[Piece], catalogue: Catalogue | None) -> list[str]:
    """One line for each fault of a profile's pieces in one language; none when all is well.

    Args:
        profile: a notice that asks for consent has to tell other things than one that informs.
        controller: what it gives has to be told.
        pieces: as `texts.fill` gives them.
        catalogue: where their length is measured; without it, it is not.

    Raises:
        InputError: a piece is not in the catalogue.
    """
    asks = profile.purposes[0].basis is Basis.CONSENT
    short = [piece for piece in pieces if piece.is_short]
    full = [piece for piece in pieces if piece.is_layer and not piece.is_short]
    seconds = [piece for piece in pieces if piece.part == "question-2"]
    given = {element for element, name in _WHERE_GIVEN.items() if getattr(controller, name) is not None}
    return [
        *short_layer_faults(pieces),
        *([] if catalogue is None else _too_long(pieces, catalogue)),
        *_untold(short, _SHORT_ASKING if asks else _SHORT_INFORMING, "short layer"),
        *_short_form_faults(pieces, asks=asks),
        *(fault for second in seconds for fault in _untold([second], _SECOND, "question-2")),
        *_untold(full, _FULL_ASKING if asks else _FULL_INFORMING, "full layer"),
        *_untold([*short, *full], (_BOTH | given) - {Element.RIGHTS}, "both layers"),
        *([] if any(DETAILS in piece.keys for piece in short) else [f"short layer: key {DETAILS} is not announced"]),
        *_wrong_keys(pieces),
    ]


def _too_long(pieces: Sequence[Piece], catalogue: Catalogue) -> list[str]:
    lengths = {
        piece: catalogue.entry(piece.id.partition("/")[0], piece.language, piece.part).length_ms for piece in pieces
    }
    short_ms = sum(length for piece, length in lengths.items() if piece.is_short)
    full_ms = sum(length for piece, length in lengths.items() if piece.is_layer and not piece.is_short)
    timed = [("short layer", short_ms, MAX_SHORT_MS), ("full layer", full_ms, MAX_FULL_MS)] + [
        (piece.part, length, limit)
        for piece, length in lengths.items()
        for beginning, limit in _MAX_MS.items()
        if piece.part.startswith(beginning)
    ]
    return [
        f"{what}: lasts {length / 1000:.1f} s, {limit / 1000:g} at most"
        for what, length, limit in timed
        if length > limit
    ]


def _short_form_faults(pieces: Sequence[Piece], *, asks: bool) -> list[str]:
    """A yes after it counts as well (rule 2 of the gate), so it tells what the short layer tells, in fewer words."""
    brief = [piece for piece in pieces if piece.is_brief]
    if not brief:
        return []
    words, most = (sum(piece.words for piece in of) for of in (brief, [piece for piece in pieces if piece.is_short]))
    faults = _untold(brief, _SHORT_ASKING if asks else _SHORT_INFORMING, "short form")
    if not any(DETAILS in piece.keys for piece in brief):
        faults.append(f"short form: key {DETAILS} is not announced")
    if words >= most:
        faults.append(f"short form: has {words} words, and the short layer no more than {most}")
    return faults


def _untold(pieces: Sequence[Piece], wanted: frozenset[Element], where: str) -> list[str]:
    told = frozenset[Element]().union(*(piece.elements for piece in pieces))
    return [f"{where}: {element.value} is not told" for element in sorted(wanted - told)]


def _wrong_keys(pieces: Sequence[Piece]) -> list[str]:
    """Announced keys that do nothing when they are pressed there, and keys without which a part is of no use."""
    faults = []
    for piece in pieces:
        working = next(keys for beginning, keys in _WORKING.items() if piece.part.startswith(beginning))
        faults += [f"{piece.part}: key {key} is announced and does nothing" for key in sorted(piece.keys - working)]
        needed = _ANNOUNCED.get(piece.part)
        if needed and needed not in piece.keys:
            faults.append(f"{piece.part}: key {needed} is not announced")
    return faults
