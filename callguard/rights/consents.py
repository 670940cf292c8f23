"""Consents as the evidence has them: which key, which notice, and what became of each purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callguard.core.evidence import Kind

if TYPE_CHECKING:
    from callguard.store.records import Evidence, Grant, LegDetail


@dataclass(frozen=True, slots=True)
class Pressed:
    """Keys that decided, and when that was counted. The moment at which a key went up is not kept."""

    at: datetime
    keys: str
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A part of a notice that was heard, as evidence names it."""

    prompt: str
    language: str
    version: str
    sha256: Mapping[str, str] = field(hash=False)
    length_ms: int
    heard_ms: int


def said(entry: Evidence) -> dict[str, Any]:
    """What an entry says."""
    return dict(json.loads(entry.body))


def pressed(leg: LegDetail) -> tuple[Pressed, ...]:
    """The keys by which purposes were given or refused on a leg."""
    return tuple(_pressed(leg))


def notices(leg: LegDetail) -> tuple[Notice, ...]:
    """What was heard of notices on a leg, in the order of evidence."""
    return tuple(
        Notice(it["prompt"], it["language"], it["version"], it["sha256"], it["length_ms"], it["heard_ms"])
        for entry in leg.evidence
        for it in said(entry).get("heard", ())
    )


def began(leg: LegDetail) -> datetime:
    """When a leg's recording could begin at the earliest: its last consent."""
    return max((entry.at for entry in leg.evidence if entry.kind is Kind.CONSENT_GIVEN), default=leg.leg.saved_at)


def standing(leg: LegDetail) -> tuple[Grant, ...]:
    """The last line of each purpose's history on a leg."""
    return tuple({one.purpose: one for one in leg.grants}.values())


def histories(leg: LegDetail) -> dict[str, tuple[Grant, ...]]:
    """Each purpose's history on a leg, oldest first."""
    found: dict[str, tuple[Grant, ...]] = {}
    for one in leg.grants:
        found[one.purpose] = (*found.get(one.purpose, ()), one)
    return found


def _pressed(leg: LegDetail) -> Iterator[Pressed]:
    for entry in leg.evidence:
        facts = said(entry)
        if entry.kind is Kind.GATE:
            by_keys: dict[str, tuple[str, ...]] = {}
            for answer in facts.get("answers", ()):
                if answer["key"]:
                    by_keys[answer["key"]] = (*by_keys.get(answer["key"], ()), answer["purpose"])
            for keys, purposes in by_keys.items():
                yield Pressed(entry.at, keys, purposes)
        elif entry.kind is Kind.CONSENT_GIVEN:
            yield Pressed(entry.at, facts["key"], tuple(facts["given"]))
