"""What Asterisk leaves behind, and what becomes of it."""

from __future__ import annotations

import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callguard.core.conversation import Why
from callguard.core.incidents import Incident
from callguard.core.model import Answer, Basis, GrantState, Outcome, Purpose
from callguard.sections import Folder, Recording
from callguard.store import Store
from callguard.store.records import Files, Kept, LegRecord, OpenRecording
from callguard.telephony.recording import Recordings

QUALITY = Purpose("recording.quality", Basis.CONSENT)
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
FIRST, SECOND = "0192f0c1-0000-7000-8000-000000000001", "0192f0c1-0000-7000-8000-000000000002"


def audio(path: Path, ms: int = 1_000, value: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(value.to_bytes(2, "little") * (8 * ms))


def given(leg_id: str, files: Files = "mixed") -> LegRecord:
    return LegRecord(
        leg_id=leg_id, call_id=leg_id, channel=f"c-{leg_id}", linkedid="l", controller="acme", profile="service",
        language="en", direction="inbound", number=None, started_at=NOW, saved_at=NOW, outcome=Outcome.GIVEN,
        granted=(QUALITY.id,), recording=True, file=leg_id, files=files,
        answers=(Answer(QUALITY, GrantState.GIVEN, "1", "key"),), heard=(), early_keys=0,
    )  # fmt: skip


@pytest.mark.parametrize("files", ["mixed", "two"])
async def test_a_recording_is_measured_tagged_and_kept(tmp_path: Path, files: Files) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST, files))
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        if files == "mixed":
            audio(tmp_path / f"{FIRST}.wav")
        else:
            audio(tmp_path / f"{FIRST}-in.wav", ms=1_000, value=1)
            audio(tmp_path / f"{FIRST}-out.wav", ms=700, value=2)
        await recordings.ended(FIRST)
        await recordings.ended(FIRST)
        (leg,) = await store.call(FIRST)
        assert leg.recording is not None
        assert leg.recording.duration_ms == 1_000
        assert {path.suffix for path in tmp_path.glob(f"{FIRST}*")} == {".wav", ".json"}
        with wave.open(str(tmp_path / f"{FIRST}.wav")) as file:
            assert file.getnchannels() == (1 if files == "mixed" else 2)
            if files == "two":
                frames = file.readframes(file.getnframes())
                assert (frames[:4], frames[-4:]) == (b"\1\0\2\0", b"\1\0\0\0")


@pytest.mark.parametrize(
    ("why", "said", "not_said"),
    [
        (Why.STRANGER, "b(callguard-agent^s^1) in the Dial that rings their phone", "never answered"),
        (Why.AGENT, "interrupted before there was any", "never answered"),
        (None, "never answered, or see Asterisk's log", "interrupted"),
    ],
)
async def test_no_audio_has_the_cause_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], why: Why | None, said: str, not_said: str
) -> None:
    """A b() before a Local channel alone: the agent's phone was a stranger as soon as it answered."""
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        if why is not None:
            audio(tmp_path / f"{FIRST}.wav", ms=200)
            await store.segment_ended(FIRST, 0, None, NOW + timedelta(seconds=1), why, cut_ms=1_000)
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).ended(FIRST)
        assert await store.recordings(9) == ()
    log = capsys.readouterr().out
    assert "no audio of a call that was to be recorded" in log
    assert said in log
    assert not_said not in log


async def test_a_header_that_asterisk_could_not_finish_is_mended(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        audio(file := tmp_path / f"{FIRST}.wav")
        data = bytearray(file.read_bytes())
        data[4:8] = data[40:44] = bytes(4)
        file.write_bytes(data)
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).ended(FIRST)
        with wave.open(str(file)) as read:
            assert read.getnframes() == 8_000


