"""Recordings that are complete are encrypted: whatever happens meanwhile, one copy is whole and no clear one stays."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callguard.core.incidents import Incident
from callguard.keys.beside import seal_file, sha256_of
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import MasterKey, Masters
from callguard.keys.names import Shelf
from callguard.keys.reading import content_key_of, faults_of, open_file
from callguard.keys.sealed_file import ContentKey
from callguard.sealing import Sealing, _seal_all
from callguard.store import Store
from callguard.store.records import FileToSeal, RecordedFile, StoredContentKey
from callguard.telephony.recording import Recordings
from tests.keys.crasher import KEPT_IN, MASTERS, seal_all, sealing
from tests.telephony.test_recording import FIRST, NOW, SECOND, audio, given

NAMES = (f"{FIRST}.json", f"{FIRST}.wav.cg")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with Store.open(folder / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        yield store


@asynccontextmanager
async def at_work(folder: Path, masters: Masters | None = MASTERS) -> AsyncIterator[tuple[Store, Recordings, Sealing]]:
    async with opened(folder) as store:
        recordings, work = sealing(folder, store, masters)
        async with work.working():
            yield store, recordings, work


async def recorded(folder: Path, store: Store, recordings: Recordings, leg_id: str = FIRST) -> bytes:
    """A recording whose call has ended; what was heard."""
    await store.save(given(leg_id))
    audio(folder / f"{leg_id}.wav", ms=10_000, value=7)
    heard = (folder / f"{leg_id}.wav").read_bytes()
    await recordings.ended(leg_id)
    return heard


async def kept(folder: Path) -> bytes:
    """A folder with a recording that is kept in the clear."""
    async with opened(folder) as store:
        return await recorded(folder, store, sealing(folder, store, None)[0])


def shelf_of(folder: Path) -> Shelf:
    kept_in = folder / KEPT_IN
    return Shelf(folder, kept_in if kept_in.is_dir() else folder)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("s.db"))


async def the_file(store: Store, leg_id: str = FIRST) -> RecordedFile:
    (one,) = await store.files_to_seal([leg_id])
    return one.file


async def test_a_recording_is_encrypted_when_its_call_has_ended_and_reads_as_it_did(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        heard = await recorded(tmp_path, store, recordings)
        async with asyncio.timeout(5):
            while (tmp_path / f"{FIRST}.wav").exists():
                await asyncio.sleep(0.01)
        await work.look()
        assert tuple(files(tmp_path)) == NAMES
        assert heard[100:200] not in (tmp_path / NAMES[1]).read_bytes()
        assert (tmp_path / NAMES[1]).stat().st_mode & 0o777 == 0o660
        file = await the_file(store)
        assert file.sealed_with is not None
        assert await faults_of(store, MASTERS, shelf_of(tmp_path), file) == ()
        with await open_file(store, MASTERS, shelf_of(tmp_path), file.name) as clear:
            assert clear.read() == heard


async def test_without_keys_it_stays_clear_and_is_encrypted_once_there_are_some(tmp_path: Path) -> None:
    await kept(tmp_path)
    await seal_all(tmp_path, None)
    assert files(tmp_path) == [f"{FIRST}.json", f"{FIRST}.wav"]
    async with opened(tmp_path) as store:
        assert (await store.count_clear(), await store.content_keys_by_master()) == (1, {})
        assert await faults_of(store, None, shelf_of(tmp_path), await the_file(store)) == ()
    await seal_all(tmp_path)
    assert tuple(files(tmp_path)) == NAMES
    async with opened(tmp_path) as store:
        assert (await store.count_clear(), await store.content_keys_by_master()) == (0, {MASTERS.current.id: 1})


async def test_who_withdraws_does_not_wait_for_long_recordings_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are encrypted together; the others follow."""
    monkeypatch.setattr("callguard.sealing.TOGETHER_BYTES", 1)
    together: list[int] = []

    def counted(shelf: Shelf, masters: Masters, clear: Sequence[tuple[FileToSeal, StoredContentKey]]) -> object:
        together.append(len(clear))
        return _seal_all(shelf, masters, clear)

    monkeypatch.setattr("callguard.sealing._seal_all", counted)
    async with at_work(tmp_path, None) as (store, recordings, work):
        for leg_id in (FIRST, SECOND):
            await recorded(tmp_path, store, recordings, leg_id)
        work.use(MASTERS)
        await work.look()
        assert together == [1, 1]
        assert await store.count_clear() == 0


