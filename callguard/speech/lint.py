"""What is wrong with a profile's prompts: too long, too many words or keys to follow, or something left untold."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.core.model import Basis
from callguard.speech.catalogue import Catalogue
from callguard.speech.notice import DETAILS, Element
from callguard.speech.texts import Piece, short_layer_faults

MAX_SHORT_MS = 13_000
MAX_DETAIL_MS = 15_000

_SHORT = frozenset({Element.CONTROLLER, Element.EXISTENCE, Element.PURPOSE, Element.RIGHTS})
_SHORT_ASKING = _SHORT | {Element.CHOICE, Element.WITHDRAWAL}
_SHORT_INFORMING = _SHORT | {Element.OBJECTION}
_FULL = frozenset(Element) - {Element.CHOICE, Element.OBJECTION, Element.WITHDRAWAL}


def lint(basis: Basis, pieces: Sequence[Piece], catalogue: Catalogue) -> list[str]:
    """One line for each fault of a profile's pieces in one language; none when all is well.

    Args:
        basis: what the profile's purpose rests on: a notice that asks has to tell other things than one that informs.
        pieces: as `texts.compose` gives them.
        catalogue: where their length is measured.

    Raises:
        InputError: a piece is not in the catalogue.
    """
    short = [piece for piece in pieces if piece.is_short]
    return [
        *short_layer_faults(pieces),
        *_too_long(pieces, catalogue),
        *_untold(short, _SHORT_ASKING if basis is Basis.CONSENT else _SHORT_INFORMING, "short layer"),
        *_untold(pieces, _FULL, "both layers"),
        *([] if any(DETAILS in piece.keys for piece in short) else [f"short layer: key {DETAILS} is not announced"]),
    ]


def _too_long(pieces: Sequence[Piece], catalogue: Catalogue) -> list[str]:
    lengths = {
        piece: catalogue.entry(piece.id.partition("/")[0], piece.language, piece.part).length_ms for piece in pieces
    }
    short_ms = sum(length for piece, length in lengths.items() if piece.is_short)
    faults = [f"short layer: lasts {short_ms / 1000:.1f} s, {MAX_SHORT_MS / 1000:g} at most"]
    return (faults if short_ms > MAX_SHORT_MS else []) + [
        f"{piece.part}: lasts {length / 1000:.1f} s, {MAX_DETAIL_MS / 1000:g} at most"
        for piece, length in lengths.items()
        if piece.part.startswith("details-") and length > MAX_DETAIL_MS
    ]


def _untold(pieces: Sequence[Piece], wanted: frozenset[Element], where: str) -> list[str]:
    told = frozenset[Element]().union(*(piece.elements for piece in pieces))
    return [f"{where}: {element.value} is not told" for element in sorted(wanted - told)]
