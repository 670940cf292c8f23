"""Outbound calls on a real Asterisk: who may be called, and what the person called is asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.core.decide import Scope
from callguard.core.model import GrantState, Outcome
from callguard.demo.agent import TALKS
from callguard.demo.rtp import Key, Segment, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE, tones
from callguard.errors import TelephonyError
from callguard.store.reader import Reader
from callguard.store.records import LegDetail
from callguard.store.store import Store
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, World, says_yes, stop_keys
from tests.test_cli import callguard

ANA, BEA = "600000001", "600000002"


@contextmanager
def the_person_called(world: World, *timeline: Segment) -> Iterator[None]:
    """The phone that is called sends this from its answer on, as the person on the outside would."""
    world.agent.timeline = timeline
    try:
        yield
    finally:
        world.agent.timeline = TALKS


def talks(ms: int = 6_000) -> Tone:
    """The agent, who dials."""
    return Tone(AGENT, ms)


@asynccontextmanager
async def opted_out(world: World, number: str, scope: Scope = Scope.MARKETING) -> AsyncIterator[None]:
    async with Store.open(world.gate.store, gate=None, controllers={}) as store:
        await store.opt_out("acme", number, scope, datetime.now(UTC), "command")
        yield
        await store.opt_in("acme", number, scope, datetime.now(UTC), "command")


async def dialled(world: World, extension: str) -> str:
    """The gate's decision, as the dialplan has it."""
    await world.call(Tone(AGENT, 400), extension=extension)
    async with asyncio.timeout(PATIENCE_S):
        while not (decided := await world.note("dial")):
            await asyncio.sleep(0.05)
    await world.pbx.cli("database deltree test")
    return decided


@pytest.mark.parametrize(
    ("extension", "decided"),
    [
        ("40600000001", "allow/dial.allowed"),
        ("41600000001", "allow/dial.allowed"),
        ("41+34600000001", "allow/dial.allowed"),
        ("41+41446681800", "deny/law.unknown"),
        ("40+41446681800", "allow/dial.allowed"),
        ("42600000001", "deny/profile.unknown"),
        ("4112", "deny/number.invalid"),
        ("41*67600000001", "deny/number.invalid"),
        ("41600abc001", "deny/number.invalid"),
        ("4999", "deny/number.invalid"),
        ("41600000001,service", "deny/number.invalid"),
        ("41600000001,,service", "deny/number.invalid"),
        ("41112", "emergency/emergency"),
    ],
)
async def test_a_number_is_dialled_only_when_a_rule_says_so(world: World, extension: str, decided: str) -> None:
    assert await dialled(world, extension) == decided


async def test_a_national_list_counts_from_its_import_on_and_without_one_nobody_is_called(
    world: World, tmp_path: Path
) -> None:
    """For marketing; the service is not told that there is a list now."""
    await world.gate.stop()
    listed = {"FORMAT": "e164", "COUNTRY": "ES", "MAX_AGE_DAYS": "28"}
    world.gate.environment |= {f"CALLGUARD_REGISTRIES__ROBINSON__{name}": value for name, value in listed.items()}
    await world.gate.start()
    assert await dialled(world, f"41{ANA}") == "deny/registry.stale"
    assert await dialled(world, f"40{ANA}") == "allow/dial.allowed"
    (tmp_path / "list.txt").write_text(f"+34{ANA}\n", encoding="ascii")
    imported = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callguard", "registry", "import", "robinson", str(tmp_path / "list.txt"),
        "--config", str(world.gate.folder / "callguard.toml"), env=world.gate.environment,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await imported.wait() == 0
    assert await dialled(world, f"41{ANA}") == "deny/registry.listed"
    assert await dialled(world, f"41{BEA}") == "allow/dial.allowed"


async def test_who_opted_out_is_not_called_for_marketing_and_still_served(world: World) -> None:
    async with opted_out(world, "+34600000001"):
        assert await dialled(world, f"41{ANA}") == "deny/optout.marketing"
        assert await dialled(world, f"41{BEA}") == "allow/dial.allowed"
        assert await dialled(world, f"40{ANA}") == "allow/dial.allowed"
    assert await dialled(world, f"41{ANA}") == "allow/dial.allowed"
    async with opted_out(world, "+34600000001", Scope.ALL):
        assert await dialled(world, f"40{ANA}") == "deny/optout.all"
    async with Reader.reading(world.gate.store) as store:
        assert [one.rules for one in await store.decisions(2)] == [("optout.all",), ()]


