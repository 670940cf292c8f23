"""Queues, ring groups, overflow, forwards and voicemail: whoever answers is told, and nobody is asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

import pytest

from callguard.core.model import GrantState
from callguard.demo import sip
from callguard.demo.agent import Agent, AgentCall
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Segment, Tone
from callguard.demo.sip import Address, Headers, SipMessage
from callguard.demo.sipp import CallResult
from callguard.demo.tones import (
    AGENT,
    CALLER_AFTER_STOP,
    CALLER_AFTER_YES,
    CANDIDATES,
    SECOND_AGENT,
    tones,
    tones_in,
)
from callguard.demo.ulaw import RATE
from callguard.store.records import LegDetail
from tests.asterisk.conftest import PATIENCE_S, PROMPT_HZ, World, load_modules, presses, says_yes, stop_keys

ANSWERS_MS = 300
# How long a queue lets one agent's phone ring, and then waits before the next.
RINGS_MS, RESTS_MS = 2_000, 1_000
NEXT_MS = RINGS_MS + RESTS_MS
MAILBOX = "100"

SITE = f"""
[from-outside]
exten => second,1,Gosub(callguard-inbound,s,1(service))
 same => n,Set(DB(test/behind)=${{CALLGUARD_STATE}}/${{CALLGUARD_CALL}})
 same => n,Dial(PJSIP/second,20,b(callguard-agent^s^1))
exten => _group-.,1,Gosub(callguard-inbound,s,1(service))
 same => n,Goto(groups,${{EXTEN:6}},1)

