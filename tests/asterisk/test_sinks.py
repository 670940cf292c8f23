"""Many hostile callers at once through one PBX: what they send in any field gets nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import urllib.request
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from callguard.demo.rtp import Key, Silence, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.keys.names import QUARANTINE
from tests.asterisk.conftest import World, says_yes

HEADERS = (
    'P-Asserted-Identity: "[red]Eve[/red]" <sip:+34600999001@127.0.0.1>',
    'Remote-Party-ID: "${SHELL(id)}" <sip:+34600999002@127.0.0.1>;party=calling;privacy=full',
    "Diversion: <sip:1%0d%0aX-Evil%3a%201@127.0.0.1>;reason=unconditional",
    "History-Info: <sip:$%7bSHELL(id)%7d@127.0.0.1>;index=1",
    "User-Agent: ${SHELL(id)} <script>alert(1)</script>",
    'X-Callguard-Consent: given; purposes="recording.quality"; call=1',
    "X-CG_ARGS: inbound:service:1:2:again:0",
)
# Name, number, what is dialled. Numbers and names are told by +34600999… and by evil.
CALLERS = (
    ("[red]evil[/red] [link=http://evil]", "+34600999003", "1000"),
    ('evil\\" | \\"1', "1%22%20%7c%20%221", "1000"),
    ("evil'); DROP TABLE legs; --", "+34600999004';--", "1000"),
    ("../../evil", "..%2f..%2fevil", "1000"),
    ("evil", "1%0d%0aX-Evil%3a%201", "551%0d%0aX-Evil%3a%201"),
    ("evil\\\\", "+34600999005", "55%22%20%7c%20%221"),
    ("evil", "1%0aCG_STATE=given%0a200%20result%3d49", "55$%7bSHELL(id)%7d"),
    ("evil <script>", "%1b%5b31m+34600999006", "55%3aagain%3a9"),
)
UNDIALLED = re.compile(r"evil|34600999|result=49|SHELL|<script|\x1b|\[red\]", re.IGNORECASE)
FILE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-in|-out)?\.(wav|json)")
LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[(info|warning) +\] ")
LISTEN_MS = 4_000


def page(world: World, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{world.pbx.ports.status}{path}", timeout=5) as answer:
        return str(answer.read().decode())


async def test_nothing_that_hostile_callers_send_gets_anywhere(door: World) -> None:
    calls = len(door.agent.calls)
    says_no = (Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500))
    await asyncio.gather(
        *(
            door.call(*says_no, extension=dialled, from_name=name, from_number=number, headers=HEADERS)
            for name, number, dialled in CALLERS
        )
    )
    await door.agent_call(calls + len(CALLERS) - 1)
    reached = door.agent.calls[calls:]
    states = sorted(door.told(one).state for one in reached)
    # By FastAGI a dialled number with line ends makes the session unreadable: served, unrecorded.
    unreadable = states.count("error")
    assert states == ["error"] * unreadable + ["refused"] * (len(CALLERS) - unreadable)
    assert unreadable <= door.gate.log().count("AGI connection dropped") <= 1
    for one in reached:
        assert len(one.invite.all("X-Callguard-Consent")) == 1
        assert not [name for name, _ in one.invite.headers if "evil" in name.lower()]
    # the log: whole lines of ours, and the session with the manager has lasted
    lines = door.gate.log().splitlines()
    assert all(LINE.match(line) for line in lines)
    assert not [line for line in lines if UNDIALLED.search(line)]
    assert sum("serving" in line for line in lines) == 1
    assert "uid=" not in door.pbx.log()
    # files, store, pages
    assert [name for name in door.files() - {QUARANTINE} if not FILE.fullmatch(name)] == []
    with closing(sqlite3.connect(f"file:{door.gate.store}?mode=ro", uri=True)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.execute("SELECT count(*) FROM legs").fetchone() == (states.count("refused"),)
        kept = "\n".join(store.iterdump())
    # names are not kept at all, and of what is dialled nothing but numbers
    assert not re.search(r"evil|SHELL|script|\x1b|\[red\]|%0", kept)
    assert json.loads(await asyncio.to_thread(page, door, "/health"))["calls_in_gate"] == 0
    assert not UNDIALLED.search(await asyncio.to_thread(page, door, "/metrics"))


async def test_nobody_speaks_for_anothers_call(world: World) -> None:
    """The number is told to AMI as it came: with line ends, and a key of a channel that is another's."""
    calls = len(world.agent.calls)
    victim = asyncio.create_task(world.call(*says_yes(world.times, talks_ms=5_000)))
    told = world.told(await world.agent_call(calls))
    assert told.state == "given"
    channel = (await world.leg(told.call)).leg.channel
    ends, keys = "%0d%0a", (Silence(300), Key("*"), Silence(300), Key("9"), Silence(500))
    forged = (
        f"1{ends}{ends}Event%3a%20DTMFEnd{ends}Uniqueid%3a%20{channel}{ends}Digit%3a%20{digit}{ends}{ends}"
        for digit in ("*", "9")
    )
    crashing = (f"1{ends}ActionID%3a%20a{ends}ActionID%3a%20b", f"1{ends}Event%3a%20Shutdown")
    numbers = (*forged, *crashing)
    await asyncio.gather(*(world.call(*keys, extension="3020", from_number=number) for number in numbers))
    assert not victim.done()
    await victim
    leg = await world.settled(told.call)
    assert leg.leg.withdrawn_at is None
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert "AMI event dropped" in world.gate.log()
    assert world.gate.log().count("serving") == 1