@pytest.mark.parametrize(("how", "apart"), [("kill", False), ("fail", False), ("kill", True)])
async def test_broken_off_at_any_step_one_copy_is_whole_and_the_next_start_leaves_no_clear_one(
    tmp_path: Path, how: str, apart: bool
) -> None:
    """Where encrypted recordings have a folder of their own, too."""
    (base := tmp_path / "base").mkdir()
    if apart:
        (base / KEPT_IN).mkdir()
    heard = await kept(base)
    run = [sys.executable, "-m", "tests.keys.crasher", str(base), how, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.splitlines()[-1])
    assert count > 20
    # Each has a name of its own: step 0 was never broken off.
    for step in range(count + 1):
        folder = tmp_path / str(step)
        async with opened(folder) as store:
            with await open_file(store, MASTERS, shelf_of(folder), f"{FIRST}.wav") as file:
                assert file.read() == heard, step
        if how == "kill":
            await seal_all(folder)
        assert tuple(files(folder / KEPT_IN if apart else folder)) == NAMES, step
        assert not apart or files(folder) == [KEPT_IN], step
        async with opened(folder) as store:
            assert await faults_of(store, MASTERS, shelf_of(folder), await the_file(store)) == (), step
            assert (await the_file(store)).sealed_with is not None, step
            assert await store.content_keys_by_master() == {MASTERS.current.id: 1}, step


async def test_what_is_withdrawn_while_it_is_being_encrypted_is_gone_under_every_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(shelf: Shelf, name: str, key: ContentKey) -> bool:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(5)
        return seal_file(shelf, name, key)

    monkeypatch.setattr("callguard.sealing.seal_file", slowly)
    async with at_work(tmp_path) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        await begun.wait()
        withdrawing = asyncio.create_task(recordings.withdrawn(FIRST, NOW))
        await asyncio.sleep(0)
        go_on.set()
        await withdrawing
        await work.look()
        assert files(tmp_path) == []
        (leg,) = await store.call(FIRST)
        assert leg.recording is not None and leg.recording.state == "destroyed"


async def test_what_was_encrypted_is_destroyed_when_it_is_withdrawn(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        await recorded(tmp_path, store, recordings, SECOND)
        await work.look()
        shelf_of(tmp_path).part(f"{FIRST}.wav").write_bytes(b"left by a crash")
        await recordings.withdrawn(FIRST, NOW)
        assert files(tmp_path) == [name.replace(FIRST, SECOND) for name in NAMES]
        assert await recordings.knows(SECOND)


async def test_encrypted_files_of_a_folder_that_was_moved_are_found_when_they_are_due(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "A"}, folder="/before") as store:
        recordings, work = sealing(tmp_path, store)
        await recorded(tmp_path, store, recordings)
        async with work.working():
            await work.look()
        await store.destroy_by(FIRST, NOW)
        await recordings.sweep()
        assert files(tmp_path) == []


async def test_a_file_that_comes_beside_an_encrypted_one_is_set_aside_and_the_recording_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = await kept(tmp_path)
    await seal_all(tmp_path)
    audio(tmp_path / f"{FIRST}.wav", value=3)
    await seal_all(tmp_path)
    assert files(tmp_path) == [*NAMES, "quarantine"]
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert "came beside the encrypted one" in capsys.readouterr().out
    async with opened(tmp_path) as store:
        with await open_file(store, MASTERS, shelf_of(tmp_path), f"{FIRST}.wav") as file:
            assert file.read() == heard
    # Where the encrypted one is damaged too, neither is known to be the recording: both stay as they are.
    audio(tmp_path / f"{FIRST}.wav", value=4)
    (tmp_path / NAMES[1]).write_bytes((tmp_path / NAMES[1]).read_bytes()[:-1])
    await seal_all(tmp_path)
    assert (tmp_path / f"{FIRST}.wav").exists() and (tmp_path / NAMES[1]).exists()
    assert "is cut short" in capsys.readouterr().out


async def test_a_damaged_encrypted_file_is_made_anew_from_a_clear_copy_of_a_backup(tmp_path: Path) -> None:
    heard = await kept(tmp_path)
    await seal_all(tmp_path)
    (tmp_path / NAMES[1]).write_bytes((tmp_path / NAMES[1]).read_bytes()[:-1])
    (tmp_path / f"{FIRST}.wav").write_bytes(heard)
    async with opened(tmp_path) as store:
        faults = await faults_of(store, MASTERS, shelf_of(tmp_path), await the_file(store))
        assert [one.fault for one in faults] == [Fault.CUT_SHORT, Fault.CLEAR_COPY]
    await seal_all(tmp_path)
    assert tuple(files(tmp_path)) == NAMES
    async with opened(tmp_path) as store:
        assert await faults_of(store, MASTERS, shelf_of(tmp_path), await the_file(store)) == ()