async def test_on_deny_no_invite_leaves_and_the_agent_hears_why_without_an_answer(world: World) -> None:
    calls = len(world.agent.calls)
    async with opted_out(world, "+34600000001"):
        result = await world.call(talks(1_000), extension=f"8{ANA}")
    assert result.answered is None
    heard = tones(result.heard.samples, 8_000, [PROMPT_HZ])
    assert sum(tone.end_ms - tone.start_ms for tone in heard) > 400
    assert len(world.agent.calls) == calls


async def test_a_gate_that_is_down_denies_at_once(world: World) -> None:
    await world.gate.kill()
    assert await dialled(world, f"40{ANA}") == "deny/gate.absent"
    assert await dialled(world, "41112") == "emergency/emergency"


async def test_a_gate_that_hangs_denies_in_two_seconds(world: World) -> None:
    world.gate.signal(signal.SIGSTOP)
    result = await world.call(Tone(AGENT, 400), extension=f"8{ANA}")
    assert result.answered is None
    assert result.first_sound_s is not None
    assert 1.9 < result.first_sound_s < 2.8


async def test_the_person_called_agrees_before_the_agent_is_put_through(world: World) -> None:
    times, calls = world.times, len(world.agent.calls)
    asked = Tone(CALLER_BEFORE, times.essential + 400)
    with the_person_called(world, asked, Key("1"), Tone(CALLER_AFTER_YES, 5_000)):
        await world.call(talks(times.essential + 3_000), extension=f"7{ANA}")
        reached = await world.agent_call(calls)
        await reached.over()
    leg = await latest_settled(world)
    assert (leg.leg.outcome, leg.leg.direction, leg.leg.granted) == (
        Outcome.GIVEN, "outbound", ("recording.quality",),
    )  # fmt: skip
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert PROMPT_HZ in {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [PROMPT_HZ])}


async def latest_settled(world: World) -> LegDetail:
    return await world.settled((await world.latest()).leg.call_id)


@pytest.mark.parametrize(
    ("key", "seen"), [("2", "ANSWER/refused//no"), ("1", "ANSWER/given/recording.quality/yes")]
)  # fmt: skip
async def test_the_result_reaches_the_agents_leg(world: World, key: str, seen: str) -> None:
    times = world.times
    with the_person_called(world, Tone(CALLER_BEFORE, times.essential + 400), Key(key), Tone(CALLER_BEFORE, 5_000)):
        calls = len(world.agent.calls)
        calling = asyncio.create_task(world.call(talks(times.essential + 6_000), extension="3003"))
        reached = await world.agent_call(calls)
        await reached.up()
        async with asyncio.timeout(PATIENCE_S):
            while not any(tone.hz == AGENT for tone in tones(reached.heard.samples, 8_000, [AGENT])):
                await asyncio.sleep(0.05)  # put through
        reached.hang_up()
        await calling
    assert await world.note("callee") == seen


async def test_a_person_called_who_says_nothing_is_put_through_unrecorded(world: World) -> None:
    """As an answering machine does: it is put through, unrecorded."""
    times, files, calls = world.times, world.files(), len(world.agent.calls)
    asked = times.essential + times.question + times.again + 2 * times.wait
    with the_person_called(world, Tone(CALLER_BEFORE, asked + 4_000)):
        await world.call(talks(asked + 2_500), extension=f"7{ANA}")
        reached = await world.agent_call(calls)
    assert AGENT in {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [AGENT])}
    assert (await world.latest()).leg.outcome is Outcome.UNKNOWN
    assert world.files() == files


async def test_a_person_called_who_presses_nine_hears_goodbye_and_is_not_called_again(world: World) -> None:
    times, calls = world.times, len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, times.essential + 400), Key("9"), Tone(CALLER_BEFORE, 9_000)):
        await world.call(talks(times.essential + 6_000), extension=f"7{ANA}")
        reached = await world.agent_call(calls)
        await reached.over()
    assert AGENT not in {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [AGENT])}
    assert (await world.latest()).leg.outcome is Outcome.DIVERTED
    assert await dialled(world, f"41{ANA}") == "deny/optout.marketing"
    assert await dialled(world, f"40{ANA}") == "allow/dial.allowed"


