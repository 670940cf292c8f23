"""The catalogue: only a prompt that is proved to be the configured one is given out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from callguard.config import Config
from callguard.core.model import Prompt
from callguard.errors import InputError
from callguard.prepare import compile_flows
from callguard.speech.catalogue import Catalogue
from callguard.speech.plan import plan

from .conftest import Site, configure

OPTOUT = ("done", "undone", "number", "failed", "goodbye")


def problem_of(config: Config, below: Path) -> str:
    with pytest.raises(InputError) as refused:
        Catalogue.load(config)
    line = str(refused.value)
    assert "\n" not in line
    return line.replace(f"{below}/", "")


def test_a_prompt_is_what_asterisk_plays(built: Site) -> None:
    prompt = built.catalogue.prompt("service", "es", "again-1")
    stem = built.prompts / "es" / "service-again-1"
    data = {extension: stem.with_suffix(f".{extension}").read_bytes() for extension in ("wav", "wav16")}
    assert prompt == Prompt(
        id="service/again-1",
        language="es",
        version="4",
        media=str(built.prompts / "played" / hashlib.sha256(data["wav"]).hexdigest()),
        length_ms=(len(data["wav"]) - 44) // 16,
        sha256={extension: hashlib.sha256(content).hexdigest() for extension, content in data.items()},
    )


def test_media_is_the_path_that_asterisk_sees(built: Site) -> None:
    config = configure(built.folder, texts=built.texts, in_asterisk=Path("/var/lib/asterisk/callguard"))
    prompt = Catalogue.load(config).prompt("service", "en", "essential")
    assert prompt.media == f"/var/lib/asterisk/callguard/played/{prompt.sha256['wav']}"


def test_the_full_layer_ends_with_the_other_language_in_its_own_tongue(site: Site) -> None:
    site.build()
    details = compile_flows(site.config, site.catalogue)["service"].details
    for language, other in (("en", "es"), ("es", "en")):
        *own, named = details[language]
        assert {piece.language for piece in own} == {language}
        assert (named.id, named.language) == ("service/switch", other)


def test_details_come_in_order(built: Site) -> None:
    for profile in ("service", "orders", "advice"):
        details = built.catalogue.details(profile, "en")
        spoken = [take.piece for take in plan(built.config) if take.piece.language == "en"]
        assert [prompt.id for prompt in details] == [
            piece.id for piece in spoken if piece.id.startswith(f"{profile}/details-")
        ]
        assert len(details) == 16


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_profile_has_what_is_said_beside_the_notice(language: str, built: Site) -> None:
    for profile in ("service", "orders", "advice"):
        for part in ("goodbye", *(f"optout-{what}" for what in OPTOUT), "denied", "denied-optout", "denied-number"):
            prompt = built.catalogue.prompt(profile, language, part)
            assert (prompt.id, prompt.language) == (f"{profile}/{part}", language)
    for profile in ("service", "advice"):
        assert built.catalogue.prompt(profile, language, "remembered").length_ms < 8_000
    for part in ("question-1", "again-1", "question-2", "again-2"):
        assert built.catalogue.prompt("advice", language, part).id == f"advice/{part}"


def test_what_is_not_there_is_an_input_error(built: Site) -> None:
    for ask in (
        lambda: built.catalogue.prompt("service", "en", "question-2"),
        lambda: built.catalogue.prompt("nobody", "en", "essential"),
        lambda: built.catalogue.details("service", "fr"),
    ):
        with pytest.raises(InputError, match=r"there (is no prompt \w+/[\w-]+|are no details of service) in \w\w"):
            ask()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("extension", ["wav", "wav16"])
@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (Path.unlink, "cannot be read (No such file or directory)"),
        (_cut, "is not the file that was built"),
        (_flip, "is not the file that was built"),
        (lambda file: file.write_bytes(b""), "is not the file that was built"),
    ],
)
def test_a_file_that_is_missing_or_altered(
    spoil: Callable[[Path], object], problem: str, extension: str, site: Site
) -> None:
    spoil(site.prompts / f"en/service-essential.{extension}")
    assert problem_of(site.config, site.prompts) == (
        f"en/service-essential.{extension}: {problem}: run `callguard prompts build`"
    )


def test_nothing_built(tmp_path: Path) -> None:
    assert problem_of(configure(tmp_path), tmp_path) == (
        "prompts/catalogue.json: no prompts are built yet: run `callguard prompts build`"
    )


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format": 2}', b'{"format": 1, "prompts": {"../../etc/passwd": {}}}', b"\xff\xfe"]
)
def test_a_catalogue_that_is_none(content: bytes, site: Site) -> None:
    (site.prompts / "catalogue.json").write_bytes(content)
    problem = problem_of(site.config, site.prompts)
    assert problem.startswith("catalogue.json: ")
    assert problem.endswith(": run `callguard prompts build`")


def test_a_text_that_is_not_the_configured_one_any_more(site: Site) -> None:
    config = configure(site.folder, texts=site.texts, changes={"retention": "one year"})
    assert problem_of(config, site.prompts) == (
        "en/service-details-retention: was built from another text than the configured one: "
        "run `callguard prompts build`"
    )


def test_a_voice_or_studio_file_that_came_later(site: Site) -> None:
    site.edit("en", "words_per_minute = 165", "words_per_minute = 150")
    assert "en/service-essential: was built in another way" in problem_of(site.config, site.prompts)


def test_a_profile_that_came_later(site: Site) -> None:
    profiles = {**site.config.profiles, "sales": site.config.profiles["service"]}
    config = site.config.model_copy(update={"profiles": profiles})
    assert problem_of(config, site.prompts) == (
        "catalogue.json: sales/essential in en is not built: run `callguard prompts build`"
    )


@pytest.mark.parametrize("stranger", ["en/service-essential.ulaw", "en/service-essential.WAV", "en/es"])
def test_nothing_may_be_played_in_place_of_a_prompt(stranger: str, site: Site) -> None:
    path = site.prompts / stranger
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    assert problem_of(site.config, site.prompts) == (
        f"{stranger}: Asterisk could play this in place of a prompt: remove it"
    )


def test_no_prompt_of_ours_can_be_taken_for_another_in_any_language(built: Site) -> None:
    """For an absolute path Asterisk first tries the channel's language as a folder before the file's name."""
    for profile, language in (("service", "en"), ("service", "es"), ("orders", "en"), ("orders", "es")):
        media = Path(built.catalogue.prompt(profile, language, "essential").media)
        for channel_language in ("en", "es", "en_GB", "de"):
            assert not list((media.parent / channel_language).glob("*"))
