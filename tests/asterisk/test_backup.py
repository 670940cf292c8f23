"""A backup is made while somebody is recorded, and a service that finds an older store erases before it serves."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from sqlite3 import connect

from callguard import config
from callguard.demo.tones import AGENT, CALLER_AFTER_YES
from callguard.keys.master import MasterKey
from callguard.rights import tombstones
from callguard.rights.tombstones import Tombstone
from tests.asterisk.conftest import World, says_yes
from tests.asterisk.test_retention import command


async def test_a_backup_loses_no_call_and_who_was_erased_stays_so_after_a_start(world: World) -> None:
    folder = world.gate.folder
    (folder / "backup.key").write_text(MasterKey.new().text, encoding="ascii")
    (folder / "backup.key").chmod(0o600)
    with (folder / "callguard.toml").open("a", encoding="utf-8") as more:
        more.write(f'\n[backup]\nkey = {{ file = "{folder / "backup.key"}" }}\n')
    calls = len(world.agent.calls)
    talking = asyncio.create_task(world.call(*says_yes(world.times, 6_000)))
    reached = await world.agent_call(calls)
    await reached.up()
    backup = str(folder / "one.cgbackup")
    assert "read back whole" in await command(world, "backup", backup, "--with-recordings")
    assert "whole, made" in await command(world, "backup", "--verify", backup)
    await talking
    leg = await world.settled(world.told(reached).call)
    assert leg.recording is not None and leg.recording.state == "kept"
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}

    await world.gate.stop()
    settings = config.load(folder / "callguard.toml", {})
    with closing(connect(settings.store.path)) as store:
        ((subject_id, controller),) = store.execute(
            "SELECT subject_id, controller FROM subjects WHERE number IS NOT NULL LIMIT 1"
        ).fetchall()
    tombstones.note(tombstones.place(settings), Tombstone(subject_id, controller, datetime.now(UTC)))
    await world.gate.start()
    with closing(connect(settings.store.path)) as store:
        ((number,),) = store.execute("SELECT number FROM subjects WHERE subject_id = ?", (subject_id,)).fetchall()
    assert number is None