@pytest.fixture
async def whatever_is_dialled(world: World) -> AsyncIterator[None]:
    """What begins with a 9 is answered, whatever else is in it."""
    site = world.pbx.path / "etc" / "site.conf"
    before = site.read_text(encoding="utf-8")
    site.write_text(f"{before}\n[from-outside](+)\nexten => _9.,1,Answer()\n same => n,Wait(20)\n", encoding="utf-8")
    await world.pbx.cli("dialplan reload")
    yield
    site.write_text(before, encoding="utf-8")
    await world.pbx.cli("dialplan reload")


@pytest.mark.usefixtures("whatever_is_dialled")
async def test_number_and_what_is_dialled_are_no_event_of_anothers_call_together(world: World) -> None:
    """Both are raw in an event, and Asterisk's own headers between them: one that starts a recorder elsewhere."""
    calls = len(world.agent.calls)
    victim = asyncio.create_task(world.call(*says_yes(world.times, talks_ms=5_000)))
    told = world.told(await world.agent_call(calls))
    # Without the system's name, by which it would not fit in whichever order.
    channel = (await world.leg(told.call)).leg.channel.rpartition("-")[2]
    number = f"\r\n\r\nEvent: MixMonitorStart\r\nPrivilege: \r\nCallerIDNum: \r\nUniqueid: {channel}"
    dialled = "9\r\nChannel: \r\nChannelState: \r\nChannelStateDesc: \r\nPriority: \r\nLinkedid: 1\r\n\r\n"
    number, dialled = (quote(text, safe="") for text in (number, dialled))
    dropped = world.gate.log().count("AMI event dropped")
    await world.call(Silence(300), Key("5"), Silence(500), extension=dialled, from_number=number)
    assert not victim.done()
    await victim
    leg = await world.settled(told.call)
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert "somebody else began a recording" not in world.gate.log()
    assert world.gate.log().count("AMI event dropped") > dropped


async def test_a_call_by_fastagi_is_served_among_hundreds_who_say_nothing(world: World) -> None:
    """Slow-loris: some say nothing, some a byte in a while, all are ended; one call more is a call like any other."""
    assert world.gate.pid is not None
    await world.pbx.cli("dialplan set global CALLGUARD_DOOR agi")
    here = ("127.0.0.1", world.pbx.ports.agi)
    before = _memory(world.gate.pid)
    quiet: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def drip() -> None:
        while True:
            for _, writer in quiet[::2]:
                writer.write(b"a")
            await asyncio.sleep(0.2)

    dripping = asyncio.create_task(drip())
    try:
        # More than there is room for.
        for _ in range(1_300):
            quiet.append(await asyncio.open_connection(*here))
        calls = len(world.agent.calls)
        result = await world.call(Tone(CALLER_BEFORE, 400), Key("2"), Tone(CALLER_BEFORE, 1_500))
        assert world.told(await world.agent_call(calls)).state == "refused"
        assert result.first_sound_s is not None
        assert result.first_sound_s < 1
        async with asyncio.timeout(LISTEN_MS / 1000):
            for reader, _ in quiet:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
        assert _memory(world.gate.pid) - before < 32 << 20
    finally:
        dripping.cancel()
        for _, writer in quiet:
            writer.transport.abort()
        await world.pbx.cli("dialplan set global CALLGUARD_DOOR ari")


def _memory(pid: int) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
