"""Every path to Dial on a real Asterisk: which INVITEs leave on the trunk, as SIPp at its other end sees them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from callguard.core.incidents import Incident
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Tone
from callguard.demo.sipp import EndedBy
from callguard.demo.tones import AGENT, CALLER_BEFORE
from callguard.store.reader import Reader
from tests.asterisk.conftest import PATIENCE_S, World, load_modules
from tests.asterisk.test_outbound import opted_out
from tests.asterisk.test_service import counted
from tests.asterisk.trunk import Trunk, trunk

DIALPLAN = """\
[from-outside]
; an agent, and what an originated call is joined with
exten => 3090,1,Dial(PJSIP/agent,20)
exten => 3091,1,Answer()
 same => n,Wait(1)
; a number that calls show: who calls back is asked, as any caller is
exten => 910000063,1,Gosub(callguard-inbound,s,1(sales))
 same => n,Hangup()
; straight to the trunk: whoever dials has not been asked about
exten => _9[+0-9].,1,Goto(to-trunk,${EXTEN:1},1)
; the agent's own gate first, and the trunk's behind it
exten => _19[+0-9].,1,Gosub(callguard-outbound,s,1(${EXTEN:2},sales))
 same => n,GotoIf($["${CALLGUARD_DIAL}" = "deny"]?denied)
 same => n,Goto(to-trunk,${EXTEN:2},1)
 same => n(denied),Hangup(21)
; a Dial whose author has forgotten every Gosub
exten => _29[+0-9].,1,Dial(PJSIP/${EXTEN:2}@trunk,20,b(callguard-invite^s^1))
 same => n,Hangup(21)
; allowed, and another one dialled
exten => _39[+0-9].,1,Gosub(callguard-outbound,s,1(600000099,sales))
 same => n,Dial(PJSIP/${EXTEN:2}@trunk,20,b(callguard-invite^s^1))
 same => n,Hangup(21)
; a trunk that wants a carrier's code before the number
exten => _49[+0-9].,1,Gosub(callguard-outbound,s,1(${EXTEN:2},sales))
 same => n,Dial(PJSIP/1077${EXTEN:2}@trunk,20,b(callguard-invite^s^1(1077)))
 same => n,Hangup(21)
; a call that the dialplan itself originates
exten => _99[+0-9].,1,Originate(PJSIP/${EXTEN:2}@trunk,app,Wait,30,,20,a)
 same => n,Answer()
 same => n,Wait(1)
; a trunk that nobody guards
exten => _89[+0-9].,1,Dial(PJSIP/${EXTEN:2}@trunk,20)
; a phone that its user has forwarded, a dialplan that forwards, and the staff's own mobiles
exten => _59[+0-9].,1,Set(__FORWARD_CONTEXT=to-trunk)
 same => n,Dial(PJSIP/forwarded/sip:${EXTEN:2}@127.0.0.1:ELSEWHERE,20)
 same => n,Hangup(21)
exten => _69[+0-9].,1,Dial(Local/${EXTEN:2}@to-trunk,20)
 same => n,Hangup(21)
exten => _79[+0-9].,1,Answer()
 same => n,FollowMe(staff${EXTEN:-1})
 same => n,Hangup()
[to-trunk]
exten => _[+0-9].,1,Gosub(callguard-trunk,s,1(${EXTEN},sales))
 same => n,Dial(PJSIP/${EXTEN}@trunk,20,b(callguard-invite^s^1))
 same => n,Hangup()
