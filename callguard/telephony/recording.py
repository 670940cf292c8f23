"""Recordings after Asterisk has made them: measured, hashed, tagged and kept, or destroyed.

Asterisk starts and stops them in the dialplan; what is here runs after the end and can run twice: a file found by a
new process is treated as if its call had just ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import struct
import wave
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from callguard import config
from callguard.core.conversation import surviving
from callguard.core.model import GrantState
from callguard.errors import StoreError
from callguard.store.records import DueRecording, Kept, OpenRecording, RecordedFile
from callguard.store.store import Store

log = structlog.get_logger()

# What MixMonitor leaves of a call that was never bridged: a RIFF header and no sound.
HEADER_BYTES = 44
SWEEP_EVERY_S = 60.0
# `callguard doctor` has Asterisk write a file of this name, and removes it.
TRIED = "doctor-"


class Recordings:
    """The recordings of one folder.

    Attributes:
        expected: how many are being made or worked off, as far as was seen when they were reconciled last.
        overdue: how many of them could not be finished although their calls have ended.
    """

    def __init__(self, settings: config.Recording, store: Store) -> None:
        self._folder = settings.folder.path_here
        self._destroy_after = timedelta(seconds=settings.destroy_withdrawn_after_s)
        self._store = store
        self._sweeping = asyncio.Lock()
        self._working: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.expected = self.overdue = 0

    def destroy_withdrawn_after(self, seconds: int) -> None:
        """What is withdrawn from now on is destroyed so much later."""
        self._destroy_after = timedelta(seconds=seconds)

    async def knows(self, leg_id: str) -> bool:
        """Whether it is a leg of this store. (Another callguard on the PBX may have one of its own.)"""
        return bool(await self._store.call(leg_id))

    async def withdrawn(self, leg_id: str, at: datetime, *, before: bool = False, source: str = "key") -> None:
        """The subject has stopped the recording; Asterisk has closed the file.

        Args:
            before: it was said before anything was recorded and heard only now, so nothing of the file may stay,
                whatever its purposes rest on.
            source: who pressed the key: ``key`` for the subject, ``agent``.
        """
        async with self._alone(leg_id):
            # What was stopped in time by another way, and is found once more at the end, keeps what it had until then.
            before = before and not any(leg.leg.withdrawn_at for leg in await self._store.call(leg_id))
            recording = await self._store.withdraw(leg_id, at, source)
            if recording is not None and recording.ended_at is None:
                await self._end(recording, keep=not before)
            elif recording is not None and (before or not surviving(recording.purposes, withdrawn=True)):
                await self._store.destroy_by(leg_id, at + self._destroy_after)
        await self.sweep()

    async def make_way(self, leg_id: str) -> None:
        """Destroy now what the subject has withdrawn, if they think better of it: another recording takes its place."""
        recording = await self._store.withdrawn_recording(leg_id)
        if recording is not None and not surviving(recording.purposes, withdrawn=True):
            await self._store.destroy_by(leg_id, datetime.now(UTC))
            await self.sweep()

    async def ended(self, leg_id: str) -> None:
        """The recording of a leg has ended, by hang-up or withdrawal. A leg that has none is no error."""
        async with self._alone(leg_id):
            expected = await self._store.expected_recording(leg_id)
            if expected is not None:
                await self._end(expected)

    async def reconcile(self, live_channels: Collection[str]) -> None:
        """End what ended while nobody listened, and name the files that no consent is known for."""
        expected = await self._store.expected_recordings()
        over = [one for one in expected if one.channel not in live_channels or one.withdrawn_at is not None]
        # All at once: one after another, each would wait for the commit of the one before.
        undone = await asyncio.gather(*map(self._overdue, over))
        running = {one.file for one in expected if one not in over}
        running |= {one.file for one, late in zip(over, undone, strict=True) if late}
        self.expected, self.overdue = len(running), sum(undone)
        for name in await asyncio.to_thread(_untagged, self._folder, running):
            log.error("no consent is known for this recording: set it aside and find out who made it", file=name)

    async def sweep(self) -> None:
        """Destroy what is due."""
        async with self._sweeping:
            for due in await self._store.due(datetime.now(UTC)):
                await asyncio.to_thread(_remove, self._folder, due)
                await self._store.recording_destroyed(due.leg_id, datetime.now(UTC), "withdrawn")
                log.info("withdrawn recording destroyed", leg=due.leg_id)

    async def keep_sweeping(self) -> None:
        """Sweep now and every minute, for as long as the service runs."""
        while True:
            try:
                await self.sweep()
            except (StoreError, OSError) as error:
                log.error("withdrawn recordings not destroyed yet, trying again", problem=str(error))
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _overdue(self, expected: OpenRecording) -> bool:
        """End it; whether that could not be done yet."""
        try:
            await self.ended(expected.leg_id)
        except OSError as error:
            log.error("a recording is not finished yet, trying again", leg=expected.leg_id, problem=str(error))
            return True
        return False

    def _alone(self, leg_id: str) -> asyncio.Lock:
        """Held while a leg's recording is worked off: it may be told to end in several ways at once."""
        lock = self._working.get(leg_id)
        if lock is None:
            lock = self._working[leg_id] = asyncio.Lock()
        return lock

    async def _end(self, recording: OpenRecording, *, keep: bool = True) -> None:
        now = datetime.now(UTC)
        kept = await asyncio.to_thread(_finish, self._folder, recording, now)
        if kept is None:
            await self._store.recording_absent(recording.leg_id, now)
            if recording.withdrawn_at is None:
                log.warning(
                    "no audio of a call that was to be recorded: never answered, or see Asterisk's log whether it may "
                    "write to the folder",
                    leg=recording.leg_id,
                )
            return
        stays = keep and surviving(recording.purposes, withdrawn=recording.withdrawn_at is not None)
        destroy_at = None if stays else (recording.withdrawn_at or now) + self._destroy_after
        if stays or self._destroy_after:  # what is destroyed at once needs no space on a full disk
            await asyncio.to_thread(_write_sidecar, self._folder, recording, kept)
        await self._store.recording_kept(recording.leg_id, kept, destroy_at)
        log.info("recording kept" if stays else "recording to be destroyed", leg=recording.leg_id)


