"""The agent's phone, spoken to without a PBX."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from callguard.demo import rtp, sip
from callguard.demo.agent import PAYLOADS, Agent
from callguard.demo.ear import Ear, sound
from callguard.demo.rtp import Key, Tone
from callguard.demo.sip import Address, SipMessage
from callguard.demo.tones import AGENT, CALLER_BEFORE, tones

# Below the blocks that an Asterisk beside this test may hold.
PORT = 2_001


@dataclass
class Peer(asyncio.DatagramProtocol):
    """Whoever calls the agent."""

    transport: asyncio.DatagramTransport = field(init=False)
    got: asyncio.Queue[SipMessage] = field(default_factory=asyncio.Queue)

    def datagram_received(self, data: bytes, peer: Address) -> None:
        self.got.put_nowait(sip.parse(data))

    def say(self, request: str, to: str = "<sip:agent@127.0.0.1>", sequence: int = 1, body: str = "") -> None:
        self.transport.sendto(bytes(SipMessage(f"{request} sip:agent@127.0.0.1 SIP/2.0", (
            ("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1"), ("From", '"[REC] Ann" <sip:1@127.0.0.1>;tag=a'),
            ("To", to), ("Call-ID", "one"), ("CSeq", f"{sequence} {request}"), ("Contact", "<sip:pbx@127.0.0.1>"),
            ("X-Callguard-Consent", "given"),
        ), body)))  # fmt: skip

    async def hears(self, start: str) -> SipMessage:
        async with asyncio.timeout(5):
            message = await self.got.get()
        assert message.start.startswith(start)
        return message


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(
        Peer, local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", PORT)
    )
    peer.transport = transport
    yield peer
    transport.close()


def offer(ear: Ear) -> str:
    return sip.description("127.0.0.1", ear.port, PAYLOADS)


async def test_what_is_no_call_is_answered_as_sip_says(peer: Peer) -> None:
    async with Agent(PORT) as agent:
        peer.transport.sendto(b"\xff\x00 nonsense")
        peer.say("INVITE", body="v=0\r\n")
        peer.say("ACK")
        peer.say("OPTIONS")
        await peer.hears("SIP/2.0 200 OK")
        peer.say("BYE")
        await peer.hears("SIP/2.0 481")
        assert agent.calls == []


async def test_a_call_from_ring_to_goodbye(peer: Peer) -> None:
    async with Agent(PORT, answer_after_ms=100) as agent, Ear() as ear:
        peer.say("INVITE", body=offer(ear))
        ringing = await peer.hears("SIP/2.0 180")
        peer.say("INVITE", body=offer(ear))
        assert await peer.hears("SIP/2.0 180") == ringing, "a repeated INVITE gets the same answer"
        answer = await peer.hears("SIP/2.0 200")
        assert await peer.hears("SIP/2.0 200") == answer, "an answer that is not acknowledged comes again"
        peer.say("ACK")
        call = await agent.called()
        await call.up()
        assert (call.from_name, call.header("x-callguard-consent")) == ("[REC] Ann", "given")

        to = sip.media_address(answer.body)
        for packet in rtp.packets((Tone(CALLER_BEFORE, 200), Key("*"), Key("9"))):
            ear.send(packet.data, to)
        peer.say("INVITE", to=str(answer.get("to")), sequence=2, body=offer(ear))
        again = await peer.hears("SIP/2.0 200")
        assert (again.body, again.get("cseq")) == (answer.body, "2 INVITE")
        async with asyncio.timeout(5):
            while not tones(sound(ear.arrivals).samples, 8_000):
                await asyncio.sleep(0.01)
        assert {tone.hz for tone in tones(sound(ear.arrivals).samples, 8_000)} == {AGENT}
        peer.say("BYE", to=str(answer.get("to")), sequence=3)
        await peer.hears("SIP/2.0 200")
        await call.over()
    assert call.keys == "*9"
    assert {tone.hz for tone in call.tones()} == {CALLER_BEFORE}
    assert call.answered and call.ended
    assert 0.1 <= call.answered - call.invited < 0.4


async def test_the_agent_says_goodbye_until_it_is_heard(peer: Peer) -> None:
    async with Agent(PORT, answer_after_ms=0) as agent, Ear() as ear:
        peer.say("INVITE", body=offer(ear))
        await peer.hears("SIP/2.0 180")
        await peer.hears("SIP/2.0 200")
        peer.say("ACK")
        call = await agent.called()
        await call.up()
        call.hang_up()
        first = await peer.hears("BYE sip:pbx@127.0.0.1")
        assert await peer.hears("BYE") == first
        peer.transport.sendto(bytes(sip.respond(first, 200, "OK")))
        async with asyncio.timeout(5):
            await call.over()


async def test_a_call_that_is_cancelled(peer: Peer) -> None:
    async with Agent(PORT, answer_after_ms=None) as agent, Ear() as ear:
        peer.say("INVITE", body=offer(ear))
        await peer.hears("SIP/2.0 180")
        peer.say("CANCEL")
        await peer.hears("SIP/2.0 200")
        assert (await peer.hears("SIP/2.0 487")).get("cseq") == "1 INVITE"
        call = await agent.called()
        async with asyncio.timeout(5):
            await call.over()
            await call.up()
    assert call.answered is None
    assert call.ended


async def test_leaving_ends_calls_that_are_up(peer: Peer) -> None:
    async with Agent(PORT, answer_after_ms=0) as agent, Ear() as ear:
        peer.say("INVITE", body=offer(ear))
        call = await agent.called()
    assert call.ended