async def test_one_bad_file_does_not_keep_the_others_from_being_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        await store.save(given(SECOND))
        (tmp_path / f"{FIRST}.wav").write_bytes(b"no sound" * 100)
        audio(tmp_path / f"{SECOND}.wav")
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).reconcile([])
        assert {one.leg_id: one.state for one in await store.recordings(9)} == {FIRST: "quarantined", SECOND: "kept"}
        assert await store.expected_recordings() == ()
        incidents = {one.leg_id: one.kind for one in await store.incidents(9)}
        assert incidents == {FIRST: Incident.RECORDING_UNREADABLE, SECOND: Incident.RECORDING_UNWATCHED}
        assert len(list((tmp_path / "quarantine").iterdir())) == 1
        assert not (tmp_path / f"{FIRST}.wav").exists()
    assert "is no recording of Asterisk's" in capsys.readouterr().out


async def test_of_files_that_are_none_of_ours_the_log_has_no_name_and_says_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        audio(tmp_path / "in-34600000020-Ana.wav")
        audio(tmp_path / f"{FIRST}.wav")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        for _ in range(2):
            await recordings.reconcile([])
    said = capsys.readouterr().out
    assert "34600000020" not in said and "Ana" not in said
    assert said.count("none of callguard's") == 1 and said.count(FIRST) == 2


async def test_what_ended_unheard_of_is_an_incident_unless_it_was_watched_or_not_recorded_then(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        await recordings.reconcile([f"c-{FIRST}"], watched=[FIRST])
        await recordings.reconcile([])
        await store.save(given(SECOND))
        audio(tmp_path / f"{SECOND}.wav")
        await store.segment_ended(SECOND, 0, NOW, NOW + timedelta(seconds=1), Why.AGENT)
        await recordings.reconcile([])
        assert {one.state for one in await store.recordings(9)} == {"kept"}
        assert await store.incidents(9) == ()
        third = FIRST.replace("1", "3")
        await store.save(given(third))
        audio(tmp_path / f"{third}.wav")
        await recordings.reconcile([])
        (incident,) = await store.incidents(9)
        assert (incident.kind, incident.leg_id) == (Incident.RECORDING_UNWATCHED, third)
        assert (incident.detail["kept"], incident.detail["from"]) == (True, NOW.isoformat(timespec="milliseconds"))


async def test_what_has_to_be_cut_off_and_is_not_saved_yet_keeps_no_other_from_being_finished(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        for leg in (FIRST, SECOND):
            await store.save(given(leg))
            audio(tmp_path / f"{leg}.wav")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        await recordings.reconcile([], {FIRST})
        assert [one.leg_id for one in await store.expected_recordings()] == [FIRST]
        assert recordings.expected == 1
        await recordings.reconcile([])
        assert await store.expected_recordings() == ()


async def test_beside_another_gate_what_has_ended_is_finished_at_the_second_look(tmp_path: Path) -> None:
    """It may be the other's, which is about to say what has to be cut off."""
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        await recordings.withdrawn(FIRST, NOW, finish=False)
        await recordings.reconcile([], alone=False)
        (expected,) = await store.expected_recordings()
        assert expected.withdrawn_at == NOW
        await recordings.reconcile([], alone=False)
        assert await store.expected_recordings() == ()


@pytest.mark.parametrize("left", [b"", b"no sound" * 100])
async def test_halves_that_are_no_recording_do_not_end_the_service(tmp_path: Path, left: bytes) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST, "two"))
        for side in ("in", "out"):
            (tmp_path / f"{FIRST}-{side}.wav").write_bytes(left)
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).reconcile([])
        assert await store.expected_recordings() == ()
        assert len(list((tmp_path / "quarantine").glob("*.wav"))) == (2 if left else 0)
        assert list(tmp_path.glob("*.wav")) == []


async def test_a_half_without_its_counterpart_and_without_sizes_is_kept(tmp_path: Path) -> None:
    """As a full disk or an Asterisk that was killed leaves it."""
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST, "two"))
        audio(half := tmp_path / f"{FIRST}-in.wav")
        data = bytearray(half.read_bytes())
        data[4:8] = data[40:44] = bytes(4)
        half.write_bytes(data + b"\0")
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).ended(FIRST)
        with wave.open(str(tmp_path / f"{FIRST}.wav")) as read:
            assert (read.getnchannels(), read.getnframes()) == (2, 8_000)
            assert read.readframes(1) == b"\1\0\0\0"