[groups]
exten => _queue-.,1,Queue(${{EXTEN:6}},rb(callguard-agent^s^1),,,20)
; the first agent, and whoever waited for that one in vain comes to the second by a gate of its own
exten => overflow,1,Queue(first-only,rb(callguard-agent^s^1),,,{RINGS_MS // 1_000})
 same => n,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/second,20,b(callguard-agent^s^1))
; a ring group
exten => ring,1,Dial(PJSIP/agent&PJSIP/second,20,b(callguard-agent^s^1))
exten => ring-busy,1,Dial(PJSIP/busy&PJSIP/second,20,b(callguard-agent^s^1))
; a phone that forwards its calls to the second one: Asterisk dials that where FORWARD_CONTEXT says
exten => forward,1,Dial(PJSIP/moved,20,b(callguard-agent^s^1))
exten => forward-in,1,Set(__FORWARD_CONTEXT=agents)
 same => n,Dial(PJSIP/moved-in,20,b(callguard-agent^s^1))
exten => forward-queue,1,Set(__FORWARD_CONTEXT=agents)
 same => n,Queue(moved,rb(callguard-agent^s^1),,,20)
; into the gate again, behind a Local channel
exten => forward-outside,1,Dial(PJSIP/moved-in,20,b(callguard-agent^s^1))
exten => forward-outside-queue,1,Queue(moved,rb(callguard-agent^s^1),,,20)
exten => gate-again,1,Dial(Local/second@from-outside,20,b(callguard-agent^s^1))
; one after the other, and voicemail when nobody is there (any more)
exten => both,1,Dial(PJSIP/agent,20,gb(callguard-agent^s^1))
 same => n,Dial(PJSIP/second,20,b(callguard-agent^s^1))
exten => mail,1,Dial(PJSIP/agent,1,gb(callguard-agent^s^1))
 same => n,VoiceMail({MAILBOX}@default,s)

[agents]
exten => second,1,Dial(PJSIP/second,20,b(callguard-agent^s^1))
"""

QUEUES = {
    "everyone": ("ringall", "PJSIP/agent", "PJSIP/second"),
    "in-order": ("linear", "PJSIP/agent", "PJSIP/second"),
    "everyone-local": ("ringall", "Local/agent@agents/n", "Local/second@agents/n"),
    "in-order-local": ("linear", "Local/agent@agents", "Local/second@agents"),
    "busy-first": ("linear", "PJSIP/busy", "PJSIP/second"),
    "first-only": ("ringall", "PJSIP/agent"),
    "moved": ("ringall", "PJSIP/moved-in"),
}


def queue(name: str, strategy: str, *members: str) -> str:
    lines = [f"[{name}]", f"strategy = {strategy}", f"timeout = {RINGS_MS // 1_000}", f"retry = {RESTS_MS // 1_000}"]
    return "\n".join([*lines, "ringinuse = yes", *(f"member => {member}" for member in members), ""])


def endpoint(name: str, port: int, *more: str) -> str:
    """A phone as pjsip.conf has it, from the template that is there."""
    lines = [f"[{name}](phone)", f"aors = {name}", *more]
    return "\n".join([*lines, f"[{name}]", "type = aor", f"contact = sip:{name}@127.0.0.1:{port}", ""])


class Refusing(asyncio.DatagramProtocol):
    """A phone on a port of 127.0.0.1 that answers each call with the same final response: busy, or moved elsewhere."""

    def __init__(self, port: int, status: int, reason: str, more: Headers = ()) -> None:
        self.invited = 0
        self._port = port
        self._final = (status, reason, more)

    async def __aenter__(self) -> Self:
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", self._port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, peer: Address) -> None:
        message = sip.parse(data)
        if message.method == "INVITE":
            self.invited += 1
            status, reason, more = self._final
            self._send(sip.respond(message, status, reason, tag="refusing", more=more), peer)
        elif message.method not in ("", "ACK"):
            self._send(sip.respond(message, 200, "OK", tag="refusing"), peer)

    def _send(self, message: SipMessage, peer: Address) -> None:
        self._transport.sendto(bytes(message), peer)


@dataclass(frozen=True, slots=True)
class Phones:
    """Those beside the first agent's."""

    second: Agent
    busy: Refusing
    moved: Refusing


@dataclass(frozen=True, slots=True)
class Groups:
    """The world with more than one agent, and words for it."""

    world: World
    phones: Phones

    async def call(self, group: str, *timeline: Segment) -> CallResult:
        return await self.world.call(*timeline, extension=f"group-{group}", from_name="Ana")

    def calls(self) -> tuple[int, int]:
        return len(self.world.agent.calls), len(self.phones.second.calls)

    async def second_call(self, after: int) -> AgentCall:
        async with asyncio.timeout(PATIENCE_S):
            return await self.phones.second.called(after + 1)

    def recorded(self, leg: LegDetail) -> set[int]:
        """The tones of a leg's recording, those of prompts and of both agents among them."""
        assert leg.recording is not None
        file = self.world.folder / leg.recording.files[0].name
        return {int(tone.hz) for tone in tones_in(file, [*CANDIDATES, PROMPT_HZ])}

    async def asked_once(self, result: CallResult, reached: AgentCall, *, confirmed: bool = False) -> None:
        """The caller has one leg, and neither caller nor agent hears a prompt once the first phone rang.

        Args:
            confirmed: but for the caller who stops the recording: that it is off.
        """
        assert await self.world.legs() == 1
        heard = tones(result.heard.samples, RATE, [PROMPT_HZ])
        late = [tone for tone in heard if result.heard.started + tone.end_ms / 1_000 >= reached.invited + 0.1]
        assert len(heard) > len(late) == int(confirmed)
        assert not tones(reached.heard.samples, RATE, [PROMPT_HZ])


@pytest.fixture(scope="session")
async def phones(pbx: Pbx) -> AsyncIterator[Phones]:
    """More phones, queues, groups and a mailbox for the PBX that all tests share."""
    async with AsyncExitStack() as stack:
        second, busy, moved = (stack.enter_context(pbx.line()).sip for _ in range(3))
        for name, text in {
            "site.conf": SITE,
            "queues.conf": "\n" + "\n".join(queue(name, *one) for name, one in QUEUES.items()),
            "pjsip.conf": "\n" + endpoint("second", second) + endpoint("busy", busy) + endpoint("moved-in", moved)
            + endpoint("moved", moved, "redirect_method = uri_pjsip"),
            "voicemail.conf": f"[general]\nformat = wav\n[default]\n{MAILBOX} => 1234,Agents\n",
        }.items():  # fmt: skip
            file = pbx.path / "etc" / name
            with file.open("a", encoding="utf-8") as conf:
                conf.write(text)
            file.chmod(0o644)
        for command in ("dialplan reload", "module reload res_pjsip.so", "queue reload all"):
            await pbx.cli(command)
        # VoiceMail and what its beep needs
        await load_modules(pbx, "format_gsm.so", "codec_gsm.so", "app_voicemail.so")

        elsewhere = (("Contact", f"<sip:second@127.0.0.1:{second}>"),)
        # in pieces: a long one would take a second to make when the agent answers
        timeline = (Tone(SECOND_AGENT, 1_000),) * 600
        yield Phones(
            second=await stack.enter_async_context(Agent(second, timeline=timeline)),
            busy=await stack.enter_async_context(Refusing(busy, 486, "Busy Here")),
            moved=await stack.enter_async_context(Refusing(moved, 302, "Moved Temporarily", elsewhere)),
        )


@pytest.fixture
def groups(world: World, phones: Phones) -> Iterator[Groups]:
    yield Groups(world, phones)
    for phone in (world.agent, phones.second):
        phone.answer_after_ms = ANSWERS_MS


@pytest.mark.parametrize("group", ["queue-everyone", "queue-in-order-local", "ring"])
async def test_the_first_agent_answers(groups: Groups, group: str) -> None:
    world = groups.world
    groups.phones.second.answer_after_ms = None
    first, second = groups.calls()
    result = await groups.call(group, *says_yes(world.times, talks_ms=1_500))
    reached = await world.agent_call(first)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("given", "recording.quality", "[REC] Ana")
    if group != "queue-in-order-local":
        assert world.told(await groups.second_call(second)) == told  # it rang as well
    assert groups.recorded(await world.settled(told.call)) == {CALLER_AFTER_YES, AGENT}
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", [*(f"queue-{name}" for name in list(QUEUES)[:4]), "ring", "overflow"])
async def test_the_first_agent_does_not_answer_and_the_second_does(groups: Groups, group: str) -> None:
    world = groups.world
    world.agent.answer_after_ms = None
    first, second = groups.calls()
    result = await groups.call(group, *says_yes(world.times, talks_ms=NEXT_MS + 1_800))
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("given", "recording.quality", "[REC] Ana")
    in_vain = await world.agent_call(first)
    assert world.told(in_vain) == told
    assert in_vain.answered is None
    assert groups.recorded(await world.settled(told.call)) == {CALLER_AFTER_YES, SECOND_AGENT}
    await groups.asked_once(result, in_vain)
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", ["queue-busy-first", "ring-busy"])
async def test_the_first_agent_is_busy_and_the_second_answers(groups: Groups, group: str) -> None:
    world, busy = groups.world, groups.phones.busy.invited
    _, second = groups.calls()
    result = await groups.call(group, *says_yes(world.times, talks_ms=RESTS_MS + 1_800))
    assert groups.phones.busy.invited > busy
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.name) == ("given", "[REC] Ana")
    assert groups.recorded(await world.settled(told.call)) == {CALLER_AFTER_YES, SECOND_AGENT}
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", ["queue-in-order", "queue-everyone-local", "overflow"])
async def test_who_refuses_comes_to_the_same_agents_unrecorded(groups: Groups, group: str) -> None:
    world, files = groups.world, groups.world.files()
    world.agent.answer_after_ms = None
    _, second = groups.calls()
    result = await groups.call(group, *presses(world.times, "2", talks_ms=NEXT_MS + 1_000))
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("refused", "", "[NO REC] Ana")
    assert world.files() == files
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", ["queue-in-order", "queue-in-order-local", "overflow"])
async def test_who_withdraws_while_the_first_agent_rings_is_shown_so_to_the_second(groups: Groups, group: str) -> None:
    world, files = groups.world, groups.world.files()
    world.agent.answer_after_ms = None
    first, second = groups.calls()
    timeline = (*says_yes(world.times, talks_ms=600), *stop_keys(), Tone(CALLER_AFTER_STOP, NEXT_MS + 2_000))
    result = await groups.call(group, *timeline)
    assert world.told(await world.agent_call(first)).state == "given"
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("refused", "", "[NO REC] Ana")
    leg = await world.settled(told.call)
    assert [grant.state for grant in leg.grants] == [GrantState.GIVEN, GrantState.WITHDRAWN]
    assert leg.recording is None
    assert world.files() == files
    # Where a second Gosub finds the key before there is a bridge, it is quiet.
    await groups.asked_once(result, reached, confirmed=group != "overflow")


