"""What goes into the store of calls, and what comes out of it. All times are aware datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from callguard.core.evidence import Kind, Value
from callguard.core.model import Answer, Basis, Before, GrantState, Heard, Outcome, Purpose, Told

Direction: TypeAlias = Literal["inbound", "outbound"]
Files: TypeAlias = Literal["mixed", "two"]


@dataclass(frozen=True, slots=True)
class LegRecord:
    """A leg as the gate leaves it: what was asked, what was answered, and what follows from it.

    Attributes:
        leg_id: random or UUIDv7, as `call_id`.
        channel: Asterisk's Uniqueid. With `linkedid` it names the leg, so PBXs that share a store need a
            ``systemname`` each in asterisk.conf.
        number: E.164 with its plus sign; None for a withheld number, which is nobody: such a call stands alone.
        started_at: when the gate took the leg.
        saved_at: when this was decided; grants are valid from then.
        granted: ids of the purposes whose basis stands.
        recording: whether a recording follows; it needs a granted purpose and a `file`.
        file: the recording's name without folder and extension; no number in it.
        early_keys: yeses pressed before the essential part was heard, and dropped.
        notice_version: of the notice that was heard when the answers were given.
        language_chosen: whether the subject chose the language by key, and went through the gate in it.
        told: what the subject was informed of; a record of its own, whatever was answered.
        knows: the version of the controller's notice that the subject knows from now on; None for none.
    """

    leg_id: str
    call_id: str
    channel: str
    linkedid: str
    controller: str
    profile: str
    language: str
    direction: Direction
    number: str | None
    started_at: datetime
    saved_at: datetime
    outcome: Outcome
    granted: tuple[str, ...]
    recording: bool
    file: str | None
    files: Files
    answers: tuple[Answer, ...]
    heard: tuple[Heard, ...]
    early_keys: int
    notice_version: str | None = None
    language_chosen: bool = False
    told: tuple[Told, ...] = ()
    knows: str | None = None


@dataclass(frozen=True, slots=True)
class Informed:
    """What a subject heard of a profile's notice in earlier calls, as `core.model.Party` has it."""

    knows: str | None = None
    heard: tuple[Before, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier calls of a subject mean for the next one.

    Attributes:
        refused: purposes that they said no to by key and have not said yes to since, each with the version of the
            notice heard then.
        languages: the languages that they chose by key, the latest first.
    """

    refused: frozenset[tuple[str, str | None]] = frozenset()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedLeg:
    """A leg as the store has it. `subject_id` is random: who it is stands in a row of its own.

    Attributes:
        withdrawn_at: when the subject withdrew or objected.
        recording_ended_at: when the recording ended, or was found never to have begun.
        recording_state: what has become of it since: kept, destroyed, quarantined; None where nothing was captured.
    """

    leg_id: str
    call_id: str
    channel: str
    linkedid: str
    controller: str
    subject_id: str
    profile: str
    language: str
    direction: Direction
    started_at: datetime
    saved_at: datetime
    outcome: Outcome
    granted: tuple[str, ...]
    recording: bool
    file: str | None
    files: Files
    withdrawn_at: datetime | None
    recording_ended_at: datetime | None
    recording_state: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording that was interrupted.

    Attributes:
        began_at: None where nobody saw segment 0 begin.
        ended_at: None for the last one, which ended with the call.
        cut_ms: what was captured in its last `cut_ms` is no part of the recording.
    """

    number: int
    began_at: datetime | None
    began_why: str | None
    ended_at: datetime | None
    ended_why: str | None
    cut_ms: int


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording that may still be running, or whose file still stands.

    Attributes:
        started_at: when its leg was saved, or a key in the call gave it: no audio of it is older.
        purposes: each purpose that was given on the leg, a withdrawn one included; `required` is not remembered.
        withdrawn_at: when the subject withdrew or objected.
        ended_at: None while its end is not known.
        interrupted: it has segments.
        folder: where its files are, as Asterisk names it; None where nobody noted it.
    """

    leg_id: str
    call_id: str
    channel: str
    controller: str
    file: str
    files: Files
    started_at: datetime
    purposes: tuple[Purpose, ...]
    withdrawn_at: datetime | None
    ended_at: datetime | None
    interrupted: bool = False
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One finished file: its name without folder, its size in bytes, its SHA-256 in hex.

    Attributes:
        sealed_with: the content key that it is encrypted by since, under its name and `.cg`; None while it is clear.
    """

    name: str
    size: int
    sha256: str
    sealed_with: str | None = None


@dataclass(frozen=True, slots=True)
class FileToSeal:
    """A file of a recording that is kept: where it is, as `OpenRecording` has it, and whose.

    Attributes:
        content_key: the subject's, if they have one yet.
    """

    leg_id: str
    subject_id: str
    file: RecordedFile
    folder: str | None
    content_key: StoredContentKey | None


@dataclass(frozen=True, slots=True)
class StoredContentKey:
    """What a subject's recordings are read by. `wrapped` is hex; `master` is the id of the master key that opens it."""

    id: str
    subject_id: str
    master: str
    wrapped: str = field(repr=False)


class DataKeyKind(StrEnum):
    """What a data key of the store is for: each ends at another time."""

    CONTENT = "content"
    """Names and somebody's own words, which erasure takes away."""
    SUPPRESSION = "suppression"
    """Numbers: an opt-out outlives the erasure of everything else."""
    PROOF = "proof"
    """What proves something, until the law's proof period ends."""
    INDEX = "index"
    """By its keyed hash a number or an agent is found; nothing is encrypted by it."""


@dataclass(frozen=True, slots=True)
class StoredDataKey:
    """What the store's columns are read by. `wrapped` is hex; `master` is the id of the master key that opens it."""

    id: str
    kind: DataKeyKind
    master: str
    wrapped: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished recording."""

    files: tuple[RecordedFile, ...]
    duration_ms: int
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class DueRecording:
    """A recording whose time to be destroyed has come, its files' names and their folder, as `OpenRecording` has it.

    Attributes:
        reason: what ended its last purpose, as `core.retention.Trigger` names it.
        ends: of each purpose, when and why it ended, for the evidence.
    """

    leg_id: str
    files: tuple[str, ...]
    folder: str | None = None
    reason: str = "withdrawn"
    ends: tuple[Mapping[str, Value], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording that is kept, or was: of a destroyed one the hash and the times remain.

    Attributes:
        state: ``quarantined`` is set aside for somebody to look into: neither used nor destroyed by callguard.
        duration_ms: None where it was destroyed or set aside before its length was known.
    """

    leg_id: str
    call_id: str
    controller: str
    state: Literal["kept", "destroyed", "quarantined"]
    ended_at: datetime
    duration_ms: int | None
    destroy_at: datetime | None
    destroyed_at: datetime | None
    reason: str | None
    files: tuple[RecordedFile, ...]
    quarantined_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of a purpose's history on a leg; the last one holds."""

    purpose: str
    basis: Basis
    state: GrantState
    valid_from: datetime
    valid_until: datetime | None
    reason: str
    notice_version: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry, with the canonical bytes that were written."""

    kind: Kind
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """What somebody has to look into.

    Attributes:
        controller: None where it is nobody's whom we know.
        leg_id: None where it concerns no leg of ours; `call_id` likewise.
        detail: facts; no number and no name in it.
    """

    incident_id: str
    controller: str | None
    leg_id: str | None
    call_id: str | None
    kind: str
    at: datetime
    detail: Mapping[str, Value] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LegDetail:
    """All that is known of a leg, oldest first. `segments`: none where its recording was never interrupted."""

    leg: SavedLeg
    grants: tuple[Grant, ...]
    evidence: tuple[Evidence, ...]
    recording: StoredRecording | None
    incidents: tuple[StoredIncident, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class LegSubject:
    """Whose leg it is: the number is None where it was withheld or is erased."""

    controller: str
    profile: str
    number: str | None
