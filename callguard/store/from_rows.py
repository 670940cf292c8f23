"""From the store's rows to what they say."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from callguard.core.agents import AgentGrant
from callguard.core.decide import Scope
from callguard.core.evidence import Kind
from callguard.core.grants import Channel, Ending, ended, opted_out
from callguard.core.model import Basis, GrantState, Outcome, Purpose
from callguard.core.requests import Proof, Right, State, Via
from callguard.store.dial_records import GrantSource, KnownSubject, StoredDecision, StoredGrant, StoredOptOut
from callguard.store.records import (
    DataKeyKind,
    Evidence,
    FileToSeal,
    Grant,
    OpenRecording,
    RecordedFile,
    SavedLeg,
    Segment,
    StoredContentKey,
    StoredDataKey,
    StoredIncident,
    StoredRecording,
)
from callguard.store.right_records import Correction, StoredRequest
from callguard.store.times import from_ms, from_ms_or_none


def opened(rows: Iterable[sqlite3.Row]) -> tuple[OpenRecording, ...]:
    """Recordings from rows of one purpose each."""
    return tuple(_open(tuple(purposes)) for _, purposes in groupby(rows, itemgetter("leg_id")))


def _open(rows: tuple[sqlite3.Row, ...]) -> OpenRecording:
    first = rows[0]
    return OpenRecording(
        leg_id=first["leg_id"],
        call_id=first["call_id"],
        channel=first["channel"],
        controller=first["controller"],
        file=first["file"],
        files=first["files"],
        started_at=from_ms(first["started_at"]),
        purposes=tuple(Purpose(row["purpose"], Basis(row["basis"])) for row in rows),
        withdrawn_at=from_ms_or_none(first["withdrawn_at"]),
        ended_at=from_ms_or_none(first["recording_ended_at"]),
        interrupted=bool(first["interrupted"]),
        folder=first["folder"],
    )


def leg(row: sqlite3.Row) -> SavedLeg:
    """A leg."""
    return SavedLeg(
        leg_id=row["leg_id"],
        call_id=row["call_id"],
        channel=row["channel"],
        linkedid=row["linkedid"],
        controller=row["controller"],
        subject_id=row["subject_id"],
        profile=row["profile"],
        language=row["language"],
        direction=row["direction"],
        started_at=from_ms(row["started_at"]),
        saved_at=from_ms(row["saved_at"]),
        outcome=Outcome(row["outcome"]),
        granted=tuple(row["granted"].split(",")) if row["granted"] else (),
        recording=bool(row["recording"]),
        file=row["file"],
        files=row["files"],
        withdrawn_at=from_ms_or_none(row["withdrawn_at"]),
        recording_ended_at=from_ms_or_none(row["recording_ended_at"]),
        recording_state=row["recording_state"],
    )


def grant(row: sqlite3.Row) -> Grant:
    """A line of a purpose's history."""
    return Grant(
        purpose=row["purpose"],
        basis=Basis(row["basis"]),
        state=GrantState(row["state"]),
        valid_from=from_ms(row["valid_from"]),
        valid_until=from_ms_or_none(row["valid_until"]),
        reason=row["reason"],
        notice_version=row["notice_version"],
    )


def opt_out(row: sqlite3.Row) -> StoredOptOut:
    """An opt-out, with its subject's number."""
    return StoredOptOut(
        controller=row["controller"],
        number=row["number"],
        scope=Scope(row["scope"]),
        purpose=row["purpose"],
        campaign=row["campaign"],
        source=row["source"],
        reason=row["reason"],
        since=from_ms(row["since"]),
        until=from_ms_or_none(row["until"]),
    )


def subject_grant(row: sqlite3.Row) -> StoredGrant:
    """A grant beside any call, as it was given."""
    return _subject_grant(
        row["purpose"], row["basis"], row["channel"], row["since"], row["until"], row["evidence"], row["controller"],
        row["number"], row["source"], row["at"],
    )  # fmt: skip


def _subject_grant(
    purpose: str, basis: str, channel: str, since: int, until: int | None, evidence: str | None, controller: str,
    number: str, source: GrantSource, invalidated_at: int | None,
) -> StoredGrant:  # fmt: skip
    return StoredGrant(
        purpose=purpose,
        basis=Basis(basis),
        channel=Channel(channel),
        since=from_ms(since),
        until=from_ms_or_none(until),
        evidence=evidence or "(erased)",
        controller=controller,
        number=number,
        source=source,
        ended=None if invalidated_at is None else GrantState.INVALIDATED,
        ended_at=from_ms_or_none(invalidated_at),
    )


def endings(row: sqlite3.Row) -> tuple[Ending, ...]:
    """What an opt-out, or what was kept to end grants, ends."""
    return _endings(row["scope"], row["purpose"], row["state"], row["at"])


def _endings(scope: str | None, purpose: str | None, state: str, at: int) -> tuple[Ending, ...]:
    moment = from_ms(at)
    if scope is not None:
        return opted_out(scope, purpose, moment)
    return (Ending(GrantState(state), purpose, moment),)


