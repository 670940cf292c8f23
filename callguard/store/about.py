"""All that the store has of one person, and what it has in figures of a time. By index, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Protocol

from callguard.core.grants import ended
from callguard.store import from_rows
from callguard.store.dial_records import StoredDecision, StoredGrant, StoredOptOut
from callguard.store.records import Evidence, LegDetail, StoredIncident
from callguard.store.right_records import Correction, StoredRequest
from callguard.store.times import to_ms

# One call's legs begin within so long of each other: transfers and conferences included.
SAME_CALL = timedelta(hours=12)


class Fetch(Protocol):
    """Runs a named query."""

    async def __call__(self, name: str, /, **parameters: str | int | None) -> list[sqlite3.Row]: ...


@dataclass(frozen=True, slots=True)
class SubjectLeg:
    """A person's part in a call; `folder` is where its files are, as Asterisk names it, None where nobody noted it."""

    detail: LegDetail
    folder: str | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A person as one controller knows them, oldest first.

    Attributes:
        subject_id: random.
        number: E.164.
        opt_outs: those too that have ended, as with `grants`.
        evidence: of what is no leg's: opt-outs, grants, dial decisions, requests.
        corrections: what was put right about them; what was wrong is there still.
        requests: what they have asked for by right, without the steps.
    """

    subject_id: str
    controller: str
    number: str
    name: str | None
    legs: tuple[SubjectLeg, ...]
    opt_outs: tuple[StoredOptOut, ...]
    grants: tuple[StoredGrant, ...]
    decisions: tuple[StoredDecision, ...]
    evidence: tuple[Evidence, ...]
    corrections: tuple[Correction, ...] = ()
    requests: tuple[StoredRequest, ...] = ()

    @property
    def all_evidence(self) -> tuple[Evidence, ...]:
        """That of the legs too."""
        return (*self.evidence, *chain.from_iterable(leg.detail.evidence for leg in self.legs))


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """An incident, and whom and what it concerns; None and 0 where it concerns no leg of ours."""

    incident: StoredIncident
    subject_id: str | None
    recording_state: str | None
    files: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in a time, counted: each row as its query names it. No row is of one person."""

    legs: tuple[Mapping[str, Any], ...] = field(hash=False)
    answers: tuple[Mapping[str, Any], ...] = field(hash=False)
    recordings: tuple[Mapping[str, Any], ...] = field(hash=False)
    decisions: tuple[Mapping[str, Any], ...] = field(hash=False)


async def subjects(fetch: Fetch, controller: str | None, number: str) -> tuple[Subject, ...]:
    """See `Reader.subjects`."""
    found = await fetch("subjects_of_number", controller=controller, number=number)
    return tuple([await _subject(fetch, row) for row in found])


async def others_in_call(fetch: Fetch, leg_id: str, started_at: datetime, ended_at: datetime) -> bool:
    """See `Reader.others_in_call`."""
    since, until = to_ms(started_at - SAME_CALL), to_ms(ended_at)
    return bool(await fetch("others_in_call", leg_id=leg_id, since=since, until=until))


async def incidents_between(fetch: Fetch, since: datetime, until: datetime) -> tuple[IncidentFacts, ...]:
    """See `Reader.incidents_between`."""
    rows = await fetch("incidents_between", since=to_ms(since), until=to_ms(until))
    return tuple(
        IncidentFacts(from_rows.incident(row), row["subject_id"], row["recording_state"], row["files"]) for row in rows
    )


async def figures(fetch: Fetch, since: datetime, until: datetime, now: datetime) -> Figures:
    """See `Reader.figures`."""
    within = {"since": to_ms(since), "until": to_ms(until)}
    return Figures(
        tuple(map(dict, await fetch("legs_between", **within))),
        tuple(map(dict, await fetch("answers_between", **within))),
        tuple(map(dict, await fetch("kept_between", **within, now=to_ms(now)))),
        tuple(map(dict, await fetch("decisions_between", **within))),
    )


async def _subject(fetch: Fetch, row: sqlite3.Row) -> Subject:
    whose = {"subject_id": row["subject_id"]}
    grants = await fetch("subject_grants_of_number", controller=row["controller"], number=row["number"])
    endings = tuple(chain.from_iterable(map(from_rows.endings, await fetch("endings_of_subject", **whose))))
    return Subject(
        subject_id=row["subject_id"],
        controller=row["controller"],
        number=row["number"],
        name=row["name"],
        legs=await _legs(fetch, row["subject_id"]),
        opt_outs=tuple(map(from_rows.opt_out, await fetch("opt_outs_of_subject", **whose))),
        grants=tuple(ended(from_rows.subject_grant(grant), endings) for grant in reversed(grants)),
        decisions=tuple(map(from_rows.decision, await fetch("decisions_of_subject", **whose))),
        evidence=tuple(map(from_rows.evidence, await fetch("evidence_of_subject", **whose))),
        corrections=tuple(map(from_rows.correction, await fetch("corrections_of_subject", **whose))),
        requests=tuple(map(from_rows.request, await fetch("requests_of_subject", **whose))),
    )


async def _legs(fetch: Fetch, subject_id: str) -> tuple[SubjectLeg, ...]:
    legs = await fetch("legs_of_subject", subject_id=subject_id)
    grants = _by_leg(await fetch("grants_of_subject", subject_id=subject_id))
    evidence = _by_leg(await fetch("evidence_of_subjects_legs", subject_id=subject_id))
    segments = _by_leg(await fetch("segments_of_subject", subject_id=subject_id))
    incidents = _by_leg(await fetch("incidents_of_subject", subject_id=subject_id))
    kept = from_rows.recordings(await fetch("recordings_of_subject", subject_id=subject_id))
    recordings = {one.leg_id: one for one in kept}
    return tuple(
        SubjectLeg(
            LegDetail(
                leg=from_rows.leg(leg),
                grants=tuple(map(from_rows.grant, grants.get(leg["leg_id"], ()))),
                evidence=tuple(map(from_rows.evidence, evidence.get(leg["leg_id"], ()))),
                recording=recordings.get(leg["leg_id"]),
                incidents=tuple(map(from_rows.incident, incidents.get(leg["leg_id"], ()))),
                segments=tuple(map(from_rows.segment, segments.get(leg["leg_id"], ()))),
            ),
            leg["folder"],
        )
        for leg in legs
    )


def _by_leg(rows: Iterable[sqlite3.Row]) -> dict[str, list[sqlite3.Row]]:
    found: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["leg_id"], []).append(row)
    return found