async def test_withdrawn_consent_destroys_also_what_was_kept_already(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        await recordings.ended(FIRST)
        await recordings.withdrawn(FIRST, NOW)
        assert not list(tmp_path.glob(f"{FIRST}*"))
        (leg,) = await store.call(FIRST)
        assert leg.recording is not None
        assert leg.recording.state == "destroyed"


async def test_a_joined_recording_is_not_cut_again_where_its_finish_is_repeated(tmp_path: Path) -> None:
    """As where the sidecar's disk is full, or the process dies, between joining and keeping."""
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        audio(tmp_path / f"{FIRST}.1.wav")
        now = datetime.now(UTC)
        await store.segment_ended(FIRST, 0, now, now, Why.STRANGER, 400)
        await store.segment_begun(FIRST, 1, now, Why.STRANGER)
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        (tmp_path / f"{FIRST}.json.part").mkdir()
        for _ in range(2):
            with pytest.raises(OSError, match="directory"):
                await recordings.ended(FIRST)
        (tmp_path / f"{FIRST}.json.part").rmdir()
        await recordings.ended(FIRST)
        (kept,) = await store.recordings(9)
        # Two of 1 s, of the first 0.4 s cut.
        assert kept.duration_ms == 1_600
        assert sorted(file.name for file in tmp_path.glob(f"{FIRST}*")) == [f"{FIRST}.json", f"{FIRST}.wav"]


async def test_no_audio_is_left_of_a_joining_that_failed_or_was_broken_off(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        for leg_id, rate in ((FIRST, 16_000), (SECOND, 8_000)):
            await store.save(given(leg_id))
            audio(tmp_path / f"{leg_id}.wav")
            audio(part := tmp_path / f"{leg_id}.1.wav")
            data = bytearray(part.read_bytes())
            data[24:28] = rate.to_bytes(4, "little")
            part.write_bytes(data)
            now = datetime.now(UTC)
            await store.segment_ended(leg_id, 0, now, now, Why.STRANGER)
            await store.segment_begun(leg_id, 1, now, Why.STRANGER)
        # As a crash leaves it, and nobody writes it again.
        (tmp_path / f"{SECOND}-old.part").write_bytes(b"audio")
        await recordings.ended(FIRST)
        await recordings.ended(SECOND)
        assert {one.leg_id: one.state for one in await store.recordings(9)} == {FIRST: "quarantined", SECOND: "kept"}
        assert list(tmp_path.glob("*.part")) == []
        # What is withdrawn and cannot be read leaves nothing either.
        third = FIRST.replace("1", "3")
        await store.save(given(third))
        (tmp_path / f"{third}.wav").write_bytes(b"no sound" * 100)
        (tmp_path / f"{third}.joined.part").write_bytes(b"audio")
        await recordings.withdrawn(third, NOW)
        assert not list(tmp_path.glob(f"{third}*"))


async def test_recordings_in_the_folder_of_another_callguard_are_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    path, controllers = tmp_path / "s.db", {"acme": "Acme"}
    async with (
        Store.open(path, gate="callguard", controllers=controllers, folder=str(mine)) as store,
        Store.open(path, gate="callguard-b", controllers=controllers, folder=str(theirs)) as other,
    ):
        for leg_id in (FIRST, SECOND):
            await other.save(given(leg_id))
            audio(theirs / f"{leg_id}.wav")
        own = Recordings(Recording(folder=Folder(path_here=mine), destroy_withdrawn_after_s=0), store)
        owner = Recordings(Recording(folder=Folder(path_here=theirs), destroy_withdrawn_after_s=0), other)
        await own.reconcile([])
        await own.reconcile([])
        await own.ended(FIRST)
        await own.withdrawn(SECOND, NOW, before=True)
        assert not await own.knows(FIRST)
        assert {one.leg_id for one in await store.expected_recordings()} == {FIRST, SECOND}
        await own.withdrawn(SECOND, NOW)
        assert (theirs / f"{SECOND}.wav").exists()
        await owner.reconcile([])
        assert {one.leg_id: one.state for one in await store.recordings(9)} == {FIRST: "kept", SECOND: "kept"}
        # Due by now, and nothing of it is in our folder.
        await own.sweep()
        assert {one.leg_id: one.state for one in await store.recordings(9)} == {FIRST: "kept", SECOND: "kept"}
        await owner.sweep()
        assert {one.leg_id: one.state for one in await store.recordings(9)} == {FIRST: "kept", SECOND: "destroyed"}
        assert not (theirs / f"{SECOND}.wav").exists()
    assert capsys.readouterr().out.count("lie in another folder") == 1


async def test_what_was_moved_to_another_folder_is_found_there(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}, folder="/before") as store:
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).reconcile([])
        assert [one.state for one in await store.recordings(9)] == ["kept"]


