"""Where somebody stands with a controller, in a line: what is told to a person who asks, once it is known who they are.

It says what holds now. What happened, and what proves it, is in the access (GDPR Art. 15).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from callguard.core.model import GrantState
from callguard.core.requests import PENDING
from callguard.rights.facts import HELD, iso

if TYPE_CHECKING:
    from callguard.store.about import Subject


def status(one: Subject, now: datetime) -> dict[str, Any]:
    """What holds now: the last answer to each purpose, recordings that are kept, opt-outs, grants, pending requests.

    Nobody's own words are in it, and no number.
    """
    answers = sorted((it for leg in one.legs for it in leg.detail.grants), key=lambda it: it.valid_from)
    last = {it.purpose: it for it in answers}
    kept = [it for leg in one.legs if (it := leg.detail.recording) is not None and it.state in ("kept", "quarantined")]
    ends = [it.destroy_at for it in kept]
    return {
        "controller": one.controller,
        "answers": [
            {"purpose": it.purpose, "state": it.state, "since": it.valid_from.isoformat()} for it in last.values()
        ],
        "recordings": {
            "kept": len(kept),
            "held": sum(it.reason == HELD for it in kept),
            "until": None if None in ends else iso(max((it for it in ends if it is not None), default=None)),
        },
        "opt_outs": [
            {
                "scope": it.scope, "purpose": it.purpose, "campaign": it.campaign, "since": it.since.isoformat(),
                "until": iso(it.until),
            }
            for it in one.opt_outs if it.holds(now)
        ],
        "grants": [
            {"purpose": it.purpose, "basis": it.basis, "since": it.since.isoformat(), "until": iso(it.until)}
            for it in one.grants if it.state(now) is GrantState.GIVEN
        ],
        "requests": [
            {"right": it.right, "state": it.state, "due": it.due_at.isoformat()}
            for it in one.requests if it.state in PENDING
        ],
    }  # fmt: skip


def line(told: dict[str, Any]) -> str:
    """The same, to be read out: days are those of UTC."""
    kept = told["recordings"]
    until = f" until {_day(kept['until'])} at the latest" if kept["until"] else ", without a set end"
    held = f", {kept['held']} of them held" if kept["held"] else ""
    said = [
        *(f"{it['purpose']}: {it['state']} on {_day(it['since'])}" for it in told["answers"]),
        f"recordings kept: {kept['kept']}{held}{until if kept['kept'] else ''}",
        *(f"opted out of {_scope(it)} since {_day(it['since'])}" for it in told["opt_outs"]),
        *(f"{it['purpose']}: {it['basis']} since {_day(it['since'])}" for it in told["grants"]),
        *(f"{it['right']} asked for, {it['state']}, due on {_day(it['due'])}" for it in told["requests"]),
    ]
    return f"{told['controller']}: {'; '.join(said)}"


def _scope(one: dict[str, Any]) -> str:
    return " ".join(str(it) for it in (one["scope"], one["purpose"], one["campaign"]) if it)


def _day(at: str) -> str:
    return at[:10]
