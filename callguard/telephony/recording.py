"""Recordings after Asterisk has made them: measured, hashed, tagged and kept, or destroyed.

Asterisk starts and stops them in the dialplan; what is here runs after the end and can run twice: a file found by a
new process is treated as if its call had just ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from callguard import sections
from callguard.core.conversation import Why, surviving
from callguard.core.incidents import Incident, unwatched
from callguard.core.model import GrantState
from callguard.errors import StoreError
from callguard.keys.names import Shelf
from callguard.store.records import DueRecording, Kept, OpenRecording, Segment
from callguard.store.store import Store
from callguard.telephony.ami_events import is_leg_id
from callguard.telephony.audio_files import Unreadable, finish, forget_joining, parts_of, remove_all, settle
from callguard.telephony.quarantine import set_aside

log = structlog.get_logger()

SWEEP_EVERY_S = 60.0
# `callguard doctor` has Asterisk write a file of this name, and removes it.
TRIED = "doctor-"


class Recordings:
    """The recordings of one folder.

    Attributes:
        expected: how many are being made or worked off, as far as was seen when they were reconciled last.
        overdue: how many of them could not be finished although their calls have ended.
    """

    def __init__(self, settings: sections.Recording, store: Store) -> None:
        self._folder = settings.folder.path_here
        self._shelf = Shelf.of(settings)
        self._name = str(settings.folder.in_asterisk)
        self._destroy_after = timedelta(seconds=settings.destroy_withdrawn_after_s)
        self._store = store
        self._sweeping = asyncio.Lock()
        self._working: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._over_before: frozenset[str] = frozenset()
        self._elsewhere: set[str] = set()
        self._unknown = 0
        self._watched: set[str] = set()
        self.expected = self.overdue = 0
        # Told of each leg whose files are complete, and in the store.
        self.on_kept: Callable[[str], None] = lambda leg_id: None

    def destroy_withdrawn_after(self, seconds: int) -> None:
        """What is withdrawn from now on is destroyed so much later."""
        self._destroy_after = timedelta(seconds=seconds)

    async def knows(self, leg_id: str) -> bool:
        """Whether it is a leg of this store, and not one whose files another callguard of this store has to see to.

        (Another callguard on the PBX may have a store of its own.)
        """
        expected = await self._store.expected_recording(leg_id)
        return (expected is None or self._here(expected)) and bool(await self._store.call(leg_id))

    async def withdrawn(
        self, leg_id: str, at: datetime, *, before: bool = False, source: str = "key", finish: bool = True
    ) -> None:
        """The subject has stopped the recording; Asterisk has closed the file.

        Args:
            before: it was said before anything was recorded and heard only now, so nothing of the file may stay,
                whatever its purposes rest on.
            source: who pressed the key: ``key`` for the subject, ``agent``.
            finish: it is our leg, so nobody else is about to end its segments.
        """
        async with self.alone(leg_id):
            # What was stopped in time by another way, and is found once more at the end, keeps what it had until then.
            if before:
                expected = await self._store.expected_recording(leg_id)
                if expected is not None and not self._here(expected):
                    return  # who has its files hears of it, or finds the mark
            before = before and not any(leg.leg.withdrawn_at for leg in await self._store.call(leg_id))
            recording = await self._store.withdraw(leg_id, at, source)
            if recording is not None and recording.ended_at is None:
                if (finish or before) and self._here(recording):
                    await self._end(recording, keep=not before)
            elif recording is not None and (before or not surviving(recording.purposes, withdrawn=True)):
                await self._store.destroy_by(leg_id, datetime.now(UTC) if before else self._due(at))
        await self.sweep()

    async def make_way(self, leg_id: str) -> None:
        """Destroy now what the subject has withdrawn, if they think better of it: another recording takes its place."""
        recording = await self._store.withdrawn_recording(leg_id)
        if recording is not None and not surviving(recording.purposes, withdrawn=True):
            await self._store.destroy_by(leg_id, datetime.now(UTC))
            await self.sweep()

    async def ended(self, leg_id: str, *, watched: bool = True) -> None:
        """The recording of a leg has ended, by hang-up or withdrawal. A leg that has none is no error.

        Args:
            watched: somebody watched who was in the call, to its end.
        """
        async with self.alone(leg_id):
            expected = await self._store.expected_recording(leg_id)
            if expected is not None and self._here(expected):
                await self._end(expected, watched=watched)

    async def reconcile(
        self,
        live_channels: Collection[str],
        unsaved: Collection[str] = (),
        *,
        alone: bool = True,
        watched: Collection[str] = (),
    ) -> None:
        """End what ended while nobody listened, and name the files that no consent is known for.

        Args:
            unsaved: the legs of which it is not saved yet what has to be cut off; they wait.
            alone: ours is the only gate on this PBX. Another is given time until the next look to end what is its own.
            watched: the legs that this process follows, or has followed until they ended.
        """
        known = await self._store.expected_recordings()
        self._watched = (self._watched | set(watched)) & {one.leg_id for one in known}
        expected = [one for one in known if self._here(one)]
        self._tell_of({one.folder for one in known if one.folder} - {one.folder for one in expected})
        over = [
            one for one in expected
            if (one.channel not in live_channels or one.withdrawn_at is not None) and one.leg_id not in unsaved
        ]  # fmt: skip
        if not alone:
            over, self._over_before = (
                [one for one in over if one.leg_id in self._over_before], frozenset(one.leg_id for one in over),
            )  # fmt: skip
        # All at once: one after another, each would wait for the commit of the one before.
        undone = await asyncio.gather(*map(self._overdue, over))
        running = {one.file for one in expected if one not in over}
        running |= {one.file for one, late in zip(over, undone, strict=True) if late}
        self.expected, self.overdue = len(running), sum(undone)
        self._tell_of_unknown(await asyncio.to_thread(_untagged, self._folder, running))

    async def sweep(self) -> None:
        """Destroy what is due."""
        async with self._sweeping:
            for due in await self._store.due(datetime.now(UTC)):
                await self.destroy(due)

    async def destroy(self, due: DueRecording) -> bool:
        """Destroy a recording; may be broken off anywhere and begun again.

        Returns:
            Whether it is destroyed now: not where it is held, no longer kept, or lies in another folder.

        Raises:
            OSError: a file cannot be removed.
        """
        if due.folder not in (None, self._name) and not any(
            file.exists() for name in due.files for file in (self._shelf.clear(name), *self._shelf.encrypted(name))
        ):
            self._tell_of({due.folder})
            return False
        async with self.alone(due.leg_id):  # or what is being encrypted would be there again
            if not await self._store.begin_destroying(due.leg_id, datetime.now(UTC), due.reason, due.ends):
                return False
            await asyncio.to_thread(_remove, self._shelf, due)
            await self._store.recording_destroyed(due.leg_id, datetime.now(UTC), due.reason)
            # Another callguard may have been encrypting it; from now on it finds in the store that it is none.
            await asyncio.to_thread(_remove_encrypted, self._shelf, due)
        log.info("recording destroyed", leg=due.leg_id, why=due.reason)
        return True

    async def keep_sweeping(self) -> None:
        """Sweep now and every minute, for as long as the service runs."""
        while True:
            try:
                await self.sweep()
            except (StoreError, OSError) as error:
                log.error("withdrawn recordings not destroyed yet, trying again", problem=str(error))
            await asyncio.sleep(SWEEP_EVERY_S)

    def _due(self, withdrawn_at: datetime) -> datetime:
        """When to destroy what was withdrawn then, by Asterisk's clock; at once also where our own is behind it."""
        return withdrawn_at + self._destroy_after if self._destroy_after else datetime.now(UTC)

    def _here(self, recording: OpenRecording) -> bool:
        """Whether its files are made in this folder, or have been moved here.

        What is not here would look like a recording without audio, and be given up for that.
        """
        return recording.folder in (None, self._name) or bool(parts_of(self._folder, recording))

    def _tell_of(self, folders: Collection[str | None]) -> None:
        """Say once of each other folder that there are recordings in it."""
        for folder in {one for one in folders if one} - self._elsewhere:
            self._elsewhere.add(folder)
            log.error(
                "recordings of this store lie in another folder, and are left to the callguard that has it",
                folder=folder, own=self._name,
                do="give both callguards one [recording] folder, or each a store of its own; if it changed, move its "
                "files to the new one",
            )  # fmt: skip

    def _tell_of_unknown(self, names: Sequence[str]) -> None:
        """Say which have no consent, by the ids that callguard gives; a name that others gave may hold a number."""
        ids = [name for name in names if is_leg_id(name)]
        for leg_id in ids:
            log.error("no consent is known for this recording: set it aside and find out who made it", leg=leg_id)
        unknown = len(names) - len(ids)
        if unknown > self._unknown:
            log.error(
                "files that are none of callguard's lie in its folder: not named here, as a name may hold a number",
                count=unknown,
                do="find out who made them: files *.wav without one of the same name and .json; set them aside",
            )
        self._unknown = unknown

    async def _overdue(self, expected: OpenRecording) -> bool:
        """End it; whether that could not be done yet."""
        try:
            await self.ended(expected.leg_id, watched=expected.leg_id in self._watched)
        except OSError as error:
            log.error("a recording is not finished yet, trying again", leg=expected.leg_id, problem=str(error))
            return True
        except StoreError:  # is every recording's
            raise
        except Exception:
            # One recording's fault (a file that takes all memory, or one that nobody foresaw) is no other's.
            log.exception("a recording is not finished yet, trying again", leg=expected.leg_id)
            return True
        return False

    def alone(self, leg_id: str) -> asyncio.Lock:
        """Held while a leg's recording is worked off: it may be told to end in several ways at once."""
        lock = self._working.get(leg_id)
        if lock is None:
            lock = self._working[leg_id] = asyncio.Lock()
        return lock

    async def _end(self, recording: OpenRecording, *, keep: bool = True, watched: bool = True) -> None:
        now = datetime.now(UTC)
        segments = await self._store.segments(recording.leg_id) if recording.interrupted else ()
        stays = keep and surviving(recording.purposes, withdrawn=recording.withdrawn_at is not None)
        # What should never have been begun is given no time.
        destroy_at = None if stays else self._due(recording.withdrawn_at or now) if keep else now
        held = not stays and await self._store.is_held(recording.leg_id, now)
        try:
            kept = await asyncio.to_thread(finish, self._folder, recording, segments, now)
            if kept is not None and (stays or held or self._destroy_after):  # what is destroyed at once needs no space
                await asyncio.to_thread(_write_sidecar, self._folder, recording, segments, kept)
        except Unreadable as error:
            await self._set_aside(recording, now, str(error))
            return
        except OSError as error:
            if held or destroy_at is None or destroy_at > datetime.now(UTC):
                raise
            # What has to go waits for no space: nobody needs it measured.
            log.warning("a recording that nobody may keep goes unfinished", leg=recording.leg_id, problem=str(error))
            await asyncio.to_thread(remove_all, self._folder, recording)
            await self._store.recording_destroyed(recording.leg_id, now, "withdrawn")
            return
        if kept is None:
            await self._store.recording_absent(recording.leg_id, now)
            forget_joining(self._folder, recording)
            if recording.withdrawn_at is None:
                _tell_why_there_is_none(recording.leg_id, segments)
            return
        if stays and not watched and not (segments and segments[-1].ended_at):
            since = (segments[-1].began_at if segments else None) or recording.started_at
            detail = unwatched(segments[-1].number if segments else 0, since, now, kept=True)
            await self._store.incident(Incident.RECORDING_UNWATCHED, now, detail, recording.leg_id)
        await self._store.recording_kept(recording.leg_id, kept, destroy_at)
        forget_joining(self._folder, recording)
        log.info("recording kept" if stays else "recording to be destroyed", leg=recording.leg_id)
        self.on_kept(recording.leg_id)

    async def _set_aside(self, recording: OpenRecording, now: datetime, problem: str) -> None:
        """What cannot be read is neither kept nor lost; where nothing of it may stay, it goes as any other does."""
        files = parts_of(self._folder, recording)
        stays = surviving(recording.purposes, withdrawn=recording.withdrawn_at is not None)
        if not stays and not await self._store.is_held(recording.leg_id, now):
            for file in files:
                file.unlink(missing_ok=True)
            forget_joining(self._folder, recording)
            await self._store.recording_destroyed(recording.leg_id, now, "withdrawn")
            return
        names = [await asyncio.to_thread(set_aside, self._folder, file) for file in files]
        forget_joining(self._folder, recording)
        await self._store.quarantine(recording.leg_id, now, "unreadable")
        await self._store.incident(Incident.RECORDING_UNREADABLE, now, {"quarantined_as": names}, recording.leg_id)
        log.error(
            "a recording cannot be read and is set aside: was the disk full?", leg=recording.leg_id, problem=problem,
            do="see the folder quarantine beside the recordings",
        )  # fmt: skip


