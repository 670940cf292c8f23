"""What a new configuration comes to in a running service, and what a leg keeps of the old one."""

from __future__ import annotations

import asyncio
import re
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uuid_utils

from callguard.config import Config
from callguard.core.model import Basis, Purpose
from callguard.core.profile import Notice
from callguard.current import KEPT, LONGEST_NAME, NOBODY_IS_LEFT_AFTER_S, ROUNDS, Current
from callguard.dialplan import Dialplan
from callguard.prepare import reloaded
from callguard.telephony import ari
from tests.core.flows import FLOWS
from tests.telephony.fake_asterisk import fake_asterisk

EXAMPLE = Path(__file__).parent.parent / "docs" / "callguard.example.toml"
FLOW = replace(FLOWS["consent"], profile="service")
OTHER = replace(FLOW, purposes=(Purpose("recording.training", Basis.CONSENT),))


def config(**tables: dict[str, Any]) -> Config:
    data = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for name, values in tables.items():
        data[name] = data.get(name, {}) | values
    return Config.model_validate(data)


def current(app: str = "callguard") -> Current:
    return Current(config(asterisk={"app": app}), {"service": FLOW})


def test_connections_and_how_recordings_are_made_wait_for_a_restart() -> None:
    now = config()
    new = config(
        asterisk={"app": "callguard-b"}, store={"path": "/elsewhere.db"}, http={"port": 9}, log={"format": "json"},
        limits={"calls_in_gate": 7}, keys={"master": {"env": "A_KEY"}},
        recording={"files": "two", "destroy_withdrawn_after_s": 60, "encrypted_folder": "/kept"},
    )  # fmt: skip
    comes_to, waiting = reloaded(now, new)
    assert waiting == ("asterisk", "store", "http", "log", "recording.files", "recording.encrypted_folder")
    assert (comes_to.asterisk, comes_to.store, comes_to.http, comes_to.log) == (
        now.asterisk, now.store, now.http, now.log,
    )  # fmt: skip
    assert comes_to.limits.calls_in_gate == 7
    assert (comes_to.keys, comes_to.recording.encrypted_folder) == (new.keys, None)
    assert (comes_to.recording.files, comes_to.recording.destroy_withdrawn_after_s) == ("mixed", 60)
    assert reloaded(now, config()) == (now, ())


def test_profiles_and_controllers_take_effect() -> None:
    now, new = config(), config()
    new = new.model_copy(update={"profiles": {"service": new.profiles["service"]}})
    comes_to, waiting = reloaded(now, new)
    assert set(comes_to.profiles) == {"service"}
    assert waiting == ()


def test_purposes_that_change_are_told_under_a_mark_of_their_own() -> None:
    """The dialplan turns an answer's purposes into names: those of the leg, not those that are asked by now."""
    under = current()
    assert under.told_as == ""
    under.replace(under.config, {"service": replace(FLOW, gate_required=True)})
    assert under.told_as == ""
    under.replace(under.config, {"service": OTHER})
    assert under.told_as == "--1"
    under.replace(under.config, {"service": OTHER, "sales": FLOW})
    assert under.told_as == "--1"
    for _ in range(ROUNDS):
        under.replace(under.config, {"service": FLOW if under.flows["service"] is OTHER else OTHER})
    assert under.told_as == "--1"


def test_the_longest_answer_still_fits_an_extension() -> None:
    leg = str(uuid_utils.uuid7())
    for app in ("callguard", "callguard-abcdefgh"):
        assert current(app).fits({"service": OTHER})
        assert len(f"done-informed-yes-30-{leg}-{app}--{ROUNDS}") <= 79
        assert len(f"done-diverted-no-009-{leg}-{app}--{ROUNDS}") <= 79  # of who has not heard what has changed
    assert len("callguard-abcdefghijk") <= LONGEST_NAME < len("callguard-abcdefghijk--1")
    assert not current("callguard-abcdefghijk").fits({"service": OTHER})
    assert current("callguard-abcdefghijk").fits({"service": replace(FLOW, gate_required=True)})


def test_a_key_in_the_call_means_what_was_asked_when_it_began() -> None:
    under = current()
    before = str(uuid_utils.uuid7())
    time.sleep(0.002)
    under.replace(under.config, {"service": OTHER})
    same_moment = under._since[-1][0]
    time.sleep(0.002)
    after = str(uuid_utils.uuid7())
    assert under.flow_when_begun("service", before) is FLOW
    assert under.flow_when_begun("service", after) is OTHER
    assert under.flow_when_begun("sales", after) is None
    head = f"{same_moment:012x}"
    assert under.flow_when_begun("service", f"{head[:8]}-{head[8:]}" + after[13:]) is None
    for _ in range(KEPT):
        time.sleep(0.002)
        under.replace(under.config, {"service": FLOW})
    assert under.flow_when_begun("service", before) is None


@pytest.mark.parametrize("name", ["PURPOSES", "FOLDER", "FILES"])
def test_the_dialplan_looks_up_what_an_answer_is_marked_with(name: str) -> None:
    dialplan = (EXAMPLE.parent.parent / "dialplan" / "callguard.conf").read_text(encoding="utf-8")
    assert re.search(rf"GLOBAL\(CALLGUARD_{name}_\$\{{CG_APP\}}", dialplan)
    assert "Set(CG_APP=${FILTER(a-z0-9-,${CUT(CG_ANSWER,-,10-)})})" in dialplan


async def test_a_notice_that_becomes_longer_is_told_before_it_is_played() -> None:
    """A call's first lease is taken from Asterisk's globals before anybody knows who will claim it."""
    longer = replace(
        FLOW,
        steps={
            language: (Notice(replace(steps[0].essential, length_ms=20_000)), *steps[1:])
            for language, steps in FLOW.steps.items()
            if isinstance(steps[0], Notice)
        },
    )
    async with fake_asterisk() as fake, ari.connected(fake.url, "callguard", "secret", "callguard") as client:

        async def pump() -> None:
            async for _ in client:
                pass

        pumping = asyncio.create_task(pump())
        short, long = current(), current()
        long.replace(long.config, {"service": longer})
        assert await Dialplan(short).lengthen_leases(client, {"service": longer, "sales": FLOW})
        assert not await Dialplan(long).lengthen_leases(client, {"service": FLOW})
        pumping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pumping
    told = [query for _, _, query in fake.orders]
    assert told == [{"variable": "CALLGUARD_LEASE_service", "value": "25.0"}]


def test_a_mark_means_one_thing_while_somebody_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = current()
    for change in range(ROUNDS):
        assert not now.too_soon({"service": OTHER if change % 2 == 0 else FLOW})
        now.replace(now.config, {"service": OTHER if change % 2 == 0 else FLOW})
    # The unmarked round is not used again, so the first mark is the one that would come twice.
    assert now.too_soon({"service": FLOW})
    assert not now.too_soon(dict(now.flows))
    later = time.monotonic() + NOBODY_IS_LEFT_AFTER_S
    monkeypatch.setattr("callguard.current.time.monotonic", lambda: later)
    assert not now.too_soon({"service": FLOW})
