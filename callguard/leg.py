"""One leg: the gate's commands to a door and the store, and what they answer back to the gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog
import uuid_utils

from callguard.config import Config
from callguard.core import gate
from callguard.core.commands import Ask, Command, Exercise, OptOut, Release, Save, StartRecording
from callguard.core.decide import Scope
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.language import Signs, language_for
from callguard.core.model import Outcome, Party
from callguard.core.profile import Flow
from callguard.core.requests import AT_ONCE, Proof, Via
from callguard.errors import CallguardError, Disconnected, Refused, StoreError
from callguard.metrics import LOST, LegMetrics, Metrics
from callguard.numbers import to_e164
from callguard.rights import requests
from callguard.store import Fenced, Store
from callguard.store.dial_records import OptOutSource
from callguard.store.records import Direction, Files, Informed, LegRecord, Remembered
from callguard.telephony.door import Door

log = structlog.get_logger()

# A process that dies again and again must not ask the same caller again and again.
MAX_TAKEOVERS = 1
# Rule 4: how long a no follows a number, and a choice of language with it.
REMEMBERED_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked, where, and for whom: what a leg knows before the first word.

    Attributes:
        number: E.164, or None for nobody in particular.
        region: of a number that is typed in national format.
        signs: what the configuration makes of the number called and of the subject's own, for the language.
        at: Asterisk's clock when the channel became ours, milliseconds since the epoch.
        files: how Asterisk records it.
        taken: how often a process has taken the leg over from one that left it.
        held: its recording begins when it is known who the agent is, and not before.
        told_as: what the dialplan knows the leg's purposes by, where a reload has changed them: see `Current`.
    """

    leg_id: str
    call_id: str
    channel: str
    linkedid: str
    controller: str
    profile: str
    direction: Direction
    number: str | None
    region: str | None
    at: int
    files: Files
    taken: int = 0
    held: bool = False
    told_as: str = ""
    signs: Signs = field(default_factory=Signs)


def subject_of(
    config: Config,
    profile: str,
    channel: str,
    linkedid: str,
    number: str,
    at: int,
    *,
    called: str = "",
    callee: bool,
    taken: int = 0,
    told_as: str = "",
) -> Subject:
    """The subject of a new leg.

    Args:
        number: as the network, or whoever dialled, wrote it.
        called: the number that a caller called, as the trunk gave it. (Of a callee it is the subject's own.)
    """
    settings = config.profiles[profile]
    # The first leg's id is the call's.
    call_id = str(uuid_utils.uuid7())
    known = to_e164(number, settings.region)
    return Subject(
        leg_id=call_id,
        call_id=call_id,
        channel=channel,
        linkedid=linkedid,
        controller=settings.controller,
        profile=profile,
        direction="outbound" if callee else "inbound",
        number=known,
        region=settings.region,
        at=at,
        files=config.recording.files,
        taken=taken,
        held=settings.agents is not None,
        told_as=told_as,
        signs=Signs(called=settings.language_of_call(called), country=settings.language_of_number(known)),
    )


