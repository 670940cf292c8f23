"""Building: what is written, what is left alone, and studio files."""

from __future__ import annotations

import hashlib
import json
import stat
import wave
from pathlib import Path

import numpy as np
import pytest

from callguard.errors import InputError, SetupError
from callguard.speech import sound
from callguard.speech.build import build
from callguard.speech.catalogue import Catalogue, said_in
from callguard.speech.plan import Take
from callguard.speech.render import Rendering, render

from .conftest import Site, configure
from .test_sound import tone, wav

ESSENTIAL = {"en/service-essential.wav", "en/service-essential.wav16"}


def studio(site: Site, name: str, data: bytes) -> Path:
    file = site.texts / "en" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return file


def recorded(seconds: float = 2, rate: int = 44_100, channels: int = 2) -> bytes:
    pcm = np.rint(tone(seconds, 0.3, rate) * 32_767).astype("<i2")
    return wav(np.repeat(pcm, channels).tobytes(), channels=channels, rate=rate)


def test_both_formats_of_every_prompt(built: Site) -> None:
    for extension, rate in sound.RATES.items():
        files = sorted(built.prompts.glob(f"e[ns]/*.{extension}"))
        assert len(files) == len(built.catalogue.entries)
        for file in files:
            with wave.open(str(file)) as opened:
                assert opened.getparams()[:3] == (1, 2, rate)


def test_all_prompts_are_equally_loud_and_none_clips(built: Site) -> None:
    for extension in sound.RATES:
        for file in built.prompts.rglob(f"*.{extension}"):
            heard = sound.read(file.read_bytes())
            assert sound.level_dbfs(heard) == pytest.approx(sound.LEVEL_DBFS, abs=0.5), file
            assert np.abs(heard.samples).max() < 0.95, file


def test_a_studio_file_that_no_prompt_is_made_from_is_named(site: Site) -> None:
    wrong = [studio(site, name, recorded()) for name in ("service-essental.WAV", "service-nope.wav")]
    studio(site, "service-essential.wav", recorded())
    (site.texts / "en" / "notes.txt").touch()
    assert build(site.config).unused == tuple(wrong)


def test_the_catalogue_describes_the_files(built: Site) -> None:
    prompts = json.loads((built.prompts / "catalogue.json").read_text(encoding="utf-8"))["prompts"]
    entry = prompts["es/service-essential"]
    assert entry["text"].startswith("Acme Energy. ¿Podemos grabar la llamada para formar al personal?")
    assert (entry["source"], entry["version"]) == ("espeak-ng", "4")
    for extension, described in entry["files"].items():
        data = (built.prompts / f"es/service-essential.{extension}").read_bytes()
        assert described == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_progress_counts_to_the_end(built: Site) -> None:
    total = len(built.catalogue.entries)
    assert built.progress == [(ready, total) for ready in range(total + 1)]


