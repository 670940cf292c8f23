"""Texts: what is read, what is refused, and what a profile says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from callguard import config
from callguard.config import Config
from callguard.errors import InputError, SetupError
from callguard.speech import texts
from callguard.speech.notice import Element
from callguard.speech.plan import plan
from callguard.speech.texts import Piece, compose, default_folder, load
from tests.test_config import GOOD

from .conftest import ACME, configure
from .shipped import LANGUAGES

DETAILS = [
    f"details-{name}"
    for name in (
        "controller", "contact", "officer", "data", "basis", "recipients", "transfers", "retention", "automated",
        "source", "rights", "withdrawal", "requests", "complaint", "more", "keys",
    )
]  # fmt: skip
INFORMING = ["details-objection" if part == "details-withdrawal" else part for part in DETAILS]
BESIDE = [
    "goodbye",
    *(f"optout-{what}" for what in ("done", "undone", "number", "failed", "goodbye")),
    *(f"right-{what}" for what in ("received", "withdrawn")),
    *("denied", "denied-optout", "denied-number"),
]
# What is said in the call, and at the end of other languages' notices.
IN_CALL = {asks: [f"call-{name}" for name in names] for asks, names in (
    (True, ("stopped", "given", "failed")), (False, ("stopped", "required")),
)}  # fmt: skip
TextsWith = Callable[..., Path]


def pieces_of(config: Config, profile: str, language: str, folder: Path | None = None) -> dict[str, Piece]:
    loaded = load(folder or default_folder(), language)
    chosen = config.profiles[profile]
    return {piece.part: piece for piece in compose(profile, chosen, config.controllers[chosen.controller], loaded)}


def problem_of(folder: Path, language: str = "en", profile: str = "service", **controller: str) -> str:
    """The line that a person gets, without the folder."""
    with pytest.raises(InputError) as refused:
        pieces_of(configure(folder, changes=controller), profile, language, folder)
    line = str(refused.value)
    assert "\n" not in line
    return line.removeprefix(f"{folder}/")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_that_asks(language: str, tmp_path: Path) -> None:
    pieces = pieces_of(configure(tmp_path), "service", language)
    assert list(pieces)[:3] == ["essential", "question-1", "again-1"]
    assert list(pieces)[3:] == [
        *DETAILS, "remembered", *BESIDE, *IN_CALL[True], "switch", "whisper-recorded", "whisper-unrecorded",
    ]  # fmt: skip
    assert pieces["essential"].id == "service/essential"
    assert (pieces["essential"].language, pieces["essential"].version) == (language, "4")
    assert pieces["essential"].text.startswith("Acme Energy. ")
    assert pieces["question-1"].keys == {"1", "2", "3"}
    assert Element.WITHDRAWAL in pieces["essential"].elements


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_that_informs_asks_for_no_yes(language: str, tmp_path: Path) -> None:
    pieces = pieces_of(configure(tmp_path), "orders", language)
    assert list(pieces) == ["essential", "question-1", *INFORMING, *BESIDE, *IN_CALL[False], "switch"]
    assert pieces["question-1"].keys == {"2", "3"}
    assert ACME["contact"] in pieces["goodbye"].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_that_asks_twice_names_each_purpose_in_its_question(language: str, tmp_path: Path) -> None:
    pieces = pieces_of(configure(tmp_path), "advice", language)
    questions = ["question-1", "again-1", "question-2", "again-2"]
    assert list(pieces) == ["essential", *questions, *DETAILS, "remembered", *BESIDE, *IN_CALL[True], "switch"]
    phrases = load(default_folder(), language).purposes
    first, second = phrases["recording.quality"], phrases["recording.analysis"]
    for part in questions:
        asked, other = (first, second) if part.endswith("1") else (second, first)
        assert asked in pieces[part].text
        assert other not in pieces[part].text
        assert {"1", "2"} <= pieces[part].keys <= {"1", "2", "3"}
    assert first in pieces["details-data"].text
    assert second in pieces["details-data"].text
    assert {Element.CONTROLLER, Element.WITHDRAWAL} <= pieces["essential"].elements
    assert [part for part, piece in pieces.items() if piece.is_short] == ["essential", "question-1"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_opt_outs_and_remembered_refusals_announce_their_keys(language: str, tmp_path: Path) -> None:
    pieces = pieces_of(configure(tmp_path), "service", language)
    assert pieces["remembered"].keys == {"1"}
    assert pieces["optout-done"].keys == {"9"}
    assert ACME["name"] in pieces["optout-done"].text
    assert ACME["name"] in pieces["optout-goodbye"].text
    assert [part for part, piece in pieces.items() if Element.OPTOUT in piece.elements] == ["details-keys"]
    assert pieces["details-keys"].keys == {"9"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("profile", ["service", "orders", "advice"])
def test_everything_that_the_configuration_names_is_said(profile: str, language: str, tmp_path: Path) -> None:
    said = " ".join(piece.text for piece in pieces_of(configure(tmp_path), profile, language).values())
    assert all(value in said for value in ACME.values())
    assert not set("{}") & set(said)


def test_what_a_controller_does_not_give_is_left_out(tmp_path: Path) -> None:
    config = configure(tmp_path)
    without = config.controllers["acme"].model_copy(update={"officer": None, "number_source": None})
    pieces = compose("service", config.profiles["service"], without, load(default_folder(), "en"))
    left_out = {"details-officer", "details-source"}
    assert [piece.part for piece in pieces if piece.part.startswith("details-")] == [
        part for part in DETAILS if part not in left_out
    ]


def test_two_purposes_are_kept_as_long_as_each_says(tmp_path: Path) -> None:
    config = configure(tmp_path)
    kept = {"recording.quality": "a week", "recording.analysis": {"en": "a year"}}
    controller = config.controllers["acme"].model_copy(update={"retention": kept})
    texts_ = load(default_folder(), "en")
    both = {piece.part: piece.text for piece in compose("advice", config.profiles["advice"], controller, texts_)}
    assert "to train our staff: a week. And for computer analysis: a year." in both["details-retention"]
    one = {piece.part: piece.text for piece in compose("service", config.profiles["service"], controller, texts_)}
    assert one["details-retention"] == "How long we keep a recording: a week. Then it is deleted."


def test_braces_in_the_configuration_are_only_text(tmp_path: Path) -> None:
    pieces = pieces_of(configure(tmp_path, changes={"name": "{purpose} {0}"}), "service", "en")
    assert pieces["essential"].text.startswith("{purpose} {0}. May we")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('language = "en"', "language =", r"en\.toml:\d+: not TOML: .+"),
        ('language = "en"', 'language = "es"', r"en\.toml: language: is 'es' in a file named for 'en'"),
        ('language = "en"', 'langauge = "en"', r"en\.toml: (language: Field required|langauge: is not known)"),
        ("words_per_minute = 165", 'words_per_minute = "quick"', r"en\.toml: voice\.words_per_minute: .+ integer.*"),
        ("words_per_minute = 165", "words_per_minute = 900", r"en\.toml: voice\.words_per_minute: .+ 220"),
        ('name = "gmw/en"', 'name = "gmw/en; reboot"', r"en\.toml: voice\.name: .+ pattern .+"),
        ("{name}. May", "{nmae}. May", r"en\.toml: consent\.essential\.text: there is no placeholder \{nmae\}; .+"),
        ("{name}. May", "{}. May", r"en\.toml: consent\.essential\.text: there is no placeholder \{\}; .+"),
        ("{name}. May", "{name!r}. May", r"en\.toml: consent\.essential\.text: a placeholder is a name .+"),
        ("{name}. May", "{name. May", r"en\.toml: consent\.essential\.text: .+"),
        ("{name}. May", "May", r"en\.toml: consent\.essential: element 'controller' .+ \{name\} is not in the text"),
        ("Yes, press 1. No, 2", "Yes, press 1. No", r"en\.toml: consent\.question: .+ key 2 is not in the text"),
        ('"choice", ', '"chioce", ', r"en\.toml: consent\.question\.elements\.0: .+"),
        ("{name}. May", "{officer}. May", r"en\.toml: consent\.essential: element 'controller' .+"),
        ('name = "contact"', 'name = "controller"', r"en\.toml: details: two pieces are named 'controller' .+"),
        ('when = "consent"', 'when = "always"', r"en\.toml: details\.\d+\.when: .+"),
        ('"recording.quality"', '"recording.qualities"', r"en\.toml: purposes: there is no phrase .+quality'"),
        ('"recording.quality"', "recording.quality", r"en\.toml: purposes\.recording: .+ string"),
        ('\nconsent = "your', '\n# consent = "your', r"en\.toml: bases: there is no phrase for 'consent'"),
        ("Details and rights, 3.", "Press 3 or 4.", r"en\.toml: profile service: keys 1, 2, 3, 4 .+ 3 at most"),
    ],
)  # fmt: skip
def test_a_fault_in_a_file_is_one_clear_line(old: str, new: str, problem: str, texts_with: TextsWith) -> None:
    assert re.fullmatch(problem, problem_of(texts_with(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("And record you {purpose}?", "And the rest?",
         "consent_to_two.second: element 'purpose' is declared, but {purpose} is not in the text"),
        ("two questions", "{purpose} and two questions",
         "profile advice: essential: {purpose} could mean none or several of its purposes"),
        ("the time, {purpose_1};", "the time, {purpose};",
         "profile advice: details-data: {purpose} could mean none or several of its purposes"),
        ("And record you {purpose}?", "And may we also record you {purpose}?",
         "profile advice: second question has 16 words, 15 at most"),
        ("details, 3.", "details, 3; more, 0.", "profile advice: keys 0, 1, 2, 3 are announced, 3 at most"),
        ('"recording.analysis"', '"recording.analyses"',
         "purposes: there is no phrase for 'recording.analysis'"),
    ],
)  # fmt: skip
def test_a_fault_in_what_is_asked_twice_is_one_clear_line(
    old: str, new: str, problem: str, texts_with: TextsWith
) -> None:
    assert problem_of(texts_with(old, new), profile="advice") == f"en.toml: {problem}"


def test_a_question_of_two_that_does_not_name_its_purpose(texts_with: TextsWith) -> None:
    folder = texts_with(
        'And record you {purpose}? Yes, press 1. No, 2, or wait."\nelements = ["purpose", ',
        'And the rest? Yes, press 1. No, 2, or wait."\nelements = [',
    )
    assert problem_of(folder, profile="advice") == (
        "en.toml: consent_to_two: second: {purpose} is not in the text, and a yes is to one purpose that is named"
    )


def test_two_purposes_are_not_named_where_there_is_one(texts_with: TextsWith) -> None:
    folder = texts_with("May we record this call? Yes", "May we record {purpose_1}? Yes")
    assert problem_of(folder) == (
        "en.toml: profile service: again-1: {purpose_1} could mean none or several of its purposes"
    )


def test_a_yes_on_another_basis_is_refused(texts_with: TextsWith) -> None:
    folder = texts_with("If you object, press 2.", "Press 1 to agree, 2 to object.")
    assert problem_of(folder) == (
        "en.toml: informed: question: key 1 is a yes, and on another basis than consent none is asked"
    )


def test_too_many_words_count_the_names_that_are_put_in(tmp_path: Path) -> None:
    folder = shutil.copytree(default_folder(), tmp_path / "texts")
    long_name = "The Acme Energy and Water Supply Company"
    assert problem_of(folder, name=long_name) == (
        "en.toml: profile service: essential part and question have 38 words, 35 at most"
    )


def test_a_name_that_is_too_long_is_reported_where_it_is_given(tmp_path: Path) -> None:
    """What an administrator can shorten; the texts' own file is as it came."""
    file = tmp_path / "callguard.toml"
    written = GOOD.replace('name = "Acme Energy"', 'name = "The Acme Energy and Water Supply Company"')
    assert written != GOOD
    file.write_text(written, encoding="utf-8")
    line = written.splitlines().index('name = "The Acme Energy and Water Supply Company"') + 1
    settings = config.load(file, {})
    with pytest.raises(InputError) as refused:
        plan(settings)
    assert str(refused.value) == (
        f"{file}:{line}: controllers.acme.name: has 7 words, 4 at most: with it, essential part and question of "
        "profile service have 38 in 'en', 35 at most"
    )
    file.write_text(written.replace("The Acme Energy and Water Supply", "Acme Energy Supply"), encoding="utf-8")
    assert plan(config.load(file, {}))


