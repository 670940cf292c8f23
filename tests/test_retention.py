"""The service destroys what nothing keeps, a part at each look, with its evidence; and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from callguard import retention
from callguard.core.incidents import Incident
from callguard.store import Store
from callguard.store.records import Kept, RecordedFile
from tests.retained import DAY, NOW, House, opened
from tests.store.legs import CONTRACT, CONTROLLERS, given, make_leg


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as one:
        yield one


async def test_what_is_over_goes_and_says_why_and_all_else_stays(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    over, still, of_no_term = await house.recorded(91), await house.recorded(89), await house.recorded(9_999, CONTRACT)
    held = await house.recorded(91)
    await house.store.hold(held.call_id, "claim", NOW)
    await house.retention.look()
    await house.retention.look()
    assert await house.left() == {one.leg_id for one in (still, of_no_term, held)}
    (leg,) = await house.store.call(over.call_id)
    assert leg.recording is not None
    assert (leg.recording.state, leg.recording.reason) == ("destroyed", "time")
    said = [json.loads(one.body) for one in leg.evidence if one.kind == "recording.destroyed"]
    assert len(said) == 1
    (end,) = said[0]["ends"]
    assert (end["purpose"], end["ended_by"], end["why"]) == ("recording.quality", "time", "90 days after the recording")
    assert "why=time" in capsys.readouterr().out
    await house.store.release(held.call_id, "settled", NOW)
    await house.retention.look()
    assert await house.left() == {still.leg_id, of_no_term.leg_id}


async def test_each_look_goes_on_where_the_last_one_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 2)
    monkeypatch.setattr(retention, "PAGES", 1)
    for days in (1, 91, 91, 2, 91, 91, 91):
        await house.recorded(days)
    counts = []
    for _ in range(5):
        await house.retention.look()
        counts.append(len(await house.left()))
    # Of two at most, which come in any order.
    assert counts[0] >= 5 and counts[-1] == 2
    assert sorted(counts, reverse=True) == counts


async def test_what_was_begun_is_finished_whatever_is_said_since(house: House) -> None:
    """As after a kill between the store's word and the file."""
    leg = await house.recorded(1)
    assert await house.store.begin_destroying(leg.leg_id, NOW, "time")
    await house.retention.look()
    assert await house.left() == {leg.leg_id}
    await house.recordings.sweep()
    assert await house.left() == set()
    (one,) = await house.store.call(leg.call_id)
    assert one.recording is not None and one.recording.reason == "time"


async def test_one_file_that_cannot_go_keeps_no_other(house: House) -> None:
    stuck, goes = await house.recorded(91), await house.recorded(91)
    house.file(stuck).unlink()
    house.file(stuck).mkdir()
    with pytest.raises(OSError, match=r"directory|permitted"):
        await house.retention.look()
    assert not house.file(goes).exists()
    house.file(stuck).rmdir()
    await house.retention.look()
    await house.recordings.sweep()
    assert await house.left() == set()


async def test_what_is_withdrawn_and_held_stays_until_it_is_released_and_without_hold_goes_at_once(
    house: House,
) -> None:
    held, free = await house.recorded(1), await house.recorded(1)
    await house.store.hold(held.call_id, "claim", NOW)
    for one in (held, free):
        await house.recordings.withdrawn(one.leg_id, NOW)
    assert await house.left() == {held.leg_id}
    await house.retention.look()
    assert await house.left() == {held.leg_id}
    await house.store.release(held.call_id, "settled", NOW)
    await house.recordings.sweep()
    assert await house.left() == set()


async def test_a_held_file_that_cannot_be_read_is_set_aside_and_not_destroyed(house: House) -> None:
    leg = make_leg(given(), leg_id=str(uuid4()), file="unreadable")
    await house.store.save(leg)
    house.file(leg).write_bytes(b"no sound" * 100)
    await house.store.hold(leg.call_id, "claim", NOW)
    await house.recordings.withdrawn(leg.leg_id, NOW)
    assert len(list((house.folder / "quarantine").iterdir())) == 1
    assert [one.kind for one in await house.store.incidents(9)] == [Incident.RECORDING_UNREADABLE]


async def test_what_lies_in_another_callguards_folder_is_left_to_it(tmp_path: Path, house: House) -> None:
    async with Store.open(tmp_path / "s.db", gate=None, controllers=CONTROLLERS, folder="/elsewhere") as other:
        leg = make_leg(given(), saved_at=NOW - 91 * DAY)
        await other.save(leg)
        files = (RecordedFile(f"{leg.file}.wav", 5, "ab" * 32),)
        await other.recording_kept(leg.leg_id, Kept(files, 1_000, NOW - 91 * DAY), None)
    await house.retention.look()
    assert await house.store.kept_legs("", 9) == (leg.leg_id,)
    house.file(leg).write_bytes(b"moved here")
    await house.retention.look()
    assert await house.left() == set()
