"""A person's part in a call as a vCon, after draft-ietf-vcon-vcon-core-03 and draft-howe-vcon-lawful-basis-02.

The other side of the call is the organisation: no agent and nobody else is named. A call is a dialog of type
``recording-set``, which has keys also where nothing was recorded; each recording is a dialog of its own, named by file
and hash, with its audio beside the vCon and not in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from callguard.core.evidence import Kind
from callguard.core.model import Basis, GrantState
from callguard.rights import consents, facts

if TYPE_CHECKING:
    from callguard.store.about import Subject
    from callguard.store.records import LegDetail, RecordedFile

VERSION = "0.4.0"
"""The value that the draft names; the parameter itself is deprecated there, and older readers want it."""
SUBJECT, ORGANISATION = 0, 1
_PROVES = frozenset({Kind.GATE, Kind.CONSENT_GIVEN, Kind.WITHDRAWN, Kind.OBJECTED})


def vcons(
    one: Subject, organisation: str, now: datetime, sha512: Mapping[str, bytes] | None = None
) -> dict[str, dict[str, Any]]:
    """One vCon for each of a person's calls, by the call's id.

    Args:
        organisation: the controller's name.
        sha512: digests of recordings by their file's name, for those that were read. The store keeps SHA-256.
    """
    calls: dict[str, list[LegDetail]] = {}
    for leg in one.legs:
        calls.setdefault(leg.detail.leg.call_id, []).append(leg.detail)
    return {call: _vcon(one, call, legs, organisation, now, sha512 or {}) for call, legs in calls.items()}


def _vcon(
    one: Subject, call: str, legs: Sequence[LegDetail], organisation: str, now: datetime, sha512: Mapping[str, bytes]
) -> dict[str, Any]:
    dialog: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for leg in legs:
        call_at = len(dialog)
        dialog += _dialogs(leg, call_at, sha512)
        attachments += _lawful_bases(leg, call_at)
    return {
        "vcon": VERSION,
        "uuid": str(_uuid(one, call, now)),
        "extensions": ["lawful_basis"],
        "created_at": now.isoformat(),
        "subject": f"call {call}",
        "parties": [
            {
                "tel": f"tel:{one.number}",
                "type": "person",
                **({"name": one.name, "validation": "none"} if one.name else {}),
            },
            {"name": organisation, "type": "organization", "validation": "none"},
        ],
        "dialog": dialog,
        "analysis": [],
        "attachments": attachments,
    }


def _uuid(one: Subject, call: str, now: datetime) -> UUID:
    """A UUIDv8 (RFC 9562, 5.8) of our own making: a vCon that is made again is another one."""
    seed = "\n".join((one.controller, one.subject_id, call, now.isoformat()))
    value = bytearray(hashlib.sha256(seed.encode()).digest()[:16])
    value[6] = (value[6] & 0x0F) | 0x80
    value[8] = (value[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(value))


def _dialogs(leg: LegDetail, first: int, sha512: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The call, then its recordings. Its first party is who called."""
    inbound = leg.leg.direction == "inbound"
    parties = [SUBJECT, ORGANISATION] if inbound else [ORGANISATION, SUBJECT]
    files = leg.recording.files if leg.recording is not None else ()
    keys = [
        {"party": SUBJECT, "time": one.at.isoformat(), "event": "keydown", "button": key}
        for one in consents.pressed(leg)
        for key in one.keys
    ]
    call: dict[str, Any] = {
        "type": "recording-set",
        "start": leg.leg.started_at.isoformat(),
        "parties": parties,
        "recordings": [first + number for number in range(1, len(files) + 1)],
        "application": "telephone",
    }
    if keys:
        call["party_history"] = keys
    return [call, *(_recording(leg, file, first, parties, sha512) for file in files)]


def _recording(
    leg: LegDetail, file: RecordedFile, call: int, parties: list[int], sha512: Mapping[str, bytes]
) -> dict[str, Any]:
    hashes = [f"sha256-{_base64url(bytes.fromhex(file.sha256))}"]
    if file.name in sha512:
        hashes.insert(0, f"sha512-{_base64url(sha512[file.name])}")
    duration = leg.recording.duration_ms if leg.recording is not None else None
    return {
        "type": "recording",
        "start": consents.began(leg).isoformat(),
        **({} if duration is None else {"duration": duration / 1000}),
        "parties": parties,
        "mediatype": "audio/x-wav",
        "filename": file.name,
        "content_hash": hashes,
        "recording_set": call,
    }


def _lawful_bases(leg: LegDetail, call: int) -> list[dict[str, Any]]:
    """An attachment for each basis: what was granted on it as things stand, and the evidence."""
    grants = consents.standing(leg)
    proofs = [
        {
            "proof_type": "external_system",
            "timestamp": entry.at.isoformat(),
            "proof_data": {"system": "callguard", "evidence": entry.kind, "sha256": facts.digest(entry)},
        }
        for entry in leg.evidence
        if entry.kind in _PROVES
    ]
    attached = []
    for basis in (basis for basis in Basis if any(one.basis is basis for one in grants)):
        of_it = [one for one in grants if one.basis is basis]
        ends = [one.valid_until for one in of_it if one.valid_until is not None]
        attached.append(
            {
                "purpose": "lawful_basis",
                "start": leg.leg.saved_at.isoformat(),
                "party": ORGANISATION,
                "dialog": call,
                "mediatype": "application/json",
                "encoding": "json",
                "body": {
                    "lawful_basis": basis.value,
                    "expiration": min(ends).isoformat() if ends else None,
                    "purpose_grants": [
                        {
                            "purpose": one.purpose,
                            "granted": one.state is GrantState.GIVEN,
                            "granted_at": one.valid_from.isoformat(),
                        }
                        for one in of_it
                    ],
                    "proof_mechanisms": proofs,
                },
            }
        )
    return attached


def _base64url(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