async def released_after_s(world: World, extension: str) -> float:
    """How long the person called is still held after the agent, who dialled, has hung up in the gate."""
    calls = len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 9_000)):
        result = await world.call(talks(1_200), extension=extension, ring_limit_ms=2_000)
        reached = await world.agent_call(calls)
        await reached.over()
    async with asyncio.timeout(PATIENCE_S):
        while reached.ended is None:
            await asyncio.sleep(0.01)
    return reached.ended - result.ended


async def test_an_agent_who_hangs_up_first_releases_the_person_within_a_second(world: World) -> None:
    assert await released_after_s(world, f"7{ANA}") < 1.0


async def test_a_person_called_who_hangs_up_in_the_gate_ends_it(world: World) -> None:
    calls = len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 9_000)):
        calling = asyncio.create_task(world.call(talks(4_000), extension=f"7{ANA}"))
        reached = await world.agent_call(calls)
        async with asyncio.timeout(PATIENCE_S):
            while reached.heard.first_audible() is None:
                await asyncio.sleep(0.02)
        reached.hang_up()
        # Dial answers the agent only to end the call: 200 and BYE come together, which SIPp may take for disorder.
        with suppress(TelephonyError):
            await calling
    async with asyncio.timeout(PATIENCE_S):
        while not await world.legs():
            await asyncio.sleep(0.05)
    assert (await world.latest()).leg.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("extension", "put_through"), [("7", True), ("6", False)])
async def test_a_gate_that_fails_after_the_answer(world: World, extension: str, put_through: bool) -> None:
    """Bridged and unrecorded; or, where the profile requires the gate, a goodbye."""
    files, calls = world.files(), len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 9_000)):
        world.agent.answer_after_ms = 1_000
        try:
            calling = asyncio.create_task(world.call(talks(5_000), extension=f"{extension}{ANA}"))
            reached = await world.agent_call(calls)
            await world.gate.kill()  # allowed, ringing, and gone before the answer
            await calling
        finally:
            world.agent.answer_after_ms = 300
    heard = {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [AGENT, PROMPT_HZ])}
    assert heard == ({AGENT} if put_through else {PROMPT_HZ})
    assert world.files() == files


async def test_agent_first_is_bridged_unrecorded_until_the_persons_own_key(world: World) -> None:
    calls = len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 2_000), Key("1"), Tone(CALLER_AFTER_YES, 9_000)):
        await world.call(talks(5_500), extension=f"8{ANA}")
        reached = await world.agent_call(calls)
        await reached.over()
    assert not tones(reached.heard.samples, 8_000, [PROMPT_HZ])  # no recorded message before a person speaks
    leg = await latest_settled(world)
    assert [(grant.state, grant.reason) for grant in leg.grants] == [(GrantState.GIVEN, "key")]
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert leg.recording is not None
    assert 2_000 < (leg.recording.duration_ms or 0) < 3_800


async def test_agent_first_withdrawn_is_never_recorded_again(world: World) -> None:
    calls = len(world.agent.calls)
    stop = (*stop_keys(), Tone(CALLER_AFTER_STOP, 500), Key("1"), Tone(CALLER_AFTER_STOP, 9_000))
    with the_person_called(world, Tone(CALLER_BEFORE, 1_000), Key("1"), Tone(CALLER_AFTER_YES, 1_000), *stop):
        await world.call(talks(6_000), extension=f"8{ANA}")
        reached = await world.agent_call(calls)
        await reached.over()
    leg = await world.destroyed((await world.latest()).leg.call_id)
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]


async def test_agent_first_nine_says_goodbye_ends_and_is_kept(world: World) -> None:
    calls = len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 1_500), Key("9"), Tone(CALLER_BEFORE, 9_000)):
        result = await world.call(talks(8_000), extension=f"8{ANA}")
        reached = await world.agent_call(calls)
        await reached.over()
    assert str(result.ended_by) == "pbx"
    assert tones(reached.heard.samples, 8_000, [PROMPT_HZ])
    assert await dialled(world, f"41{ANA}") == "deny/optout.marketing"
    await world.forgotten("callguard_optedout")


async def test_agent_first_nine_with_callguard_dead_is_kept_when_it_is_back(world: World) -> None:
    calls = len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 2_500), Key("9"), Tone(CALLER_BEFORE, 9_000)):
        calling = asyncio.create_task(world.call(talks(8_000), extension=f"8{ANA}"))
        reached = await world.agent_call(calls)
        await reached.up()
        await asyncio.sleep(0.7)
        await world.gate.kill()
        await calling
    await world.gate.start()
    assert await dialled(world, f"41{ANA}") == "deny/optout.marketing"


