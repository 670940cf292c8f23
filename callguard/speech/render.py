"""A take to the files that Asterisk plays: spoken by espeak-ng, or from the studio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callguard.errors import InputError, SetupError
from callguard.speech import espeak, sound
from callguard.speech.plan import Take
from callguard.speech.texts import Voice

SPEAK_WAIT_S = 30
"""espeak-ng speaks some hundred times faster than it is heard, so who takes this long for a text is stuck."""

LEAD_MS = 300
"""Silence before what may open a call: the first packets of a call are often lost until the path for RTP stands."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """A prompt's files by their extension, and how long they play."""

    files: Mapping[sound.Format, bytes]
    length_ms: int


def render(take: Take) -> Rendering:
    """The files of a take, the same bytes each time.

    Raises:
        InputError: the studio file cannot be used, or espeak-ng has no such voice.
        SetupError: espeak-ng is missing or failed.
    """
    lead_ms = LEAD_MS if take.piece.may_open else 0
    try:
        source = sound.read(take.studio.read_bytes() if take.studio else speak(take.piece.text, take.voice, take.texts))
        shaped = {extension: sound.shape(source, rate, lead_ms) for extension, rate in sound.RATES.items()}
    except sound.UnusableSound as error:
        if take.studio:
            raise InputError(str(error), file=take.studio) from error
        raise SetupError(f"espeak-ng spoke {take.piece.id} in {take.piece.language}, but the sound {error}") from error
    files = {extension: sound.write(result) for extension, result in shaped.items()}
    return Rendering(files, shaped["wav"].length_ms)


def speak(text: str, voice: Voice, texts: Path) -> bytes:
    """A WAV file of espeak-ng speaking `text`; `texts` is where the voice is named.

    Raises:
        InputError: espeak-ng has no such voice.
        SetupError: espeak-ng is missing, failed or is stuck.
    """
    with tempfile.TemporaryDirectory(prefix="callguard-") as folder:
        file = Path(folder) / "speech.wav"
        job = {"text": text, "voice": voice.name, "words_per_minute": voice.words_per_minute, "file": str(file)}
        try:
            done = subprocess.run(
                [sys.executable, "-P", espeak.__file__],
                input=json.dumps(job),
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=SPEAK_WAIT_S,
                # espeak-ng opens a sound server that it does not need, and that writes to these.
                env={**os.environ, **dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"), folder)},
            )
        except subprocess.TimeoutExpired as error:
            raise SetupError(f"espeak-ng did not finish a text within {SPEAK_WAIT_S} s") from error
        if done.returncode == os.EX_OK:
            return file.read_bytes()
    if done.returncode == os.EX_UNAVAILABLE:
        raise SetupError("prompts cannot be spoken without espeak-ng: apt-get install espeak-ng")
    if done.returncode == os.EX_DATAERR:
        raise InputError(
            f"espeak-ng has no voice {voice.name!r}: see espeak-ng --voices", file=texts, field="voice.name"
        )
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise SetupError(f"espeak-ng failed (status {done.returncode}): {last}")
