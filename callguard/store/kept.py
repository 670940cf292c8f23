"""What a dial decision has kept, read back as the facts it was made from: `records.DialRecord.of` the other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from callguard.core.decide import Callback, Facts, OptOut, Place, Registered, Scope
from callguard.core.grants import Channel, Standing
from callguard.core.model import Basis, GrantState
from callguard.core.replay import SHOWN
from callguard.store.dial_records import StoredDecision
from callguard.store.times import from_ms, from_ms_or_none


def facts_of(decision: StoredDecision, number: str | None) -> Facts | None:
    """The facts of a decision; None where what it has kept is not all of them, as in one of an older callguard.

    Missing are the evidence of grants (empty), and which number was shown where it was none of ours (`SHOWN`).

    Args:
        number: E.164, which no decision keeps; None only where what was dialled was none.
    """
    seen: Mapping[str, Any] = decision.facts
    try:
        shown = seen.get("caller_id")
        facts = Facts(
            number=number,
            calls=seen["calls"],
            purpose=seen["purpose"],
            campaign=seen["campaign"],
            at=decision.at,
            opt_outs=tuple(map(_opt_out, seen["opt_outs"])),
            registries=tuple(map(_registered, seen["registries"])),
            grants=tuple(map(_granted, seen.get("grants", ()))),
            needs_basis=seen.get("needs_basis", False),
            caller_id=None if shown is None else (shown["number"] or SHOWN) if shown["shown"] else "",
            # What exempted the call was that.
            staff=seen.get("staff", "exemption" in seen),
            callback=None if shown is None else _callback(shown),
        )
        return facts if number is None else _with_law(facts, seen["law"])
    except (KeyError, TypeError, ValueError):
        return None


def _with_law(facts: Facts, law: Mapping[str, Any]) -> Facts:
    areas = law["areas"]
    return replace(
        facts,
        place=Place(law["country"], None if areas is None else frozenset(areas), tuple(law["zones"])),
        caller_country=law["caller_country"],
        agent_first=law["agent_first"],
        attempts=tuple(map(from_ms, law["attempts"])),
        refusals=tuple(map(from_ms, law["refusals"])),
        looked_back=timedelta(milliseconds=law["looked_back_ms"]),
    )


def _callback(kept: Mapping[str, Any]) -> Callback | None:
    ours, named = kept["ours"], kept.get("named", True)
    if ours is None and named:
        return None
    return Callback(bool(ours), from_ms_or_none(kept["proved_at"]), kept["max_age_days"], named)


def _opt_out(kept: Mapping[str, Any]) -> OptOut:
    return OptOut(
        Scope(kept["scope"]), kept["purpose"], kept["campaign"], from_ms(kept["since"]), from_ms_or_none(kept["until"]),
        kept["source"],
    )  # fmt: skip


def _registered(kept: Mapping[str, Any]) -> Registered:
    return Registered(
        kept["registry"], _day(kept["list_date"]), kept["max_age_days"], kept["listed"],
        # By what rule an entry voids grants is kept where there were any.
        since=_day(kept.get("since")),
        voids=kept.get("voids", "earlier"),
        spares=frozenset(map(Basis, kept.get("spares", ()))),
        screened=kept.get("screened", True),
        answered=kept.get("answered", True),
    )  # fmt: skip


def _granted(kept: Mapping[str, Any]) -> Standing:
    ended = kept["ended"]
    return Standing(
        kept["purpose"], Basis(kept["basis"]), Channel(kept["channel"]), from_ms(kept["since"]),
        from_ms_or_none(kept["until"]),
        evidence="",
        ended=None if ended is None else GrantState(ended),
        ended_at=from_ms_or_none(kept["ended_at"]),
    )  # fmt: skip


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)
