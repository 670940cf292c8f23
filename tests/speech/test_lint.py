"""The texts that come with callguard keep design's limits; the linter sees each fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard.core.model import Basis
from callguard.speech.catalogue import Catalogue
from callguard.speech.lint import lint
from callguard.speech.notice import Element
from callguard.speech.texts import Piece, compose, load

from .conftest import Site


def pieces_of(site: Site, profile: str, language: str) -> dict[str, Piece]:
    chosen = site.config.profiles[profile]
    controller = site.config.controllers[chosen.controller]
    return {piece.part: piece for piece in compose(profile, chosen, controller, load(site.texts, language))}


@pytest.fixture
def asking(built: Site) -> dict[str, Piece]:
    return pieces_of(built, "service", "en")


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("profile", ["service", "orders"])
def test_our_own_texts_have_no_fault(profile: str, language: str, built: Site) -> None:
    pieces = pieces_of(built, profile, language).values()
    basis = built.config.profiles[profile].purposes[0].basis
    assert lint(basis, tuple(pieces), built.catalogue) == []


def lasting(built: Site, part: str, length_ms: int) -> Catalogue:
    key = (f"service/{part}", "en")
    changed = built.catalogue.entries[key].model_copy(update={"length_ms": length_ms})
    return replace(built.catalogue, entries={**built.catalogue.entries, key: changed})


def test_a_short_layer_that_lasts_too_long(built: Site, asking: dict[str, Piece]) -> None:
    question_ms = built.catalogue.prompt("service", "en", "question-1").length_ms
    limit = lasting(built, "essential", 13_000 - question_ms)
    assert lint(Basis.CONSENT, tuple(asking.values()), limit) == []
    beyond = lasting(built, "essential", 13_100 - question_ms)
    assert lint(Basis.CONSENT, tuple(asking.values()), beyond) == ["short layer: lasts 13.1 s, 13 at most"]


def test_a_detail_that_lasts_too_long(built: Site, asking: dict[str, Piece]) -> None:
    assert lint(Basis.CONSENT, tuple(asking.values()), lasting(built, "details-2", 15_000)) == []
    faults = lint(Basis.CONSENT, tuple(asking.values()), lasting(built, "details-2", 15_100))
    assert faults == ["details-2: lasts 15.1 s, 15 at most"]


def test_too_many_words_and_keys(built: Site, asking: dict[str, Piece]) -> None:
    long = replace(asking["question-1"], text="word " * 14, keys=frozenset("1234"))
    assert lint(Basis.CONSENT, tuple((asking | {"question-1": long}).values()), built.catalogue) == [
        "essential part and question have 36 words, 35 at most",
        "keys 1, 2, 3, 4 are announced, 3 at most",
    ]


@pytest.mark.parametrize(
    ("part", "element"),
    [
        ("essential", Element.CONTROLLER),
        ("essential", Element.PURPOSE),
        ("essential", Element.WITHDRAWAL),
        ("question-1", Element.CHOICE),
        ("question-1", Element.RIGHTS),
    ],
)
def test_what_the_short_layer_leaves_untold(part: str, element: Element, built: Site, asking: dict[str, Piece]) -> None:
    silent = replace(asking[part], elements=asking[part].elements - {element})
    faults = lint(Basis.CONSENT, tuple((asking | {part: silent}).values()), built.catalogue)
    assert faults == [f"short layer: {element.value} is not told"]


def test_what_both_layers_leave_untold(built: Site, asking: dict[str, Piece]) -> None:
    kept = {part: piece for part, piece in asking.items() if not piece.elements & {Element.RETENTION, Element.DATA}}
    faults = lint(Basis.CONSENT, tuple(kept.values()), built.catalogue)
    assert faults == [f"both layers: {element} is not told" for element in ("basis", "data", "retention")]


def test_a_notice_without_a_key_for_details(built: Site, asking: dict[str, Piece]) -> None:
    mute = replace(asking["question-1"], keys=frozenset("12"))
    faults = lint(Basis.CONSENT, tuple((asking | {"question-1": mute}).values()), built.catalogue)
    assert faults == ["short layer: key 3 is not announced"]


def test_a_notice_that_informs_in_the_place_of_one_that_asks(built: Site) -> None:
    faults = lint(Basis.CONSENT, tuple(pieces_of(built, "orders", "en").values()), built.catalogue)
    assert faults == ["short layer: choice is not told", "short layer: withdrawal is not told"]
