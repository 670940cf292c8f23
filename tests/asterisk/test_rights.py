"""A person's export of real calls, made beside the service that took them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from zipfile import ZipFile

from callguard.core.model import Outcome
from callguard.demo.rtp import Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE, tones_in
from callguard.store.reader import Reader
from tests.asterisk.conftest import PROMPT_HZ, TONES, World, presses, says_yes
from tests.rights.reading import VCON, unsigned
from tests.rights.receipt_model import Receipt
from tests.test_cli import callguard

NUMBER = "+34600000071"


async def test_who_called_gets_their_own_calls_and_recording_and_nobody_elses(world: World, tmp_path: Path) -> None:
    hears_it_all = (
        Tone(CALLER_BEFORE, world.times.essential + world.times.question + 1_900),
        Tone(CALLER_AFTER_YES, 900),
    )
    await asyncio.gather(
        world.call(*says_yes(world.times), from_number=NUMBER),
        world.call(*says_yes(world.times), from_number="+34600000072"),
        world.call(*presses(world.times, "2"), from_number=NUMBER),
        world.call(*hears_it_all, extension="1001", from_number=NUMBER),
    )
    async with Reader.reading(world.gate.store) as store:
        legs = await store.calls(10)
        (known,) = await store.subjects(None, NUMBER)
    for leg in legs:
        if leg.recording:
            await world.settled(leg.call_id)
    of = {one.detail.leg.outcome: one.detail.leg.call_id for one in known.legs}
    yes, no, informed = of[Outcome.GIVEN], of[Outcome.REFUSED], of[Outcome.INFORMED]
    (others,) = {leg.call_id for leg in legs} - set(of.values())
    file = tmp_path / "person.zip"
    words = ("subject", "export", NUMBER, "-o", str(file), "--with-audio", "--json")
    done = await asyncio.to_thread(callguard, *words, "--config", str(world.gate.folder / "callguard.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    with ZipFile(file) as archive:
        archive.extractall(tmp_path)
        files = {name: archive.read(name) for name in archive.namelist()}
    unsigned(json.loads(files["manifest.jws"]), files["certificate.pem"])
    vcons = [json.loads(files[f"vcons/{one}.vcon"]) for one in (yes, no, informed)]
    for vcon in vcons:
        VCON.validate(vcon)
    keys = [[it["button"] for it in vcon["dialog"][0].get("party_history", ())] for vcon in vcons]
    assert keys == [["1"], ["2"], []]
    bases = [[it["body"]["lawful_basis"] for it in vcon["attachments"]] for vcon in vcons]
    assert bases == [["consent"], ["consent"], ["contract"]]
    receipts = {name for name in files if name.startswith("receipts/")}
    assert receipts == {f"receipts/{one}.jsonld" for one in (yes, no)}
    for name in receipts:
        heard = Receipt.model_validate_json(files[name]).hasRecordOfActivity.hasNotice
        assert heard[0].hasIdentifier == "service/essential"
    assert {name for name in files if name.startswith("recordings/")} == {
        f"recordings/{one}.wav" for one in (yes, informed)
    }
    sounds = tones_in(tmp_path / "recordings" / f"{yes}.wav", [*TONES, PROMPT_HZ])
    assert {int(tone.hz) for tone in sounds} == {CALLER_AFTER_YES, AGENT}
    for name, data in files.items():
        assert others not in name and others.encode() not in data and b"34600000072" not in data
    assert NUMBER[1:] not in world.gate.log()