async def test_each_fault_is_named_with_its_file_and_loses_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        heard = await recorded(tmp_path, store, recordings)
        await recorded(tmp_path, store, recordings, SECOND)
        await work.look()
        first, second = await the_file(store), await the_file(store, SECOND)
        file, whole = tmp_path / NAMES[1], (tmp_path / NAMES[1]).read_bytes()

        async def fault(masters: Masters | None = MASTERS) -> list[Fault]:
            found = await faults_of(store, masters, shelf_of(tmp_path), first)
            assert all(FIRST in str(one) for one in found)
            assert await faults_of(store, MASTERS, shelf_of(tmp_path), second) == ()
            return [one.fault for one in found]

        file.write_bytes(whole[: len(whole) // 2])
        assert await fault() == [Fault.CUT_SHORT]
        file.write_bytes(whole[:-40] + bytes(8) + whole[-32:])
        assert await fault() == [Fault.ALTERED]
        file.write_bytes(shelf_of(tmp_path).sealed(second.name).read_bytes())
        assert await fault() == [Fault.ANOTHER]
        file.write_bytes(b"RIFF" + bytes(100))
        assert await fault() == [Fault.NOT_ENCRYPTED]
        file.unlink()
        assert await fault() == [Fault.MISSING]
        file.mkdir()
        assert await fault() == [Fault.UNREADABLE]
        file.rmdir()
        await work.look()
        (tmp_path / first.name).write_bytes(heard[:-2] + b"??")
        assert await fault() == [Fault.DIFFERENT]
        (tmp_path / first.name).unlink()
        file.write_bytes(whole)
        assert await fault() == []
        assert await fault(None) == await fault(Masters(MasterKey.new())) == [Fault.WRONG_KEY]
        (one,) = await store.files_to_seal([FIRST])
        wrapped = await store.content_key_of(one.subject_id)
        assert wrapped is not None and wrapped.wrapped not in repr(wrapped)
        await store.destroy_content_key(one.subject_id)
        assert await fault() == [Fault.NO_KEY]
        with pytest.raises(CannotOpen, match="it was destroyed and nothing opens the file any more"):
            await content_key_of(store, MASTERS, file)
    # The other's key is there still; what was destroyed is not even in a free page.
    left = (tmp_path / "s.db").read_bytes()
    assert MASTERS.current.id.encode() in left
    assert wrapped.wrapped.encode() not in left


async def test_two_callguards_that_share_a_folder_do_not_encrypt_or_keep_what_the_other_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(tmp_path, None) as (store, recordings, work):
        heard = await recorded(tmp_path, store, recordings)
        with (tmp_path / f"{FIRST}.wav").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # as the other has it, while it encrypts
            work.use(MASTERS)
            await work.look()
            assert files(tmp_path) == [f"{FIRST}.json", f"{FIRST}.wav"]
        other = sealing(tmp_path, store, None)[0]

        def withdrawn_meanwhile(shelf: Shelf, name: str, key: ContentKey) -> bool:
            asyncio.run_coroutine_threadsafe(other.withdrawn(FIRST, NOW), loop).result(5)
            shelf.clear(name).write_bytes(heard)  # it was open
            return seal_file(shelf, name, key)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr("callguard.sealing.seal_file", withdrawn_meanwhile)
        await work.look()
        (tmp_path / f"{FIRST}.wav").unlink()
        assert files(tmp_path) == []


async def test_what_was_encrypted_before_it_had_a_folder_of_its_own_is_read_proved_and_destroyed_where_it_is(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        heard = await recorded(tmp_path, store, recordings)
        await work.look()
    (tmp_path / KEPT_IN).mkdir()
    async with at_work(tmp_path) as (store, recordings, work):
        await recorded(tmp_path, store, recordings, SECOND)
        await work.look()
        assert files(tmp_path) == [*NAMES, KEPT_IN]
        assert files(tmp_path / KEPT_IN) == [name.replace(FIRST, SECOND) for name in NAMES]
        for leg_id in (FIRST, SECOND):
            assert await faults_of(store, MASTERS, shelf_of(tmp_path), await the_file(store, leg_id)) == ()
            with await open_file(store, MASTERS, shelf_of(tmp_path), f"{leg_id}.wav") as file:
                assert file.read() == heard
            await recordings.withdrawn(leg_id, NOW)
        assert files(tmp_path) == [KEPT_IN] and files(tmp_path / KEPT_IN) == []


async def test_a_missing_file_is_told_once_and_others_are_encrypted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with at_work(tmp_path, None) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        await recorded(tmp_path, store, recordings, SECOND)
        (tmp_path / f"{FIRST}.wav").unlink()
        work.use(MASTERS)
        await work.look()
        await work.look()
        assert shelf_of(tmp_path).sealed(f"{SECOND}.wav").exists()
    assert capsys.readouterr().out.count("the file of a kept recording is missing") == 1


async def test_a_stop_waits_for_what_is_being_encrypted_but_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("callguard.sealing.FINISH_WITHIN_S", 0.05)
    go_on = threading.Event()

    def slowly(shelf: Shelf, name: str, key: ContentKey) -> bool:
        return go_on.wait(5) and seal_file(shelf, name, key)

    monkeypatch.setattr("callguard.sealing.seal_file", slowly)
    async with at_work(tmp_path) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        await work.finish()
        assert "the next start goes on" in capsys.readouterr().out
        go_on.set()
        monkeypatch.setattr("callguard.sealing.FINISH_WITHIN_S", 5.0)
        await work.finish()
        assert tuple(files(tmp_path)) == NAMES


async def test_a_fault_that_nobody_thought_of_ends_no_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> bool:
        raise RuntimeError("unheard of")

    async with at_work(tmp_path) as (store, recordings, work):
        with monkeypatch.context() as patched:
            patched.setattr("callguard.sealing.seal_file", fails)
            await recorded(tmp_path, store, recordings)
            await work.look()
        assert "unheard of" in capsys.readouterr().out
        assert await store.count_clear() == 1
        await work.look()
        assert await store.count_clear() == 0


async def test_a_lost_master_key_keeps_the_clear_file_until_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The subject has a content key already, by the master key that is lost now."""
    await kept(tmp_path)
    async with opened(tmp_path) as store:
        (one,) = await store.files_to_seal([FIRST])
        await store.ensure_content_keys([MASTERS.new_content_key(one.subject_id)])
        # Whoever comes second has the first one's.
        (again,) = await store.ensure_content_keys([Masters(MasterKey.new()).new_content_key(one.subject_id)])
        assert again.master == MASTERS.current.id
    await seal_all(tmp_path, Masters(MasterKey.new()))
    assert files(tmp_path) == [f"{FIRST}.json", f"{FIRST}.wav"]
    assert "name the one that did in [keys] old" in capsys.readouterr().out
    await seal_all(tmp_path)
    assert tuple(files(tmp_path)) == NAMES


async def test_rotation_writes_no_audio_anew_and_is_all_or_nothing(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        for leg_id in (FIRST, SECOND):
            await recorded(tmp_path, store, recordings, leg_id)
        await work.look()
        before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
        new = Masters(MasterKey.new(), [MASTERS.current])
        others = await store.content_keys_of_others(new.current.id, 9)
        assert len(others) == 2
        await store.rewrap([new.rewrapped(one) for one in others])
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
        assert await store.content_keys_by_master() == {new.current.id: 2}
        for leg_id in (FIRST, SECOND):
            assert await faults_of(store, Masters(new.current), shelf_of(tmp_path), await the_file(store, leg_id)) == ()


def test_what_cannot_be_written_leaves_the_clear_file_alone(tmp_path: Path) -> None:
    audio(clear := tmp_path / f"{FIRST}.wav")
    with clear.open("rb") as file:
        before = sha256_of(file)
    shelf_of(tmp_path).part(clear.name).mkdir()
    key = MASTERS.content_key(MASTERS.new_content_key("one"))
    with pytest.raises(OSError, match="directory"):
        seal_file(shelf_of(tmp_path), clear.name, key)
    with clear.open("rb") as file:
        assert sha256_of(file) == before
    assert not shelf_of(tmp_path).sealed(clear.name).exists()


async def test_a_disk_without_room_is_an_incident_once_until_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(shelf: Shelf, name: str, key: ContentKey) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with at_work(tmp_path, None) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        work.use(MASTERS)
        with monkeypatch.context() as patched:
            patched.setattr("callguard.sealing.seal_file", full)
            for _ in range(3):
                await work.look()
        (incident,) = await store.incidents(10)
        assert (incident.kind, incident.detail) == (
            Incident.RECORDING_UNENCRYPTED, {"problem": "No space left on device"},
        )  # fmt: skip
        await work.look()
        assert await store.count_clear() == 0


async def test_a_fault_says_what_to_do_once_and_names_the_file_that_is_missing(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, recordings, work):
        await recorded(tmp_path, store, recordings)
        await work.look()
        file = await the_file(store)
        (wrong,) = await faults_of(store, Masters(MasterKey.new()), shelf_of(tmp_path), file)
        assert str(wrong).count("none of the master keys") == 1 and MASTERS.current.id in str(wrong)
        (tmp_path / f"{FIRST}.wav.cg").unlink()
        (missing,) = await faults_of(store, MASTERS, shelf_of(tmp_path), file)
        assert f"{FIRST}.wav.cg: there is no such file" in str(missing)
