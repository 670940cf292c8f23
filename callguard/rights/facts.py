"""What the store has, as JSON names it: the same names wherever it is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callguard.core.grants import Standing
    from callguard.store.about import Subject
    from callguard.store.dial_records import StoredDecision, StoredOptOut
    from callguard.store.records import Evidence, LegDetail, SavedLeg, Segment, StoredIncident, StoredRecording
    from callguard.store.right_records import Correction, StoredRequest

# What each entry of evidence has, and what is told of its leg already.
COMMON = frozenset({"at", "format", "kind", "salt", "controller", "leg", "call"})
# What an incident says of the person's own recording. The rest may tell of others: channels, files that are somebody's.
OWN_DETAIL = frozenset({"segment", "from", "to", "kept"})
# Why a recording has no time at which it is destroyed: somebody has said that it is kept (GDPR Art. 18).
HELD = "held"
# Of Asterisk's ids the second names a call in which others may have had a part.
GROUPING = frozenset({"channel", "linkedid"})


def subject(one: Subject, now: datetime) -> dict[str, Any]:
    """All that is known of a person, for those who run the place."""
    return {
        "controller": one.controller,
        "subject": one.subject_id,
        "number": one.number,
        "name": one.name,
        "calls": [detail(leg.detail) for leg in one.legs],
        "opt_outs": [opt_out(it) for it in one.opt_outs],
        "grants": [grant(it, now) for it in one.grants],
        "decisions": [{"call": it.call_id, **decision(it)} for it in one.decisions],
        "corrections": [correction(it) for it in one.corrections],
        "requests": [request(it) for it in one.requests],
        "evidence": [evidence(it) for it in one.evidence],
    }


def only_in_blocks(number: str, opt_outs: Sequence[StoredOptOut]) -> list[dict[str, Any]]:
    """As `subject`, of controllers that know nothing of a number but of blocks that it is in."""
    nothing: dict[str, Any] = {"subject": None, "number": number, "name": None, "calls": []}
    rest: dict[str, Any] = {"grants": [], "decisions": [], "evidence": []}
    return [
        {
            "controller": controller,
            **nothing,
            "opt_outs": [opt_out(one) for one in opt_outs if one.controller == controller],
            **rest,
        }
        for controller in sorted({one.controller for one in opt_outs})
    ]


def portable(one: Subject, now: datetime) -> dict[str, Any]:
    """As `subject`, for the person: nothing that may tell of others, and each entry of evidence in its own bytes."""
    told = subject(one, now)
    for call, leg in zip(told["calls"], one.legs, strict=True):
        for name in GROUPING:
            del call[name]
        call["evidence"] = [_whole(it) for it in leg.detail.evidence]
        for it in call["incidents"]:
            it["detail"] = {name: value for name, value in it["detail"].items() if name in OWN_DETAIL}
    told["evidence"] = [_whole(it) for it in one.evidence]
    for it in told["opt_outs"]:
        # Why a block opted out is another's word.
        it["reason"] = None if it["block"] else it["reason"]
    return told


def leg(one: SavedLeg) -> dict[str, Any]:
    """A part in a call, in short."""
    return {
        "call": one.call_id,
        "leg": one.leg_id,
        "channel": one.channel,
        "linkedid": one.linkedid,
        "controller": one.controller,
        "subject": one.subject_id,
        "profile": one.profile,
        "language": one.language,
        "direction": one.direction,
        "started_at": one.started_at.isoformat(),
        "decided_at": one.saved_at.isoformat(),
        "outcome": one.outcome,
        "granted": one.granted,
        "recorded": one.recording,
        "withdrawn_at": iso(one.withdrawn_at),
        "recording_ended_at": iso(one.recording_ended_at),
        "recording_state": one.recording_state,
    }


def detail(one: LegDetail) -> dict[str, Any]:
    """A part in a call, whole."""
    return {
        **leg(one.leg),
        "answers": [
            {
                "at": it.valid_from.isoformat(),
                "purpose": it.purpose,
                "basis": it.basis,
                "state": it.state,
                "reason": it.reason,
                "notice_version": it.notice_version,
                "valid_until": iso(it.valid_until),
            }
            for it in one.grants
        ],
        "segments": [
            {
                "segment": it.number,
                "began_at": iso(it.began_at),
                "began_why": it.began_why,
                "ended_at": iso(it.ended_at),
                "ended_why": it.ended_why,
                "cut_ms": it.cut_ms,
            }
            for it in one.segments
        ],
        "pauses": _pauses(one.segments),
        "recording": one.recording and recording(one.recording),
        "evidence": [evidence(it) for it in one.evidence],
        "incidents": [incident(it) for it in one.incidents],
    }


def recording(one: StoredRecording) -> dict[str, Any]:
    """A recording: of one that is gone the hash and the times."""
    return {
        "state": one.state,
        "reason": one.reason,
        "ended_at": one.ended_at.isoformat(),
        "duration_ms": one.duration_ms,
        "destroy_at": iso(one.destroy_at),
        "destroyed_at": iso(one.destroyed_at),
        "quarantined_at": iso(one.quarantined_at),
        "files": [{"name": it.name, "size": it.size, "sha256": it.sha256} for it in one.files],
    }


def decision(one: StoredDecision) -> dict[str, Any]:
    """A dial decision."""
    return {
        "at": one.at.isoformat(),
        "controller": one.controller,
        "subject": one.subject_id,
        "profile": one.profile,
        "allow": one.allow,
        "rules": one.rules,
        "facts": one.facts,
    }


def evidence(one: Evidence) -> dict[str, Any]:
    """What an entry of evidence says."""
    said = {name: value for name, value in json.loads(one.body).items() if name not in COMMON}
    return {"kind": one.kind, "at": one.at.isoformat(), "said": said}


def digest(one: Evidence) -> str:
    """The SHA-256 of an entry's canonical bytes."""
    return hashlib.sha256(one.body).hexdigest()