class Leg:
    """Walks one channel through a flow; `run` ends when the gate does.

    Args:
        leaving: told of the leg before it is given back, of what it granted, and whether it is recorded.
        seen: counts what happens.
    """

    def __init__(
        self,
        door: Door,
        store: Store,
        flow: Flow,
        subject: Subject,
        leaving: Callable[[Subject, Sequence[str], bool], None],
        seen: LegMetrics | None = None,
    ) -> None:
        self._door = door
        self._store = store
        self._flow = flow
        self._subject = subject
        self._party = Party(known=subject.number is not None, callee=subject.direction == "outbound")
        self._recording = False
        self._language = flow.languages[0]
        self._leaving = leaving
        self._seen = seen or Metrics().leg(subject.direction, flow.profile)
        self._sounded = False
        self._keyed: float | None = None
        self._log = log.bind(call=subject.call_id, leg=subject.leg_id)

    async def run(self) -> None:
        """From answer to release. Any error ends in the closed outcome; cancellation leaves the call to its lease."""
        try:
            before = await self._remembered()
            signs = replace(self._subject.signs, chosen=before.languages)
            language = language_for(self._flow.languages, signs)
            informed = await self._informed()
            self._party = replace(
                self._party, refused=before.refused, language=language, knows=informed.knows, heard=informed.heard
            )
            self._language = language or self._language
            await self._door.open()
            state, commands = gate.start(self._flow, self._party)
            while commands:
                state, commands = gate.step(self._flow, state, await self._do(commands))
        except Disconnected as error:
            self._seen.left(LOST)
            self._log.warning("leg left to its lease", problem=str(error))
        except Exception:
            self._log.exception("leg failed, call goes on unrecorded")
            await self._close()

    async def resume(self) -> None:
        """Take over a leg that another process left: deliver what that one committed, or ask from the start."""
        try:
            await self._door.quiet()
            committed = await self._store.outcome(self._subject.channel, self._subject.linkedid)
            if committed is not None:
                self._subject = replace(self._subject, leg_id=committed.leg_id, call_id=committed.call_id)
                self._log.info("delivering what another process committed", call=committed.call_id)
                self._language = committed.language
                if committed.withdrawn_at is not None:
                    await self._release(Release(Outcome.REFUSED))
                    return
                self._recording = committed.recording and committed.recording_ended_at is None
                knows = (await self._informed()).knows
                untold = 0 if self._recording else len(gate.untold(self._flow, self._language, knows))
                await self._release(Release(committed.outcome, committed.granted, untold))
                return
            # Rule 7: somebody waits for a callee.
            if self._party.callee or self._subject.taken >= MAX_TAKEOVERS:
                self._log.error("a call that was left by its gate, and is not asked again, goes on unrecorded")
                await self._release(Release(gate.closed(self._flow, self._party)))
                return
        except (Disconnected, StoreError) as error:
            self._log.warning("leg left to its lease", problem=str(error))
            return
        self._log.info("asking anew: another process left this call")
        await self.run()

    async def _remembered(self) -> Remembered:
        """What the subject's earlier calls mean for this one. Rule 4: a withheld number is nobody."""
        if self._subject.number is None:
            return Remembered()
        since = datetime.now(UTC) - REMEMBERED_FOR
        try:
            return await self._store.remembered(self._subject.controller, self._subject.number, since)
        except StoreError as error:
            self._log.warning("whether there was a no before is not known, so it is asked", problem=str(error))
            return Remembered()

    async def _informed(self) -> Informed:
        """What the subject heard of the notice in earlier calls; where that is not known, all of it is told again."""
        flow, subject = self._flow, self._subject
        if subject.number is None or not flow.looks_back:
            return Informed()
        since = datetime.now(UTC) - flow.brief_for
        try:
            return await self._store.informed(subject.controller, subject.number, flow.told_by, since)
        except StoreError as error:
            self._log.warning("what was heard before is not known, so the whole notice is told", problem=str(error))
            return Informed()

    async def _close(self) -> None:
        self._recording = False
        try:
            await self._door.quiet()
            await self._release(Release(gate.closed(self._flow, self._party)))
        except Disconnected as error:
            self._log.warning("leg left to its lease", problem=str(error))

    async def _do(self, commands: tuple[Command, ...]) -> Event:
        """Carry out commands in order; the last one has the answer."""
        for command in commands:
            match command:
                case Ask():
                    answer: Event = await self._ask(command)
                case OptOut():
                    answer = await self._opt_out(command)
                case Exercise():
                    answer = await self._exercise(command)
                case Save():
                    answer = await self._save(command)
                case StartRecording():
                    self._recording = True
                case Release():
                    answer = await self._release(command)
        return answer

    async def _ask(self, ask: Ask) -> Answered | Lost:
        answer = await self._door.ask(ask)
        if not self._sounded and self._door.first_sound_ms is not None:
            self._sounded = True
            self._seen.sounded(self._door.first_sound_ms)
        if isinstance(answer, Answered):
            self._keyed = time.monotonic() if answer.cause is Cause.KEY else None
            self._seen.asked(ask, answer)
        return answer

    async def _opt_out(self, command: OptOut) -> Event:
        subject = self._subject
        number = to_e164(command.typed, subject.region) if command.typed else subject.number
        if number is None:
            return SaveFailed()
        change = self._store.opt_in if command.undo else self._store.opt_out
        source: OptOutSource = "typed_unverified" if command.typed else "key"
        try:
            changed = await change(subject.controller, number, Scope.MARKETING, datetime.now(UTC), source)
        except Fenced:
            return Lost()
        except StoreError as error:
            self._log.error("an opt-out is not saved, and not confirmed", problem=str(error))
            return SaveFailed()
        # One that came another way is not undone by typing its number, and that it is may not be said.
        return SaveFailed() if command.undo and not changed else Saved()

    async def _exercise(self, command: Exercise) -> Event:
        """A caller ID is enough to withdraw; all else is a request that waits until it is known who asks."""
        subject, now = self._subject, datetime.now(UTC)
        if subject.number is None:
            return SaveFailed()
        try:
            if command.right in AT_ONCE:
                await requests.at_once(
                    self._store, subject.controller, subject.number, command.right, Via.KEY, now, [Proof.CALLER_ID],
                    call_id=subject.call_id,
                )  # fmt: skip
            else:
                request_id, _ = await self._store.open_request(
                    subject.controller, subject.number, command.right, Via.KEY, now, call_id=subject.call_id
                )
                self._log.info("somebody asks for what is their right", request=request_id, right=command.right.value)
        except Fenced:
            return Lost()
        except CallguardError as error:
            self._log.error("what somebody asks for by right is not saved, and not confirmed", problem=str(error))
            return SaveFailed()
        return Saved()

    async def _save(self, save: Save) -> Event:
        self._language = save.language
        if save.granted and self._door.expired():
            return Lost()
        subject = self._subject
        began = time.monotonic()
        try:
            await self._store.save(
                LegRecord(
                    leg_id=subject.leg_id,
                    call_id=subject.call_id,
                    channel=subject.channel,
                    linkedid=subject.linkedid,
                    controller=subject.controller,
                    profile=self._flow.profile,
                    language=save.language,
                    direction=subject.direction,
                    number=subject.number,
                    started_at=datetime.fromtimestamp(subject.at / 1000, UTC),
                    saved_at=datetime.now(UTC),
                    outcome=save.outcome,
                    granted=save.granted,
                    recording=save.record,
                    file=subject.leg_id if save.record else None,
                    files=subject.files,
                    answers=save.answers,
                    heard=save.heard,
                    early_keys=save.dropped,
                    notice_version=self._flow.essential(save.language).version,
                    language_chosen=save.chosen,
                    told=save.told,
                    knows=save.knows,
                )
            )
        except Fenced:
            self._log.warning("another process has taken over; this one touches nothing any more")
            return Lost()
        except StoreError as error:
            self._seen.not_saved()
            self._log.error("consent not saved, call goes on unrecorded", problem=str(error))
            return SaveFailed()
        self._seen.committed(time.monotonic() - began, save.dropped)
        return Saved()

    async def _release(self, release: Release) -> Event:
        if self._recording and await self._door.refused_meanwhile():
            # The yes is committed, and the no came before anything followed from it.
            release = Release(Outcome.REFUSED)
            await self._not_recorded(refused=True)
        if self._door.expired():
            self._seen.left(LOST)
            await self._not_recorded()
            return Lost()
        languages = self._flow.languages
        spoken = languages.index(self._language) if self._language in languages else 0
        which = sum(1 << n for n, purpose in enumerate(self._flow.purposes) if purpose.id in release.granted)
        recording = "no" if not self._recording else "held" if self._subject.held else "yes"
        # Only where nothing is recorded, as an extension has room for either. (After more than 9 no yes counts.)
        untold = min(release.untold, 9) or ""
        self._leaving(self._subject, release.granted, self._recording)
        try:
            await self._door.leave(
                f"done-{release.outcome}-{recording}-{which}{spoken}{untold}-{self._subject.leg_id}-"
                f"{self._door.app}{self._subject.told_as}"
            )
        except Refused:
            self._seen.left(LOST)
            await self._not_recorded()
            return Lost()
        self._seen.left(release.outcome, None if self._keyed is None else time.monotonic() - self._keyed)
        return Released()

    async def _not_recorded(self, *, refused: bool = False) -> None:
        """The recording that was committed will not be: nobody need wait for its file."""
        if not self._recording:
            return
        self._recording = False
        try:
            if refused:
                await self._store.withdraw(self._subject.leg_id, datetime.now(UTC), "key")
            await self._store.recording_absent(self._subject.leg_id, datetime.now(UTC))
        except StoreError as error:
            self._log.error("a leg goes on unrecorded, and that is not saved yet", problem=str(error))
