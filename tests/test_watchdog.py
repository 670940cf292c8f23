"""What the watchdog stops, in every order in which recorders may begin and be told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any, cast

import pytest

from callguard import watchdog
from callguard.config import Config
from callguard.current import Current
from callguard.errors import Refused, StoreError
from callguard.store import Store
from callguard.telephony.ami import LiveChannel, Session
from callguard.telephony.ami_events import RecorderStarted
from callguard.watchdog import Watchdog
from tests.store.legs import CONTROLLERS, given, make_leg
from tests.test_config import GOOD, load

LEG = "01a20262-bf4b-7521-b7cf-f0be338aba68"
CHANNEL = "pbx-1.7"
START = RecorderStarted(CHANNEL, "PJSIP/outside-00000001", "from-outside")
OURS = f"/srv/recordings/{LEG}.wav"


class Channel:
    """A channel of Asterisk's as a session sees it. Each order takes time, in which the next recorder may begin.

    Args:
        plan: at which order, counted from the first, which recorder begins.
    """

    def __init__(self, plan: list[tuple[int, str]], app: str = "callguard") -> None:
        self.plan = plan
        self.running: list[str] = []
        self.values = {"CG_LEG": LEG, "CG_APP": app}
        self.told: asyncio.Queue[RecorderStarted] = asyncio.Queue()
        self.orders = 0
        self.gone = False
        self._pass()

    def begin(self, file: str) -> None:
        self.running.append(file)
        self.values["MIXMONITOR_FILENAME"] = file
        if file.startswith(f"/srv/recordings/{LEG}"):
            self.values["CG_MIXMONITOR"] = f"0x{len(self.running)}"
        self.told.put_nowait(START)

    async def variable(self, channel: str, name: str) -> str:
        self._pass()
        if self.gone:
            raise Refused(0, "No such channel")
        return self.values.get(name, "")

    async def variables(self, channel: str, *names: str) -> list[str]:
        return [await self.variable(channel, name) for name in names]

    async def stop_newest(self, channel: str) -> bool:
        self._pass()
        if self.gone or not self.running:
            return False
        self.running.pop()
        return True

    async def is_emergency(self, channel: str) -> bool:
        return False

    async def live(self) -> list[LiveChannel]:
        return [LiveChannel(START.channel, START.name, START.context, "")]

    def _pass(self) -> None:
        while self.plan and self.plan[0][0] <= self.orders:
            self.begin(self.plan.pop(0)[1])
        self.orders += 1


class Bench:
    """A watchdog and what it keeps."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        config = load(folder, GOOD)
        watchdog = config.watchdog.model_copy(update=settings)
        self.config: Config = config.model_copy(update={"watchdog": watchdog})
        self.store = Incidents()
        self.dog = Watchdog(Current(self.config, {}), cast(Store, self.store))

    async def watch(self, channel: Channel) -> None:
        """Heed all that is told of it, until no more recorders begin."""
        while channel.plan or not channel.told.empty():
            while channel.told.empty():
                await channel.variable(CHANNEL, "anything")
            await self.dog.started(cast(Session, channel), channel.told.get_nowait())

    async def look(self, channel: Channel) -> None:
        await self.dog.look(cast(Session, channel))


class Incidents:
    """A store that keeps incidents, and may fail."""

    def __init__(self) -> None:
        self.details: list[dict[str, object]] = []
        self.fails = False

    async def incident(self, kind: str, at: object, detail: dict[str, object], leg_id: str | None) -> str:
        if self.fails:
            raise StoreError("locked")
        self.details.append(detail)
        return "id"

    async def subject_of_leg(self, leg_id: str) -> None:
        return None

    async def expected_recording(self, leg_id: str) -> None:
        return None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def plans() -> Iterator[list[tuple[int, str]]]:
    for others in (1, 2):
        files = [OURS, *(f"/elsewhere/{n}.wav" for n in range(others))]
        for order in permutations(files):
            for gaps in product(range(0, 10, 1 if others == 1 else 3), repeat=others):
                at = [0, *(sum(gaps[: n + 1]) for n in range(others))]
                yield list(zip(at, order, strict=True))


async def test_nobody_elses_recorder_goes_on_in_any_order_of_events(bench: Bench) -> None:
    tried = kept = 0
    for plan in plans():
        said = str(plan)
        channel, dog = Channel(plan), Watchdog(bench.dog._current, bench.dog._store)
        bench.dog = dog
        dog.expect(CHANNEL, LEG)
        await bench.watch(channel)
        assert set(channel.running) <= {OURS}, said
        tried += 1
        kept += bool(channel.running)
        if said.startswith(f"[(0, '{OURS}'") and said.count("wav") == 2:
            assert channel.running, f"ours was first, and was stopped: {said}"
    assert tried == 2 * 10 + 6 * 16
    assert kept > tried / 3


