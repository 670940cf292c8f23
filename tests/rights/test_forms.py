"""What becomes of what is rare: a yes in the middle of a call, a hang-up, a grant that is over, a file that changes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from callguard.controller import Controller
from callguard.core.decide import Scope
from callguard.core.grants import Channel
from callguard.core.model import Answer, Basis, GrantState, Heard
from callguard.errors import SetupError
from callguard.rights.audio import OTHERS, sounds
from callguard.rights.export import write
from callguard.rights.receipts import Setting, receipts
from callguard.rights.vcon import vcons
from callguard.sections import Folder
from callguard.store import Store
from callguard.store.about import Subject
from callguard.store.dial_records import NewEnding, NewGrant
from tests.optouts.conftest import NUMBER
from tests.rights.conftest import AUDIO, CONTROLLERS, RECORDED, START, WITHDRAWN, leg, recorded
from tests.rights.reading import VCON
from tests.rights.receipt_model import Receipt
from tests.store.legs import CONTRACT, PROMPT, QUALITY, given, refused

NOW = START + timedelta(days=10)
SETTING = Setting(
    "acme",
    Controller(
        name="Acme Energy", address="1 Main Street", contact="privacy at acme dot example", recipients="nobody",
        transfers="none", retention="90 days", authority="the agency", automated="none", more_at="acme dot example",
    ),
    {"service": "ES"},
    ("Madrid (ES)",),
    "en",
)  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers=CONTROLLERS, folder="/here") as opened:
        yield opened


async def the_one(store: Store) -> Subject:
    (one,) = await store.subjects("acme", NUMBER)
    return one


async def states(store: Store, name: str) -> list[str]:
    """The states of the consent that a receipt is about, oldest first."""
    receipt = Receipt.model_validate(receipts(await the_one(store), SETTING, NOW)[name])
    return [it.type[0] for it in receipt.hasRecordOfActivity.hasProcess[0].hasConsentStatus]


async def test_a_yes_in_the_call_is_a_key_of_its_own_and_the_recording_begins_with_it(store: Store) -> None:
    await store.save(leg(RECORDED, 0, refused()))
    agreed = START + timedelta(minutes=2)
    assert await store.agree(RECORDED, agreed, (QUALITY,), "1", RECORDED, heard=(Heard(PROMPT, 9_000),))
    await store.recording_kept(RECORDED, recorded(leg(RECORDED, 0, given())), None)
    vcon = vcons(await the_one(store), "Acme Energy", NOW)[RECORDED]
    VCON.validate(vcon)
    call, recording = vcon["dialog"]
    assert [(it["button"], it["time"]) for it in call["party_history"]] == [
        ("2", (START + timedelta(seconds=11)).isoformat()), ("1", agreed.isoformat()),
    ]  # fmt: skip
    assert (recording["start"], len(recording["content_hash"])) == (agreed.isoformat(), 1)
    assert await states(store, RECORDED) == ["dpv:ConsentRefused", "dpv:ConsentGiven"]
    assert len(receipts(await the_one(store), SETTING, NOW)[RECORDED]["dpv:hasRecordOfActivity"]["dpv:hasNotice"]) == 2


async def test_silence_is_unknown_and_who_hangs_up_has_put_it_off(store: Store) -> None:
    for name, reason in ((RECORDED, "silence"), (WITHDRAWN, "hangup")):
        await store.save(leg(name, 0, Answer(QUALITY, GrantState.UNKNOWN, "", reason)))
    assert await states(store, RECORDED) == ["dpv:ConsentUnknown"]
    assert await states(store, WITHDRAWN) == ["dpv:ConsentRequestDeferred"]
    assert "party_history" not in vcons(await the_one(store), "Acme Energy", NOW)[RECORDED]["dialog"][0]


async def test_what_rests_on_another_basis_has_no_receipt_of_consent(store: Store) -> None:
    await store.save(leg(RECORDED, 0, given(CONTRACT), direction="outbound"))
    one = await the_one(store)
    assert receipts(one, SETTING, NOW) == {}
    vcon = vcons(one, "Acme Energy", NOW)[RECORDED]
    assert [it["body"]["lawful_basis"] for it in vcon["attachments"]] == ["contract"]
    assert vcon["dialog"][0]["parties"] == [1, 0]


@pytest.mark.parametrize(
    ("until", "ending", "state"),
    [
        (timedelta(days=1), None, "dpv:ConsentExpired"),
        (None, GrantState.REVOKED, "dpv:ConsentRevoked"),
        (None, GrantState.INVALIDATED, "dpv:ConsentInvalidated"),
        (None, GrantState.SUSPENDED, "dpv:ConsentUnknown"),
        (None, None, None),
    ],
)
async def test_a_grant_that_is_over_says_how(
    store: Store, until: timedelta | None, ending: GrantState | None, state: str | None
) -> None:
    end = None if until is None else START + until
    grant = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.ONLINE, START, end, "form 18")
    await store.grant_all("acme", [grant], NOW, "command")
    if ending is not None:
        await store.grant_all("acme", [NewEnding(NUMBER, ending, None, "why", NOW)], NOW, "command")
    assert await states(store, "grant-1") == ["dpv:ConsentGiven", *([state] if state else [])]


async def test_a_person_who_was_never_called_has_an_export_too(store: Store) -> None:
    await store.opt_out("acme", NUMBER, Scope.ALL, START, "request")
    one = await the_one(store)
    assert (vcons(one, "Acme Energy", NOW), receipts(one, SETTING, NOW)) == ({}, {})


async def test_a_recording_is_handed_out_only_where_all_is_well(store: Store, tmp_path: Path) -> None:
    await store.save(leg(RECORDED, 0, given()))
    await store.recording_kept(RECORDED, recorded(leg(RECORDED, 0, given())), None)
    file = tmp_path / f"{RECORDED}.wav"
    file.write_bytes(AUDIO)
    (known,) = (await the_one(store)).legs
    here = Folder(path_here=tmp_path, path_in_asterisk=Path("/here"))
    openings = {file.name: lambda: file.open("rb")}
    (sound,) = sounds(known, here, openings, shared=False, held=False)
    assert (sound.withheld, sound.size) == ("", len(AUDIO))
    assert sounds(known, here, openings, shared=True, held=False)[0].withheld == OTHERS
    there = Folder(path_here=tmp_path, path_in_asterisk=Path("/there"))
    assert sounds(known, there, openings, shared=False, held=False)[0].withheld == "it is in another callguard's folder"
    assert known.detail.recording is not None
    for gone, why in (
        (replace(known.detail.recording, state="destroyed"), "destroyed"),
        (replace(known.detail.recording, state="quarantined"), "set aside"),
    ):
        other = replace(known, detail=replace(known.detail, recording=gone))
        assert why in sounds(other, here, openings, shared=False, held=False)[0].withheld
    strange = replace(known.detail.recording, files=(replace(known.detail.recording.files[0], name="../x.wav"),))
    (refused_,) = sounds(
        replace(known, detail=replace(known.detail, recording=strange)), here, openings, shared=False, held=False
    )
    assert refused_.withheld == "its name is none of a file"
    file.write_bytes(AUDIO[::-1])
    with pytest.raises(SetupError, match="has changed while it was read"):
        write(io.BytesIO(), {}, [sound], datetime.now().astimezone())
    file.unlink()
    with pytest.raises(SetupError, match="cannot be read any more"):
        write(io.BytesIO(), {}, [sound], datetime.now().astimezone())
