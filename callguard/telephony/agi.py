"""FastAGI, through panoramisk: Asterisk calls us, and one connection is one call.

Commands and answers are panoramisk's; connections are our own. Known faults of panoramisk 1.4 are kept out here: its
server spins when a peer closes early and swallows cancellation (so it is not used); it writes line ends into commands
(so all text is checked first); after HANGUP it takes an old answer for the next one's, and a variable that says
"hangup" for a hang-up (so a call is over with the first answer that is none, and values come with a mark before them).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from panoramisk.fast_agi import Request

from callguard.errors import Disconnected, Refused
from callguard.telephony import agi_wire as wire

log = structlog.get_logger()

ANSWER_LIMIT_MS = 2_000
BLOCK_TIMEOUT_S = 2.0
# A block has about 600 bytes and callers can add 400; nothing else that Asterisk sends is as long.
LINE_LIMIT = 8 * 1024
MOST_CALLS = 500
# A flood of connections is no flood of lines.
SAY_EVERY_S = 1.0
# STREAM FILE tells samples of the file that Asterisk chose; the narrowest of ours has this many a millisecond.
SAMPLES_PER_MS = 8
# When a command failed because of a hang-up, that is told up to 50 ms later.
HANGUP_FOLLOWS_S = 0.1

Handle = Callable[["Call"], Awaitable[None]]


class Hangup(Disconnected):
    """The call is over, or Asterisk does not answer as it should: nothing more is sent on this connection."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """How a file ended.

    Attributes:
        key: the key that stopped it, let go of at `end_ms`; when it went down AGI does not tell.
        end_ms: how much of the file was played; 0 without a key says that there was nothing to play.
    """

    key: str | None
    end_ms: int


class Call:
    """One AGI session. One command at a time; what is cancelled while it waits for its answer ends the session.

    Asterisk keeps no keys: one that is pressed between two commands, or during one that does not ask for it, is gone.

    Attributes:
        path: what follows the slash in the address, such as ``inbound``.
        args: what the dialplan gave to AGI() after the address.
        uniqueid, channel: the channel's id and its name.
        caller, dnid: the caller's number and the dialled one, empty if there is none. Anything may be in them.
    """

    def __init__(self, fields: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answers = _Answers(reader)
        self._request = Request(None, fields, self._answers, writer)
        self._over = ""
        self.path = fields["agi_network_script"]
        self.args = wire.arguments(fields)
        self.uniqueid = fields["agi_uniqueid"]
        self.channel = fields["agi_channel"]
        self.caller, self.dnid = (
            "" if fields[name] == wire.NONE else fields[name] for name in ("agi_callerid", "agi_dnid")
        )

    async def answer(self) -> None:
        """Raises: Hangup, as all of these do."""
        await self._ask(wire.command("ANSWER"))

    async def stream(self, media: str, keys: str, length_ms: int) -> Streamed:
        """Play one file, until it ends or one of `keys` is pressed.

        Args:
            media: absolute path without extension.
            length_ms: how long it plays; an answer that comes more than 2 s after that is too late.
        """
        line = wire.command("STREAM FILE", media, wire.escape_digits(keys))
        now = asyncio.get_running_loop().time
        began = now()
        answer = await self._ask(line, length_ms + ANSWER_LIMIT_MS, spared=b"endpos=0\n")
        if answer is None:
            return Streamed(None, 0)
        played_ms = self._number(answer, "endpos") // SAMPLES_PER_MS
        # A file with more samples a second was not played faster than time goes by.
        return Streamed(self._key(answer), min(played_ms, length_ms, round((now() - began) * 1000)))

    async def wait_for_digit(self, ms: int) -> str | None:
        """The next key, or None when nobody lets go of one within `ms`."""
        if ms < 0:
            raise ValueError("Asterisk would wait for ever")
        answer = await self._ask(wire.command(f"WAIT FOR DIGIT {ms:d}"), ms + ANSWER_LIMIT_MS)
        return self._key(answer)

    async def set_variable(self, name: str, value: str) -> None:
        """Set a variable, or write a function such as ``MASTER_CHANNEL(CG_STATE)``; nothing in `value` is evaluated."""
        await self._ask(wire.command("SET VARIABLE", name, value))

    async def get_variable(self, name: str) -> str:
        """A variable or a function; empty when it is not set."""
        return await self.get_full_variable(wire.variable(name))

    async def get_full_variable(self, expression: str) -> str:
        """`expression` as the dialplan would evaluate it.

        A value with a line end in it ends the session: of what a caller chose, ask for ``${FILTER(…)}``.
        """
        answer = await self._ask(wire.command("GET FULL VARIABLE", f"={expression}"))
        marked = str(answer["result"][1])
        if not marked.startswith("="):
            raise self._ended("a variable came back in pieces")
        return marked[1:]

    async def gosub(
        self, context: str, extension: str, priority: int, *args: str, limit_ms: int = ANSWER_LIMIT_MS
    ) -> None:
        """Run a subroutine of the dialplan until it returns. What it returns is in GOSUB_RETVAL.

        Raises:
            Refused: there is no such place, or the subroutine did not come to its Return.
        """
        line = wire.command("GOSUB", context, extension, f"{priority:d}", *wire.joined(args))
        answer = await self._ask(line, limit_ms, spared=b" Gosub label not found\n")
        if answer is None:
            raise Refused(0, f"no {context},{extension},{priority} in the dialplan")
        if self._answers.last.endswith(b"(abnormal exit)\n"):
            await self._nothing_unasked(HANGUP_FOLLOWS_S)
            raise Refused(0, f"{context},{extension},{priority} did not return")

    async def exec(self, app: str, *args: str, limit_ms: int = ANSWER_LIMIT_MS) -> None:
        """Run an application; nothing in `args` is evaluated. Raises: Refused (Asterisk has no such application)."""
        answer = await self._ask(wire.command("EXEC", wire.application(app), *wire.joined(args)), limit_ms)
        if self._number(answer, "result") == -2:
            raise Refused(0, f"no application {app}")

    async def _ask(self, line: str, limit_ms: int = ANSWER_LIMIT_MS, spared: bytes | None = None) -> Any:
        """Send a command and wait for panoramisk's reading of the answer.

        An answer with result -1 that ends in `spared` says that the command failed and the call goes on: None.
        """
        if self._over:
            raise Hangup(self._over)
        # Until there is a good answer: a cancelled command's answer must not be taken for the next one's.
        self._over = "a command of this call was left without its answer"
        try:
            await self._nothing_unasked()
            async with asyncio.timeout(limit_ms / 1000):
                answer = await self._request.send_command(line)
        except TimeoutError as error:
            raise self._ended(f"no answer within {limit_ms} ms") from error
        except (EOFError, OSError) as error:
            raise self._ended("the AGI connection is gone") from error
        except ValueError as error:
            # Without its text: that holds what could not be read.
            raise self._ended("what came back is no answer") from error
        failed = answer.get("error")
        if failed == "AGIAppError" and spared and self._answers.last.endswith(spared):
            await self._nothing_unasked(HANGUP_FOLLOWS_S)
            answer = None
        elif failed:
            raise self._ended(f"the call was hung up, or Asterisk refused a command ({failed})")
        self._over = ""
        return answer

    async def _nothing_unasked(self, within_s: float = 0.0) -> None:
        """Between answer and command there is nothing to read but HANGUP, or what somebody has smuggled in."""
        try:
            unasked = await self._answers.unasked(within_s)
        except (EOFError, OSError) as error:
            raise self._ended("the AGI connection is gone") from error
        if unasked:
            hung_up = unasked.startswith(b"HANGUP\n")
            raise self._ended("the call was hung up" if hung_up else "an answer came that nobody had asked for")

    def _number(self, answer: dict[str, tuple[str, str]], name: str) -> int:
        try:
            return int(answer[name][0])
        except (KeyError, ValueError) as error:
            raise self._ended(f"the answer has no {name}") from error

    def _key(self, answer: dict[str, tuple[str, str]]) -> str | None:
        try:
            return wire.key(self._number(answer, "result"))
        except ValueError as error:
            raise self._ended("the answer names no key") from error

    def _ended(self, why: str) -> Hangup:
        self._over = why
        return Hangup(why)


class _Answers:
    """What Asterisk sends, as panoramisk reads it.

    Attributes:
        last: the line that was read last, as it came.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.last = b""

    async def readline(self) -> bytes:
        """Raises: EOFError, which panoramisk does not know of; ValueError for a line that is too long."""
        self.last = await self._reader.readline()
        if not self.last.endswith(b"\n"):
            raise EOFError
        return self.last.decode(errors="replace").encode()

    async def unasked(self, within_s: float) -> bytes:
        """What is there, or comes within this time, without being waited for. Raises: EOFError."""
        try:
            async with asyncio.timeout(within_s):
                data = await self._reader.read(LINE_LIMIT)
        except TimeoutError:
            return b""
        if not data:
            raise EOFError
        return data


