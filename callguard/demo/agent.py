"""The person on the inside: a SIP phone that is called, answers, speaks its own tone and keeps what it got.

Callers are SIPp; SIPp as the called side could not keep each call's headers and sound apart while it stays up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from callguard.demo import rtp, sip
from callguard.demo.ear import Ear, Sound, keys, sound
from callguard.demo.sip import Address, SipMessage
from callguard.demo.tones import AGENT, Found, tones
from callguard.demo.ulaw import RATE
from callguard.errors import TelephonyError

# What is not answered is sent again after T1, 2 T1, 4 T1 …, at most every T2, for 64 T1 (RFC 3261, 13.3.1.4, 17.1.2.2).
T1_S: Final = 0.5
T2_S: Final = 4.0
PAYLOADS: Final = ((rtp.PCMU, "PCMU/8000"), (rtp.TELEPHONE_EVENT, "telephone-event/8000"))
TALKS: Final = tuple(itertools.repeat(rtp.Tone(AGENT, 1_000), 1_800))


class AgentCall:
    """One call as the agent's phone saw it; times are in seconds since the epoch.

    Attributes:
        invite: the INVITE with all of its headers.
        invited: when it came.
        later: the further requests of the call, with the times when they came.
        answered: when the agent picked up, None until then.
        ended: when it was over, None until then.
    """

    def __init__(self, invite: SipMessage, port: int, ear: Ear, send: Callable[[SipMessage], None]) -> None:
        self.invite = invite
        self.invited = time.time()
        self.later: list[tuple[float, SipMessage]] = []
        self.answered: float | None = None
        self.ended: float | None = None
        self._address = f"127.0.0.1:{port}"
        self._ear = ear
        self._send = send
        self._tag = secrets.token_hex(8)
        self._said = sip.respond(invite, 180, "Ringing", tag=self._tag)
        self._numbers = itertools.count(1)
        self._acknowledged = asyncio.Event()
        self._goodbye = asyncio.Event()
        self._leaving = asyncio.Event()
        self._over = asyncio.Event()

    def header(self, name: str) -> str | None:
        """A header of the INVITE, such as ``X-Callguard-Consent``."""
        return self.invite.get(name)

    @property
    def from_name(self) -> str:
        """The caller's name as the agent's display shows it."""
        return sip.display_name(self.invite.need("from"))

    @property
    def names(self) -> tuple[tuple[float, str], ...]:
        """The caller's names that the display has shown since: those asserted in later requests (RFC 3325)."""
        asserted = ((at, message.get("p-asserted-identity")) for at, message in self.later)
        return tuple((at, sip.display_name(value)) for at, value in asserted if value)

    @property
    def heard(self) -> Sound:
        """What the agent has heard so far."""
        return sound(self._ear.arrivals)

    @property
    def keys(self) -> str:
        """The keys that have reached the agent's phone so far."""
        return keys(self._ear.arrivals)

    def tones(self) -> tuple[Found, ...]:
        """The tones that the agent has heard so far."""
        return tones(self.heard.samples, RATE)

    async def up(self) -> None:
        """Wait until the call is up: answered, and the answer acknowledged. A call that ends before is up no more."""
        await self._acknowledged.wait()

    async def over(self) -> None:
        """Wait until the call is over."""
        await self._over.wait()

    def hang_up(self) -> None:
        """Have the agent end a call that is up."""
        self._leaving.set()

    def hold(self, on: bool) -> None:
        """Put the caller on hold, or take them back (RFC 3264, 8.4)."""
        number = next(self._numbers)
        way = "sendonly" if on else "sendrecv"
        body = sip.description("127.0.0.1", self._ear.port, PAYLOADS, way, version=number + 1)
        self._send(sip.reinvite(self.invite, tag=self._tag, via=self._via(number), number=number, body=body))

    def transfer(self, to: str) -> None:
        """Transfer the caller to another extension, without waiting for it to answer."""
        self._refer(f"sip:{to}@{sip.uri(self.invite.need('contact')).partition('@')[2]}")

    def join(self, other: AgentCall) -> None:
        """Transfer the caller to the other side of another call of this phone; the agent leaves both."""
        self._refer(sip.replacing(other.invite, tag=other._tag))

    def _refer(self, to: str) -> None:
        number = next(self._numbers)
        self._send(sip.refer(self.invite, tag=self._tag, via=self._via(number), number=number, to=to))

    def _via(self, number: int) -> str:
        return f"SIP/2.0/UDP {self._address};branch=z9hG4bK-{self._tag}-{number};rport"

    def receive(self, message: SipMessage) -> None:
        """A further message of this call."""
        if message.method not in ("", "ACK"):
            self.later.append((time.time(), message))
        if message.method == "ACK":
            self._acknowledged.set()
        elif not message.method:
            number, _, method = message.need("cseq").partition(" ")
            if method == "BYE":
                self._goodbye.set()
            elif method == "INVITE" and message.start.startswith("SIP/2.0 2"):
                via = f"{self._via(int(number))}-ack"
                self._send(sip.acknowledge(self.invite, tag=self._tag, via=via, number=int(number)))
        elif message.method == "INVITE" and message.need("cseq") == self.invite.need("cseq"):
            self._send(self._said)
        elif message.method == "INVITE":
            self._send(self._accepted(message))
        else:
            self._send(sip.respond(message, 200, "OK", tag=self._tag))
            if message.method == "CANCEL" and self.answered is None:
                self._say(sip.respond(self.invite, 487, "Request Terminated", tag=self._tag))
            if message.method == "NOTIFY" and message.body.startswith("SIP/2.0 2"):
                self._leaving.set()  # transferred: who transfers ends the call (RFC 5589, 6)
            if message.method in ("BYE", "CANCEL"):
                self._over.set()

    async def serve(self, answer_after_ms: int | None, timeline: Sequence[rtp.Segment]) -> None:
        """Ring, answer, talk and hang up, as far as the other side lets it come."""
        try:
            self._say(self._said)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if answer_after_ms is None else answer_after_ms / 1000):
                    await self._over.wait()
                return
            self.answered = time.time()
            self._say(self._accepted(self.invite))
            await self._repeat(self._said, self._acknowledged)
            async with asyncio.TaskGroup() as group:
                voice = group.create_task(self._talk(timeline))
                leave = group.create_task(self._leave())
                await self._over.wait()
                voice.cancel()
                leave.cancel()
        finally:
            self.ended = time.time()
            self._over.set()
            self._acknowledged.set()

    def _accepted(self, invite: SipMessage) -> SipMessage:
        more = (("Contact", f"<sip:agent@{self._address}>"), ("Content-Type", "application/sdp"))
        body = sip.description("127.0.0.1", self._ear.port, PAYLOADS)
        return sip.respond(invite, 200, "OK", tag=self._tag, more=more, body=body)

    def _say(self, message: SipMessage) -> None:
        self._said = message
        self._send(message)

    async def _talk(self, timeline: Sequence[rtp.Segment]) -> None:
        clock, to = asyncio.get_running_loop().time, sip.media_address(self.invite.body)
        began = clock()
        for packet in rtp.packets(timeline, ssrc=secrets.randbits(32)):
            await asyncio.sleep(max(0.0, began + packet.at_ms / 1000 - clock()))
            self._ear.send(packet.data, to)

    async def _leave(self) -> None:
        await self._leaving.wait()
        number = next(self._numbers)
        bye = sip.bye(self.invite, tag=self._tag, via=self._via(number), number=number)
        self._send(bye)
        await self._repeat(bye, self._goodbye)
        self._over.set()

    async def _repeat(self, message: SipMessage, answered: asyncio.Event) -> None:
        wait_s, waited_s = T1_S, 0.0
        while waited_s < 64 * T1_S and not self._over.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await answered.wait()
                return
            except TimeoutError:
                self._send(message)
                wait_s, waited_s = min(2 * wait_s, T2_S), waited_s + wait_s