def _tell_why_there_is_none(leg_id: str, segments: Sequence[Segment]) -> None:
    """Say what is known of a recording that has no audio; where none of it was ever interrupted, that is little."""
    if segments and segments[0].ended_why == Why.STRANGER:
        log.warning(
            "no audio of a call that was to be recorded: somebody was there from the start who may not be heard in it",
            leg=leg_id,
            do="agents are of the house by b(callguard-agent^s^1) in the Dial that rings their phone, behind a Local "
            "channel too, or by [asterisk] inside",
        )
    elif segments:
        why = ", ".join(dict.fromkeys(one.ended_why for one in segments if one.ended_why))
        log.warning("no audio of a call that was to be recorded: interrupted before there was any", leg=leg_id, why=why)
    else:
        log.warning(
            "no audio of a call that was to be recorded: never answered, or see Asterisk's log whether it may write to "
            "the folder",
            leg=leg_id,
        )


def _untagged(folder: Path, running: Collection[str]) -> list[str]:
    """Recordings without a sidecar that are not being made just now."""
    files = (file for file in folder.glob("*.wav") if not file.name.startswith(TRIED))
    # A segment's name is its recording's, a dot and more.
    stems = {file.stem.removesuffix("-in").removesuffix("-out").partition(".")[0] for file in files}
    return sorted(stem for stem in stems - set(running) if not (folder / f"{stem}.json").exists())


def _write_sidecar(folder: Path, recording: OpenRecording, segments: Sequence[Segment], kept: Kept) -> None:
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
        # Between them, and where one was cut, the file is silent.
        "segments": [
            {
                "began_at": one.began_at and one.began_at.isoformat(), "began_why": one.began_why,
                "ended_at": one.ended_at and one.ended_at.isoformat(), "ended_why": one.ended_why,
                "cut_ms": one.cut_ms,
            }
            for one in segments
        ],
        "files": [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in kept.files],
    }  # fmt: skip
    part = folder / f"{recording.file}.json.part"
    part.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    settle(part, folder / f"{recording.file}.json")


def _remove(shelf: Shelf, due: DueRecording) -> None:
    for name in due.files:
        for file in (shelf.clear(name), *shelf.sidecars(name)):
            file.unlink(missing_ok=True)
    _remove_encrypted(shelf, due)


def _remove_encrypted(shelf: Shelf, due: DueRecording) -> None:
    for name in due.files:
        for file in shelf.encrypted(name):
            file.unlink(missing_ok=True)
