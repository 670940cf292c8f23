"""What the store answers. It sees every commit that any process has made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self

from callguard.core.agents import AgentGrant
from callguard.core.model import Before, Form
from callguard.store import about, access, from_rows
from callguard.store.columns import Columns, HadKeys, no_keys
from callguard.store.database import open_to_read, usable
from callguard.store.dial_reader import DialReader
from callguard.store.migrations import check, known
from callguard.store.queries import fetch
from callguard.store.records import (
    DueRecording,
    FileToSeal,
    Informed,
    LegDetail,
    LegSubject,
    OpenRecording,
    Remembered,
    SavedLeg,
    Segment,
    StoredContentKey,
    StoredDataKey,
    StoredIncident,
    StoredRecording,
)
from callguard.store.times import to_ms


class Reader(DialReader):
    """Reads a store, with a connection that cannot write: for commands, beside the service that writes."""

    @classmethod
    @asynccontextmanager
    async def reading(cls, path: Path, keys: HadKeys = no_keys, *, locked: bool = False) -> AsyncIterator[Self]:
        """Open an existing store to read it: nothing is created, migrated or fenced.

        Args:
            keys: the master keys of the configuration.
            locked: for who needs no number, no name and no key: where they are encrypted, nobody is found by number,
                and `columns.UNREADABLE` stands in place of each.

        Raises:
            InputError: there is no store, or not of this schema, or its columns are encrypted and `keys` has none.
            StoreError: another program has locked it.
            CallguardError: none of the keys opens the store's.
        """
        columns = Columns()
        async with open_to_read(path, columns) as connection:
            with usable(path):
                await check(connection, path, known())
                stored = await fetch(connection, "data_keys")
            if not locked:
                columns.unlock(tuple(map(from_rows.data_key, stored)), keys, path)
            yield cls(connection)

    async def outcome(self, channel: str, linkedid: str) -> SavedLeg | None:
        """What was committed for a channel's part in a call, whoever committed it."""
        rows = await self._fetch("leg_of_channel", channel=channel, linkedid=linkedid)
        return from_rows.leg(rows[0]) if rows else None

    async def expected_recordings(self) -> tuple[OpenRecording, ...]:
        """The recordings whose end is not known yet, oldest first."""
        return from_rows.opened(await self._fetch("open_recordings", leg_id=None))

    async def expected_recording(self, leg_id: str) -> OpenRecording | None:
        """A leg's recording, while its end is not known."""
        recordings = from_rows.opened(await self._fetch("open_recordings", leg_id=leg_id))
        return recordings[0] if recordings else None

    async def withdrawn_recording(self, leg_id: str) -> OpenRecording | None:
        """A leg's recording that the subject has withdrawn from, while a file of it is kept."""
        recordings = from_rows.opened(await self._fetch("standing_recording", leg_id=leg_id))
        return next((one for one in recordings if one.withdrawn_at and one.ended_at), None)

    async def segments(self, leg_id: str) -> tuple[Segment, ...]:
        """The parts of a leg's recording, in order; none where it was never interrupted."""
        return tuple(map(from_rows.segment, await self._fetch("segments_of_leg", leg_id=leg_id)))

    async def due(self, now: datetime) -> tuple[DueRecording, ...]:
        """The kept recordings whose time to be destroyed has come, the longest due first."""
        rows = await self._fetch("due_recordings", now=to_ms(now))
        return tuple(
            DueRecording(leg_id, tuple(row["name"] for row in files), folder, reason)
            for (leg_id, folder, reason), files in groupby(rows, itemgetter("leg_id", "folder", "reason"))
        )

    async def calls(self, limit: int) -> tuple[SavedLeg, ...]:
        """The latest legs, newest first."""
        return tuple(map(from_rows.leg, await self._fetch("latest_legs", limit=limit)))

    async def call(self, call_id: str) -> tuple[LegDetail, ...]:
        """All that is known of a call, leg by leg; empty where there is no such call."""
        legs = await self._fetch("legs_of_call", call_id=call_id)
        grants = await self._fetch("grants_of_call", call_id=call_id)
        evidence = await self._fetch("evidence_of_call", call_id=call_id)
        recordings = {
            one.leg_id: one for one in from_rows.recordings(await self._fetch("recordings_of_call", call_id=call_id))
        }
        incidents = tuple(map(from_rows.incident, await self._fetch("incidents_of_call", call_id=call_id)))
        return tuple(
            [
                LegDetail(
                    leg=from_rows.leg(leg),
                    grants=tuple(from_rows.grant(row) for row in grants if row["leg_id"] == leg["leg_id"]),
                    evidence=tuple(from_rows.evidence(row) for row in evidence if row["leg_id"] == leg["leg_id"]),
                    recording=recordings.get(leg["leg_id"]),
                    incidents=tuple(one for one in incidents if one.leg_id == leg["leg_id"]),
                    segments=await self.segments(leg["leg_id"]),
                )
                for leg in legs
            ]
        )

    async def recordings(self, limit: int) -> tuple[StoredRecording, ...]:
        """The latest recordings that are kept or were, newest first."""
        return from_rows.recordings(await self._fetch("latest_recordings", limit=limit))

    async def kept_recordings(self) -> tuple[StoredRecording, ...]:
        """All recordings that are kept, oldest first."""
        return from_rows.recordings(await self._fetch("kept_recordings"))

    async def content_key(self, content_key_id: str) -> StoredContentKey | None:
        """A content key by its id; None where it was destroyed, or is of another store."""
        rows = await self._fetch("content_key", content_key_id=content_key_id)
        return from_rows.content_key(rows[0]) if rows else None

    async def content_key_of(self, subject_id: str) -> StoredContentKey | None:
        """A subject's content key, if they have one yet."""
        rows = await self._fetch("content_key_of_subject", subject_id=subject_id)
        return from_rows.content_key(rows[0]) if rows else None

    async def quarantine_key(self) -> StoredContentKey | None:
        """What files in quarantine are encrypted by; None where none ever was. Its subject is nobody's id."""
        rows = await self._fetch("quarantine_key")
        return from_rows.content_key(rows[0]) if rows else None

    async def content_keys_of_others(self, master: str, most: int) -> tuple[StoredContentKey, ...]:
        """Content keys that another master key than this one wraps, `most` at most."""
        return tuple(map(from_rows.content_key, await self._fetch("content_keys_of_others", master=master, most=most)))

    async def content_keys_by_master(self) -> dict[str, int]:
        """How many content keys each master key wraps, by its id."""
        return {row["master"]: row["count"] for row in await self._fetch("content_keys_by_master")}

    async def data_keys(self) -> tuple[StoredDataKey, ...]:
        """The keys that personal columns are encrypted by; none where they are in the clear."""
        return tuple(map(from_rows.data_key, await self._fetch("data_keys")))

    async def columns_to_seal(self) -> tuple[str, ...]:
        """The tables in which something is to be encrypted still; `column_sealing.PAGES` alone where all rows are."""
        return tuple(row["what"] for row in await self._fetch("columns_to_seal"))

    async def clear_columns(self) -> int:
        """How many rows hold a number, a name or somebody's own words in the clear.

        All rows are looked at, but where everything is encrypted.
        """
        if await self.data_keys() and not await self.columns_to_seal():
            return 0
        return sum(row["clear"] for row in await self._fetch("clear_columns"))

    async def clear_legs(self, after: str, most: int) -> tuple[str, ...]:
        """The legs with a kept file that is not encrypted, in order, from the one after `after` on."""
        return tuple(row["leg_id"] for row in await self._fetch("clear_legs", after=after, most=most))

    async def count_clear(self) -> int:
        """How many files are kept that are not encrypted."""
        ((count,),) = await self._fetch("count_clear")
        return int(count)

    async def files_to_seal(self, legs: Sequence[str]) -> tuple[FileToSeal, ...]:
        """The files of some legs' recordings, while they are kept, in the order of the legs' ids."""
        return tuple(map(from_rows.file_to_seal, await self._fetch("files_to_seal", legs=json.dumps(legs))))

    async def incidents(self, limit: int) -> tuple[StoredIncident, ...]:
        """The latest incidents, newest first; those of a leg also stand in `call`."""
        return tuple(map(from_rows.incident, await self._fetch("latest_incidents", limit=limit)))

    async def agent_grants(self) -> tuple[AgentGrant, ...]:
        """Each agent's last grant, in force or not, by name."""
        return tuple(map(from_rows.agent_grant, await self._fetch("agent_grants")))

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

    async def informed(self, controller: str, number: str, profile: str | None, since: datetime) -> Informed:
        """What a subject heard of a profile's notice in earlier calls.

        Args:
            profile: None for all of the controller's.
            since: a notice that was heard whole before is no longer one to continue; that it is known stays.
        """
        rows = await self._fetch("informed_before", controller=controller, number=number, profile=profile)
        continued = (row for row in rows if row["form"] == Form.WHOLE and row["at"] >= to_ms(since))
        return Informed(
            knows=next((row["knows"] for row in rows if row["knows"] is not None), None),
            heard=tuple(Before(row["version"], row["sha256"], row["call_id"]) for row in continued),
        )

    async def subject_of_leg(self, leg_id: str) -> LegSubject | None:
        """Whose leg it is, or None where there is no such leg."""
        rows = await self._fetch("subject_of_leg", leg_id=leg_id)
        return LegSubject(rows[0]["controller"], rows[0]["profile"], rows[0]["number"]) if rows else None

    async def subjects(self, controller: str | None, number: str) -> tuple[about.Subject, ...]:
        """All that is known of the person with a number in E.164, as each controller knows them; see `about`.

        Args:
            controller: None for all.
        """
        return await about.subjects(self._fetch, controller, number)

    async def others_in_call(self, leg_id: str, started_at: datetime, ended_at: datetime) -> bool:
        """Whether somebody else had a part in the same call as a leg between its start and an end."""
        return await about.others_in_call(self._fetch, leg_id, started_at, ended_at)

    async def accesses(
        self, since: datetime, until: datetime, limit: int, *, denied_only: bool = False
    ) -> tuple[access.Access, ...]:
        """Who read personal data from a moment on and before another, newest first, and who was denied it."""
        return await access.accesses(self._fetch, since, until, limit, denied_only=denied_only)

    async def is_governed(self) -> bool:
        """Whether roles were ever in force here."""
        return bool(await self._fetch("governed"))

    async def incidents_between(self, since: datetime, until: datetime) -> tuple[about.IncidentFacts, ...]:
        """The incidents from a moment on and before another, oldest first."""
        return await about.incidents_between(self._fetch, since, until)

    async def figures(self, since: datetime, until: datetime, now: datetime) -> about.Figures:
        """What came of the calls of a time, in figures."""
        return await about.figures(self._fetch, since, until, now)