async def test_who_withdraws_with_the_first_agent_is_shown_so_to_the_next(groups: Groups) -> None:
    world = groups.world
    first, second = groups.calls()
    timeline = (*says_yes(world.times), *stop_keys(), Tone(CALLER_AFTER_STOP, 4_000))
    calling = asyncio.create_task(groups.call("both", *timeline))
    reached = await world.agent_call(first)
    await reached.up()
    assert world.told(reached).state == "given"
    async with asyncio.timeout(PATIENCE_S):
        while not (await world.leg(world.told(reached).call)).leg.recording_ended_at:
            await asyncio.sleep(0.05)
    reached.hang_up()
    told = world.told(await groups.second_call(second))
    result = await calling
    assert (told.state, told.purposes, told.name) == ("refused", "", "[NO REC] Ana")
    leg = await world.destroyed(told.call)
    assert not [name for name in world.files() if name.startswith(leg.leg.leg_id)]
    await groups.asked_once(result, reached, confirmed=True)


async def test_two_agents_one_after_the_other_are_in_one_recording(groups: Groups) -> None:
    world = groups.world
    first, second = groups.calls()
    calling = asyncio.create_task(groups.call("both", *says_yes(world.times, talks_ms=4_000)))
    reached = await world.agent_call(first)
    await talked(reached)
    reached.hang_up()
    next_reached = await groups.second_call(second)
    result = await calling
    assert world.told(next_reached) == world.told(reached)
    assert groups.recorded(await world.settled(world.told(reached).call)) == {CALLER_AFTER_YES, AGENT, SECOND_AGENT}
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", ["forward", "forward-in", "forward-queue"])
async def test_the_phone_that_a_call_is_forwarded_to_is_told(groups: Groups, group: str) -> None:
    """With ``redirect_method = uri_pjsip``, or with FORWARD_CONTEXT naming a context that dials with ``b()``."""
    world, moved = groups.world, groups.phones.moved.invited
    _, second = groups.calls()
    result = await groups.call(group, *says_yes(world.times, talks_ms=2_000))
    assert groups.phones.moved.invited > moved
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.purposes, told.name) == ("given", "recording.quality", "[REC] Ana")
    assert groups.recorded(await world.settled(told.call)) == {CALLER_AFTER_YES, SECOND_AGENT}
    await groups.asked_once(result, reached)


