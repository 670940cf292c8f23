"""What the store knows of recordings that bears on how long they are kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from callguard.core.grants import Ending
from callguard.core.model import Basis, Purpose
from callguard.core.retention import Contract, Facts, Hold, contract
from callguard.store import from_rows
from callguard.store.reader import Reader
from callguard.store.times import from_ms, from_ms_or_none


@dataclass(frozen=True, slots=True)
class KeptRecording:
    """A recording that is kept, with what is known of it. `folder`: as `OpenRecording` has it, of the `files`."""

    leg_id: str
    call_id: str
    controller: str
    folder: str | None
    files: tuple[str, ...]
    facts: Facts


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that a recording has, or had; `state` is what has become of the recording."""

    leg_id: str
    call_id: str
    state: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Unproved:
    """A grant of which nothing proves it: of a leg, or of a subject beside any call."""

    controller: str
    call_id: str | None
    leg_id: str | None
    subject_id: str | None
    purpose: str
    basis: Basis
    at: datetime


@dataclass(frozen=True, slots=True)
class Baseless:
    """A leg that was recorded for purposes that no grant was committed for; of none where `granted` is empty."""

    leg_id: str
    call_id: str
    controller: str
    at: datetime
    granted: tuple[str, ...]


class RetentionReader(Reader):
    """The part of a `Reader` that concerns how long recordings are kept."""

    async def kept_legs(self, after: str, limit: int) -> tuple[str, ...]:
        """The legs whose recordings are kept, in order, from after one on; so many at most."""
        return tuple(row["leg_id"] for row in await self._fetch("kept_legs", after=after, limit=limit))

    async def count_kept(self) -> int:
        """How many recordings are kept."""
        ((count,),) = await self._fetch("count_kept")
        return int(count)

    async def kept(self, legs: Sequence[str]) -> tuple[KeptRecording, ...]:
        """Those of these legs' recordings that are kept, in the order of the legs."""
        asked = json.dumps(list(legs))
        rows = await self._fetch("kept_facts", legs=asked)
        holds = _by_leg(await self._fetch("holds_of_legs", legs=asked))
        contracts = _by_leg(await self._fetch("contracts_of_legs", legs=asked))
        endings = _by_leg(await self._fetch("endings_of_legs", legs=asked))
        return tuple(
            _kept(list(purposes), holds.get(leg_id, ()), contracts.get(leg_id, ()), endings.get(leg_id, ()))
            for leg_id, purposes in groupby(rows, itemgetter("leg_id"))
        )

    async def holds(self, legs: Sequence[str]) -> dict[str, tuple[Hold, ...]]:
        """What holds these legs' recordings, or did, oldest first."""
        rows = _by_leg(await self._fetch("holds_of_legs", legs=json.dumps(list(legs))))
        return {leg_id: tuple(map(_hold, of)) for leg_id, of in rows.items()}

    async def is_held(self, leg_id: str, at: datetime) -> bool:
        """Whether a leg's recording is to be kept whatever else is said of it."""
        return any(one.in_force(at) for one in (await self.holds([leg_id])).get(leg_id, ()))

    async def known_files(self) -> tuple[KnownFile, ...]:
        """All files of recordings that are kept or were, by leg."""
        return tuple(KnownFile(**dict(row)) for row in await self._fetch("recorded_files"))

    async def unproved_grants(self) -> tuple[Unproved, ...]:
        """The grants that nothing proves, oldest first."""
        return tuple(
            Unproved(
                row["controller"], row["call_id"], row["leg_id"], row["subject_id"], row["purpose"],
                Basis(row["basis"]), from_ms(row["at"]),
            )
            for row in await self._fetch("audit_grants")
        )  # fmt: skip

    async def baseless_legs(self) -> tuple[Baseless, ...]:
        """The legs that were recorded without a committed basis, oldest first."""
        return tuple(
            Baseless(
                row["leg_id"], row["call_id"], row["controller"], from_ms(row["at"]),
                tuple(row["granted"].split(",")) if row["granted"] and row["recording"] else (),
            )
            for row in await self._fetch("audit_legs")
        )  # fmt: skip


def _by_leg(rows: Iterable[sqlite3.Row]) -> dict[str, list[sqlite3.Row]]:
    found: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["leg_id"], []).append(row)
    return found


def _hold(row: sqlite3.Row) -> Hold:
    return Hold(
        row["hold_id"], from_ms(row["since"]), from_ms_or_none(row["until"]), from_ms_or_none(row["released_at"]),
        row["reason"] or "(erased)",
    )  # fmt: skip


def _contract(row: sqlite3.Row, endings: Sequence[Ending]) -> Contract:
    return contract(row["purpose"], from_ms(row["since"]), from_ms_or_none(row["until"]), endings)


def _kept(
    rows: Sequence[sqlite3.Row],
    holds: Sequence[sqlite3.Row],
    contracts: Sequence[sqlite3.Row],
    endings: Sequence[sqlite3.Row],
) -> KeptRecording:
    first: Any = rows[0]
    said = tuple(ending for row in endings for ending in from_rows.endings(row))
    # An opt-out is about calls: no contract ends by it.
    of_contracts = [ending for row in endings if row["scope"] is None for ending in from_rows.endings(row)]
    objections = [at for at in (first["objected_at"], first["withdrawn_at"]) if at is not None]
    facts = Facts(
        purposes=tuple(Purpose(row["purpose"], Basis(row["basis"])) for row in rows if row["purpose"] is not None),
        began_at=from_ms(first["began_at"]),
        ended_at=from_ms(first["ended_at"]),
        # What is withdrawn may be given some time until it goes.
        withdrawn_at=first["withdrawn_at"] and from_ms(first["destroy_at"] or first["withdrawn_at"]),
        objected_at=from_ms(min(objections)) if objections else None,
        endings=said,
        unlawful_at=from_ms_or_none(first["unlawful_at"]),
        erased_at=from_ms_or_none(first["erased_at"]),
        contracts=tuple(_contract(row, of_contracts) for row in contracts),
        holds=tuple(map(_hold, holds)),
    )
    files = tuple(sorted(json.loads(first["files"])))
    return KeptRecording(first["leg_id"], first["call_id"], first["controller"], first["folder"], files, facts)
