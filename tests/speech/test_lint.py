"""The texts that come with callguard keep design's limits; the linter sees each fault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from callguard.config import Config
from callguard.speech.catalogue import Catalogue
from callguard.speech.lint import lint
from callguard.speech.notice import Element
from callguard.speech.texts import Piece, compose, default_folder, fill, load

from .conftest import Site


def pieces_of(site: Site, profile: str, language: str) -> dict[str, Piece]:
    chosen = site.config.profiles[profile]
    controller = site.config.controllers[chosen.controller]
    return {piece.part: piece for piece in compose(profile, chosen, controller, load(site.texts, language))}


def faults_of(
    site: Site, pieces: Iterable[Piece], catalogue: Catalogue | None = None, profile: str = "service"
) -> list[str]:
    chosen = site.config.profiles[profile]
    return lint(chosen, site.config.controllers[chosen.controller], tuple(pieces), catalogue or site.catalogue)


@pytest.fixture
def asking(built: Site) -> dict[str, Piece]:
    return pieces_of(built, "service", "en")


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("profile", ["service", "orders", "advice"])
def test_our_own_texts_have_no_fault(profile: str, language: str, built: Site) -> None:
    pieces = pieces_of(built, profile, language).values()
    assert faults_of(built, pieces, profile=profile) == []


def lasting(built: Site, part: str, length_ms: int, profile: str = "service") -> Catalogue:
    key = (f"{profile}/{part}", "en")
    changed = built.catalogue.entries[key].model_copy(update={"length_ms": length_ms})
    return replace(built.catalogue, entries={**built.catalogue.entries, key: changed})


def test_a_short_layer_that_lasts_too_long(built: Site, asking: dict[str, Piece]) -> None:
    question_ms = built.catalogue.prompt("service", "en", "question-1").length_ms
    limit = lasting(built, "essential", 13_000 - question_ms)
    assert faults_of(built, asking.values(), limit) == []
    beyond = lasting(built, "essential", 13_100 - question_ms)
    assert faults_of(built, asking.values(), beyond) == ["short layer: lasts 13.1 s, 13 at most"]


def test_a_detail_that_lasts_too_long(built: Site, asking: dict[str, Piece]) -> None:
    assert faults_of(built, asking.values(), lasting(built, "details-rights", 15_000)) == []
    faults = faults_of(built, asking.values(), lasting(built, "details-rights", 15_100))
    assert faults == ["details-rights: lasts 15.1 s, 15 at most"]


def test_a_full_layer_that_lasts_too_long(built: Site, asking: dict[str, Piece]) -> None:
    catalogue = built.catalogue
    for part in (part for part in asking if part.startswith("details-")):
        key = (f"service/{part}", "en")
        changed = catalogue.entries[key].model_copy(update={"length_ms": 9_385})
        catalogue = replace(catalogue, entries={**catalogue.entries, key: changed})
    assert faults_of(built, asking.values(), catalogue) == ["full layer: lasts 150.2 s, 150 at most"]


@pytest.mark.parametrize(
    ("part", "limit_s"),
    [
        ("remembered", 8),
        *((f"optout-{what}", 8) for what in ("done", "undone", "number", "failed", "goodbye")),
        ("goodbye", 15),
        *((part, 5) for part in ("denied", "denied-optout", "denied-number")),
        *((f"call-{what}", 5) for what in ("stopped", "given", "failed")),
        *((part, 2) for part in ("whisper-recorded", "whisper-unrecorded")),
    ],
)
def test_what_is_said_beside_the_notice_lasts_too_long(
    part: str, limit_s: int, built: Site, asking: dict[str, Piece]
) -> None:
    assert faults_of(built, asking.values(), lasting(built, part, limit_s * 1_000)) == []
    faults = faults_of(built, asking.values(), lasting(built, part, limit_s * 1_000 + 100))
    assert faults == [f"{part}: lasts {limit_s}.1 s, {limit_s} at most"]


def test_a_second_question_is_no_part_of_the_short_layer(built: Site) -> None:
    pieces = pieces_of(built, "advice", "en")
    assert faults_of(built, pieces.values(), lasting(built, "question-2", 9_000, "advice")) == []
    long = replace(pieces["question-2"], text="word " * 16)
    assert faults_of(built, (pieces | {"question-2": long}).values()) == ["second question has 16 words, 15 at most"]


@pytest.mark.parametrize("element", [Element.PURPOSE, Element.CHOICE])
def test_what_a_second_question_leaves_untold(element: Element, built: Site) -> None:
    pieces = pieces_of(built, "advice", "en")
    silent = replace(pieces["question-2"], elements=pieces["question-2"].elements - {element})
    faults = faults_of(built, (pieces | {"question-2": silent}).values())
    assert faults == [f"question-2: {element.value} is not told"]


@pytest.mark.parametrize(
    ("part", "keys", "fault"),
    [
        ("remembered", "", "remembered: key 1 is not announced"),
        ("optout-done", "", "optout-done: key 9 is not announced"),
        ("optout-done", "19", "optout-done: key 1 is announced and does nothing"),
        ("optout-goodbye", "1", "optout-goodbye: key 1 is announced and does nothing"),
        ("optout-number", "9", "optout-number: key 9 is announced and does nothing"),
        ("denied", "0", "denied: key 0 is announced and does nothing"),
        ("goodbye", "2", "goodbye: key 2 is announced and does nothing"),
        ("details-rights", "1", "details-rights: key 1 is announced and does nothing"),
        ("again-1", "127", "again-1: key 7 is announced and does nothing"),
    ],
)
def test_announced_keys_work_where_they_are_announced(
    part: str, keys: str, fault: str, built: Site, asking: dict[str, Piece]
) -> None:
    changed = replace(asking[part], keys=frozenset(keys))
    assert faults_of(built, (asking | {part: changed}).values()) == [fault]


def test_details_that_do_not_tell_how_to_stop_advertising_calls(built: Site, asking: dict[str, Piece]) -> None:
    silent = {part: replace(piece, elements=piece.elements - {Element.OPTOUT}) for part, piece in asking.items()}
    assert faults_of(built, silent.values()) == ["both layers: optout is not told"]


@pytest.mark.parametrize("element", [Element.RIGHTS, Element.WITHDRAWAL])
def test_what_the_short_layer_points_to_is_told_whole_in_the_full_one(
    element: Element, built: Site, asking: dict[str, Piece]
) -> None:
    kept = [piece for part, piece in asking.items() if part != f"details-{element.value}"]
    assert faults_of(built, kept) == [f"full layer: {element.value} is not told"]


@pytest.mark.parametrize(("part", "element"), [("details-officer", "officer"), ("details-source", "source")])
def test_what_the_controller_gives_is_told(part: str, element: str, built: Site, asking: dict[str, Piece]) -> None:
    kept = [piece for name, piece in asking.items() if name != part]
    assert faults_of(built, kept) == [f"both layers: {element} is not told"]


def test_what_is_said_beside_the_notice_tells_nothing_of_it(built: Site, asking: dict[str, Piece]) -> None:
    silent = {part: replace(piece, elements=piece.elements - {Element.CONTACT}) for part, piece in asking.items()}
    silent["goodbye"] = replace(silent["goodbye"], elements=frozenset({Element.CONTACT}))
    assert faults_of(built, silent.values()) == ["both layers: contact is not told"]


def test_too_many_words_and_keys(built: Site, asking: dict[str, Piece]) -> None:
    long = replace(asking["question-1"], text="word " * 14, keys=frozenset("1234"))
    assert faults_of(built, (asking | {"question-1": long}).values()) == [
        "essential part and question have 36 words, 35 at most",
        "keys 1, 2, 3, 4 are announced, 3 at most",
        "question-1: key 4 is announced and does nothing",
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
    faults = faults_of(built, (asking | {part: silent}).values())
    assert faults == [f"short layer: {element.value} is not told"]


def test_what_both_layers_leave_untold(built: Site, asking: dict[str, Piece]) -> None:
    kept = {part: piece for part, piece in asking.items() if not piece.elements & {Element.RETENTION, Element.DATA}}
    faults = faults_of(built, kept.values())
    assert faults == [f"both layers: {element} is not told" for element in ("data", "retention", "storage")]


def test_a_notice_without_a_key_for_details(built: Site, asking: dict[str, Piece]) -> None:
    mute = replace(asking["question-1"], keys=frozenset("12"))
    faults = faults_of(built, (asking | {"question-1": mute}).values())
    assert faults == ["short layer: key 3 is not announced"]


def test_a_notice_that_informs_in_the_place_of_one_that_asks(built: Site) -> None:
    faults = faults_of(built, pieces_of(built, "orders", "en").values())
    assert faults == [
        "short layer: choice is not told",
        "short layer: withdrawal is not told",
        "full layer: withdrawal is not told",
    ]


@pytest.fixture
def brief(shipped: Config) -> dict[str, Piece]:
    texts = load(default_folder(), "en")
    profile = shipped.profiles["one"]
    return {piece.part: piece for piece in fill("one", profile, shipped.controllers["acme"], texts)}


def short_form_faults(shipped: Config, pieces: dict[str, Piece]) -> list[str]:
    faults = lint(shipped.profiles["one"], shipped.controllers["acme"], tuple(pieces.values()), None)
    return [fault for fault in faults if fault.startswith(("short form", "brief"))]


@pytest.mark.parametrize(
    ("part", "element"),
    [
        ("brief-essential", Element.CONTROLLER), ("brief-essential", Element.EXISTENCE),
        ("brief-essential", Element.PURPOSE), ("brief-essential", Element.WITHDRAWAL),
        ("brief-question-1", Element.CHOICE), ("brief-question-1", Element.RIGHTS),
    ],
)  # fmt: skip
def test_what_the_short_form_leaves_untold(
    part: str, element: Element, shipped: Config, brief: dict[str, Piece]
) -> None:
    assert short_form_faults(shipped, brief) == []
    brief[part] = replace(brief[part], elements=brief[part].elements - {element})
    assert short_form_faults(shipped, brief) == [f"short form: {element.value} is not told"]


def test_a_short_form_that_is_not_short_or_hides_the_rights_key(shipped: Config, brief: dict[str, Piece]) -> None:
    long = replace(brief["brief-question-1"], text="word " * 40, keys=frozenset("12"))
    assert short_form_faults(shipped, brief | {"brief-question-1": long}) == [
        "short form: key 3 is not announced",
        "short form: has 57 words, and the short layer no more than 33",
    ]