def test_everyone_may_read_whatever_the_umask(built: Site) -> None:
    for path in (built.prompts, *built.prompts.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_a_folder_that_only_we_could_read_is_opened(site: Site) -> None:
    (site.prompts / "en").chmod(0o2700)
    site.build()
    assert stat.S_IMODE((site.prompts / "en").stat().st_mode) == 0o2755


def test_nothing_temporary_is_left(built: Site) -> None:
    names = {path.name for path in built.prompts.rglob("*") if path.is_file()}
    assert {name.rpartition(".")[2] for name in names} == {"wav", "wav16", "json"}


def test_a_second_build_writes_nothing(site: Site) -> None:
    assert site.build() == set()
    total = len(site.catalogue.entries)
    assert site.progress == [(total, total)]


def test_a_build_tells_what_it_made_kept_and_removed(site: Site) -> None:
    of = len(site.catalogue.entries)
    site.edit("en", "stop it any time; the service is the same", "stop it; we serve you alike")
    done = build(site.config)
    assert (done.made, done.removed, done.kept) == (("en/service-essential",), (), of - 1)
    site.keep("service", ["es"])
    done = build(site.config)
    assert (done.made, len(done.removed), done.kept) == ((), of - done.kept, len(done.catalogue.entries))


def test_only_what_changed_is_made_anew(site: Site) -> None:
    site.edit("en", "stop it any time; the service is the same", "stop it; we serve you alike")
    assert site.build() == ESSENTIAL | {"catalogue.json"}
    assert site.catalogue.entry("service", "en", "essential").text.endswith("we serve you alike.")


def test_what_changed_beside_the_notice_leaves_the_notice_alone(site: Site) -> None:
    site.edit("en", "To undo this, press 9.", "Press 9 to undo this.")
    profiles = ("service", "orders", "advice")
    files = {f"en/{profile}-optout-done.{extension}" for profile in profiles for extension in sound.RATES}
    assert site.build() == files | {"catalogue.json"}


def test_a_question_of_two_is_made_anew_alone(site: Site) -> None:
    site.edit("en", "And record you {purpose}?", "And {purpose}?")
    assert site.build() == {"en/advice-question-2.wav", "en/advice-question-2.wav16", "catalogue.json"}


def test_what_sounds_alike_in_many_profiles_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def counting(take: Take) -> Rendering:
        rendered.append(f"{take.piece.language} {take.piece.text}")
        return render(take)

    monkeypatch.setattr("callguard.speech.build.render", counting)
    config = configure(tmp_path, languages=["en"])
    catalogue = build(config).catalogue
    assert len(rendered) == len(set(rendered)) < len(catalogue.entries) * 2 / 3
    one, other = (catalogue.prompt(profile, "en", "optout-done") for profile in ("service", "orders"))
    assert (one.media, one.sha256) == (other.media, other.sha256)
    assert one.id != other.id


def test_a_version_or_a_voice_makes_its_language_anew(site: Site) -> None:
    site.keep("service", ["en", "es"])
    site.build()
    site.edit("es", 'version = "4"', 'version = "5"')
    written = site.build()
    assert {name for name in written if name.startswith("en/")} == set()
    assert len(written) == len(list(site.prompts.glob("es/*"))) + 1
    assert site.catalogue.prompt("service", "es", "essential").version == "5"
    before = site.catalogue.prompt("service", "en", "essential").sha256
    site.edit("en", 'name = "gmw/en"', 'name = "gmw/en-us"')
    assert site.build() > ESSENTIAL
    assert site.catalogue.prompt("service", "en", "essential").sha256 != before


def test_missing_and_altered_files_are_mended(site: Site) -> None:
    (site.prompts / "en/service-essential.wav").unlink()
    altered = site.prompts / "es/orders-goodbye.wav16"
    altered.write_bytes(altered.read_bytes()[:-2] + b"\x01\x01")
    assert site.build() == {"en/service-essential.wav", "es/orders-goodbye.wav16"} | {
        "en/service-essential.wav16",
        "es/orders-goodbye.wav",
    }


def test_what_a_running_service_plays_outlives_a_build(site: Site) -> None:
    before = site.catalogue.prompt("service", "en", "essential")
    site.edit("en", "stop it any time; the service is the same", "stop it; we serve you alike")
    site.build()
    assert site.catalogue.prompt("service", "en", "essential").media != before.media
    old = Path(f"{before.media}.wav").read_bytes()
    assert hashlib.sha256(old).hexdigest() == before.sha256["wav"]


def test_a_damaged_catalogue_is_built_anew(site: Site) -> None:
    site.keep("orders", ["en"])
    site.build()
    good = (site.prompts / "catalogue.json").read_bytes()
    (site.prompts / "catalogue.json").write_bytes(good[:100])
    site.build()
    assert (site.prompts / "catalogue.json").read_bytes() == good


def test_what_is_no_longer_configured_goes(site: Site) -> None:
    kept = {name: profile for name, profile in site.config.profiles.items() if name != "orders"}
    site.config = site.config.model_copy(update={"profiles": kept})
    assert list(site.prompts.rglob("orders-*"))
    site.build()
    assert not list(site.prompts.rglob("orders-*"))


def test_a_studio_file_takes_precedence_in_the_same_shape(site: Site) -> None:
    studio(site, "service-essential.wav", recorded(seconds=2))
    assert site.build() == ESSENTIAL | {"catalogue.json"}
    entry = site.catalogue.entry("service", "en", "essential")
    assert entry.source == "studio"
    assert entry.text.startswith("Acme Energy. May we record")
    assert entry.length_ms == pytest.approx(300 + 2000 + sound.TAIL_MS, abs=sound.FRAME_MS)
    heard = sound.read((site.prompts / "en/service-essential.wav").read_bytes())
    assert sound.level_dbfs(heard) == pytest.approx(sound.LEVEL_DBFS, abs=0.5)
    assert site.catalogue.entry("service", "es", "essential").source == "espeak-ng"


def test_a_studio_file_that_changes_or_goes_is_followed(site: Site) -> None:
    spoken = site.catalogue.prompt("service", "en", "essential").sha256
    file = studio(site, "service-essential.wav", recorded(seconds=2))
    site.build()
    first = site.catalogue.prompt("service", "en", "essential")
    studio(site, file.name, recorded(seconds=3, rate=8_000, channels=1))
    assert site.build() == ESSENTIAL | {"catalogue.json"}
    assert site.catalogue.prompt("service", "en", "essential").length_ms > first.length_ms + 900
    file.unlink()
    site.build()
    assert site.catalogue.prompt("service", "en", "essential").sha256 == spoken


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"not audio at all", "is not a PCM WAV file"),
        (wav(bytes(8_000), width=1), "has 8 bits a sample; 16 are needed"),
        (wav(bytes(8_000), rate=6_000), "is sampled at 6000 Hz"),
        (wav(bytes(16_000)), "holds nothing that can be heard"),
    ],
)
def test_a_studio_file_that_cannot_be_used_is_named(data: bytes, problem: str, site: Site) -> None:
    file = studio(site, "orders-question-1.wav", data)
    with pytest.raises(InputError, match=problem) as refused:
        site.build()
    assert str(refused.value).startswith(f"{file}: ")
    file.unlink()
    assert Catalogue.load(site.config).entries == site.catalogue.entries  # what was there is untouched


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file where the folder should be")
    with pytest.raises(SetupError, match=r"/prompts: prompts cannot be written: File exists"):
        build(configure(tmp_path))


def test_what_was_played_once_stays_with_its_text(site: Site) -> None:
    before = site.catalogue.entry("service", "en", "essential")
    sha256 = site.catalogue.prompt("service", "en", "essential").sha256
    site.edit("en", "stop it any time; the service is the same", "stop it; we serve you alike")
    site.build()
    assert site.catalogue.entry("service", "en", "essential").text != before.text
    assert said_in(site.prompts, sha256) == before.text
    data = (site.prompts / "played" / f"{sha256['wav']}.wav").read_bytes()
    assert hashlib.sha256(data).hexdigest() == sha256["wav"]
    # Of another sound, or beside a file that was changed, nothing is said.
    assert said_in(site.prompts, {**sha256, "wav16": "ab" * 32}) is None
    assert said_in(site.prompts, {"wav": "ab" * 32}) is None
    # A folder of an older callguard gets its texts with the next build, and nothing is made anew for that.
    (site.prompts / "played" / f"{sha256['wav']}.json").unlink()
    now = site.catalogue.prompt("service", "en", "essential").sha256
    (site.prompts / "played" / f"{now['wav']}.json").unlink()
    assert site.build() == set()
    assert said_in(site.prompts, now) == site.catalogue.entry("service", "en", "essential").text