async def test_what_is_withdrawn_goes_at_once_also_where_our_clock_is_behind(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        audio(tmp_path / f"{FIRST}.wav")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path), destroy_withdrawn_after_s=0), store)
        await recordings.withdrawn(FIRST, datetime.now(UTC) + timedelta(hours=1))
        assert not list(tmp_path.glob(f"{FIRST}*"))


@pytest.mark.parametrize("after_s", [0, 60])
async def test_what_is_withdrawn_is_destroyed_when_it_is_time_also_on_a_full_disk(tmp_path: Path, after_s: int) -> None:
    """It was paused once, and to join the parts, or to write the sidecar, needs space."""
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        for n, leg_id in enumerate((FIRST, SECOND)):
            await store.save(given(leg_id))
            audio(tmp_path / f"{leg_id}.wav")
            if n == 0:
                audio(tmp_path / f"{leg_id}.1.wav")
                await store.segment_ended(leg_id, 0, NOW, NOW + timedelta(seconds=1), Why.AGENT, cut_ms=0)
                await store.segment_begun(leg_id, 1, NOW + timedelta(seconds=2), Why.AGENT)
        (tmp_path / f"{FIRST}.joined.part").symlink_to("/dev/full")
        (tmp_path / f"{SECOND}.json.part").symlink_to("/dev/full")
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path), destroy_withdrawn_after_s=after_s), store)
        said = datetime.now(UTC) - timedelta(seconds=30)
        if after_s:
            for leg_id in (FIRST, SECOND):
                with pytest.raises(OSError, match="No space"):
                    await recordings.withdrawn(leg_id, said)
            assert len(list(tmp_path.glob("*.wav"))) == 3
            recordings.destroy_withdrawn_after(20)  # it is time
            await recordings.reconcile([])
        else:
            for leg_id in (FIRST, SECOND):
                await recordings.withdrawn(leg_id, said)
        assert not [*tmp_path.glob("*.wav"), *tmp_path.glob("*.joined*"), *tmp_path.glob("*.json")]
        assert {one.state for one in await store.recordings(9)} == {"destroyed"}
        assert await store.expected_recordings() == ()


async def test_a_clock_that_was_set_in_a_pause_makes_no_file_of_days_of_silence(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        for number, began in ((0, NOW), (1, NOW + timedelta(hours=90)), (2, NOW + timedelta(hours=91))):
            audio(tmp_path / f"{FIRST}{f'.{number}' if number else ''}.wav", ms=500, value=2)
            if number:
                await store.segment_begun(FIRST, number, began, Why.AGENT)
            await store.segment_ended(FIRST, number, began, began + timedelta(seconds=1), Why.AGENT, cut_ms=0)
        await Recordings(Recording(folder=Folder(path_here=tmp_path)), store).ended(FIRST)
        (leg,) = await store.call(FIRST)
        assert leg.recording is not None
        assert leg.recording.duration_ms == 3_600_000 + 3 * 500


async def test_one_recording_that_cannot_be_finished_for_any_reason_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_all(folder: Path, recording: OpenRecording, *more: object) -> Kept | None:
        if recording.leg_id == FIRST:
            raise MemoryError
        return None

    async with Store.open(tmp_path / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        await store.save(given(FIRST))
        await store.save(given(SECOND))
        monkeypatch.setattr("callguard.telephony.recording.finish", takes_all)
        recordings = Recordings(Recording(folder=Folder(path_here=tmp_path)), store)
        await recordings.reconcile([])
        assert [one.leg_id for one in await store.expected_recordings()] == [FIRST]
        assert recordings.overdue == 1
