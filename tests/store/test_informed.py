"""That somebody was informed is kept apart from what they answered, and found again at their next call."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callguard.core.evidence import Kind
from callguard.core.model import Before, Form, Heard, Told
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.records import Informed, LegRecord

from .legs import PROMPT, START, given, make_leg, refused

NUMBER = "+390612345678"
YEAR = timedelta(days=365)


def told(form: Form = Form.WHOLE, *, version: str = "3", whole: bool = True, continues: str = "") -> Told:
    prompt = replace(PROMPT, version=version)
    return Told(Heard(prompt, prompt.length_ms if whole else 10), form, whole, continues)


def at(days: int, leg: LegRecord, **changes: Any) -> LegRecord:
    began = START + timedelta(days=days)
    return replace(leg, started_at=began, saved_at=began + timedelta(seconds=11), **changes)


async def known(store: Store, days: int = 0, profile: str | None = "service") -> Informed:
    return await store.informed("acme", NUMBER, profile, START + timedelta(days=days) - YEAR)


async def test_information_and_answer_are_two_records_and_two_entries(store: Store) -> None:
    leg = make_leg(refused(), told=(told(),), knows="2")
    await store.save(leg)
    (detail,) = await store.call(leg.call_id)
    assert [one.kind for one in detail.evidence] == [Kind.GATE, Kind.INFORMED]
    said = json.loads(detail.evidence[1].body)
    assert (said["knows"], said["leg"]) == ("2", leg.leg_id)
    assert said["told"] == [
        {
            "prompt": "service/essential", "language": "en", "version": "3", "sha256": dict(PROMPT.sha256),
            "length_ms": 9_000, "heard_ms": 9_000, "form": "whole", "whole": True,
        }
    ]  # fmt: skip
    assert "answers" not in said
    assert await known(store) == Informed("2", (Before("3", "ab" * 32, leg.call_id),))


async def test_a_consent_without_information_makes_none_and_information_no_consent(store: Store) -> None:
    yes = make_leg(given())
    await store.save(yes)
    assert await known(store) == Informed()
    heard = make_leg(told=(told(),), knows="")
    await store.save(heard)
    (detail,) = await store.call(heard.call_id)
    assert detail.grants == ()
    assert (await known(store)).knows == ""


async def test_the_short_form_says_why_and_which_call_it_continues_and_is_none_to_continue(store: Store) -> None:
    first = make_leg(given(), told=(told(),), knows="")
    second = at(30, make_leg(given(), told=(told(Form.SHORT, continues=first.call_id),), knows=""))
    await store.save(first)
    await store.save(second)
    (detail,) = await store.call(second.call_id)
    (said,) = json.loads(detail.evidence[1].body)["told"]
    assert (said["form"], said["reason"], said["continues"]) == ("short", "continuation", first.call_id)
    assert (await known(store, 40)).heard == (Before("3", "ab" * 32, first.call_id),)
    late = await known(store, 400)
    assert late == Informed("", ())


async def test_what_was_not_heard_whole_and_what_another_profile_said_is_not_known(store: Store) -> None:
    await store.save(make_leg(given(), told=(told(whole=False),), knows=None))
    assert await known(store) == Informed()
    await store.save(at(1, make_leg(given(), told=(told(),), knows="2")))
    assert await known(store, 1, "sales") == Informed()
    await store.save(at(2, make_leg(refused(), told=(told(version="4"), told(Form.CHANGE, whole=False)), knows="2")))
    assert (await known(store, 2)).knows == "2"
    assert [one.version for one in (await known(store, 2)).heard] == ["4", "3"]


async def test_who_was_informed_is_a_history(store: Store, path: Path) -> None:
    from contextlib import closing
    from sqlite3 import IntegrityError, connect

    await store.save(make_leg(given(), told=(told(),)))
    with closing(connect(path, isolation_level=None)) as database:
        for statement in ("UPDATE informed SET heard_ms = 0", "DELETE FROM informed"):
            with pytest.raises(IntegrityError, match="history"):
                database.execute(statement)


async def test_a_yes_to_the_notice_heard_again_in_the_call_informs_too(store: Store) -> None:
    leg = make_leg(refused(), told=(told(),), knows="")
    await store.save(leg)
    heard = (Heard(replace(PROMPT, version="5"), PROMPT.length_ms),)
    when = START + timedelta(minutes=1)
    assert await store.agree(leg.leg_id, when, (given().purpose,), "1", leg.leg_id, heard=heard)
    (detail,) = await store.call(leg.call_id)
    assert [one.kind for one in detail.evidence][2:] == [Kind.INFORMED, Kind.CONSENT_GIVEN]
    assert (await known(store)).heard[0].version == "5"


async def test_what_has_changed_and_was_heard_in_the_call_is_known_to_the_controllers_other_profiles(
    store: Store,
) -> None:
    """R12, where the agent speaks first: a yes follows the notice with its changes, and they know that version."""
    leg = make_leg(refused(), told=(told(),), knows="1")
    await store.save(leg)
    whole = Heard(PROMPT, PROMPT.length_ms)
    change = Heard(replace(PROMPT, id="service/change-2", sha256={"wav": "cd" * 32}), PROMPT.length_ms)
    when = START + timedelta(minutes=1)
    assert await store.agree(
        leg.leg_id, when, (given().purpose,), "1", leg.leg_id, heard=(whole, change), knows="2"
    )  # fmt: skip
    (detail,) = await store.call(leg.call_id)
    entry = json.loads(next(one.body for one in reversed(detail.evidence) if one.kind is Kind.INFORMED))
    assert [one["form"] for one in entry["told"]] == ["whole", "change"]
    assert entry["knows"] == "2"
    assert (await known(store)).knows == "2"
    assert await known(store, profile="sales") == Informed()
    assert (await known(store, profile=None)).knows == "2"


async def test_a_leg_that_cannot_be_saved_informs_nobody(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.save(make_leg(given(), told=(told(),), controller="nobody"))
    assert await known(store) == Informed()