def _whole(one: Evidence) -> dict[str, Any]:
    return {**evidence(one), "sha256": digest(one), "body": one.body.decode()}


def incident(one: StoredIncident) -> dict[str, Any]:
    """An incident."""
    return {
        "incident": one.incident_id,
        "kind": one.kind,
        "at": one.at.isoformat(),
        "controller": one.controller,
        "call": one.call_id,
        "leg": one.leg_id,
        "detail": one.detail,
    }


def opt_out(one: StoredOptOut) -> dict[str, Any]:
    """An opt-out, also one that is over; `block` is the one that the number is in, where that opted out as a whole."""
    return {
        "block": None if one.block is None else str(one.block),
        "scope": one.scope,
        "purpose": one.purpose,
        "campaign": one.campaign,
        "source": one.source,
        "reason": one.reason,
        "since": one.since.isoformat(),
        "until": iso(one.until),
    }


def grant(one: Standing, at: datetime) -> dict[str, Any]:
    """A grant beside any call, with its state at a moment."""
    return {
        "purpose": one.purpose,
        "basis": one.basis,
        "channel": one.channel,
        "state": one.state(at),
        "since": one.since.isoformat(),
        "until": iso(one.until),
        "ended_at": iso(one.ended_at),
        "evidence": one.evidence,
    }


def correction(one: Correction) -> dict[str, Any]:
    """What was put right, beside what was wrong."""
    return {"what": one.what, "value": one.value, "call": one.call_id, "at": iso(one.at)}


def request(one: StoredRequest) -> dict[str, Any]:
    """What was asked for by right."""
    return {
        "request": one.request_id,
        "right": one.right,
        "via": one.via,
        "state": one.state,
        "received_at": one.received_at.isoformat(),
        "due_at": one.due_at.isoformat(),
        "ended_at": iso(one.ended_at),
    }


def iso(at: datetime | None) -> str | None:
    """A moment in ISO 8601."""
    return None if at is None else at.isoformat()


def _pauses(segments: Sequence[Segment]) -> list[dict[str, object]]:
    """From when until when nothing was recorded, and why; the last one may have no end but the call's."""
    return [
        {"from": iso(one.ended_at), "until": after and iso(after.began_at), "why": one.ended_why}
        for one, after in zip_longest(segments, segments[1:])
        if one.ended_at is not None
    ]