async def test_ours_alone_is_left_and_asked_for_twice(bench: Bench) -> None:
    channel = Channel([(0, OURS)])
    bench.dog.expect(CHANNEL, LEG)
    await bench.watch(channel)
    assert (channel.running, channel.orders, bench.store.details) == ([OURS], 3, [])
    # A new session looks at it, also where its start is told only then.
    await bench.look(channel)
    channel.told.put_nowait(START)
    again = Watchdog(bench.dog._current, bench.dog._store)
    again.expect(CHANNEL, LEG)
    await again.look(cast(Session, channel))
    bench.dog = again
    await bench.watch(channel)
    assert (channel.running, bench.store.details) == ([OURS], [])
    # A later part of it is expected by itself.
    channel.begin(f"/srv/recordings/{LEG}.1.wav")
    bench.dog.expect(CHANNEL, LEG)
    await bench.watch(channel)
    assert len(channel.running) == 2
    # And not twice.
    channel.begin(f"/srv/recordings/{LEG}.2.wav")
    await bench.watch(channel)
    assert (channel.running, bench.store.details[0]["ours_stopped"]) == ([], True)


async def test_another_is_not_taken_for_one_of_ours_that_was_expected_and_has_not_begun(bench: Bench) -> None:
    bench.dog.expect(CHANNEL, LEG)
    channel = Channel([(0, OURS)])
    await bench.watch(channel)
    bench.dog.expect(CHANNEL, LEG)
    bench.dog.expect_no_more(CHANNEL)
    bench.dog.expect_no_more(CHANNEL)  # what has begun stays expected
    bench.dog.expect_no_more("none of ours")
    # Somebody starts one into a leg's own file, and says that it is ours.
    channel.begin(f"/srv/recordings/{LEG}.1.wav")
    await bench.watch(channel)
    assert f"/srv/recordings/{LEG}.1.wav" not in channel.running
    assert len(bench.store.details) == 1


async def test_a_channel_that_is_none_of_ours_is_cleared(bench: Bench) -> None:
    channel = Channel([(0, "/elsewhere/1.wav"), (0, ""), (0, "/elsewhere/2.wav")], app="")
    await bench.watch(channel)
    assert channel.running == []
    assert [(one["stopped"], one["file"]) for one in bench.store.details] == [(3, "elsewhere")]


async def test_of_several_that_were_stopped_those_without_a_name_are_set_aside_only_beyond_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "GROWS_S", 0.01)
    bench = Bench(tmp_path)
    folder = bench.config.recording.folder.model_copy(update={"path_here": tmp_path})
    recording = bench.config.recording.model_copy(update={"folder": folder})
    bench.config = bench.config.model_copy(update={"recording": recording})
    bench.dog = Watchdog(Current(bench.config, {}), cast(Store, bench.store))
    for others in (("two",), ("three", "four"), ()):
        named = ["one", *others]
        for name in (*named, LEG):
            (tmp_path / f"{name}.wav").write_bytes(b"audio")
        plan = [(0, f"{folder.in_asterisk}/{name}.wav") for name in ("two", "one")]
        await bench.watch(Channel(plan, app=""))
        detail = bench.store.details.pop()
        also = cast(list[str], detail.get("also_quarantined", []))
        # As many as were stopped can be theirs, and no more; nor is it sure that there was none.
        assert (detail["stopped"], detail["file"]) == (2, "quarantine" if len(others) == 1 else "unknown")
        assert len(also) == (len(others) == 1)
        assert (tmp_path / f"{LEG}.wav").exists()
        left = {path.stem for path in tmp_path.glob("*.wav")} - {LEG}
        assert left == (set(others) if len(others) == 2 else set())
        for name in others:
            (tmp_path / f"{name}.wav").unlink(missing_ok=True)


async def test_of_one_that_writes_each_side_apart_both_files_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "GROWS_S", 0.01)
    bench = Bench(tmp_path)
    folder = bench.config.recording.folder.model_copy(update={"path_here": tmp_path})
    recording = bench.config.recording.model_copy(update={"folder": folder})
    dog = Watchdog(Current(bench.config.model_copy(update={"recording": recording}), {}), cast(Store, bench.store))
    for side in ("in", "out"):
        (tmp_path / f"34600000020-{side}.wav").write_bytes(b"audio")
    channel = Channel([(0, "")], app="")
    channel.values = {}
    await dog.started(cast(Session, channel), START)
    (detail,) = bench.store.details
    assert (detail["stopped"], detail["file"]) == (1, "quarantine")
    assert len([detail["quarantined_as"], *cast(list[str], detail["also_quarantined"])]) == 2
    assert not list(tmp_path.glob("*.wav"))


