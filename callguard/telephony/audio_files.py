"""The files that Asterisk leaves of a recording: made one, measured and hashed. Plain files, no store."""

from __future__ import annotations

import hashlib
import os
import struct
import wave
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from callguard.store.records import Kept, OpenRecording, RecordedFile, Segment

# What MixMonitor leaves of a call that was never bridged: a RIFF header and no sound.
HEADER_BYTES = 44
SIDES = ("in", "out")
# Silence between segments is for following along; a clock that was set in a pause is not to fill the disk with it.
MOST_SILENCE_S = 3600
SILENCE_AT_ONCE = 1 << 20


class Unreadable(Exception):
    """A file is not what Asterisk writes: a full disk may have kept it from writing the header."""


def parts_of(folder: Path, recording: OpenRecording) -> list[Path]:
    """The files that there are of a recording, whole or in parts."""
    return sorted({*folder.glob(f"{recording.file}.wav"), *folder.glob(f"{recording.file}[.-]*.wav")})


def remove_all(folder: Path, recording: OpenRecording) -> None:
    """Remove all that there is of a recording, finished or not, with its sidecar. Raises: OSError."""
    for file in list(folder.glob(f"{recording.file}[.-]*")):
        file.unlink(missing_ok=True)


def segment_name(file: str, number: int) -> str:
    """A segment's name, without folder and extension, from its recording's."""
    return f"{file}.{number}" if number else file


def finish(folder: Path, recording: OpenRecording, segments: Sequence[Segment], ended_at: datetime) -> Kept | None:
    """Join, measure and hash what Asterisk left; None when there is no audio.

    May be broken off anywhere and begun again.

    Raises:
        Unreadable: a file is no recording of Asterisk's.
        OSError: a file cannot be read or written.
    """
    whole = folder / f"{recording.file}.wav"
    if not _joined(folder, recording).exists():
        _make_one(folder, recording, segments, whole)
    try:
        size = whole.stat().st_size
    except FileNotFoundError:
        return None
    if size <= HEADER_BYTES:
        whole.unlink()
        return None
    rate, frame_bytes = _format(whole)
    _mend(whole, size)
    digest = hashlib.sha256()
    with whole.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    duration_ms = round((size - HEADER_BYTES) * 1000 / (rate * frame_bytes))
    return Kept((RecordedFile(whole.name, size, digest.hexdigest()),), duration_ms, ended_at)


def forget_joining(folder: Path, recording: OpenRecording) -> None:
    """The recording is kept, or is none: nobody finishes it once more.

    What was being joined when that failed holds audio too.
    """
    _joined(folder, recording).unlink(missing_ok=True)
    for file in folder.glob(f"{recording.file}*.part"):
        file.unlink(missing_ok=True)


def _joined(folder: Path, recording: OpenRecording) -> Path:
    """While this is there, the whole file is what was joined, and no segment to be cut."""
    return folder / f"{recording.file}.joined"


def _make_one(folder: Path, recording: OpenRecording, segments: Sequence[Segment], whole: Path) -> None:
    joined = folder / f"{recording.file}.joined.wav"
    numbers = sorted({0, *(segment.number for segment in segments)})
    if not joined.exists():
        for number in numbers if recording.files == "two" else ():
            name = segment_name(recording.file, number)
            if not (folder / f"{name}.wav").exists():
                caller, agent = (folder / f"{name}-{side}.wav" for side in SIDES)
                _join_sides(caller, agent, folder / f"{name}.wav")
        if segments:
            _join_segments(folder, recording.file, segments, joined)
    for number in numbers:  # joined by now, or without audio
        name = segment_name(recording.file, number)
        for side in SIDES:
            (folder / f"{name}-{side}.wav").unlink(missing_ok=True)
        if segments:
            (folder / f"{name}.wav").unlink(missing_ok=True)
    if joined.exists():
        _joined(folder, recording).touch()
        joined.replace(whole)


