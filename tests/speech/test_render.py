"""espeak-ng as it is: what it says, that it says it twice alike, and each way in which it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.errors import InputError, SetupError
from callguard.speech import espeak, render, sound
from callguard.speech.plan import plan
from callguard.speech.texts import Voice

from .conftest import Site, configure

ENGLISH = Voice(name="gmw/en")
FILE = Path("en.toml")


def seconds(text: str, voice: Voice = ENGLISH) -> float:
    return sound.read(render.speak(text, voice, FILE)).length_ms / 1000


def test_the_same_take_gives_the_same_bytes(built: Site) -> None:
    for take in plan(built.config)[:3]:
        first, second = render.render(take), render.render(take)
        assert first == second
        for extension, data in first.files.items():
            assert (built.prompts / f"{take.name}.{extension}").read_bytes() == data


def test_every_text_is_spoken_whole(built: Site) -> None:
    """By 5 to 20 characters a second: more would be a text cut off, fewer a text spelled out."""
    for entry in built.catalogue.entries.values():
        assert 5 < len(entry.text) / (entry.length_ms / 1000) < 20, entry.text


def test_a_text_twice_as_long_takes_twice_as_long() -> None:
    once = "Details and rights. "
    assert seconds(once * 8) / seconds(once * 4) == pytest.approx(2, rel=0.1)


def test_words_a_minute_are_what_they_are_set_to() -> None:
    text = "May we record this call to train our staff?"
    assert seconds(text, Voice(name="gmw/en", words_per_minute=110)) > 1.3 * seconds(text)


@pytest.mark.parametrize("part", ["essential", "remembered", "goodbye", "denied", "denied-optout", "denied-number"])
def test_what_may_open_a_call_has_silence_before_it(part: str, built: Site) -> None:
    assert render.LEAD_MS <= voice_begins_ms(built, part) <= render.LEAD_MS + 2 * sound.MARGIN_MS + sound.FADE_MS


@pytest.mark.parametrize("part", ["question-1", "again-1", "details-controller", "optout-done", "optout-goodbye"])
def test_what_never_opens_a_call_begins_at_once(part: str, built: Site) -> None:
    assert voice_begins_ms(built, part) <= 2 * sound.MARGIN_MS + sound.FADE_MS


def voice_begins_ms(built: Site, part: str) -> float:
    samples = sound.read((built.prompts / f"en/service-{part}.wav").read_bytes()).samples
    return float((abs(samples) > 0.01).argmax() / 8)


def test_an_unknown_voice_is_the_texts_fault() -> None:
    with pytest.raises(InputError, match=r"^en\.toml: voice\.name: espeak-ng has no voice 'xx-none'"):
        seconds("Hello.", Voice(name="xx-none"))


def test_without_the_library_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("libespeak-ng.so.1", "libespeak.so.1"):
        (tmp_path / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"without espeak-ng: apt-get install espeak-ng$"):
        seconds("Hello.")


def test_a_text_of_which_nothing_was_spoken_is_noticed() -> None:
    with pytest.raises(SetupError, match="stopped at character 0 of 3"):
        seconds("...")


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"failed \(status -11\): it said nothing"),
        ("import sys; sys.exit('no data')", r"failed \(status 1\): no data"),
        ("import signal; signal.pause()", r"did not finish a text within 0\.5 s"),
    ],
)
def test_a_crash_is_one_line_and_not_ours(
    program: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(espeak, "__file__", str(child))
    monkeypatch.setattr(render, "SPEAK_WAIT_S", 0.5)
    with pytest.raises(SetupError, match=problem):
        seconds("Hello.")


def test_a_failure_of_espeak_ng_ends_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os; os.abort()")
    monkeypatch.setattr(espeak, "__file__", str(child))
    with pytest.raises(SetupError, match=r"status -6"):
        render.render(plan(configure(tmp_path))[0])


@pytest.mark.parametrize(
    ("text", "at"),
    [("Press 3.", 7), ("It lasts 12,345.67 days", 20), ("¿Podemos? Sí — *9!", 16), ("...", 1)],
)
def test_where_the_last_word_begins(text: str, at: int) -> None:
    assert espeak.last_word(text) == at
