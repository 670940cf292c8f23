"""The texts that come with callguard, in every language: short enough as heard, whole, and the same in all of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from callguard.config import Config
from callguard.speech.catalogue import Catalogue
from callguard.speech.lint import MAX_DETAIL_MS, MAX_SHORT_MS
from callguard.speech.notice import Element
from callguard.speech.plan import plan
from callguard.speech.render import render
from callguard.speech.report import Notice, length_ms, report
from callguard.speech.texts import default_folder, load

from .shipped import ACME, EVERY_PHRASE, KINDS, LANGUAGES, configure

# Yes and no as they are said before the digits; 0, # and *9 in words; what the digits 1, 2, 3 and 9 have to sound like.
WORDS = {
    "de": ("Ja", "Nein", "Null", "Raute", "Stern neun", ("eins", "zwei", "drei", "neun")),
    "en": ("Yes", "No", "Zero", "Hash", "Star nine", ("one", "two", "three", "nine")),
    "es": ("Sí", "No", "Cero", "Almohadilla", "Asterisco nueve", ("uno", "dos", "tres", "nueve")),
    "fr": ("Oui", "Non", "Zéro", "Dièse", "Étoile neuf", ("un", "deux", "trois", "neuf")),
    "it": ("Sì", "No", "Zero", "Cancelletto", "Asterisco nove", ("uno", "due", "tre", "nove")),
    "pl": ("Tak", "Nie", "Zero", "Krzyżyk", r"Gwiazdk[aę] i dziewięć", ("jeden", "dwa", "trzy", "dziewięć")),
}


@pytest.fixture(scope="module")
def notices(shipped: Config) -> tuple[Notice, ...]:
    return report(shipped)


def texts_of(notice: Notice) -> dict[str, str]:
    return {part.piece.part: part.piece.text for part in notice.parts}


def test_the_languages_are_those_that_are_shipped() -> None:
    assert tuple(sorted(file.stem for file in default_folder().glob("*.toml"))) == LANGUAGES


def test_every_language_holds_every_limit_as_heard(notices: tuple[Notice, ...]) -> None:
    assert [(notice.profile, notice.language) for notice in notices] == [
        (kind, language) for kind in KINDS for language in LANGUAGES
    ]
    assert [fault for notice in notices for fault in notice.faults] == []
    for notice in notices:
        short, longest = length_ms(notice.short), notice.longest.length_ms
        assert short is not None and longest is not None
        assert 5_000 < short <= MAX_SHORT_MS
        assert 8_000 < longest <= MAX_DETAIL_MS


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_fits_into_the_short_layer(language: str, tmp_path: Path) -> None:
    """Asked alone, first and second; what only informs is far from the limit."""
    config = configure(tmp_path, EVERY_PHRASE, [language])
    heard: dict[object, int] = {}
    lasts = dict.fromkeys(config.profiles, 0)
    for take in plan(config):
        if take.piece.is_short:
            if take.sound not in heard:
                heard[take.sound] = render(take).length_ms
            lasts[take.piece.id.partition("/")[0]] += heard[take.sound]
    assert {name: ms for name, ms in lasts.items() if ms > MAX_SHORT_MS} == {}


def test_all_languages_have_the_same_parts_keys_and_elements(notices: tuple[Notice, ...]) -> None:
    def shape(notice: Notice) -> list[tuple[str, frozenset[str], frozenset[Element]]]:
        return [(part.piece.part, part.piece.keys, part.piece.elements) for part in notice.parts]

    english = {notice.profile: shape(notice) for notice in notices if notice.language == "en"}
    for notice in notices:
        assert shape(notice) == english[notice.profile], notice.language


def test_all_languages_have_the_same_phrases_and_version() -> None:
    english = load(default_folder(), "en")
    for language in LANGUAGES:
        loaded = load(default_folder(), language)
        assert loaded.purposes.keys() == english.purposes.keys()
        assert loaded.bases.keys() == english.bases.keys()
        assert loaded.version == english.version
        assert len(set(loaded.purposes.values())) == len(loaded.purposes)


def test_what_the_controller_says_is_told_in_the_notice_s_language(notices: tuple[Notice, ...]) -> None:
    for notice in notices:
        full = " ".join(part.piece.text for part in notice.full)
        for text in ACME.values():
            assert (text if isinstance(text, str) else text[notice.language]) in full, notice.language
        assert not set("{}") & set(" ".join(texts_of(notice).values()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_is_told_after_what_it_does(language: str, notices: tuple[Notice, ...]) -> None:
    yes, no, *_ = WORDS[language]
    asked = re.compile(rf"\b{yes}\b[^.;]*\b1\b.*\b{no}\b[^.;]*\b2\b", re.IGNORECASE)
    for notice in notices:
        if notice.language != language:
            continue
        for part, text in texts_of(notice).items():
            if part.startswith(("question-", "again-")) and notice.profile != "informed":
                assert asked.search(text), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_that_are_no_digits_are_told_in_words(language: str, notices: tuple[Notice, ...]) -> None:
    *_, zero, hash_key, star_nine, _ = WORDS[language]
    for notice in notices:
        if notice.language != language:
            continue
        texts = texts_of(notice)
        for word in (zero, star_nine):
            assert re.search(word, texts["details-keys"], re.IGNORECASE)
        assert re.search(hash_key, texts["switch"], re.IGNORECASE)
        assert re.search(hash_key, texts["optout-number"], re.IGNORECASE)
        stops = texts["details-objection" if notice.profile == "informed" else "details-withdrawal"]
        assert re.search(star_nine, stops, re.IGNORECASE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_s_digit_is_spoken_as_the_number(language: str, notices: tuple[Notice, ...]) -> None:
    """Not as an ordinal, which German and Polish write as a digit and a full stop."""
    voice = load(default_folder(), language).voice.name
    words = dict(zip("1239", WORDS[language][-1], strict=True))
    announcing = [
        part.piece.text
        for notice in notices
        if notice.language == language
        for part in notice.parts
        if part.piece.keys and part.piece.part != "details-controller"  # there is a house number in it
    ]
    spelled = [re.sub(r"(?<!\w)[1239](?!\w)", lambda digit: words[digit[0]], text) for text in announcing]
    assert len(set(announcing)) > 8
    assert phonemes(announcing, voice) == phonemes(spelled, voice)


def phonemes(texts: Iterable[str], voice: str) -> list[str]:
    """How espeak-ng says the texts, a line for each clause; stress is left out."""
    done = subprocess.run(
        ["espeak-ng", "-q", "-x", "-v", voice], input="\n\n".join(texts), capture_output=True, text=True, check=True
    )
    return [re.sub(r"[',|_!:\s]", "", line) for line in done.stdout.splitlines() if line.strip()]


def test_no_language_is_spoken_faster_or_slower_than_people_follow(shipped: Config) -> None:
    """Over all details of a notice, by letters: the measured rates lie between 13 (German) and 19 (French) a second."""
    catalogue = Catalogue.load(shipped)
    for language in LANGUAGES:
        entries = [
            entry
            for (prompt, spoken), entry in catalogue.entries.items()
            if spoken == language and prompt.startswith("one/details-")
        ]
        rate = sum(len(entry.text) for entry in entries) / sum(entry.length_ms for entry in entries) * 1000
        assert 11 < rate < 20, (language, rate)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_full_layer_tells_what_data_how_and_whom_to_turn_to(language: str, notices: tuple[Notice, ...]) -> None:
    """R9 and R10: which data are collected, how, what for and how they are kept; the authority and the officer."""
    for notice in (one for one in notices if one.language == language):
        full = {part.piece.part: part.piece for part in notice.full}
        told = frozenset[Element]().union(*(piece.elements for piece in full.values()))
        assert told >= {Element.DATA, Element.STORAGE, Element.PURPOSE, Element.RETENTION, Element.RECIPIENTS}
        assert {Element.OFFICER, Element.COMPLAINT, Element.RIGHTS, Element.CONTACT} <= told
        authority, officer = ACME["authority"], ACME["officer"]
        assert isinstance(authority, dict)
        assert authority[language] in full["details-complaint"].text
        assert str(officer) in full["details-officer"].text
        assert full["details-data"].elements >= {Element.DATA, Element.STORAGE, Element.PURPOSE}


def test_the_short_form_is_shorter_as_heard_in_every_language(notices: tuple[Notice, ...]) -> None:
    for notice in notices:
        brief = length_ms(part for part in notice.parts if part.piece.is_brief)
        short = length_ms(notice.short)
        assert brief is not None and short is not None
        assert 2_000 < brief < short - 300, (notice.profile, notice.language)
