"""Peers on real sockets that answer what nobody expects: an ARI server and an AMI server, a connection a case."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import orjson
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from callguard.errors import Disconnected, Refused, TelephonyError
from callguard.telephony import ami, ari, orphans
from callguard.telephony.ami_events import Told
from tests.faults.mutate import Mutator
from tests.faults.transcripts import AMI_EVENTS, ARI, CHANNEL_ID, GREETING, LEG, ami_answers, response

AT_ONCE = 200
LONGEST_S = 60.0
KEY = re.compile(rb"sec-websocket-key: *(\S+)", re.IGNORECASE)
BODIES = (
    {"value": "1000"}, {"dialplan": {"app_name": "Stasis"}}, {"channel_ids": [CHANNEL_ID]},
    [{"name": "callguard-2"}], [{"id": CHANNEL_ID}],
)  # fmt: skip

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[int]:
    """A server whose connections end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await handle(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(one(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def ari_case(random: Random) -> None:
    """A connection that is made, asked for what a start asks for, and listened to. Raises what may not come out."""
    mutator = Mutator(random)
    honest_upgrade = random.random() < 0.8

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = KEY.search(await reader.readuntil(b"\r\n\r\n"))
        assert key is not None
        upgrade = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: "
            + accept_key(key[1].decode()).encode()
            + b"\r\nSec-WebSocket-Protocol: ari\r\n\r\n"
        )
        if not honest_upgrade:
            upgrade = mutator.lines(upgrade, b"\r\n") if random.random() < 0.5 else mutator.torn(upgrade)
        frames = upgrade + b"".join(_frame(random, mutator) for _ in range(random.choice((0, 1, 3, 20))))
        for piece in mutator.pieces(frames):
            writer.write(piece)
            await writer.drain()
        for number in range(1, random.choice((1, 4, 8))):
            await reader.read(65_536)
            answer = response(number, random.choice((200, 200, 204, 404)), orjson.dumps(random.choice(BODIES)).decode())
            text = mutator.json(answer) if random.random() < 0.5 else orjson.dumps(answer)
            writer.write(Frame(Opcode.TEXT, text).serialize(mask=False))
            await writer.drain()
        if random.random() < 0.1:
            await asyncio.sleep(0.2)

    async with listening(handle) as port:
        try:
            here = f"http://127.0.0.1:{port}"
            async with ari.connected(here, "callguard", "secret", "callguard") as client, asyncio.TaskGroup() as group:
                group.create_task(_events(client))
                group.create_task(_asks(client))
        except* TelephonyError:
            pass


async def _events(client: ari.Client) -> None:
    async for _ in client:
        pass


async def _asks(client: ari.Client) -> None:
    for ask in (client.applications.filter, client.applications.others, client.applications.watch_bridges):
        with suppress(Refused):
            await ask()
    await orphans.find_orphans(client)
    with suppress(Refused):
        await client.asterisk.get_global("X")
    raise Disconnected("enough")


def _frame(random: Random, mutator: Mutator) -> bytes:
    text = mutator.json(random.choice(ARI[:9])) if random.random() < 0.7 else orjson.dumps(random.choice(ARI[:9]))
    opcode = random.choice((Opcode.TEXT,) * 8 + (Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.BINARY, Opcode.CLOSE))
    if opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
        text = text[:120]
    match random.randrange(8):
        case 0:  # in pieces, with or without the last
            cut = len(text) // 2
            first = Frame(Opcode.TEXT, text[:cut], fin=False).serialize(mask=False)
            last = Frame(Opcode.CONT, text[cut:], fin=random.random() < 0.7).serialize(mask=False)
            return first + Frame(Opcode.PING, b"x").serialize(mask=False) + last
        case 1:  # masked, which a server must not
            return Frame(opcode, text).serialize(mask=True)
        case 2:  # longer than it is, or than anything may be
            return struct.pack("!BBQ", 0x81, 127, random.choice((2**25 + 1, 2**63 - 1, 2**63))) + text
        case 3:
            return mutator.torn(Frame(opcode, text).serialize(mask=False))
        case _:
            return Frame(opcode, text).serialize(mask=False)


async def ami_case(random: Random) -> None:
    """A session that is opened, asked for all that we ask, and listened to. Raises what may not come out."""
    mutator = Mutator(random)
    lies = random.choice((0.05, 0.3, 1.0))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(mutator.torn(GREETING) if random.random() < lies else GREETING)
        for _ in range(random.choice((1, 3, 8, 30))):
            action = dict(
                line.split(": ", 1)
                for line in (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                if ": " in line
            )
            answer = ami_answers(action)
            if random.random() < lies:
                answer = mutator.lines(answer, b"\r\n") if random.random() < 0.7 else mutator.torn(answer)
            answer += random.choice(AMI_EVENTS) if random.random() < 0.3 else b""
            for piece in mutator.pieces(answer):
                writer.write(piece)
                await writer.drain()

    async with listening(handle) as port:
        with suppress(TelephonyError):
            async with ami.connected("127.0.0.1", port, "callguard", "secret") as session:
                asked = (
                    session.marks(), session.variable("c", "X"), session.forget(Told.WITHDRAWN, LEG),
                    session.start_recording("c", "/f", two=False), session.stop_recording("c"), session.lift_lease("c"),
                )  # fmt: skip
                results = await asyncio.gather(*asked, return_exceptions=True)
                for result in results:
                    if isinstance(result, BaseException) and not isinstance(result, TelephonyError):
                        raise result
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        async for _ in session:
                            pass