async def test_a_u_of_the_administrators_own_follows_the_gates(world: World) -> None:
    await world.pbx.cli("database deltree test")
    with the_person_called(world, Tone(CALLER_BEFORE, 600), Key("2"), Tone(CALLER_BEFORE, 4_000)):
        await world.call(talks(1_500), extension="3007")
    assert await world.note("mine") == "refused"


@pytest.mark.parametrize("alive", [True, False])
async def test_an_emergency_call_is_not_gated_at_its_other_end(world: World, alive: bool) -> None:
    legs, calls = await world.legs(), len(world.agent.calls)
    if not alive:
        await world.gate.kill()
    with the_person_called(world, Tone(CALLER_BEFORE, 4_000)):
        await world.call(talks(1_500), extension="6112")
        reached = await world.agent_call(calls)
        await reached.over()
    heard = {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [AGENT, PROMPT_HZ])}
    assert heard == {AGENT}
    assert await world.legs() == legs


@pytest.mark.parametrize(("extension", "put_through"), [("7", True), ("6", False)])
async def test_a_gate_that_is_started_again_while_it_asks_the_person_called(
    world: World, extension: str, put_through: bool
) -> None:
    """Somebody waits: they are put through unasked, or the call ends where the gate is required."""
    files, calls = world.files(), len(world.agent.calls)
    with the_person_called(world, Tone(CALLER_BEFORE, 9_000)):
        calling = asyncio.create_task(world.call(talks(2_000), extension=f"{extension}{ANA}"))
        reached = await world.agent_call(calls)
        await reached.up()
        await asyncio.sleep(0.8)
        await world.gate.kill()
        await world.gate.start()
        await reached.over()
        await calling
    heard = {int(tone.hz) for tone in tones(reached.heard.samples, 8_000, [AGENT])}
    assert heard == ({AGENT} if put_through else set())
    assert world.files() == files
    async with Reader.reading(world.gate.store) as store:
        assert len(await store.decisions(100)) == 1  # the agent's channel, which was watched, is no call to decide


async def test_a_store_that_was_removed_denies(world: World) -> None:
    for file in world.gate.folder.glob("callguard.db*"):
        file.rename(file.with_suffix(file.suffix + ".gone"))
    assert await dialled(world, f"40{ANA}") == "deny/gate.failed"


@pytest.mark.parametrize("older", [True, False])
async def test_a_store_that_has_forgotten_opt_outs_dials_nobody(world: World, tmp_path: Path, older: bool) -> None:
    """An older one was put in its place, or it is gone: callguard is started, and knows what it has signed since."""
    assert await dialled(world, f"41{ANA}") == "allow/dial.allowed"
    await world.gate.stop()
    kept = tmp_path / "older.db"
    with closing(connect(world.gate.store)) as one, closing(connect(kept)) as other:
        one.backup(other)
    await world.gate.start()
    async with Store.open(world.gate.store, gate=None, controllers={}) as store:
        await store.opt_out("acme", f"+34{ANA}", Scope.MARKETING, datetime.now(UTC), "command")
    assert await dialled(world, f"41{ANA}") == "deny/optout.marketing"
    await world.gate.stop()
    owner = world.gate.store.stat()
    for file in world.gate.folder.glob("callguard.db*"):
        file.rename(tmp_path / f"{file.name}.{older}")
    if older:
        shutil.copy(kept, world.gate.store)
        os.chown(world.gate.store, owner.st_uid, owner.st_gid)
        world.gate.store.chmod(owner.st_mode & 0o777)
    await world.gate.start()
    assert await dialled(world, f"41{ANA}") == "deny/store.behind"
    assert await dialled(world, f"40{ANA}") == "deny/store.behind"
    assert await dialled(world, "41112") == "emergency/emergency"
    # Whoever calls is asked and recorded as ever; and an administrator may go on with it.
    await world.call(*says_yes(world.times))
    assert (await world.settled((await world.latest()).leg.call_id)).recording is not None
    words = ("ledger", "checkpoint", "--after-restore", "--config", str(world.gate.folder / "callguard.toml"))
    done = await asyncio.to_thread(callguard, *words)
    assert done.returncode == 0, done.stderr
    async with asyncio.timeout(PATIENCE_S):
        while (decided := await dialled(world, f"40{ANA}")) == "deny/store.behind":
            pass
    assert decided == "allow/dial.allowed"