def known_subject(rows: Iterable[Iterable[Any]]) -> KnownSubject:
    """What is known of a number, from rows each of which says what it is; each newest first.

    By position: this is part of each dial, and to look a column up by its name takes longer than to read it.
    """
    opt_outs: list[tuple[int, str, StoredOptOut]] = []
    grants: list[tuple[int, str, StoredGrant]] = []
    ending: list[Ending] = []
    attempts: list[int] = []
    refusals: list[int] = []
    for (
        what, controller, number, scope, purpose, campaign, source, reason, since, until, basis, channel, evidence,
        state, at, one,
    ) in rows:  # fmt: skip
        if what == "grant":
            granted = _subject_grant(
                purpose, basis, channel, since, until, evidence, controller, number, source, at
            )  # fmt: skip
            grants.append((since, one, granted))
        elif what == "opt_out":
            wish = StoredOptOut(
                Scope(scope), purpose, campaign, from_ms(since), from_ms_or_none(until), source, controller, number,
                reason,
            )  # fmt: skip
            opt_outs.append((since, one, wish))
        elif what == "ending":
            ending += _endings(scope, purpose, state, at)
        elif what == "attempt":
            attempts.append(since)
        else:
            refusals.append(since)
    for several in (opt_outs, grants, attempts, refusals):
        several.sort(reverse=True)
    return KnownSubject(
        tuple(wish for _, _, wish in opt_outs),
        tuple(ended(granted, ending) for _, _, granted in grants),
        tuple(map(from_ms, attempts)),
        tuple(map(from_ms, refusals)),
    )


def decision(row: sqlite3.Row) -> StoredDecision:
    """A dial decision."""
    return StoredDecision(
        decision_id=row["decision_id"],
        call_id=row["call_id"],
        controller=row["controller"],
        subject_id=row["subject_id"],
        profile=row["profile"],
        at=from_ms(row["at"]),
        allow=bool(row["allow"]),
        rules=tuple(row["rules"].split(",")) if row["rules"] else (),
        facts=json.loads(row["facts"]),
    )


def incident(row: sqlite3.Row) -> StoredIncident:
    """An incident."""
    return StoredIncident(
        incident_id=row["incident_id"],
        controller=row["controller"],
        leg_id=row["leg_id"],
        call_id=row["call_id"],
        kind=row["kind"],
        at=from_ms(row["at"]),
        detail=json.loads(row["detail"]),
    )


def evidence(row: sqlite3.Row) -> Evidence:
    """An entry of evidence."""
    return Evidence(kind=Kind(row["kind"]), at=from_ms(row["at"]), body=row["body"].encode())


def recordings(rows: Iterable[sqlite3.Row]) -> tuple[StoredRecording, ...]:
    """Recordings from rows of one file each; of a recording without one, a single row whose file is NULL."""
    return tuple(_recording(tuple(files)) for _, files in groupby(rows, itemgetter("leg_id")))


def _recording(rows: tuple[sqlite3.Row, ...]) -> StoredRecording:
    first = rows[0]
    return StoredRecording(
        leg_id=first["leg_id"],
        call_id=first["call_id"],
        controller=first["controller"],
        state=first["state"],
        ended_at=from_ms(first["ended_at"]),
        duration_ms=first["duration_ms"],
        destroy_at=from_ms_or_none(first["destroy_at"]),
        destroyed_at=from_ms_or_none(first["destroyed_at"]),
        reason=first["reason"],
        quarantined_at=from_ms_or_none(first["quarantined_at"]),
        files=tuple(recorded_file(row) for row in rows if row["name"] is not None),
    )


def recorded_file(row: sqlite3.Row) -> RecordedFile:
    """A file of a recording."""
    return RecordedFile(row["name"], row["size"], row["sha256"], row["sealed_with"])


def file_to_seal(row: sqlite3.Row) -> FileToSeal:
    """A file of a recording that is kept."""
    key = None if row["content_key_id"] is None else content_key(row)
    return FileToSeal(row["leg_id"], row["subject_id"], recorded_file(row), row["folder"], key)


def content_key(row: sqlite3.Row) -> StoredContentKey:
    """A subject's content key, wrapped."""
    return StoredContentKey(row["content_key_id"], row["subject_id"], row["master"], row["wrapped"])


def data_key(row: sqlite3.Row) -> StoredDataKey:
    """A key of the store's columns, wrapped."""
    return StoredDataKey(row["data_key_id"], DataKeyKind(row["kind"]), row["master"], row["wrapped"])


def segment(row: sqlite3.Row) -> Segment:
    """A part of a recording."""
    return Segment(
        number=row["number"],
        began_at=from_ms_or_none(row["began_at"]),
        began_why=row["began_why"],
        ended_at=from_ms_or_none(row["ended_at"]),
        ended_why=row["ended_why"],
        cut_ms=row["cut_ms"],
    )


def agent_grant(row: sqlite3.Row) -> AgentGrant:
    """An agent's own grant."""
    return AgentGrant(row["name"], row["agreement"], from_ms(row["since"]), from_ms_or_none(row["until"]))


def correction(row: sqlite3.Row) -> Correction:
    """What a rectification says."""
    return Correction(row["what"], row["value"], row["call_id"], from_ms_or_none(row["at"]))


def request(row: sqlite3.Row) -> StoredRequest:
    """A request, without its steps."""
    return StoredRequest(
        request_id=row["request_id"],
        controller=row["controller"],
        subject_id=row["subject_id"],
        number=row["number"],
        call_id=row["call_id"],
        right=Right(row["kind"]),
        via=Via(row["channel"]),
        state=State(row["state"]),
        identity=frozenset(Proof(one) for one in row["identity"].split(",") if one),
        received_at=from_ms(row["received_at"]),
        due_at=from_ms(row["due_at"]),
        extended_at=from_ms_or_none(row["extended_at"]),
        ended_at=from_ms_or_none(row["ended_at"]),
    )