"""
SIP = """
[trunk](phone)
aors = trunk
[trunk]
type = aor
contact = sip:127.0.0.1:TRUNK
[forwarded](phone)
aors = forwarded
[forwarded]
type = aor
contact = sip:127.0.0.1:ELSEWHERE
"""
MANAGER = """
[dialler]
secret = SECRET
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
write = originate,call
read = all
"""
MODULES = ("pbx_spool.so", "app_followme.so", "app_originate.so", "cdr_csv.so")
SHOWN = "+34910000062"
RECORD = """
[csv]
usegmtime = no
"""
FOLLOW_ME = """
[staff1]
context = to-trunk
pls_hold_prompt = PROMPT
number = 600000061,20
[staff2]
context = to-trunk
pls_hold_prompt = PROMPT
number = 600000062,20
"""


@dataclass(frozen=True, slots=True)
class Paths:
    """A PBX with a trunk. `trunk` is its other end."""

    world: World
    trunk: Trunk

    async def decisions(self) -> int:
        async with Reader.reading(self.world.gate.store) as store:
            return len(await store.decisions(10_000))

    async def quiet(self) -> None:
        """Wait until nobody calls any more, so that no INVITE is to come."""
        async with asyncio.timeout(PATIENCE_S):
            while "0 active channels" not in await self.world.pbx.cli("core show channels count"):
                await asyncio.sleep(0.05)

    async def dialler(self, **action: str) -> None:
        """As a program of the administrator's does, by AMI."""
        await self.world.manager(user="dialler", **action)

    async def by_ami(self, channel: str, seconds: int = 1) -> None:
        await self.dialler(
            Action="Originate", Channel=channel, Application="Wait", Data=str(seconds), Async="true", CallerID=SHOWN
        )

    async def by_ari(self, channel: str, extension: str = "3091") -> None:
        query = urlencode({"endpoint": channel, "extension": extension, "context": "from-outside", "callerId": SHOWN})
        account = base64.b64encode(f"callguard:{self.world.pbx.secrets.ari}".encode()).decode()

        def ask() -> int:
            with closing(HTTPConnection("127.0.0.1", self.world.pbx.ports.http, timeout=PATIENCE_S)) as connection:
                connection.request("POST", f"/ari/channels?{query}", headers={"Authorization": f"Basic {account}"})
                return connection.getresponse().status

        assert await asyncio.to_thread(ask) == 200

    async def by_file(self, channel: str, seconds: int = 1) -> None:
        folder = self.world.pbx.path / "spool"
        file = folder / "tmp.call"
        file.write_text(
            f"Channel: {channel}\nCallerID: {SHOWN}\nApplication: Wait\nData: {seconds}\n", encoding="utf-8"
        )
        if self.world.pbx.tree.user:
            os.chown(file, *self.world.pbx.tree.user)
        file.rename(folder / "outgoing" / "one.call")

    async def on_trunk(self) -> int:
        """How many calls are up on the trunk."""
        rows = (await self.world.pbx.cli("core show channels concise")).splitlines()
        return sum(row.startswith("PJSIP/trunk-") for row in rows)

    async def incidents(self, count: int) -> list[dict[str, Any]]:
        """The details of all incidents, once there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with Reader.reading(self.world.gate.store) as store:
                    found = await store.incidents(100)
                if len(found) >= count:
                    assert {one.kind for one in found} <= {Incident.DIAL_UNASKED}
                    return [dict(one.detail) for one in found]
                await asyncio.sleep(0.02)

    async def dials(self, extension: str, ms: int = 600) -> None:
        await self.world.call(Tone(AGENT, ms), extension=extension, ring_limit_ms=8_000)

    async def transfers(self, number: str, *, attended: bool) -> None:
        """A caller has reached the agent, who puts them through to outside."""
        calls, decided = len(self.world.agent.calls), await self.decisions()
        calling = asyncio.create_task(self.world.call(Tone(AGENT, 5_000), extension="3090"))
        reached = await self.world.agent_call(calls)
        await self.bridged("PJSIP/agent-")
        if attended:
            await self.dialler(
                Action="Originate", Channel="PJSIP/agent", Context="from-outside", Exten=f"9{number}", Priority="1",
                Async="true", CallerID=SHOWN,
            )  # fmt: skip
            beside = await self.world.agent_call(calls + 1)
            await self.decided(decided + 1)
            # Where nobody was called the agent's second call is over, and nothing to be joined with.
            if await self.may():
                await self.bridged("PJSIP/trunk-")
                reached.join(beside)
            else:
                reached.hang_up()
        else:
            reached.transfer(f"9{number}")
            await self.decided(decided + 1)
        await calling

    async def decided(self, count: int) -> None:
        """Wait until so many dials have been decided."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.decisions() < count:
                await asyncio.sleep(0.05)

    async def may(self) -> bool:
        """Whether the latest decision allows it."""
        async with Reader.reading(self.world.gate.store) as store:
            (latest,) = await store.decisions(1)
            return latest.allow

    async def bridged(self, name: str, *, anywhere: bool = False) -> str:
        """The channel whose name begins so, once it is in a bridge, or `anywhere`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                rows = (await self.world.pbx.cli("core show channels concise")).splitlines()
                # The last but one column is the bridge's id.
                found = [
                    one[0]
                    for row in rows
                    if len(one := row.split("!")) > 2 and one[0].startswith(name) and (anywhere or one[-2])
                ]
                if found:
                    return found[0]
                await asyncio.sleep(0.05)


Way = Callable[[Paths, str], Coroutine[Any, Any, None]]
WAYS: dict[str, Way] = {
    "extension to trunk": lambda paths, number: paths.dials(f"9{number}"),
    "callguard-outbound, then the trunk's": lambda paths, number: paths.dials(f"19{number}"),
    "AMI Originate through Local": lambda paths, number: paths.by_ami(f"Local/9{number}@from-outside/n"),
    "ARI originate through Local": lambda paths, number: paths.by_ari(f"Local/9{number}@from-outside/n"),
    "call file, as a callback is": lambda paths, number: paths.by_file(f"Local/9{number}@from-outside/n"),
    "a phone's 302": lambda paths, number: paths.dials(f"59{number}"),
    "the dialplan's forward": lambda paths, number: paths.dials(f"69{number}"),
    "blind transfer": lambda paths, number: paths.transfers(number, attended=False),
    "attended transfer": lambda paths, number: paths.transfers(number, attended=True),
}


@pytest.fixture(scope="module")
async def site(pbx: Pbx, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trunk]:
    """The PBX of all tests with a trunk; as it was, afterwards."""
    etc = pbx.path / "etc"
    for folder in ("spool/outgoing", "log/cdr-csv"):
        (pbx.path / folder).mkdir(exist_ok=True)
        if pbx.tree.user:
            os.chown(pbx.path / folder, *pbx.tree.user)
    files = {
        "cdr.conf": RECORD,
        "pjsip.conf": SIP, "manager.conf": MANAGER.replace("SECRET", pbx.secrets.ami),
        "followme.conf": FOLLOW_ME.replace("PROMPT", f"{pbx.folder('prompts').in_asterisk}/en/contract-goodbye"),
    }  # fmt: skip
    # All of it is as other tests have left it, and has to be so for others again.
    before = {
        name: (etc / name).read_text(encoding="utf-8") if (etc / name).exists() else ""
        for name in (*files, "site.conf")
    }
    work = tmp_path_factory.mktemp("trunk")
    async with AsyncExitStack() as stack:
        lines = [stack.enter_context(pbx.line()) for _ in range(2)]
        far = await stack.enter_async_context(trunk(work / "far", (lines[0].sip, lines[0].spare)))
        other = await stack.enter_async_context(
            trunk(work / "elsewhere", (lines[1].sip, lines[1].spare), elsewhere=True)
        )
        for name, text in files.items():
            text = text.replace("TRUNK", str(far.port)).replace("ELSEWHERE", str(other.port))
            (etc / name).write_text(before[name] + text, encoding="utf-8")
            (etc / name).chmod(0o644)
        dialplan = DIALPLAN.replace("ELSEWHERE", str(other.port))
        (etc / "site.conf").write_text(before["site.conf"] + dialplan, encoding="utf-8")
        await reload(pbx)
        await load_modules(pbx, *MODULES)
        try:
            yield far
        finally:
            for name, text in before.items():
                (etc / name).write_text(text, encoding="utf-8")
            for module in MODULES:
                await pbx.cli(f"module unload {module}")
            await reload(pbx)


async def reload(pbx: Pbx) -> None:
    for command in ("module reload res_pjsip.so", "manager reload", "dialplan reload"):
        await pbx.cli(command)


@pytest.fixture
async def paths(world: World, site: Trunk) -> Paths:
    return Paths(world, site)


async def test_each_way_to_the_trunk_is_asked_about(paths: Paths) -> None:
    """All who are called have opted out, and nobody is called; then nobody has, and each is called once."""
    numbers = {way: f"60000010{at}" for at, way in enumerate(WAYS)}

    async def all_of_them() -> None:
        # There is one agent for all transfers.
        transfers = [way for way in WAYS if "transfer" in way]
        for way in transfers:
            await WAYS[way](paths, numbers[way])
        async with asyncio.TaskGroup() as group:
            for way in WAYS.keys() - set(transfers):
                group.create_task(WAYS[way](paths, numbers[way]))
        await paths.quiet()

    async with AsyncExitStack() as stack:
        for number in numbers.values():
            await stack.enter_async_context(opted_out(paths.world, f"+34{number}"))
        await all_of_them()
    assert await paths.decisions() == len(WAYS)
    await all_of_them()
    for number in numbers.values():
        await paths.trunk.left(number)
    assert sorted(paths.trunk.invited()) == sorted(numbers.values())
    assert await paths.decisions() == 2 * len(WAYS)
    assert await paths.incidents(0) == []


async def test_a_number_in_a_blocked_prefix_is_called_on_no_way(paths: Paths) -> None:
    """Originated through Local, so asked about at the trunk; dialled by an agent, whose own gate asks; and a range."""
    blocked, within, beside = "+3460000080*", ("600000801", "600000802"), "600000811"
    async with opted_out(paths.world, blocked), opted_out(paths.world, "+34600000805-+34600000809"):
        await paths.by_ami(f"Local/{within[0]}@to-trunk")
        await paths.dials(f"19{within[1]}")
        await paths.dials("9600000807")
        await paths.by_ami(f"Local/{beside}@to-trunk")
        await paths.trunk.left(beside)
        await paths.quiet()
    assert [number for number in paths.trunk.invited() if number.startswith("6000008")] == [beside]
    async with Reader.reading(paths.world.gate.store) as store:
        rules = sorted(one.rules for one in await store.decisions(4))
    assert rules == [(), *[("optout.marketing",)] * 3]


# None of these would end within PATIENCE_S by itself.
STRAIGHT: dict[str, Way] = {
    "AMI Originate": lambda paths, number: paths.by_ami(f"PJSIP/{number}@trunk", 30),
    "AMI Originate by a URI": lambda paths, number: paths.by_ami(
        f"PJSIP/trunk/sip:{number}@127.0.0.1:{paths.trunk.port}", 30
    ),
    "ARI originate": lambda paths, number: paths.by_ari(f"PJSIP/{number}@trunk", "3020"),
    "call file": lambda paths, number: paths.by_file(f"PJSIP/{number}@trunk", 30),
    "Originate() of the dialplan": lambda paths, number: paths.dials(f"99{number}"),
}


async def test_what_is_originated_straight_to_the_trunk_is_hung_up_at_once_and_an_incident(paths: Paths) -> None:
    """Beside it an emergency call and one that was asked about go on."""
    numbers = {way: f"60000080{at}" for at, way in enumerate(STRAIGHT)}
    asked = asyncio.create_task(paths.world.call(Tone(AGENT, 5_000), extension="9600000899"))
    await paths.by_ami("PJSIP/112@trunk", 30)
    for number in ("600000899", "112"):
        await paths.trunk.left(number)
    async with asyncio.TaskGroup() as group:
        for way, number in numbers.items():
            group.create_task(STRAIGHT[way](paths, number))
    for number in numbers.values():
        await paths.trunk.left(number)
    found = await paths.incidents(len(STRAIGHT))
    assert len(found) == len(STRAIGHT)
    assert all(one["hung_up"] and one["channel"].startswith("PJSIP/trunk-") for one in found)
    assert (await counted(paths.world))['callguard_incidents_total{kind="dial.unasked"}'] == len(STRAIGHT)
    assert (await asked).ended_by is EndedBy.CALLER
    async with asyncio.timeout(PATIENCE_S):
        while await paths.on_trunk() != 1:
            await asyncio.sleep(0.05)
    # What is left on the trunk is the emergency call.
    emergency = await paths.bridged("PJSIP/trunk-", anywhere=True)
    await paths.dialler(Action="Hangup", Channel=emergency)
    await paths.quiet()
    assert not any(number in paths.world.gate.log() for number in numbers.values())


async def test_nothing_leaves_of_a_dial_that_nobody_has_asked_about(paths: Paths) -> None:
    for extension in ("29600000201", "39600000202", "29+34600000203"):
        await paths.dials(extension)
        await paths.quiet()
    await paths.dials("49600000204")
    await paths.trunk.left("1077600000204")
    assert not {"600000201", "600000202", "+34600000203", "600000099"} & set(paths.trunk.invited())


async def test_with_callguard_dead_only_emergency_calls_leave(paths: Paths) -> None:
    await paths.world.gate.kill()
    before = paths.trunk.invited()
    await paths.dials("9600000301")
    await paths.dials("59600000302")
    await paths.by_ami("Local/9600000303@from-outside/n")
    await paths.quiet()
    assert paths.trunk.invited() == before
    await paths.dials("9112")
    await paths.dials("29911")
    await paths.trunk.left("911")
    assert paths.trunk.invited() == [*before, "112", "911"]


async def test_follow_me_reaches_the_staffs_own_mobiles_and_nobody_else(paths: Paths) -> None:
    """The list that marketing has to ask is missing, so everybody else is denied."""
    gate = paths.world.gate
    await gate.stop()
    file = gate.folder / "callguard.toml"
    text = file.read_text(encoding="utf-8").replace("[paths]", '[paths]\nstaff = ["+34600000061"]')
    list_ = '[registries.robinson]\nformat = "e164"\ncountry = "ES"\nmax_age_days = 28\n'
    file.write_text(text + list_, encoding="utf-8")
    await gate.start()
    for extension in ("7902", "7901"):
        await paths.dials(extension, 3_000)
        await paths.quiet()
    await paths.trunk.left("600000061")
    assert "600000062" not in paths.trunk.invited()
    async with Reader.reading(gate.store) as store:
        assert [one.rules for one in await store.decisions(2)] == [(), ("registry.stale",)]


async def test_a_profile_that_calls_on_a_grant_calls_nobody_without_one(paths: Paths) -> None:
    """Granted it leaves; an opt-out ends that, and the grant stays ended when the opt-out is taken back."""
    gate, number = paths.world.gate, "600000551"
    await gate.stop()
    file = gate.folder / "callguard.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[profiles.sales]", '[profiles.sales]\nbasis = "grant"'), encoding="utf-8")
    await gate.start()

    async def command(*words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "callguard", *words, "-", "--config", str(file), stdin=asyncio.subprocess.PIPE
        )
        await process.communicate(f"+34{number}\n".encode())
        assert process.returncode == 0

    async def dialled() -> tuple[tuple[str, ...], int]:
        """What denies it, and how many INVITEs have left for it so far."""
        decided = await paths.decisions()
        await paths.dials(f"9{number}")
        await paths.decided(decided + 1)
        await paths.quiet()
        async with Reader.reading(gate.store) as store:
            (latest,) = await store.decisions(1)
        return latest.rules, paths.trunk.invited().count(number)

    assert await dialled() == (("basis.missing",), 0)
    await command(
        "grant", "add", "--purpose", "marketing.calls", "--basis", "consent", "--channel", "paper", "--evidence", "f 17"
    )
    assert await dialled() == ((), 1)
    await command("optout", "add")
    assert await dialled() == (("optout.marketing", "basis.missing"), 1)
    await command("optout", "remove")
    assert await dialled() == (("basis.missing",), 1)


async def test_a_marketing_call_shows_a_number_where_who_calls_back_can_opt_out(paths: Paths) -> None:
    """Nobody has called it yet, so nothing leaves; who calls it back and presses 9 is out, within 15 s."""
    world, number, caller, ours = paths.world, "600000501", "600000502", "+34910000063"
    await world.gate.stop()
    file = world.gate.folder / "callguard.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f'"{SHOWN}"', f'"{ours}"').replace('"+34600000001", ', ""), encoding="utf-8")
    await world.gate.start()

    async def rule(shown: str) -> str:
        await world.call(Tone(AGENT, 600), extension=f"9{number}", from_number=shown)
        await paths.quiet()
        async with Reader.reading(world.gate.store) as store:
            (latest,) = await store.decisions(1)
            return latest.rules[0] if latest.rules else "allowed"

    assert [await rule(shown) for shown in ("anonymous", "+34600000001", ours)] == [
        "cli.withheld", "cli.foreign", "cli.unproved",
    ]  # fmt: skip
    assert number not in paths.trunk.invited()
    back = await world.call(
        Tone(CALLER_BEFORE, 400), Key("9"), Tone(CALLER_BEFORE, 6_000),
        extension=ours.removeprefix("+34"), from_number=f"+34{caller}",
    )  # fmt: skip
    assert back.answered is not None
    async with Reader.reading(world.gate.store) as store:
        (opt_out,) = await store.opt_outs("acme", f"+34{caller}", datetime.now(UTC))
    assert opt_out.since.timestamp() - back.answered < 15
    assert await rule(ours) == "allowed"
    await paths.trunk.left(number)
    await world.call(Tone(AGENT, 600), extension=f"9{caller}", from_number=ours)
    await paths.quiet()
    assert caller not in paths.trunk.invited()


async def test_calls_that_nobody_was_asked_about_are_found_in_the_trunks_own_record(paths: Paths) -> None:
    gate = paths.world.gate
    record = paths.world.pbx.path / "log" / "cdr-csv" / "Master.csv"
    since = datetime.now().astimezone().replace(microsecond=0)
    for extension in ("9600000701", "9112", "89600000702", "89+34600000703"):
        await paths.dials(extension)
    await paths.quiet()
    async with asyncio.timeout(PATIENCE_S):
        while not record.exists() or "600000703" not in record.read_text(encoding="utf-8"):
            await asyncio.sleep(0.05)
    found = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callguard", "reconcile", str(record), "--from", since.isoformat(), "--json",
        "--config", str(gate.folder / "callguard.toml"), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await found.communicate()
    listed = json.loads(said)
    assert found.returncode == 1
    assert [one["dialled"] for one in listed["without_decision"]] == ["600000702", "+34600000703"]
    assert listed["calls"] == 3
