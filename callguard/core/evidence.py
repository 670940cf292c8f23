"""Evidence: what proves a grant, in one canonical form of bytes.

The form is JSON as RFC 8785 (JSON Canonicalization Scheme) writes it, for the values that evidence needs: strings,
integers, booleans, null, arrays, objects with ASCII keys. Floats are refused: how they are written is where
implementations differ. The same facts give the same bytes everywhere, so their hash can be proved later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias

from callguard.core.merkle import LEAF

FORMAT = 1
SALT_BYTES = 16
SAFE_INTEGER = 2**53 - 1
"""RFC 7493 (I-JSON) 2.2: beyond it a reader with IEEE 754 numbers sees another value."""

# An entry and when it was noted, in canonical form.
_ENTRY, _NOTED = b'{"entry":', b',"noted":%d}'

_write = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=dict).encode

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value] | None"


class Kind(StrEnum):
    """What an entry proves."""

    INFORMED = "informed"
    GATE = "gate"
    CONSENT_GIVEN = "consent.given"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_KEPT = "recording.kept"
    RECORDING_ABSENT = "recording.absent"
    RECORDING_DESTROYED = "recording.destroyed"
    RECORDING_QUARANTINED = "recording.quarantined"
    RECORDING_HELD = "recording.held"
    RECORDING_RELEASED = "recording.released"
    RECORDING_UNLAWFUL = "recording.unlawful"
    OPTOUT_ADDED = "optout.added"
    OPTOUT_ENDED = "optout.ended"
    GRANT_GIVEN = "grant.given"
    GRANT_ENDED = "grant.ended"
    CALL_TICKET = "call.ticket"
    CONSENT_INVALIDATED = "consent.invalidated"
    GRANT_INVALIDATED = "grant.invalidated"
    BASIS_CHANGED = "basis.changed"
    DIAL_DECIDED = "dial.decided"
    AGENT_GRANTED = "agent.granted"
    AGENT_REVOKED = "agent.revoked"
    INCIDENT = "incident"
    LEDGER_BEGUN = "ledger.begun"
    STORE_RESTORED = "store.restored"
    LEDGER_RESTORED = "ledger.restored"
    LEDGER_KEY_REPLACED = "ledger.key_replaced"
    SUBJECT_EXPORTED = "subject.exported"
    SUBJECT_ERASED = "subject.erased"
    PROOF_DELETED = "proof.deleted"
    ACCESS = "access"
    ACCESS_DENIED = "access.denied"
    RECORDING_PLAYED = "recording.played"
    RECORDING_EXPORTED = "recording.exported"
    SUBJECT_CORRECTED = "subject.corrected"
    REQUEST_OPENED = "request.opened"
    REQUEST_NOTED = "request.noted"
    REQUEST_IDENTIFIED = "request.identified"
    REQUEST_EXTENDED = "request.extended"
    REQUEST_APPROVED = "request.approved"
    REQUEST_DONE = "request.done"
    REQUEST_REFUSED = "request.refused"
    REQUEST_EXPIRED = "request.expired"


def entry(kind: str, at_ms: int, *, salt: bytes, **fields: Value) -> bytes:
    """One entry of evidence, canonical.

    Args:
        kind: what it proves.
        at_ms: when it happened, milliseconds since 1970-01-01T00:00:00Z.
        salt: 16 random bytes, so that nobody can find an erased entry's content by trying likely contents.
        fields: the facts; never a number, a name or a path.

    Raises:
        ValueError: a value has no canonical form, the salt is not 128 bits, or a field has a name that is taken.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    head: dict[str, Value] = {"at": at_ms, "format": FORMAT, "kind": kind, "salt": salt.hex()}
    if taken := head.keys() & fields.keys():
        raise ValueError(f"a field of evidence may not be called {', '.join(sorted(taken))}")
    return canonical(head | fields)


def leaf_data(entry: bytes, noted_at: int) -> bytes:
    """What the ledger hashes of an entry: an object of the entry and of when it was noted, canonical as they are.

    Args:
        noted_at: the writer's clock, milliseconds since 1970-01-01T00:00:00Z.
    """
    return _ENTRY + entry + _NOTED % noted_at


def leaf_hashes(entries: Iterable[tuple[int, bytes, bytes | None]]) -> list[bytes]:
    """`merkle.leaf_hash` of the `leaf_data` of many, which takes two thirds of the time.

    Args:
        entries: each with when it was noted, what is kept as its hash, and itself: None where its content is gone; its
            hash is empty then.
    """
    begun, found = sha256(LEAF + _ENTRY), []
    for noted_at, _, body in entries:
        if body is None:
            found.append(b"")
            continue
        digest = begun.copy()
        digest.update(body)
        digest.update(_NOTED % noted_at)
        found.append(digest.digest())
    return found


def canonical(value: Value) -> bytes:
    """The canonical form (RFC 8785) of a value.

    Raises:
        ValueError: a float, an integer beyond 2^53 - 1, a key that is not ASCII, half a surrogate pair (RFC 8785
            3.2.2.2), or a type that JSON has not.
    """
    _check(value)
    # json writes strings as RFC 8785 3.2.2.2 does. For ASCII, its order of keys is that of UTF-16 code units.
    return _write(value).encode()


def _check(value: object) -> None:
    """Raise ValueError for what json writes and evidence does not hold."""
    if isinstance(value, (str, bool)) or value is None:
        return
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise ValueError("evidence holds no integer beyond 2^53 - 1")
    elif isinstance(value, (dict, Mapping)):
        for key, inner in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError("a key of evidence is ASCII text")
            _check(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check(inner)
    else:
        raise ValueError(f"evidence holds no {type(value).__name__}")
