"""Somebody is erased: files first, then the store; broken off anywhere it is finished by the next run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callguard import config
from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Basis
from callguard.core.requests import due
from callguard.errors import Denied, SetupError
from callguard.rights import erasure, tombstones
from callguard.rights.beyond import beyond, forms
from callguard.store import Store
from callguard.store.dial_records import NewGrant
from callguard.store.erasure import RUNNING
from callguard.telephony.recording import Recordings
from tests.retained import DAY, NOW, House, opened
from tests.store.legs import given, make_leg

NUMBER = "+390612345678"
GERMAN = "+4930123456"
LATER = NOW


class Killed(BaseException):
    """As a process that is killed there."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as one:
        yield one


@pytest.fixture
def settings(house: House, tmp_path: Path) -> config.Config:
    return config.load(tmp_path / "callguard.toml", {})


async def who(house: House, number: str = NUMBER) -> str:
    (one,) = await house.store.subjects("acme", number)
    return one.subject_id


async def test_the_files_go_with_the_person_and_what_is_held_stays(house: House, settings: config.Config) -> None:
    goes, held = await house.recorded(1), await house.recorded(1)
    await house.store.hold(held.call_id, "claim", NOW)
    subject = await who(house)
    planned = await erasure.plan(house.store, settings, subject, LATER)
    assert ([one.leg_id for one in planned.recordings], planned.held) == ([goes.leg_id], (held.call_id,))
    assert len(await house.left()) == 2  # a plan does nothing
    done = await erasure.erase(house.store, settings, subject, LATER)
    assert await house.left() == {held.leg_id}
    assert (done.erased.held, done.erased.removed["recordings"], done.left) == ((held.call_id,), 1, ())
    assert any("locked for a legal claim" in line for line in done.told)
    (leg,) = await house.store.call(goes.call_id)
    assert leg.recording is not None and (leg.recording.state, leg.recording.reason) == ("destroyed", "erased")
    await house.store.release(held.call_id, "settled", LATER)
    await house.recordings.sweep()
    assert await house.left() == set()


async def test_who_is_being_recorded_is_not_erased_and_nothing_is_noted(house: House, settings: config.Config) -> None:
    await house.recorded(1)
    await house.store.save(make_leg(given()))
    with pytest.raises(Denied, match=RUNNING):
        await erasure.erase(house.store, settings, await who(house), LATER)
    assert len(await house.left()) == 1
    assert tombstones.read(tombstones.place(settings)) == ()


STEPS: tuple[tuple[object, str], ...] = (
    (tombstones, "note"),
    (Recordings, "destroy"),
    (Store, "recording_destroyed"),
    (Store, "erase"),
)


@pytest.mark.parametrize(("of", "name"), STEPS)
@pytest.mark.parametrize("after", [False, True])
async def test_broken_off_anywhere_the_next_run_finishes_it(
    house: House, settings: config.Config, monkeypatch: pytest.MonkeyPatch, of: object, name: str, after: bool
) -> None:
    for days in (1, 2):
        await house.recorded(days)
    subject = await who(house)
    whole = getattr(of, name)

    def dies(*given: Any, **named: Any) -> Any:
        if not after:
            raise Killed
        came_to = whole(*given, **named)
        if name == "note":
            raise Killed

        async def then() -> None:
            await came_to
            raise Killed

        return then()

    monkeypatch.setattr(of, name, dies)
    with pytest.raises(Killed):
        await erasure.erase(house.store, settings, subject, LATER)
    monkeypatch.undo()
    noted = tombstones.read(tombstones.place(settings))
    remains = await house.store.to_erase(subject, LATER)
    assert remains is not None
    assert noted or remains.erased_at is None  # never the one without the other
    done = await erasure.erase(house.store, settings, subject, LATER + DAY)
    assert await house.left() == set()
    assert done.erased.subject_id == subject
    assert [one.subject_id for one in tombstones.read(tombstones.place(settings))] == [subject]
    (left,) = await house.store.subjects("acme", NUMBER)
    assert (left.legs, len(left.opt_outs)) == ((), 1)


async def test_a_file_that_cannot_go_is_named_and_nothing_else_is_erased(house: House, settings: config.Config) -> None:
    leg = await house.recorded(1)
    subject = await who(house)
    house.file(leg).unlink()
    house.file(leg).mkdir()
    with pytest.raises(SetupError, match=f"leg {leg.leg_id} cannot be removed"):
        await erasure.erase(house.store, settings, subject, LATER)
    assert await who(house) == subject
    house.file(leg).rmdir()
    await erasure.erase(house.store, settings, subject, LATER)
    assert await who(house) != subject


async def test_the_proof_that_german_law_asks_for_is_kept_for_five_years_of_the_last_use(
    house: House, settings: config.Config
) -> None:
    given_at = NOW - timedelta(days=400)
    consent = NewGrant(GERMAN, "marketing.calls", Basis.CONSENT, Channel.PAPER, given_at, None, "form 17")
    contract = NewGrant(NUMBER, "marketing.calls", Basis.CONTRACT, Channel.PAPER, given_at, None, "form 18")
    await house.store.grant_all("acme", [consent, contract], NOW, "command")
    italian = await erasure.plan(house.store, settings, await who(house), LATER)
    assert italian.proof is None
    done = await erasure.erase(house.store, settings, await who(house, GERMAN), LATER)
    assert done.plan.proof is not None
    until = due(given_at, 60).replace(microsecond=given_at.microsecond // 1000 * 1000)
    assert (done.plan.proof.why[:8], done.plan.proof.until) == ("de.proof", until)
    (tomb,) = tombstones.read(tombstones.place(settings))
    assert tomb.proof == done.plan.proof
    (locked,) = await house.store.restricted("acme", GERMAN)
    assert locked.proof == done.plan.proof
    assert any("locked until then" in line for line in done.told)
    # Run once more it keeps what it kept.
    await erasure.erase(house.store, settings, locked.subject_id, LATER)
    assert tombstones.read(tombstones.place(settings)) == (tomb,)
    # And who is erased anew, after another opt-out, is told of it as well.
    await house.store.opt_out("acme", GERMAN, Scope.ALL, LATER, "command")
    anew = await erasure.erase(house.store, settings, await who(house, GERMAN), LATER)
    assert (anew.plan.proof, anew.plan.proof_stays) == (None, locked.proof)
    assert anew.as_json()["proof"]["until"] == until.isoformat()
    assert any("locked until then" in line for line in anew.told)


def test_what_callguard_does_not_reach_is_named_with_each_form_of_the_number_and_no_value_in_the_statement() -> None:
    assert forms(NUMBER) == (NUMBER, "390612345678", "00390612345678", "0612345678")
    places = beyond(NUMBER, ["pbx-1.7", "pbx-1.7", "pbx-1.9"])
    assert [one.what.split(":")[0].split(",")[0] for one in places][:5] == [
        "CDR", "CEL", "queue_log", "Asterisk's files", "voicemail",
    ]  # fmt: skip
    for one in places[:3]:
        named = one.as_json()["parameters"]
        assert not any(value in one.statement for value in named.values())
        assert all(f":{name}" in one.statement for name in named)
    assert list(places[0].as_json()["parameters"].values())[-2:] == ["pbx-1.7", "pbx-1.9"]
    assert beyond(None, []) == ()