async def test_what_hung_up_before_it_could_be_stopped_is_an_incident_too(bench: Bench) -> None:
    channel = Channel([(0, "/elsewhere/1.wav")], app="")
    channel.gone = True
    await bench.watch(channel)
    assert [(one["stopped"], one["file"]) for one in bench.store.details] == [(0, "unknown")]


async def test_who_hangs_up_right_after_their_yes_is_no_incident(bench: Bench) -> None:
    bench.dog.expect(CHANNEL, LEG)
    channel = Channel([(0, OURS)])
    channel.gone = True
    await bench.watch(channel)
    assert bench.store.details == []
    another = Channel([(0, OURS)])
    another.gone = True
    await bench.watch(another)
    assert [(one["stopped"], one["file"]) for one in bench.store.details] == [(0, "unknown")]


async def test_what_is_expected_for_long_is_not_what_began(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "SOON_S", 0.0)
    bench.dog.expect(CHANNEL, LEG)  # and the dialplan has thought better of it
    channel = Channel([(0, "/elsewhere/1.wav")])
    channel.gone = True
    await bench.watch(channel)
    assert [(one["stopped"], one["file"]) for one in bench.store.details] == [(0, "unknown")]


async def test_it_is_only_told_or_not_even_looked_for_where_that_is_asked(tmp_path: Path) -> None:
    for setting, incidents in (("report", 1), ("off", 0)):
        bench, channel = Bench(tmp_path, foreign=setting), Channel([(0, "/elsewhere/1.wav")])
        await bench.look(channel)
        await bench.watch(channel)
        assert channel.running == ["/elsewhere/1.wav"]
        assert [one["file"] for one in bench.store.details] == ["left"] * incidents


async def test_what_is_exempt_or_anothers_gate_is_left(tmp_path: Path) -> None:
    exempt = Bench(tmp_path, exempt=("PJSIP/outside-*",))
    channel = Channel([(0, "/elsewhere/1.wav")])
    await exempt.watch(channel)
    other = Channel([(0, OURS)], app="callguard-b")
    await exempt.watch(other)
    assert channel.running and other.running and not exempt.store.details


async def test_what_was_stopped_before_is_no_incident_of_a_look(bench: Bench) -> None:
    channel = Channel([(0, "/elsewhere/1.wav")], app="")
    channel.running.clear()
    await bench.look(channel)
    assert bench.store.details == []


async def test_an_incident_that_cannot_be_kept_is_kept_later(bench: Bench) -> None:
    bench.store.fails = True
    await bench.watch(Channel([(0, "/elsewhere/1.wav")], app=""))
    assert bench.store.details == []
    bench.store.fails = False
    await bench.dog.save()
    await bench.dog.save()
    assert len(bench.store.details) == 1


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "store.db", gate=None, controllers=CONTROLLERS) as store:
        yield store


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_file_of_ours_that_another_writes_to_is_set_aside_with_its_recording(
    bench: Bench, written: Store, tmp_path: Path, encrypted: bool
) -> None:
    """But not one that is encrypted already, and so was not written to."""
    leg = make_leg(given(), leg_id=LEG, file=LEG)
    await written.save(leg)
    (tmp_path / f"{LEG}.wav").write_bytes(b"audio")
    if encrypted:
        (tmp_path / f"{LEG}.wav.cg").write_bytes(b"the recording")
    folder = bench.config.recording.folder.model_copy(update={"path_here": tmp_path})
    recording = bench.config.recording.model_copy(update={"folder": folder})
    config = bench.config.model_copy(update={"recording": recording})
    channel = Channel([(0, f"{folder.in_asterisk}/{LEG}.wav")])
    channel.values = {"MIXMONITOR_FILENAME": f"{folder.in_asterisk}/{LEG}.wav"}
    dog = Watchdog(Current(config, {}), written)
    await dog.started(cast(Session, channel), START)
    (incident,) = await written.incidents(10)
    assert incident.detail["file"] == "quarantine"
    assert (tmp_path / "quarantine" / str(incident.detail["quarantined_as"])).read_bytes() == b"audio"
    assert [(one.state, one.reason) for one in await written.recordings(10)] == (
        [] if encrypted else [("quarantined", "foreign")]
    )
    assert (tmp_path / f"{LEG}.wav.cg").exists() is encrypted