def test_texts_that_are_too_long_for_any_name_are_reported_there(texts_with: TextsWith) -> None:
    folder = texts_with("{name}. May we record", "{name}. May we " + "please " * 12 + "record")
    settings = configure(folder, texts=folder)
    with pytest.raises(InputError, match=r"en\.toml: profile service: essential part and question have 4\d words"):
        plan(settings)


def test_a_language_without_texts(tmp_path: Path) -> None:
    folder = shutil.copytree(default_folder(), tmp_path / "texts")
    assert (
        problem_of(folder, "xx") == "xx.toml: there are no texts for language 'xx'; there are: de, en, es, fr, it, pl"
    )


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_bytes(b'name = "Espa\xf1ol"')
    assert problem_of(tmp_path).startswith("en.toml: cannot be read: ")


def test_texts_are_found_in_a_checkout_and_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {file.stem for file in default_folder().glob("*.toml")} == set(LANGUAGES)
    package = tmp_path / "site-packages" / "callguard"
    package.mkdir(parents=True)
    monkeypatch.setattr(texts, "_PACKAGE", package)
    with pytest.raises(SetupError, match=r"texts are missing beside .*callguard"):
        default_folder()
    (tmp_path / "site-packages" / "prompts").mkdir()
    assert default_folder() == tmp_path / "site-packages" / "prompts"
    (package / "data" / "prompts").mkdir(parents=True)
    assert default_folder() == package / "data" / "prompts"


def test_a_whisper_without_its_texts_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "en.toml"
    text = (default_folder() / "en.toml").read_text(encoding="utf-8")
    before, _, rest = text.partition("[whisper.recorded]")
    own.write_text(before + "[switch]" + rest.partition("[switch]")[2], encoding="utf-8")
    assert problem_of(tmp_path) == "en.toml: whisper: profile service: there are no texts for it"
    assert "essential" in pieces_of(configure(tmp_path), "orders", "en", tmp_path)
