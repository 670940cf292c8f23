"""What a real call leaves in the ledger: signed while callguard runs and when it stops, and proved."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from callguard.core.checkpoint import Checkpoint
from callguard.ledger.copies import opened
from callguard.ledger.keys import signer
from callguard.ledger.prove import prove
from callguard.ledger.send import notes_in
from callguard.ledger.verify import verify
from callguard.service import SIGN_WITHIN_S
from callguard.speech.catalogue import said_in
from callguard.store.ledger import size_of
from tests.asterisk.conftest import PATIENCE_S, World, says_yes
from tests.asterisk.supervisor import Supervisor


async def test_a_call_is_signed_while_it_is_kept_and_when_callguard_stops(world: World) -> None:
    sent = world.gate.folder / "sent"
    await world.gate.stop()
    world.gate.environment |= {"CALLGUARD_LEDGER__SEND_TO_FILE": str(sent), "CALLGUARD_LEDGER__CHECKPOINT_EVERY_S": "1"}
    await world.gate.start()
    calls = len(world.agent.calls)
    number = "+34600000071"
    await world.call(*says_yes(world.times), from_number=number)
    told = world.told(await world.agent_call(calls))
    leg = await world.settled(told.call)
    assert leg.recording is not None
    settings = world.gate.config
    with opened(world.gate.store) as store:
        entries = size_of(store)
    async with asyncio.timeout(PATIENCE_S):
        while not sent.exists() or [Checkpoint.of(note.text).size for note in notes_in(sent)][-1] < entries:
            await asyncio.sleep(0.05)
    # What the timer has no time for is signed at the stop.
    world.gate.environment["CALLGUARD_LEDGER__CHECKPOINT_EVERY_S"] = "3600"
    await world.gate.stop()
    await world.gate.start()
    await world.call(*says_yes(world.times), from_number=number)
    await world.settled(world.told(await world.agent_call(calls + 1)).call)
    await world.gate.stop()
    key = signer(settings.ledger_key_file, settings.ledger.origin).key
    notes = list(notes_in(sent))
    with opened(world.gate.store) as store:
        report = verify(store, [key], notes)
        assert report.findings == ()
        assert Checkpoint.of(notes[-1].text).size == report.entries == size_of(store)
        folder = settings.prompts.folder.path_here
        proof: dict[str, Any] = prove(store, told.call, [key], lambda heard: said_in(folder, dict(heard.sha256)))
    said = [json.loads(entry["leaf"])["entry"] for entry in proof["entries"]]
    assert [one["kind"] for one in said] == ["gate", "informed", "recording.kept"]
    assert said[2]["files"] == [
        {"name": file.name, "size": file.size, "sha256": file.sha256} for file in leg.recording.files
    ]
    assert [notice["prompt"] for notice in proof["notices"]] == [one["prompt"] for one in said[0]["heard"]]
    assert all(notice["text"] for notice in proof["notices"])
    assert number[1:] not in json.dumps(proof)


async def test_a_place_that_never_answers_keeps_neither_calls_nor_the_stop_waiting(world: World) -> None:
    asked: list[asyncio.StreamWriter] = []
    await world.gate.stop()
    async with await asyncio.start_server(lambda reader, writer: asked.append(writer), "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/"
        world.gate.environment |= {"CALLGUARD_LEDGER__SEND_TO_URL": url, "CALLGUARD_LEDGER__CHECKPOINT_EVERY_S": "1"}
        async with Supervisor(world.gate) as manager:
            await manager.hears("READY=1")
            async with asyncio.timeout(PATIENCE_S):
                while not asked:
                    await asyncio.sleep(0.02)
            calls = len(world.agent.calls)
            await world.call(*says_yes(world.times))
            assert world.told(await world.agent_call(calls)).state == "given"
            began = time.monotonic()
            assert await manager.stop() == 0
            assert time.monotonic() - began < SIGN_WITHIN_S + 5
        for writer in asked:
            writer.close()