@pytest.mark.parametrize("group", ["forward-outside", "forward-outside-queue", "gate-again"])
async def test_who_comes_to_the_gate_again_behind_a_local_channel_is_not_asked(groups: Groups, group: str) -> None:
    world = groups.world
    _, second = groups.calls()
    result = await groups.call(group, *says_yes(world.times, talks_ms=2_000))
    reached = await groups.second_call(second)
    told = world.told(reached)
    assert (told.state, told.name) == ("given", "[REC] Ana")
    assert await world.note("behind") == f"given/{told.call}"
    assert groups.recorded(await world.settled(told.call)) == {CALLER_AFTER_YES, SECOND_AGENT}
    await groups.asked_once(result, reached)


async def test_a_message_left_when_nobody_answers_is_not_recorded(groups: Groups) -> None:
    world, files = groups.world, groups.world.files()
    world.agent.answer_after_ms = None
    first, _ = groups.calls()
    result = await groups.call("mail", *says_yes(world.times, talks_ms=4_500))
    in_vain = await world.agent_call(first)
    assert await message(world) == {CALLER_AFTER_YES}
    leg = await world.settled(world.told(in_vain).call)
    assert leg.recording is None
    assert world.files() == files
    await groups.asked_once(result, in_vain)


async def test_a_message_left_after_a_conversation_is_not_in_its_recording(groups: Groups) -> None:
    world = groups.world
    first, _ = groups.calls()
    timeline = (*says_yes(world.times, talks_ms=2_000), Tone(CALLER_AFTER_STOP, 3_500))
    calling = asyncio.create_task(groups.call("mail", *timeline))
    reached = await world.agent_call(first)
    await talked(reached)
    reached.hang_up()
    result = await calling
    assert CALLER_AFTER_STOP in await message(world)
    assert groups.recorded(await world.settled(world.told(reached).call)) == {CALLER_AFTER_YES, AGENT}
    await groups.asked_once(result, reached)


async def talked(reached: AgentCall) -> None:
    """Wait until the agent has heard the caller for a while."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(tone.ms for tone in reached.tones() if tone.hz == CALLER_AFTER_YES) < 600:
            await asyncio.sleep(0.05)


async def message(world: World) -> set[int]:
    """The tones of the one message in the mailbox, which is emptied."""
    inbox = world.pbx.path / "spool/voicemail/default" / MAILBOX / "INBOX"
    async with asyncio.timeout(PATIENCE_S):
        while not list(inbox.glob("msg*.txt")):
            await asyncio.sleep(0.05)
    (file,) = inbox.glob("msg*.wav")
    found = {int(tone.hz) for tone in tones_in(file, [*CANDIDATES, PROMPT_HZ])}
    for left in inbox.iterdir():
        left.unlink()
    return found
