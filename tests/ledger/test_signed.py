"""What was signed last stands beside the key as well: nobody who has only the database writes another history."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.config import Config
from callguard.core.checkpoint import Checkpoint, Note
from callguard.core.incidents import Incident
from callguard.errors import InputError
from callguard.ledger import signed
from callguard.ledger.checkpoints import Checkpoints, Unsignable, make
from callguard.ledger.keys import signer
from callguard.ledger.send import append
from callguard.ledger.signed import Signed
from callguard.store import Store
from tests.store.legs import CONTROLLERS, given, make_leg
from tests.test_cli import callguard

from .test_checkpoints import settings, taken

FORGET = "DROP TRIGGER IF EXISTS checkpoints_no_delete; DELETE FROM checkpoints WHERE size >= {};"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with Store.open(folder / "callguard.db", gate=None, controllers=CONTROLLERS) as store:
        yield store


async def sign(folder: Path, entries: int = 1, *, after_restore: bool = False, config: Config | None = None) -> int:
    """Add entries, sign, and say how many were signed."""
    async with opened(folder) as store:
        for _ in range(entries):
            await store.save(make_leg(given()))
        note, _ = await make(store, config or settings(folder), after_restore=after_restore)
        return Checkpoint.of(Note.of(note).text).size


def do(folder: Path, script: str) -> None:
    with closing(connect(folder / "callguard.db")) as database:
        database.executescript(script)


def rows(folder: Path) -> list[int]:
    with closing(connect(folder / "callguard.db")) as database:
        return [size for (size,) in database.execute("SELECT size FROM checkpoints ORDER BY size")]


async def kinds(folder: Path) -> list[str]:
    with closing(connect(folder / "callguard.db")) as database:
        bodies = database.execute("SELECT body FROM ledger ORDER BY seq").fetchall()
    return [json.loads(body)["kind"] for (body,) in bodies]


async def test_what_was_signed_last_is_beside_the_key_for_nobody_else(tmp_path: Path) -> None:
    assert [await sign(tmp_path), await sign(tmp_path)] == [1, 2]
    file = tmp_path / "ledger.key.signed"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = signed.read(tmp_path / "ledger.key.signed")
    assert kept is not None and kept.note is not None
    assert (Checkpoint.of(Note.of(kept.note).text).size, kept.before) == (2, 1)


async def test_checkpoints_that_are_gone_keep_the_ledger_from_being_signed(tmp_path: Path) -> None:
    await sign(tmp_path)
    await sign(tmp_path)
    do(tmp_path, FORGET.format(0))
    with pytest.raises(Unsignable, match="the checkpoints that its key has signed are gone") as error:
        await sign(tmp_path)
    assert error.value.why == "checkpoints_removed"
    # And who also removes what stands beside the key.
    (tmp_path / "ledger.key.signed").unlink()
    with pytest.raises(Unsignable, match="are gone from the store"):
        await sign(tmp_path)
    assert rows(tmp_path) == []
    # The service says it once.
    async with opened(tmp_path) as store:
        _, checkpoints = taken(tmp_path, "", store)
        for _ in range(2):
            await checkpoints.round()
        (incident,) = await store.incidents(10)
        assert (incident.kind, incident.detail) == (Incident.LEDGER_UNSIGNED, {"why": "checkpoints_removed"})


async def test_a_history_that_was_written_anew_is_not_signed(tmp_path: Path) -> None:
    """With fewer entries, or as many and other ones: by the file beside the key, or by what was sent."""
    sent = tmp_path / "sent"
    config = settings(tmp_path, f'send_to_file = "{sent}"')
    for _ in range(2):
        await sign(tmp_path, 3, config=config)
    kept = signed.read(tmp_path / "ledger.key.signed")
    assert kept is not None and kept.note is not None
    assert append(sent, kept.note) == ""
    store = tmp_path / "callguard.db"
    store.rename(tmp_path / "away.db")
    for entries in (2, 4):
        with pytest.raises(Unsignable, match=r"continue the 6 entries that were signed last .as stands beside"):
            await sign(tmp_path, entries)
    signed.write(tmp_path / "ledger.key.signed", Signed())
    with pytest.raises(Unsignable, match=r"as stands in .ledger. send_to_file"):
        await sign(tmp_path, config=config)
    sent.unlink()  # not mounted: what is beside the key has to do
    assert await sign(tmp_path, 0, config=config) == 7


@pytest.mark.parametrize("checkpoints", [0, 1])
async def test_a_crash_between_file_and_row_is_mended_by_the_next_signing(tmp_path: Path, checkpoints: int) -> None:
    for _ in range(checkpoints + 1):
        await sign(tmp_path)
    do(tmp_path, FORGET.format(checkpoints + 1))
    done = callguard("ledger", "verify", "--config", str(tmp_path / "callguard.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert await sign(tmp_path, 0) == checkpoints + 1
    assert rows(tmp_path) == list(range(1, checkpoints + 2))


async def test_an_older_store_is_signed_once_somebody_said_that_it_was_restored(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    more = f'send_to_file = "{sent}"'
    config = settings(tmp_path, more)
    await sign(tmp_path, config=config)
    with closing(connect(tmp_path / "callguard.db")) as one, closing(connect(tmp_path / "backup.db")) as other:
        one.backup(other)
    await sign(tmp_path, config=config)
    kept = signed.read(tmp_path / "ledger.key.signed")
    assert kept is not None and kept.note is not None
    append(sent, kept.note)
    for name in ("callguard.db", "callguard.db-wal", "callguard.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.db").rename(tmp_path / "callguard.db")
    file = str(tmp_path / "callguard.toml")
    done = callguard("ledger", "verify", "--config", file)
    assert done.returncode == 1 and "the ledger ends before entry 1" in done.stdout
    done = callguard("ledger", "checkpoint", "--config", file)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "--after-restore" in done.stderr
    assert await kinds(tmp_path) == ["gate", "incident"]
    done = callguard("ledger", "checkpoint", "--after-restore", "--config", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert await kinds(tmp_path) == ["gate", "incident", "ledger.restored"]
    # What was given up is not asked for again, also where it was the last that was sent.
    sent.write_text(sent.read_text(encoding="utf-8").replace(done.stdout, ""), encoding="utf-8")
    assert await sign(tmp_path, config=config) == 4
    assert callguard("ledger", "verify", "--config", file).returncode == 0
    # Nothing more to give up: it signs, and writes nothing else.
    assert await sign(tmp_path, config=config, after_restore=True) == 5
    assert (await kinds(tmp_path)).count("ledger.restored") == 1


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[Store, Checkpoints]]:
    """As a service that is started with what there is."""
    async with opened(folder) as store:
        _, checkpoints = taken(folder, "", store)
        signing = asyncio.create_task(checkpoints.keep_signing())
        yield store, checkpoints
        signing.cancel()
        with suppress(asyncio.CancelledError):
            await signing


@pytest.mark.parametrize("older", [True, False])
async def test_a_service_that_finds_an_older_store_or_an_empty_one_knows_it_at_once(
    tmp_path: Path, older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path) as (_, checkpoints):  # nothing was ever signed
        assert await checkpoints.continued()
    await sign(tmp_path)
    with closing(connect(tmp_path / "callguard.db")) as one, closing(connect(tmp_path / "backup.db")) as other:
        one.backup(other)
    await sign(tmp_path)
    async with started(tmp_path) as (_, checkpoints):
        assert await checkpoints.continued()
    for name in ("callguard.db", "callguard.db-wal", "callguard.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    if older:
        (tmp_path / "backup.db").rename(tmp_path / "callguard.db")
    monkeypatch.setattr("callguard.ledger.checkpoints.LOOK_AGAIN_S", 0.05)
    async with started(tmp_path) as (store, checkpoints), asyncio.timeout(10):
        assert not await checkpoints.continued()
        while not await store.incidents(10):
            await asyncio.sleep(0.01)
        (incident,) = await store.incidents(10)
        assert (incident.kind, incident.detail) == (Incident.LEDGER_UNSIGNED, {"why": "not_continued"})
        # And goes on once somebody has said so.
        await make(store, settings(tmp_path), after_restore=True)
        while not await checkpoints.continued():
            await asyncio.sleep(0.01)
        assert len(await store.incidents(10)) == 1


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("harm", ["key gone", "key junk", "signed junk", "signed a folder", "signed gone"])
async def test_where_it_cannot_be_known_what_was_signed_nobody_is_dialled(
    tmp_path: Path, older: bool, harm: str
) -> None:
    """But an older store that has checkpoints, and nothing beside the key says that there were more."""
    await sign(tmp_path)
    with closing(connect(tmp_path / "callguard.db")) as one, closing(connect(tmp_path / "backup.db")) as other:
        one.backup(other)
    await sign(tmp_path)
    for name in ("callguard.db", "callguard.db-wal", "callguard.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    if older:
        (tmp_path / "backup.db").rename(tmp_path / "callguard.db")
    which, how = harm.split(maxsplit=1)
    file = tmp_path / ("ledger.key" if which == "key" else "ledger.key.signed")
    if how == "junk":
        file.write_text("")
    else:
        file.unlink()
    if how == "a folder":
        file.mkdir()
    async with started(tmp_path) as (_, checkpoints):
        assert await checkpoints.continued() == (older and harm == "signed gone")


async def test_a_store_of_which_it_is_not_known_in_time_is_none_to_dial_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callguard.ledger.checkpoints.LOOK_WITHIN_S", 0.01)
    async with opened(tmp_path) as store:
        _, checkpoints = taken(tmp_path, "", store)
        assert not await checkpoints.continued()


async def test_a_lost_key_is_not_replaced_unasked(tmp_path: Path) -> None:
    await sign(tmp_path)
    key, file = tmp_path / "ledger.key", str(tmp_path / "callguard.toml")
    first = signer(key, settings(tmp_path).ledger.origin).key
    key.unlink()
    (tmp_path / "ledger.key.pub").rename(tmp_path / "pub")
    for missing in ("", "callguard.db", "ledger.key.signed"):
        # By each of the three that is left of it.
        with pytest.raises(InputError, match=r"ledger.key: ledger.key_file: is gone, and has signed.*new-key"):
            await sign(tmp_path)
        if missing:
            (tmp_path / missing).rename(tmp_path / f"{missing}.away")
            with pytest.raises(InputError, match="is gone, and has signed"):
                await sign(tmp_path)
            (tmp_path / missing).unlink(missing_ok=True)
            (tmp_path / f"{missing}.away").rename(tmp_path / missing)
    (tmp_path / "pub").rename(tmp_path / "ledger.key.pub")
    done = callguard("ledger", "new-key", "--config", file)
    assert (done.returncode, done.stderr) == (0, "")
    second = signer(key, settings(tmp_path).ledger.origin).key
    assert second != first and second.written in done.stdout
    await sign(tmp_path)
    assert "ledger.key_replaced" in await kinds(tmp_path)
    assert callguard("ledger", "verify", "--config", file).returncode == 0
    done = callguard("ledger", "new-key", "--config", file)
    assert done.returncode == 2 and "set it aside first" in done.stderr


@pytest.mark.parametrize("text", ["", "{}", "7", '{"note": "x", "before": null, "given_up": []}'])
async def test_what_stands_beside_the_key_and_is_no_note_is_one_line(tmp_path: Path, text: str) -> None:
    await sign(tmp_path)
    (tmp_path / "ledger.key.signed").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"ledger.key.signed: does not say what was signed last"):
        await sign(tmp_path)


async def test_a_note_of_another_key_beside_ours_is_not_believed(tmp_path: Path) -> None:
    await sign(tmp_path)
    other = signer(tmp_path / "other.key", settings(tmp_path).ledger.origin)
    signed.write(tmp_path / "ledger.key.signed", Signed(other(0, bytes(32))))
    with pytest.raises(Unsignable, match="is not signed by the ledger's key"):
        await sign(tmp_path)


async def test_a_key_in_a_folder_that_is_only_read_signs(tmp_path: Path) -> None:
    """As systemd hands credentials to a service."""
    (keys := tmp_path / "keys").mkdir()
    signer(keys / "ledger.key", settings(tmp_path).ledger.origin)
    (keys / "ledger.key.pub").unlink()
    config = settings(tmp_path, f'key_file = "{keys / "ledger.key"}"')
    assert await sign(tmp_path, config=config) == 1
    assert sorted(one.name for one in keys.iterdir()) == ["ledger.key", "ledger.key.pub"]
    assert config.ledger_signed_file == tmp_path / "ledger.key.signed"
