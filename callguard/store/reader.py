"""What the store answers. It sees every commit that any process has made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self

import aiosqlite

from callguard.core.agents import AgentGrant
from callguard.core.decide import Scope
from callguard.core.evidence import Kind
from callguard.core.model import Basis, GrantState, Outcome, Purpose
from callguard.errors import StoreError
from callguard.store.database import open_to_read, usable
from callguard.store.migrations import check, known
from callguard.store.queries import fetch
from callguard.store.records import (
    DueRecording,
    Evidence,
    Grant,
    LegDetail,
    LegSubject,
    OpenRecording,
    RecordedFile,
    Remembered,
    SavedLeg,
    Segment,
    StoredDecision,
    StoredIncident,
    StoredOptOut,
    StoredRecording,
)
from callguard.store.times import from_ms, from_ms_or_none, to_ms


class Reader:
    """Reads a store, with a connection that cannot write: for commands, beside the service that writes."""

    def __init__(self, reading: aiosqlite.Connection) -> None:
        self._reading = reading

    @classmethod
    @asynccontextmanager
    async def reading(cls, path: Path) -> AsyncIterator[Self]:
        """Open an existing store to read it: nothing is created, migrated or fenced.

        Raises:
            InputError: there is no store, or not of this schema.
            StoreError: another program has locked it.
        """
        async with open_to_read(path) as connection:
            with usable(path):
                await check(connection, path, known())
            yield cls(connection)

    async def outcome(self, channel: str, linkedid: str) -> SavedLeg | None:
        """What was committed for a channel's part in a call, whoever committed it."""
        rows = await self._fetch("leg_of_channel", channel=channel, linkedid=linkedid)
        return _leg(rows[0]) if rows else None

    async def expected_recordings(self) -> tuple[OpenRecording, ...]:
        """The recordings whose end is not known yet, oldest first."""
        return opened(await self._fetch("open_recordings", leg_id=None))

    async def expected_recording(self, leg_id: str) -> OpenRecording | None:
        """A leg's recording, while its end is not known."""
        recordings = opened(await self._fetch("open_recordings", leg_id=leg_id))
        return recordings[0] if recordings else None

    async def withdrawn_recording(self, leg_id: str) -> OpenRecording | None:
        """A leg's recording that the subject has withdrawn from, while a file of it is kept."""
        recordings = opened(await self._fetch("standing_recording", leg_id=leg_id))
        return next((one for one in recordings if one.withdrawn_at and one.ended_at), None)

    async def segments(self, leg_id: str) -> tuple[Segment, ...]:
        """The parts of a leg's recording, in order; none where it was never interrupted."""
        return tuple(
            Segment(
                row["number"], from_ms_or_none(row["began_at"]), row["began_why"], from_ms_or_none(row["ended_at"]),
                row["ended_why"], row["cut_ms"],
            )
            for row in await self._fetch("segments_of_leg", leg_id=leg_id)
        )  # fmt: skip

    async def due(self, now: datetime) -> tuple[DueRecording, ...]:
        """The kept recordings whose time to be destroyed has come, the longest due first."""
        rows = await self._fetch("due_recordings", now=to_ms(now))
        return tuple(
            DueRecording(leg_id, tuple(row["name"] for row in files))
            for leg_id, files in groupby(rows, itemgetter("leg_id"))
        )

    async def calls(self, limit: int) -> tuple[SavedLeg, ...]:
        """The latest legs, newest first."""
        return tuple(map(_leg, await self._fetch("latest_legs", limit=limit)))

    async def call(self, call_id: str) -> tuple[LegDetail, ...]:
        """All that is known of a call, leg by leg; empty where there is no such call."""
        legs = await self._fetch("legs_of_call", call_id=call_id)
        grants = await self._fetch("grants_of_call", call_id=call_id)
        evidence = await self._fetch("evidence_of_call", call_id=call_id)
        recordings = {one.leg_id: one for one in _recordings(await self._fetch("recordings_of_call", call_id=call_id))}
        incidents = tuple(map(_incident, await self._fetch("incidents_of_call", call_id=call_id)))
        return tuple(
            LegDetail(
                leg=_leg(leg),
                grants=tuple(_grant(row) for row in grants if row["leg_id"] == leg["leg_id"]),
                evidence=tuple(_evidence(row) for row in evidence if row["leg_id"] == leg["leg_id"]),
                recording=recordings.get(leg["leg_id"]),
                incidents=tuple(one for one in incidents if one.leg_id == leg["leg_id"]),
            )
            for leg in legs
        )

    async def recordings(self, limit: int) -> tuple[StoredRecording, ...]:
        """The latest recordings that are kept or were, newest first."""
        return _recordings(await self._fetch("latest_recordings", limit=limit))

    async def incidents(self, limit: int) -> tuple[StoredIncident, ...]:
        """The latest incidents, newest first; those of a leg also stand in `call`."""
        return tuple(map(_incident, await self._fetch("latest_incidents", limit=limit)))

    async def agent_grants(self) -> tuple[AgentGrant, ...]:
        """Each agent's last grant, in force or not, by name."""
        rows = await self._fetch("agent_grants")
        return tuple(
            AgentGrant(row["name"], row["agreement"], from_ms(row["since"]), from_ms_or_none(row["until"]))
            for row in rows
        )

    async def opt_outs(self, controller: str | None, number: str | None, at: datetime) -> tuple[StoredOptOut, ...]:
        """The opt-outs in force at a moment, newest first.

        Args:
            controller: None for those of all controllers.
            number: E.164; None for everybody's, so not to be asked for what was dialled and is no number.
        """
        query = "opt_outs_listed" if controller is None or number is None else "opt_outs_of_number"
        rows = await self._fetch(query, controller=controller, number=number, at=to_ms(at))
        return tuple(map(_opt_out, rows))

    async def remembered(self, controller: str, number: str | None, since: datetime) -> Remembered:
        """What a subject's earlier calls mean for the next one.

        Args:
            number: E.164; None for a withheld number, which is nobody: nothing is remembered of it.
            since: what is older is forgotten.
        """
        rows = await self._fetch("remembered", controller=controller, number=number, since=to_ms(since))
        return Remembered(
            refused=frozenset((row["purpose"], row["notice_version"]) for row in rows if row["language"] is None),
            languages=tuple(row["language"] for row in rows if row["language"] is not None),
        )

    async def subject_of_leg(self, leg_id: str) -> LegSubject | None:
        """Whose leg it is, or None where there is no such leg."""
        rows = await self._fetch("subject_of_leg", leg_id=leg_id)
        return LegSubject(rows[0]["controller"], rows[0]["profile"], rows[0]["number"]) if rows else None

    async def decisions(self, limit: int) -> tuple[StoredDecision, ...]:
        """The latest dial decisions, newest first."""
        return tuple(map(_decision, await self._fetch("latest_decisions", limit=limit)))

    async def _fetch(self, name: str, **parameters: str | int | None) -> list[sqlite3.Row]:
        try:
            return await fetch(self._reading, name, **parameters)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error


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
    )