def _untagged(folder: Path, running: Collection[str]) -> list[str]:
    """Recordings without a sidecar that are not being made just now."""
    files = (file for file in folder.glob("*.wav") if not file.name.startswith(TRIED))
    stems = {file.stem.removesuffix("-in").removesuffix("-out") for file in files}
    return sorted(stem for stem in stems - set(running) if not (folder / f"{stem}.json").exists())


def _finish(folder: Path, recording: OpenRecording, ended_at: datetime) -> Kept | None:
    """Join, measure and hash what Asterisk left; None when there is no audio."""
    whole = folder / f"{recording.file}.wav"
    halves = [folder / f"{recording.file}-{side}.wav" for side in ("in", "out")]
    if recording.files == "two" and not whole.exists():
        _join(halves[0], halves[1], whole)
    for half in halves:  # joined by now, or without audio
        half.unlink(missing_ok=True)
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


def _format(file: Path) -> tuple[int, int]:
    """Rate in Hz and bytes of a frame (RIFF/WAVE, PCM)."""
    with file.open("rb") as audio:
        header = audio.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:4] != b"RIFF":
        raise OSError(f"{file.name} is no recording of Asterisk's: set it aside and look into it")
    rate, frame_bytes = struct.unpack_from("<I4xH", header, 24)
    if not rate or not frame_bytes:
        raise OSError(f"{file.name} is no recording of Asterisk's: set it aside and look into it")
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


def _join(left: Path, right: Path, to: Path) -> None:
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
    _settle(part, to)


def _write_sidecar(folder: Path, recording: OpenRecording, kept: Kept) -> None:
    """What the file may be used for, beside the file: ids and facts, no number and no name."""
    withdrawn = recording.withdrawn_at is not None
    facts = {
        "call": recording.call_id,
        "leg": recording.leg_id,
        "controller": recording.controller,
        "purposes": [
            {
                "purpose": purpose.id,
                "basis": purpose.basis,
                "state": GrantState.GIVEN if purpose in surviving((purpose,), withdrawn=withdrawn)
                else GrantState.WITHDRAWN,
            }
            for purpose in recording.purposes
        ],
        "started_at": recording.started_at.isoformat(),
        "ended_at": kept.ended_at.isoformat(),
        "duration_ms": kept.duration_ms,
        "files": [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in kept.files],
    }  # fmt: skip
    part = folder / f"{recording.file}.json.part"
    part.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    _settle(part, folder / f"{recording.file}.json")


def _settle(part: Path, to: Path) -> None:
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


def _remove(folder: Path, due: DueRecording) -> None:
    for name in due.files:
        (folder / name).unlink(missing_ok=True)
        (folder / name).with_suffix(".json").unlink(missing_ok=True)
