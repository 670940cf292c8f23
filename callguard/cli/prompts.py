"""``callguard prompts``: texts to audio, whether people can follow them, and where a prompt can be listened to."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from callguard import config
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.errors import InputError, SetupError

if TYPE_CHECKING:
    from callguard.speech.report import Measured, Notice

# Whichever is there plays a WAV file whose name comes last: ALSA's, PulseAudio's, SoX's.
PLAYERS = (("aplay", "-q"), ("paplay",), ("play", "-q"))

app = typer.Typer(help="Texts and audio of the notices.", no_args_is_help=True)


@app.command("build")
def build(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Render the texts of all profiles to audio; only what changed."""
    from callguard.speech.build import build as build_prompts

    settings = config.load(path)
    with progress(rendering := "Rendering prompts") as tell:
        done = build_prompts(settings, lambda ready, of: tell(rendering, ready, of))
    folder = settings.prompts.folder.path_here
    if print_json:
        made_and_removed = {"made": done.made, "kept": done.kept, "removed": done.removed}
        made_and_removed["unused"] = list(map(str, done.unused))
        typer.echo(json.dumps({"folder": str(folder), **made_and_removed}, indent=2))
    else:
        removed = f", {len(done.removed)} removed" if done.removed else ""
        typer.echo(f"Prompts are in {folder}: {len(done.made)} made, {done.kept} kept as they were{removed}")
    for file in done.unused:
        typer.echo(f"callguard: {file}: no prompt is made from it: its name is to be PROFILE-PART.wav", err=True)


@app.command("lint")
def lint(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Measure every notice as it is heard. Exit code 1: people could not follow it, or are not told something."""
    from callguard.speech.report import report

    notices = report(config.load(path))
    if print_json:
        typer.echo(json.dumps({"limits": _limits(), "notices": [_as_json(notice) for notice in notices]}, indent=2))
    else:
        _show(notices)
    if any(notice.faults for notice in notices):
        raise typer.Exit(EXIT_FAILED)


@app.command("listen")
def listen(
    prompt: Annotated[
        str, typer.Argument(metavar="PROFILE/PART", help="Such as service/essential.", show_default=False)
    ],
    language: Annotated[
        str | None, typer.Option(metavar="XX", help="In which language; the profile's first by default.")
    ] = None,
    play: Annotated[bool, typer.Option("--play", help="Play it too, by aplay, paplay or SoX's play.")] = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Name the file of a prompt and show its text, or play it."""
    from callguard.speech.catalogue import Built
    from callguard.speech.plan import plan

    settings = config.load(path)
    profile, _, part = prompt.partition("/")
    if profile not in settings.profiles:
        raise InputError(f"there is no such profile; there are: {', '.join(settings.profiles)}", field="PROFILE/PART")
    languages = settings.profiles[profile].languages
    if language is not None and language not in languages:
        raise InputError(f"is not spoken by {profile}; there are: {', '.join(languages)}", field="--language")
    takes = {
        take.piece.part: take
        for take in plan(settings)
        if take.piece.id.startswith(f"{profile}/") and take.piece.language == (language or languages[0])
    }
    if part not in takes:
        raise InputError(f"there is no such part of {profile}; there are: {', '.join(takes)}", field="PROFILE/PART")
    folder = settings.prompts.folder.path_here
    built = Built.read(folder)
    if fault := built.fault(takes[part], folder):
        raise fault
    entry = built.prompts[takes[part].name]
    file = folder / f"{takes[part].name}.wav"
    if print_json:
        seconds = entry.length_ms / 1000
        described = {"file": str(file), "seconds": seconds, **entry.model_dump(include=set(_DESCRIBED))}
        typer.echo(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{file}\n{entry.text}")
        typer.echo(f"({_seconds(entry.length_ms)} s, {entry.source}, texts' version {entry.version})")
    if play:
        _play(file)


_DESCRIBED = ("id", "language", "version", "text", "source")


def _play(file: Path) -> None:
    player = next((player for player in PLAYERS if shutil.which(player[0])), None)
    if player is None:
        names = ", ".join(name for name, *_ in PLAYERS)
        raise SetupError(f"nothing here plays sound ({names}): apt-get install alsa-utils, or copy the file")
    done = subprocess.run([*player, str(file)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise SetupError(f"{player[0]} could not play it: {last}")


def _show(notices: tuple[Notice, ...]) -> None:
    from callguard.speech.report import keys, length_ms, words

    limits = _limits()
    table = Table()
    table.add_column("Profile", overflow="fold")
    for heading in ("Lang.", "Short", "Words", "Keys", "Full", "Longest piece"):
        table.add_column(heading, justify="right", no_wrap=True)
    for notice in notices:
        longest = notice.longest
        table.add_row(
            notice.profile, notice.language, _seconds(length_ms(notice.short)), str(words(notice.short)),
            " ".join(keys(notice.short)), _seconds(length_ms(notice.full)),
            f"{longest.piece.part.removeprefix('details-')} {_seconds(longest.length_ms)}",
        )  # fmt: skip
    Console().print(table)
    typer.echo(
        f"In seconds. At most: short layer {limits['short_seconds']:g} s, {limits['short_words']} words and "
        f"{limits['keys']} keys; a piece of the full layer {limits['piece_seconds']:g} s."
    )
    faults = [f"{notice.profile} in {notice.language}: {fault}" for notice in notices for fault in notice.faults]
    for line in faults:
        typer.echo(line)
    if not faults:
        typer.echo("No faults.")
    elif any(part.length_ms is None for notice in notices for part in notice.parts):
        typer.echo("Seconds are measured when the texts are mended and built: `callguard prompts build`.")


def _seconds(length_ms: int | None) -> str:
    return "-" if length_ms is None else f"{length_ms / 1000:.1f}"


def _limits() -> dict[str, float]:
    from callguard.speech.lint import MAX_DETAIL_MS, MAX_SHORT_MS
    from callguard.speech.texts import MAX_KEYS, MAX_SECOND_WORDS, MAX_WORDS

    return {
        "short_seconds": MAX_SHORT_MS / 1000,
        "short_words": MAX_WORDS,
        "second_question_words": MAX_SECOND_WORDS,
        "keys": MAX_KEYS,
        "piece_seconds": MAX_DETAIL_MS / 1000,
    }


def _as_json(notice: Notice) -> dict[str, Any]:
    from callguard.speech.report import elements, keys, length_ms, words

    def layer(parts: tuple[Measured, ...]) -> dict[str, Any]:
        length = length_ms(parts)
        return {
            "seconds": None if length is None else length / 1000,
            "words": words(parts),
            "keys": list(keys(parts)),
            "elements": [element.value for element in elements(parts)],
        }

    return {
        "profile": notice.profile,
        "language": notice.language,
        "version": notice.parts[0].piece.version,
        "short": layer(notice.short),
        "full": layer(notice.full),
        "parts": [{"part": part.piece.part, "source": part.source, **layer((part,))} for part in notice.parts],
        "faults": list(notice.faults),
    }
