"""Recordings that callguard did not begin, as far as Asterisk tells of them (MixMonitor): stopped and set aside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from callguard.core.evidence import Value
from callguard.core.incidents import Incident, without_numbers
from callguard.core.watchdog import Recorder, Whose, is_of, leg_in, whose
from callguard.current import Current
from callguard.errors import Refused, StoreError
from callguard.incidents import Incidents
from callguard.keys.names import QUARANTINE, Shelf
from callguard.store import Store
from callguard.telephony.ami import APP, LEG, MIXMONITOR, LiveChannel, Session
from callguard.telephony.ami_events import RecorderStarted, is_leg_id
from callguard.telephony.quarantine import here, set_aside
from callguard.telephony.recording import TRIED

log = structlog.get_logger()

FILE = "MIXMONITOR_FILENAME"
# More recorders than anybody starts on one channel.
MOST = 16
# Asterisk opens a recorder's file a moment after it tells of it.
FILE_TRIES, FILE_AGAIN_S = 20, 0.05
# A file that is being recorded has grown after so long: Asterisk writes 4 kB at once, 16 kB in a second.
GROWS_S = 0.6
# The dialplan begins ours at once.
SOON_S = 1.0
# How many channels are asked at once when a session begins.
AT_ONCE = 20


@dataclass(slots=True)
class _Leg:
    """A leg of ours.

    Attributes:
        expected: how many recorders callguard or its dialplan start there.
        begun: how many of them have been seen.
        identity: MixMonitor's of the last one seen.
        looked_at: whether one was found running, whose start may be told still.
        since: when one was last expected, by `time.monotonic`.
    """

    leg_id: str
    since: float = 0.0
    expected: int = 0
    begun: int = 0
    identity: str = ""
    looked_at: bool = False


class Watchdog:
    """Watches one manager session at a time. `[watchdog]` in the configuration says what it does.

    Attributes:
        on_set_aside: is told of each leg whose own recording is in quarantine now.
    """

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._store = store
        self._incidents = Incidents(store)
        self._legs: dict[str, _Leg] = {}
        # What was acted upon, by channel and file: one stop ends all of a channel's recorders, and each was told of.
        self._handled: set[tuple[str, str]] = set()
        self.on_set_aside: Callable[[str], None] = lambda leg_id: None

    def expect(self, channel: str, leg_id: str) -> None:
        """A recorder of ours will be started on a channel: called once for each, before it can be.

        Args:
            channel: Uniqueid.
        """
        leg = self._legs.setdefault(channel, _Leg(leg_id))
        leg.expected += 1
        leg.since = time.monotonic()

    def expect_no_more(self, channel: str) -> None:
        """One of ours that was expected will not begin: what begins there next is not taken for it."""
        leg = self._legs.get(channel)
        if leg is not None and leg.expected > leg.begun:
            leg.expected -= 1

    def keep_only(self, live_channels: Collection[str]) -> None:
        """Forget the legs whose channels are gone."""
        for channel in self._legs.keys() - set(live_channels):
            del self._legs[channel]
        self._handled = {handled for handled in self._handled if handled[0] in live_channels}

    async def look(self, session: Session) -> None:
        """What was begun while nobody watched, as far as a channel names its last recorder.

        It names one that has ended, too; which it is shows when it is stopped, so nothing is looked for where nothing
        is to be stopped.

        Raises:
            Disconnected: the session is over.
        """
        if self._current.config.watchdog.foreign != "stop":
            return
        at_once = asyncio.Semaphore(AT_ONCE)

        async def ask(channel: LiveChannel) -> None:
            async with at_once:
                await self._look_at(session, channel)

        # One that fails ends all: the session is over then.
        async with asyncio.TaskGroup() as group:
            for channel in await session.live():
                group.create_task(ask(channel))

    async def _look_at(self, session: Session, channel: LiveChannel) -> None:
        try:
            named = await session.variables(channel.channel, FILE, MIXMONITOR)
        except Refused:  # it is over
            return
        if any(named):
            await self._judge(session, RecorderStarted(channel.channel, channel.name, channel.context), running=False)

    async def started(self, session: Session, start: RecorderStarted) -> None:
        """A recorder has begun.

        Raises:
            Disconnected: the session is over.
        """
        if self._current.config.watchdog.foreign != "off":
            await self._judge(session, start, running=True)

    async def _judge(self, session: Session, start: RecorderStarted, *, running: bool) -> None:
        at = datetime.now(UTC)
        leg = self._legs.get(start.channel)
        try:
            recorder, identity = await self._recorder(session, start, leg)
        except Refused:  # the channel is gone, and what was recorded was not seen by name
            if running and leg is not None and leg.begun < leg.expected and time.monotonic() - leg.since < SOON_S:
                leg.begun += 1  # who hangs up right after their yes is no incident; of two starts one is
                return
            recorder, identity = Recorder(start.name, start.context, ""), ""
        if leg is None and recorder.leg and recorder.app.partition("--")[0] == self._current.config.asterisk.app:
            leg = await self._from_before(start.channel, recorder.leg)
        due = leg is not None and leg.begun < leg.expected
        if leg is not None and self._is_next(leg, recorder, identity, due=due, running=running):
            return
        due = leg is not None and leg.begun < leg.expected
        verdict = whose(
            recorder,
            expected=due or (leg is not None and not running),
            app=self._current.config.asterisk.app,
            exempt=self._current.config.watchdog.exempt,
        )
        if verdict is Whose.FOREIGN:
            # Which is the newest is in doubt where ours is not there yet, and where this start is not the newest's.
            hidden = (start.channel, recorder.file) in self._handled
            certain = leg is not None and not due and not hidden and not is_of(recorder.file, leg.leg_id)
            await self._act(session, start, recorder, at, leg, certain=certain, running=running)

    @staticmethod
    def _is_next(leg: _Leg, recorder: Recorder, identity: str, *, due: bool, running: bool) -> bool:
        """Count the next of a leg's own recorders, if it is that."""
        named = is_of(recorder.file, leg.leg_id)
        if due and identity not in ("", leg.identity):
            leg.begun, leg.identity = leg.begun + 1, identity
            leg.looked_at = not running
            # Named otherwise, another's has begun after it: of two starts this is the first to be told.
            return running or named
        if running and named and leg.looked_at:
            leg.looked_at = False
            return True
        return False

    async def _recorder(self, session: Session, start: RecorderStarted, leg: _Leg | None) -> tuple[Recorder, str]:
        """What the channel says, and MixMonitor's id of the last one of ours. Raises: Refused, where it is gone."""
        channel = start.channel
        # In this order: an id that is there already when another's file is seen is of one that began before it.
        identity, file = await session.variables(channel, MIXMONITOR, FILE)
        if leg is not None and identity and is_of(file, leg.leg_id):  # mostly: no more is asked than is needed
            return Recorder(start.name, start.context, file, True, leg.leg_id), identity
        leg_id, app = await session.variables(channel, LEG, APP)
        emergency = await session.is_emergency(channel)
        whose_leg = leg.leg_id if leg is not None else leg_id
        return Recorder(start.name, start.context, file, bool(identity), whose_leg, app, emergency), identity

    async def _from_before(self, channel: str, leg_id: str) -> _Leg | None:
        """A leg that an earlier process of ours gave back to be recorded."""
        try:
            recording = await self._store.expected_recording(leg_id)
        except StoreError as error:
            log.error("whose a recording is cannot be looked up", leg=leg_id, problem=str(error))
            recording = None
        if recording is None or recording.channel != channel:
            return None
        return self._legs.setdefault(channel, _Leg(leg_id, expected=1))

    async def _act(
        self,
        session: Session,
        start: RecorderStarted,
        recorder: Recorder,
        at: datetime,
        leg: _Leg | None,
        *,
        certain: bool,
        running: bool,
    ) -> None:
        stop = self._current.config.watchdog.foreign == "stop"
        stopped = 0
        while stop and stopped < (1 if certain else MOST) and await session.stop_newest(start.channel):
            stopped += 1
        if not stopped and (not running or (start.channel, recorder.file) in self._handled):
            return
        self._handled.add((start.channel, recorder.file))
        leg_id = recorder.leg or (leg.leg_id if leg is not None else "")
        # Told once more than was begun, and named as ours: somebody else's writes to it, as far as anybody can say.
        file = recorder.file if stopped or not is_of(recorder.file, leg_id) else ""
        mixed = leg is not None and not certain and stopped > 0
        where, name, parts = await self._set_aside(file) if stop else ("left", None, [])
        # Asterisk names the last one's file only.
        unnamed = stopped - mixed - (where == QUARANTINE)
        look = unnamed > 0 and where in (QUARANTINE, "unknown")
        # One that writes each side apart has two, and names neither.
        also = await self._set_aside_ended(start.channel, at, unnamed if file else 2 * unnamed) if look else []
        if where == "unknown" and also:
            where, name = QUARANTINE, also.pop(0)
        elif where == QUARANTINE and len(also) < unnamed:
            where = "unknown"
        also += parts
        detail: dict[str, Value] = {
            "channel": without_numbers(start.channel),
            "context": start.context,
            "stopped": stopped,
            "file": where,
            "quarantined_as": name,
            "ours_stopped": mixed,
        }
        if also:
            detail["also_quarantined"] = also
        log.error("somebody else began a recording", leg=leg_id or None, do=_TO_DO[where], **detail)
        await self._incidents.add(Incident.RECORDING_FOREIGN, at, detail, leg_id or None)

    async def _set_aside(self, file: str) -> tuple[str, str | None, list[str]]:
        """Where a recorder's file is now, and its name in quarantine if it is there; those of the other parts of a
        recording of ours.
        """
        if not file:
            return "unknown", None, []
        folder = self._current.config.recording.folder
        path = here(folder, file)
        if path is None:
            return "elsewhere", None, []
        for _ in range(FILE_TRIES):
            try:
                name = await asyncio.to_thread(set_aside, folder.path_here, path)
            except FileNotFoundError:
                await asyncio.sleep(FILE_AGAIN_S)
                continue
            except OSError as error:
                log.error("a recording could not be set aside", problem=error.strerror)
                return "not_moved", None, []
            return QUARANTINE, name, await self._not_kept(leg_in(file))
        return "missing", None, []

    async def _set_aside_ended(self, channel: str, at: datetime, most: int) -> list[str]:
        """Set aside the files of stopped recorders that nobody named, where they are beyond doubt: as many as that at
        most have been written to since, are none of callguard's, and grow no more. Returns: their names in quarantine.
        """
        folder = self._current.config.recording.folder
        since = at.timestamp() - SOON_S
        names: list[str] = []
        try:
            before = await asyncio.to_thread(_others, folder.path_here, since)
            await asyncio.sleep(GROWS_S)
            after = await asyncio.to_thread(_others, folder.path_here, since)
            ended = [path for path, size in after.items() if before.get(path) == size]
            for path in ended if len(ended) <= most else ():
                names.append(await asyncio.to_thread(set_aside, folder.path_here, path))
                self._handled.add((channel, f"{folder.in_asterisk}/{path.name}"))
        except OSError as error:
            log.error("a recording could not be set aside", problem=error.strerror)
        return names

    async def _not_kept(self, leg_id: str) -> list[str]:
        """Where somebody wrote to the file of a leg of ours, it is nothing to keep. Returns: its other parts' names."""
        folder = self._current.config.recording.folder.path_here
        try:
            if await self._store.subject_of_leg(leg_id) is None:
                return []
            if await asyncio.to_thread(Shelf.of(self._current.config.recording).sealed(f"{leg_id}.wav").exists):
                return []  # the recording is complete and encrypted: what came under its name is another
            self.on_set_aside(leg_id)
            await self._store.quarantine(leg_id, datetime.now(UTC), "foreign")
            parts = await asyncio.to_thread(lambda: sorted(folder.glob(f"{leg_id}[.-]*.wav")))
            return [await asyncio.to_thread(set_aside, folder, part) for part in parts]
        except (StoreError, OSError) as error:
            log.error("a recording is not set aside as a whole, or that is not saved", leg=leg_id, problem=str(error))
            return []

    async def save(self) -> None:
        """Keep the incidents that could not be kept yet."""
        await self._incidents.save()


def _others(folder: Path, since: float) -> dict[Path, int]:
    """The sizes of the recordings that are not named as callguard names its own, and were written to since then."""
    files = (path for path in folder.glob("*.wav") if not is_leg_id(leg_in(path.name)))
    sizes = {path: path.stat() for path in files if not path.name.startswith(TRIED)}
    return {path: one.st_size for path, one in sizes.items() if one.st_mtime >= since}


_TO_DO = {
    QUARANTINE: "find out who made it; its file is in the folder quarantine beside the recordings",
    "elsewhere": "find out who made it; its file is outside of the recordings' folder: set it aside yourself",
    "unknown": "find out who made it, and where its file is: Asterisk does not say",
    "missing": "find out who made it; no file of it was found in the recordings' folder",
    "not_moved": "find out who made it; its file is in the recordings' folder still: see to its rights, set it aside",
    "left": "find out who made it; it was left as it is, as [watchdog] foreign says",
}
