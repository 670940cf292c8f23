"""A store with one person's dealings with two controllers, and somebody else in one of the calls."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callguard import config
from callguard.core.conversation import Why
from callguard.core.decide import Facts, Place, Scope
from callguard.core.evidence import Value
from callguard.core.grants import Channel
from callguard.core.incidents import Incident
from callguard.core.law import Law
from callguard.core.model import Answer, Basis
from callguard.store import Store
from callguard.store.dial_records import DialRecord, NewGrant
from callguard.store.records import Kept, LegRecord, RecordedFile
from tests.optouts.conftest import NUMBER, run, two, written
from tests.store.legs import START, given, make_leg, refused

__all__ = ["START", "run", "two", "written"]

CONTROLLERS = {"acme": "Acme Energy", "zeta": "Zeta Water"}
OTHER = "+390612345678"
WORDS = "by letter <b>&"
AUDIO = b"RIFF" + bytes(range(256)) * 8
RECORDED, SHARED, REFUSED, WITHDRAWN, OTHERS, DIALLED = (
    f"019aa{n}00-0000-7000-8000-000000000000" for n in range(1, 7)
)  # fmt: skip


def leg(call: str, minutes: int, *answers: Answer, **changes: Any) -> LegRecord:
    """A leg whose call has an id of its own, some minutes after the first."""
    began = START + timedelta(minutes=minutes)
    made = make_leg(*answers, **{"number": NUMBER, "notice_version": "3"} | changes)
    ids = {"leg_id": call, "call_id": call, "file": call if made.recording else None} | changes
    return replace(made, started_at=began, saved_at=began + timedelta(seconds=11), **ids)


def recorded(one: LegRecord) -> Kept:
    """What became of its recording, 3 minutes after it began."""
    file = RecordedFile(f"{one.leg_id}.wav", len(AUDIO), hashlib.sha256(AUDIO).hexdigest())
    return Kept((file,), 120_000, one.started_at + timedelta(minutes=3))


async def fill(store: Store) -> None:
    """Calls that came to all there is, opt-outs, a grant, a dial decision; and another person's leg beside theirs."""
    yes = leg(RECORDED, 0, given())
    await store.save(yes)
    await store.segment_ended(RECORDED, 0, None, START + timedelta(seconds=20), Why.AGENT, 0)
    await store.segment_begun(RECORDED, 1, START + timedelta(seconds=30), Why.AGENT)
    await store.recording_kept(RECORDED, recorded(yes), START + timedelta(days=36_500))
    detail: dict[str, Value] = {"segment": 1, "from": "x", "to": "y", "kept": True, "file": "of-somebody-else"}
    await store.incident(Incident.RECORDING_UNWATCHED, START + timedelta(minutes=2), detail, RECORDED)
    both = leg(SHARED, 60, given(), linkedid="together")
    theirs = leg(OTHERS, 61, given(), number=OTHER, call_id=SHARED, linkedid="together", language="pl")
    for one in (both, theirs):
        await store.save(one)
        await store.recording_kept(one.leg_id, recorded(one), None)
    await store.save(leg(REFUSED, 120, refused()))
    await store.save(leg(WITHDRAWN, 180, given()))
    await store.withdraw(WITHDRAWN, START + timedelta(minutes=181), "key")
    await store.recording_destroyed(WITHDRAWN, START + timedelta(minutes=182), "withdrawn")
    await store.opt_out("zeta", NUMBER, Scope.MARKETING, START, "request", reason=WORDS)
    await store.opt_in("zeta", NUMBER, Scope.MARKETING, START + timedelta(days=1), "request")
    grant = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, "form 17")
    await store.grant_all("zeta", [grant], START + timedelta(days=2), "command")
    there = Place("ES", None, ("Europe/Madrid",))
    facts = Facts(NUMBER, "marketing", "marketing.calls", "spring", START + timedelta(days=3), (), (), place=there)
    await store.decided(DialRecord.of(DIALLED, "zeta", "sales", facts, Law(digest="0123456789abcdef").decide(facts)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the recordings of `known` are: three files, as Asterisk and callguard leave them."""
    made = tmp_path / "recordings"
    made.mkdir()
    for call in (RECORDED, SHARED, OTHERS):
        (made / f"{call}.wav").write_bytes(AUDIO)
    return made


@pytest.fixture
def known(two: Path, folder: Path) -> Path:
    """The configuration of two controllers, and the store that goes with it."""
    text = two.read_text(encoding="utf-8").replace('path_here = "/var/spool/callguard"', f'path_here = "{folder}"')
    two.write_text(text, encoding="utf-8")
    settings = config.load(two)

    async def keep() -> None:
        in_asterisk = str(settings.recording.folder.in_asterisk)
        async with Store.open(settings.store.path, gate=None, controllers=CONTROLLERS, folder=in_asterisk) as store:
            await fill(store)

    asyncio.run(keep())
    return two