def _leg(row: sqlite3.Row) -> SavedLeg:
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
    )


def _grant(row: sqlite3.Row) -> Grant:
    return Grant(
        purpose=row["purpose"],
        basis=Basis(row["basis"]),
        state=GrantState(row["state"]),
        valid_from=from_ms(row["valid_from"]),
        valid_until=from_ms_or_none(row["valid_until"]),
        reason=row["reason"],
        notice_version=row["notice_version"],
    )


def _opt_out(row: sqlite3.Row) -> StoredOptOut:
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


def _decision(row: sqlite3.Row) -> StoredDecision:
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


def _incident(row: sqlite3.Row) -> StoredIncident:
    return StoredIncident(
        incident_id=row["incident_id"],
        controller=row["controller"],
        leg_id=row["leg_id"],
        call_id=row["call_id"],
        kind=row["kind"],
        at=from_ms(row["at"]),
        detail=json.loads(row["detail"]),
    )


def _evidence(row: sqlite3.Row) -> Evidence:
    return Evidence(kind=Kind(row["kind"]), at=from_ms(row["at"]), body=row["body"].encode())


def _recordings(rows: Iterable[sqlite3.Row]) -> tuple[StoredRecording, ...]:
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
        files=tuple(RecordedFile(row["name"], row["size"], row["sha256"]) for row in rows if row["name"] is not None),
    )
