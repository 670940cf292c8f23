"""A set of consents that was defective ends whole, with its recordings as the officer says; nothing of it is mended."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.core.evidence import Kind
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState
from callguard.core.retention import Rule, judge
from callguard.errors import StoreError
from callguard.store import Store
from callguard.store.dial_records import NewGrant
from callguard.store.invalidation import Defective, DefectiveGrants, DefectiveNotice
from callguard.store.records import Informed, Kept, LegRecord, RecordedFile

from .legs import START, given, make_leg, refused
from .test_informed import NUMBER, known, told

NOW = START + timedelta(days=10)
EVER = datetime.fromtimestamp(0, UTC)
V3 = DefectiveNotice("3")


async def kept(store: Store, *answers: object, **changes: object) -> LegRecord:
    leg = make_leg(given(), told=(told(),), knows="", notice_version="3", **changes)
    await store.save(leg)
    file = RecordedFile(f"{leg.leg_id}.wav", 10, "0" * 64)
    await store.recording_kept(leg.leg_id, Kept((file,), 1_000, START + timedelta(minutes=3)), None)
    return leg


async def kinds(store: Store, leg: LegRecord) -> list[Kind]:
    (detail,) = await store.call(leg.call_id)
    return [one.kind for one in detail.evidence]


async def test_a_defective_notice_ends_what_was_consented_to_and_marks_what_was_recorded(store: Store) -> None:
    bad = await kept(store)
    good = make_leg(given(), number="+34912345678", notice_version="4")
    no = make_leg(refused(), number="+34912345679", notice_version="3")
    for leg in (good, no):
        await store.save(leg)
    assert await store.defective("acme", V3) == Defective(1, 0, 1)
    assert await store.defective("zeta", V3) == Defective(0, 0, 0)
    assert await store.invalidate("acme", V3, "it named no purpose", NOW) == Defective(1, 0, 1)
    (detail,) = await store.call(bad.call_id)
    assert [grant.state for grant in detail.grants] == [GrantState.GIVEN, GrantState.INVALIDATED]
    assert (await kinds(store, bad))[-2:] == [Kind.CONSENT_INVALIDATED, Kind.RECORDING_UNLAWFUL]
    assert "named no purpose" not in detail.evidence[-2].body.decode()
    due = await store.due(NOW)
    assert [(one.leg_id, one.reason) for one in due] == [(bad.leg_id, "unlawful")]
    assert await kinds(store, good) == [Kind.GATE]
    assert await kinds(store, no) == [Kind.GATE]
    # Who heard it has heard nothing, and a second time there is nothing left.
    assert await known(store, 10) == Informed()
    assert await store.invalidate("acme", V3, "again", NOW) == Defective(0, 0, 0)


async def test_what_is_kept_on_another_basis_says_so_and_is_kept_by_its_rule(store: Store) -> None:
    leg = await kept(store)
    await store.invalidate("acme", V3, "wrong", NOW, basis=Basis.LEGAL_OBLIGATION)
    (detail,) = await store.call(leg.call_id)
    assert [(grant.state, grant.basis) for grant in detail.grants][-2:] == [
        (GrantState.INVALIDATED, Basis.CONSENT), (GrantState.GIVEN, Basis.LEGAL_OBLIGATION),
    ]  # fmt: skip
    assert (await kinds(store, leg))[-1] is Kind.BASIS_CHANGED
    assert json.loads(detail.evidence[-1].body)["basis"] == "legal_obligation"
    assert await store.due(NOW) == ()
    with pytest.raises(StoreError, match="not kept on consent"):
        await store.invalidate("acme", V3, "wrong", NOW, basis=Basis.CONSENT)


async def test_a_recording_that_serves_another_purpose_still_is_left_to_it(store: Store, path: Path) -> None:
    from callguard.store.retention_reader import RetentionReader

    from .test_agree import TRAINING

    leg = await kept(store)
    with closing(connect(path, isolation_level=None)) as database:  # as a yes in the call to another notice leaves it
        database.execute(
            "INSERT INTO grants (leg_id, subject_id, controller, purpose, basis, state, valid_from, reason,"
            " notice_version) SELECT leg_id, subject_id, controller, ?, 'consent', 'given', 5, 'key', '4' FROM legs",
            (TRAINING.id,),
        )  # fmt: skip
        database.execute("UPDATE legs SET granted = granted || ',' || ?", (TRAINING.id,))
    await store.invalidate("acme", V3, "wrong", NOW)
    async with RetentionReader.reading(path) as reader:
        (one,) = await reader.kept([leg.leg_id])
    assert [purpose.id for purpose in one.facts.purposes] == [TRAINING.id]
    assert not judge(one.facts, {TRAINING.id: Rule(400)}, NOW).destroy


async def test_defective_grants_end_by_themselves_and_what_is_good_stays(store: Store) -> None:
    """R20 and R21: what was imported with good evidence is valid; what was not is invalidated, and only it."""

    def grant(evidence: str, number: str = NUMBER, purpose: str = "marketing.calls", days: int = 0) -> NewGrant:
        since = START - timedelta(days=30 - days)
        return NewGrant(number, purpose, Basis.CONSENT, Channel.PAPER, since, None, evidence)

    await store.grant_all("acme", [grant("form 1"), grant("fair 2"), grant("fair 3", "+34912345678")], START, "import")
    await store.grant_all("acme", [grant("fair 4", days=5)], START, "command")
    fair = DefectiveGrants("import", EVER, NOW, evidence="fair")
    assert await store.defective("acme", fair) == Defective(0, 2, 0)
    assert await store.invalidate("acme", fair, "boxes were ticked before", NOW) == Defective(0, 2, 0)
    states = {one.evidence: one.state(NOW) for one in await store.grants("acme", None)}
    assert states == {
        "form 1": "given", "fair 2": "invalidated", "fair 3": "invalidated", "fair 4": "given",
    }  # fmt: skip
    seen = await store.known("acme", NUMBER, NOW, None)
    assert {one.evidence: one.state(NOW) for one in seen.grants}["fair 2"] == "invalidated"
    # The same list brings nothing back; what is given anew is a row, and a record, of its own.
    assert await store.grant_all("acme", [grant("fair 2")], NOW, "import") == 0
    anew = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PHONE, NOW, None, "call 17")
    assert await store.grant_all("acme", [anew], NOW, "command") == 1
    assert next(one.state(NOW) for one in await store.grants_of("acme", NUMBER)) == "given"
    (subject,) = await store.subjects("acme", "+34912345678")
    assert [entry.kind for entry in subject.evidence] == [Kind.GRANT_GIVEN, Kind.GRANT_INVALIDATED]


async def test_it_is_all_or_nothing(store: Store, path: Path) -> None:
    first, second = await kept(store), await kept(store, number="+34912345678")
    with closing(connect(path, isolation_level=None)) as database:
        database.execute(f"""
            CREATE TRIGGER spoilt BEFORE INSERT ON grants
            WHEN NEW.state = 'invalidated' AND NEW.leg_id = '{max(first.leg_id, second.leg_id)}'
            BEGIN SELECT RAISE(ABORT, 'spoilt'); END
        """)
    with pytest.raises(StoreError, match="spoilt"):
        await store.invalidate("acme", V3, "wrong", NOW)
    for leg in (first, second):
        assert Kind.CONSENT_INVALIDATED not in await kinds(store, leg)
    assert await store.due(NOW) == ()
    assert await store.defective("acme", V3) == Defective(2, 0, 2)


async def test_a_grant_that_expires_is_renewed_by_a_row_of_its_own(store: Store) -> None:
    until = START + timedelta(days=1)
    old = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, until, "form 1")
    new = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, NOW, None, "form 2")
    await store.grant_all("acme", [old], START, "command")
    assert [one.state(NOW) for one in await store.grants_of("acme", NUMBER)] == ["expired"]
    await store.grant_all("acme", [new], NOW, "command")
    assert [one.state(NOW) for one in await store.grants_of("acme", NUMBER)] == ["given", "expired"]
