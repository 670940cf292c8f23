"""What happened between a person and a controller, in order and in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callguard.store.about import Subject
    from callguard.store.records import LegDetail, StoredRecording


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, or will: a recording's end is known ahead.

    Attributes:
        what: one line, for a person; no number and no name in it but somebody's own words.
        call: the call's id; None where it was in none.
    """

    at: datetime
    controller: str
    what: str
    call: str | None = None


def timeline(subjects: Iterable[Subject]) -> tuple[Event, ...]:
    """Everything in the order of time."""
    return tuple(sorted((event for one in subjects for event in _events(one)), key=lambda event: event.at))


def _events(one: Subject) -> Iterator[Event]:
    for leg in one.legs:
        yield from _of_leg(leg.detail)
    for decision in one.decisions:
        said = "allowed" if decision.allow else f"denied by {', '.join(decision.rules)}"
        what = f"Call to the person {said}, profile {decision.profile}"
        yield Event(decision.at, one.controller, what, decision.call_id)
    for opt_out in one.opt_outs:
        of = " ".join(part for part in (opt_out.scope, opt_out.purpose or opt_out.campaign) if part)
        why = f": {opt_out.reason}" if opt_out.reason else ""
        yield Event(opt_out.since, one.controller, f"Opted out of {of} ({opt_out.source}){why}")
        if opt_out.until is not None:
            yield Event(opt_out.until, one.controller, f"The opt-out of {of} ends")
    for grant in one.grants:
        what = f"{grant.purpose} granted: {grant.basis}, {grant.channel}, evidence {grant.evidence}"
        yield Event(grant.since, one.controller, what)
        if grant.ended is not None and grant.ended_at is not None:
            yield Event(grant.ended_at, one.controller, f"The grant of {grant.purpose} is {grant.ended}")
        elif grant.until is not None:
            yield Event(grant.until, one.controller, f"The grant of {grant.purpose} expires")
    for correction in one.corrections:
        if correction.at is not None:
            what = f"Put right, {correction.what}: {correction.value or '(erased)'}"
            yield Event(correction.at, one.controller, what, correction.call_id)
    for request in one.requests:
        yield Event(request.received_at, one.controller, f"Asked for {request.right} ({request.via})")
        if request.ended_at is not None:
            yield Event(request.ended_at, one.controller, f"The request for {request.right} is {request.state}")


def _of_leg(one: LegDetail) -> Iterator[Event]:
    leg = one.leg

    def event(at: datetime, what: str) -> Event:
        return Event(at, leg.controller, what, leg.call_id)

    way = "Call from the person" if leg.direction == "inbound" else "Call to the person, in the gate"
    yield event(leg.started_at, f"{way}, profile {leg.profile}, in {leg.language}: {leg.outcome}")
    for grant in one.grants:
        notice = f", notice version {grant.notice_version}" if grant.notice_version else ""
        yield event(grant.valid_from, f"{grant.purpose}: {grant.state} ({grant.basis}, {grant.reason}{notice})")
    for segment in one.segments:
        if segment.ended_at is not None:
            yield event(segment.ended_at, f"Recording interrupted ({segment.ended_why})")
        if segment.number and segment.began_at is not None:
            yield event(segment.began_at, f"Recording goes on ({segment.began_why})")
    if leg.recording and leg.recording_ended_at is not None:
        yield event(leg.recording_ended_at, "Recording ended" if one.recording else "Nothing was recorded")
    if one.recording is not None:
        yield from (event(at, what) for at, what in _of_recording(one.recording))
    for incident in one.incidents:
        yield event(incident.at, f"Incident: {incident.kind}")


def _of_recording(one: StoredRecording) -> Iterator[tuple[datetime, str]]:
    why = f" ({one.reason})" if one.reason else ""
    if one.quarantined_at is not None:
        yield one.quarantined_at, f"Recording set aside{why}"
    if one.destroyed_at is not None:
        yield one.destroyed_at, f"Recording destroyed{why}"
    elif one.destroy_at is not None:
        yield one.destroy_at, "Recording to be destroyed"
