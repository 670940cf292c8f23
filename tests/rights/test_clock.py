"""What goes by the clock: overdue requests are told of once a day, proof is deleted when its time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callguard.core.requests import Right, Step, Via
from callguard.rights.clock import Clock
from callguard.store import Store
from callguard.store.right_records import Due, ProofKept

NUMBER = "+390612345678"
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
MONTH = timedelta(days=31)


async def test_what_is_overdue_is_told_once_a_day_and_names_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Store.open(tmp_path / "s.db", gate=None, controllers={"acme": "Acme Energy"}) as store:
        clock = Clock(store)
        which, _ = await store.open_request("acme", NUMBER, Right.ERASURE, Via.LETTER, NOW)
        told = []
        for hours in (0, 24 * 29, 24 * 31, 24 * 31 + 1, 24 * 32, 24 * 32 + 1):
            await clock.look(NOW + timedelta(hours=hours))
            said = capsys.readouterr().out
            assert NUMBER[1:] not in said
            told.append(("count=1" in said, clock.due.overdue, clock.due.soon))
        assert told == [
            (False, 0, 0), (False, 0, 1), (True, 1, 0), (False, 1, 0), (True, 1, 0), (False, 1, 0),
        ]  # fmt: skip
        await store.move_request(which, Step.REFUSE, NOW + MONTH, reason="no")
        await clock.look(NOW + 3 * MONTH)
        assert clock.due == Due()
        assert "overdue" not in capsys.readouterr().out


async def test_proof_goes_when_its_time_is_over(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate=None, controllers={"acme": "Acme Energy"}) as store:
        await store.open_request("acme", NUMBER, Right.ERASURE, Via.LETTER, NOW)
        (one,) = await store.subjects("acme", NUMBER)
        await store.erase(one.subject_id, NOW, proof=ProofKept("de.proof", NOW + MONTH))
        clock = Clock(store)
        for at, left in ((NOW + MONTH - timedelta(seconds=1), 1), (NOW + MONTH, 0)):
            await clock.look(at)
            assert len(await store.restricted("acme", NUMBER)) == left