class Agent(asyncio.DatagramProtocol):
    """The agent's phone on a port of 127.0.0.1, for any number of calls; an async context manager.

    Args:
        port: `Pbx.agent_port`.
        answer_after_ms: how long it rings before the agent picks up; None means that nobody does.
        timeline: what the agent sends from then on.

    Attributes:
        calls: the calls so far, the first one first.
    """

    def __init__(
        self, port: int, *, answer_after_ms: int | None = 300, timeline: Sequence[rtp.Segment] = TALKS
    ) -> None:
        self.calls: list[AgentCall] = []
        self.answer_after_ms = answer_after_ms
        self.timeline = timeline
        self._port = port
        self._by_id: dict[str, AgentCall] = {}
        self._called = asyncio.Condition()
        self._group = asyncio.TaskGroup()
        self._serving: list[asyncio.Task[None]] = []
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._group)
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: self, local_addr=("127.0.0.1", self._port)
            )
            stack.callback(self._close)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, trace)

    async def called(self, count: int = 1) -> AgentCall:
        """Wait for the phone's `count`-th call."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    def datagram_received(self, data: bytes, peer: Address) -> None:
        """A message came; one that is no SIP is dropped."""
        with contextlib.suppress(TelephonyError):
            message = sip.parse(data)
            call = self._by_id.get(message.need("call-id"))
            if call:
                call.receive(message)
            elif message.method == "INVITE":
                sip.media_address(message.body)
                self._serving.append(self._group.create_task(self._serve(message, peer)))
            elif message.method == "OPTIONS":
                self._send(sip.respond(message, 200, "OK"), peer)
            elif message.method not in ("", "ACK"):
                self._send(sip.respond(message, 481, "Call Does Not Exist"), peer)

    async def _serve(self, invite: SipMessage, peer: Address) -> None:
        async with Ear() as ear:
            call = AgentCall(invite, self._port, ear, lambda message: self._send(message, peer))
            self._by_id[invite.need("call-id")] = call
            async with self._called:
                self.calls.append(call)
                self._called.notify_all()
            await call.serve(self.answer_after_ms, self.timeline)

    def _send(self, message: SipMessage, peer: Address) -> None:
        self._transport.sendto(bytes(message), peer)

    def _close(self) -> None:
        for task in self._serving:
            task.cancel()
        self._transport.close()
