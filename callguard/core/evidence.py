"""Evidence: what proves a grant, in one canonical form of bytes.

The form is JSON as RFC 8785 (JSON Canonicalization Scheme) writes it, for the values that evidence needs: strings,
integers, booleans, null, arrays, objects with ASCII keys. Floats are refused: how they are written is where
implementations differ. The same facts give the same bytes everywhere, so their hash can be proved later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

FORMAT = 1
SALT_BYTES = 16
SAFE_INTEGER = 2**53 - 1
"""RFC 7493 (I-JSON) 2.2: beyond it a reader with IEEE 754 numbers sees another value."""

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value] | None"

_quote = json.JSONEncoder(ensure_ascii=False).encode


class Kind(StrEnum):
    """What an entry proves."""

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
    OPTOUT_ADDED = "optout.added"
    OPTOUT_ENDED = "optout.ended"
    DIAL_DECIDED = "dial.decided"
    AGENT_GRANTED = "agent.granted"
    AGENT_REVOKED = "agent.revoked"


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


def canonical(value: Value) -> bytes:
    """The canonical form (RFC 8785) of a value.

    Raises:
        ValueError: a float, an integer beyond 2^53 - 1, a key that is not ASCII, half a surrogate pair (RFC 8785
            3.2.2.2), or a type that JSON has not.
    """
    return _text(value).encode()


def _text(value: object) -> str:
    # bool before int, of which it is a subclass; str before Sequence, which it is.
    if isinstance(value, str):
        return _quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise ValueError("evidence holds no integer beyond 2^53 - 1")
        return int.__repr__(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and key.isascii() for key in value):
            raise ValueError("a key of evidence is ASCII text")
        # For ASCII, Python's order of strings is RFC 8785's order of UTF-16 code units.
        return "{" + ",".join(f"{_quote(key)}:{_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_text, value)) + "]"
    raise ValueError(f"evidence holds no {type(value).__name__}")
