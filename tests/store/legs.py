"""Legs to save."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from callguard.core.model import Answer, Basis, GrantState, Heard, Outcome, Prompt, Purpose
from callguard.store.records import LegRecord

CONTROLLERS = {"acme": "Acme Energy", "zeta": "Zeta Water"}
START = datetime(2026, 11, 22, 9, 0, 0, 250_000, tzinfo=UTC)
QUALITY = Purpose("recording.quality", Basis.CONSENT)
CONTRACT = Purpose("recording.contract", Basis.CONTRACT, required=True)
PROMPT = Prompt(
    id="service/essential",
    language="en",
    version="3",
    media="/prompts/en/service-essential",
    length_ms=9_000,
    sha256={"wav": "ab" * 32, "wav16": "cd" * 32},
)


def given(purpose: Purpose = QUALITY) -> Answer:
    if purpose.basis is Basis.CONSENT:
        return Answer(purpose, GrantState.GIVEN, "1", "key")
    return Answer(purpose, GrantState.GIVEN, "", "informed")


def refused(purpose: Purpose = QUALITY) -> Answer:
    return Answer(purpose, GrantState.REFUSED, "2", "key")


def make_leg(*answers: Answer, **changes: Any) -> LegRecord:
    """A leg of its own call, recorded for what the answers gave."""
    name = uuid4().hex
    granted = tuple(answer.purpose.id for answer in answers if answer.state is GrantState.GIVEN)
    record = LegRecord(
        leg_id=f"leg-{name}",
        call_id=f"call-{name}",
        channel=f"channel-{name}",
        linkedid=f"linkedid-{name}",
        controller="acme",
        profile="service",
        language="en",
        direction="inbound",
        number="+390612345678",
        started_at=START,
        saved_at=START + timedelta(seconds=11),
        outcome=Outcome.GIVEN if granted else Outcome.REFUSED,
        granted=granted,
        recording=bool(granted),
        file=f"call-{name}" if granted else None,
        files="mixed",
        answers=answers,
        heard=(Heard(PROMPT, 9_000),),
        early_keys=0,
    )
    return replace(record, **changes)
