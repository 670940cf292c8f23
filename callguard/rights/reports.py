"""Facts from the log, for a breach report (GDPR Art. 33) and an impact assessment (Art. 35). Nobody is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callguard.config import Config
from callguard.rights.register import contact, processing

if TYPE_CHECKING:
    from callguard.store.about import Figures, IncidentFacts

NOBODY = "of no controller that is known"
BY_A_PERSON = "to be written by a person"
FOR_A_BREACH = {
    "what_happened": BY_A_PERSON,
    "known_since": f"{BY_A_PERSON}: the authority is told within 72 hours of it (Art. 33(1))",
    "likely_consequences": BY_A_PERSON,
    "measures_taken_or_proposed": BY_A_PERSON,
    "people_to_be_told": f"{BY_A_PERSON}: where the risk to them is high (Art. 34)",
}
FOR_AN_ASSESSMENT = {
    "necessity_and_proportionality": BY_A_PERSON,
    "risks_to_people": BY_A_PERSON,
    "measures_against_them": BY_A_PERSON,
    "views_of_those_concerned": BY_A_PERSON,
    "officers_advice": BY_A_PERSON,
}


def breach(
    config: Config, found: Sequence[IncidentFacts], since: datetime, until: datetime, now: datetime
) -> dict[str, Any]:
    """What a breach report needs of the incidents of a time: how many people and records, and of whom to ask.

    An incident that concerns no call of ours is counted, and whom it concerns is not known.
    """
    by_controller: dict[str, list[IncidentFacts]] = {}
    for one in found:
        by_controller.setdefault(one.incident.controller or NOBODY, []).append(one)
    return {
        "from": since.isoformat(),
        "until": until.isoformat(),
        "made_at": now.isoformat(),
        "incidents": len(found),
        "controllers": [_breach(config, name, some) for name, some in sorted(by_controller.items())],
        "to_be_added": dict(FOR_A_BREACH),
    }


def _breach(config: Config, name: str, found: Sequence[IncidentFacts]) -> dict[str, Any]:
    ours = [one for one in found if one.subject_id is not None]
    by_leg = {one.incident.leg_id: one for one in ours}
    return {
        "controller": name,
        "contact": contact(config, name),
        "kinds": dict(sorted(Counter(one.incident.kind for one in found).items())),
        "people_concerned": len({one.subject_id for one in ours}),
        "calls_concerned": len({one.incident.call_id for one in ours}),
        "recordings_concerned": dict(
            sorted(Counter(one.recording_state for one in by_leg.values() if one.recording_state).items())
        ),
        "files_concerned": sum(one.files for one in by_leg.values()),
        "categories": "voices in calls, with time and purpose; phone numbers stand apart",
        "of_nobody_known": len(found) - len(ours),
        "first": found[0].incident.at.isoformat(),
        "last": found[-1].incident.at.isoformat(),
        "list": [
            {"incident": it.incident_id, "kind": it.kind, "at": it.at.isoformat(), "call": it.call_id}
            for it in (one.incident for one in found)
        ],
    }


def impact(
    config: Config,
    figures: Figures,
    found: Sequence[IncidentFacts],
    since: datetime,
    until: datetime,
    now: datetime,
    only: str | None = None,
) -> dict[str, Any]:
    """What an impact assessment starts from: what is done, how often, what people answered, and what went wrong."""
    return {
        "from": since.isoformat(),
        "until": until.isoformat(),
        "made_at": now.isoformat(),
        "controllers": [
            {**entry, "figures": _figures(figures, found, entry["controller"]["id"])}
            for entry in processing(config, only)
        ],
        "to_be_added": dict(FOR_AN_ASSESSMENT),
    }


def _figures(figures: Figures, found: Sequence[IncidentFacts], name: str) -> dict[str, Any]:
    def of(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [row for row in rows if row["controller"] == name]

    calls: Counter[str] = Counter()
    for row in of(figures.legs):
        calls[row["outcome"]] += row["legs"]
    answers: dict[str, Counter[str]] = {}
    for row in of(figures.answers):
        answers.setdefault(row["purpose"], Counter())[row["state"]] += row["answers"]
    kept = of(figures.recordings)
    return {
        "calls": sum(calls.values()),
        "calls_by_outcome": dict(sorted(calls.items())),
        "answers": {purpose: dict(sorted(states.items())) for purpose, states in sorted(answers.items())},
        "recordings": {row["state"]: row["recordings"] for row in kept},
        "hours_recorded": round(sum(row["duration_ms"] for row in kept) / 3_600_000, 1),
        "kept_without_an_end": sum(row["without_end"] for row in kept),
        "overdue": sum(row["overdue"] for row in kept),
        "dials_allowed": sum(row["decisions"] for row in of(figures.decisions) if row["allow"]),
        "dials_denied": sum(row["decisions"] for row in of(figures.decisions) if not row["allow"]),
        "incidents": dict(sorted(Counter(it.incident.kind for it in found if it.incident.controller == name).items())),
    }