@asynccontextmanager
async def serve(host: str, port: int, handle: Handle, *, most: int = MOST_CALLS) -> AsyncIterator[int]:
    """Take calls, each in a task of its own, until the context is left; calls that are still here then are cancelled.

    Who takes over from another process listens beside it until that one has ended. A call ends when `handle` does: the
    dialplan goes on. One more than `most` at once goes on at once, unless somebody has connected and not yet said which
    call it is: then that connection ends, as Asterisk says it at once. As with any TaskGroup, what is raised inside the
    context comes out in an ExceptionGroup.

    Yields:
        the port that is listened on.

    Raises:
        OSError: the address cannot be listened on.
    """
    sessions: set[asyncio.Task[None]] = set()
    # In the order in which they came.
    silent: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
    room = most
    say_again = 0.0

    async def heard(call: Call, writer: asyncio.StreamWriter) -> None:
        silent.pop(writer, None)
        await handle(call)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if room and len(sessions) >= room and silent:
            silent.pop(next(iter(silent))).cancel()
        elif len(sessions) >= room:
            nonlocal say_again
            if (now := asyncio.get_running_loop().time()) >= say_again:
                say_again = now + SAY_EVERY_S
                log.warning("too many AGI connections at once: calls go on without callguard", most=most)
            writer.transport.abort()
            return
        session = group.create_task(_session(reader, writer, heard))
        sessions.add(session)
        silent[writer] = session
        session.add_done_callback(sessions.discard)
        session.add_done_callback(lambda _: silent.pop(writer, None))

    server = await asyncio.start_server(accept, host, port, limit=LINE_LIMIT, start_serving=False, reuse_port=True)
    async with asyncio.TaskGroup() as group:
        try:
            await server.start_serving()
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            # Who was accepted a moment ago and is not here yet finds no room.
            room = 0
            for session in sessions:
                session.cancel()


async def _session(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handle: Callable[[Call, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    """One connection's life. Only cancellation comes out of it."""
    try:
        call = await _opened(reader, writer)
        if call is not None:
            await handle(call, writer)
    except Hangup as error:
        log.info("AGI session over", problem=str(error))
    except Exception as error:
        # Without the exception's text, which might hold what a caller sent.
        where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        log.error("AGI call failed and goes on in the dialplan", problem=type(error).__name__, where=where)
    finally:
        writer.close()


async def _opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
    """The call that a connection brings, if it brings one."""
    try:
        async with asyncio.timeout(BLOCK_TIMEOUT_S):
            block = await reader.readuntil(b"\n\n")
        return Call(wire.fields(block), reader, writer)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, wire.Malformed) as error:
        # Who only looks whether the port is open says nothing, and is not worth a line.
        if not isinstance(error, asyncio.IncompleteReadError) or error.partial:
            log.warning("AGI connection dropped", problem=str(error) or type(error).__name__)
        return None