def _join_segments(folder: Path, file: str, segments: Sequence[Segment], to: Path) -> None:
    """One file with silence where nothing was recorded, for as long as it was not, by the wall clock (`MOST_SILENCE_S`
    in all at most); nothing where there is no audio.

    Asterisk's whole recording is kept by a joined one under another name until the segments are gone: who is broken off
    and begins again does not take it for segment 0.
    """
    numbered = {segment.number: segment for segment in segments}
    parts = [(numbered.get(number), folder / f"{segment_name(file, number)}.wav") for number in sorted({0, *numbered})]
    parts = [(one, path) for one, path in parts if path.exists() and path.stat().st_size > HEADER_BYTES]
    if not parts:
        return
    rate, frame_bytes = _format(parts[0][1])
    began = min((one.began_at for one, _ in parts if one and one.began_at), default=None)
    part = to.with_suffix(".part")
    frames, silent_left = 0, MOST_SILENCE_S * rate
    with wave.open(str(part), "wb") as audio:
        audio.setnchannels(2 if frame_bytes == 4 else 1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        for one, path in parts:
            if _format(path) != (rate, frame_bytes):
                raise Unreadable(f"{path.name} has another format than the segment before it")
            data = path.read_bytes()[HEADER_BYTES:]
            # What is cut may be longer than the segment: somebody came before it had begun.
            keep = (
                max(0, len(data) // frame_bytes - (one.cut_ms * rate + 999) // 1000)
                if one
                else len(data) // frame_bytes
            )
            if one and one.began_at and began:
                silent = round((one.began_at - began).total_seconds() * rate) - frames
                silent = max(0, min(silent, silent_left))
                _write_silence(audio, silent, frame_bytes)
                frames, silent_left = frames + silent, silent_left - silent
            audio.writeframes(data[: keep * frame_bytes])
            frames += keep
    if frames:
        settle(part, to)
    else:
        part.unlink()


def _write_silence(audio: wave.Wave_write, frames: int, frame_bytes: int) -> None:
    while frames:
        some = min(frames, SILENCE_AT_ONCE)
        audio.writeframesraw(bytes(some * frame_bytes))
        frames -= some


def settle(part: Path, to: Path) -> None:
    """Whole or not at all, also after a power cut; for the group that shares the folder."""
    try:
        part.chmod(0o660)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(to)
    except FileNotFoundError:
        if not to.exists():
            raise
        # Another callguard with the same store works off the same leg, and was faster.


def _format(file: Path) -> tuple[int, int]:
    """Rate in Hz and bytes of a frame (RIFF/WAVE, PCM)."""
    with file.open("rb") as audio:
        header = audio.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:4] != b"RIFF":
        raise Unreadable(f"{file.name} is no recording of Asterisk's")
    rate, frame_bytes = struct.unpack_from("<I4xH", header, 24)
    if not rate or not frame_bytes:
        raise Unreadable(f"{file.name} is no recording of Asterisk's")
    return rate, frame_bytes


def _mend(file: Path, size: int) -> None:
    """Write the sizes into the header where Asterisk died before it could."""
    with file.open("r+b") as audio:
        audio.seek(40)
        if audio.read(4) != bytes(4):
            return
        audio.seek(4)
        audio.write(struct.pack("<I", size - 8))
        audio.seek(40)
        audio.write(struct.pack("<I", size - HEADER_BYTES))


def _join_sides(left: Path, right: Path, to: Path) -> None:
    """Two mono files to one stereo file, the caller on the left; what is shorter or missing is filled with silence.

    Read by their size and not by their header, which is empty where Asterisk died. Nothing is written where there is
    no audio.
    """
    sides = [side for side in (left, right) if side.exists() and side.stat().st_size > HEADER_BYTES]
    if not sides:
        return
    frames = max((side.stat().st_size - HEADER_BYTES) // 2 for side in sides)
    # As bytes, two to a sample: neither the machine's byte order nor numpy, which the service does without, matters.
    both = bytearray(frames * 4)
    for side in sides:
        rate, _ = _format(side)
        data = side.read_bytes()[HEADER_BYTES : HEADER_BYTES + 2 * frames]
        first = 0 if side == left else 2
        samples = len(data) // 2
        both[first : samples * 4 : 4] = data[: samples * 2 : 2]
        both[first + 1 : samples * 4 : 4] = data[1 : samples * 2 : 2]
    part = to.with_suffix(".part")
    with wave.open(str(part), "wb") as audio:
        audio.setnchannels(2)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(both)
    settle(part, to)
