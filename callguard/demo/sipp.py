"""Callers: SIPp processes that call in, send a timeline of sound and keys, and hear what they are played."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from callguard.demo import rtp
from callguard.demo.ear import Ear, Sound, sound
from callguard.demo.pbx import Pbx
from callguard.demo.ports import Line
from callguard.errors import SetupError, TelephonyError
from callguard.shipped import render

PROGRAM = "sipp"
RING_LIMIT_MS = 30_000
# What Hangup(21), call rejected, sends: how a dialplan refuses to dial.
REFUSED = 403
# What setpriv ends with when there is no such program.
NO_SUCH_PROGRAM = 127
# Beyond what the scenario itself waits for; SIPp gives a call up long before.
GRACE_S = 40.0


class EndedBy(StrEnum):
    CALLER = "caller"
    PBX = "pbx"


@dataclass(frozen=True, slots=True, eq=False)
class CallResult:
    """What happened to a call; times are in seconds since the epoch.

    Attributes:
        invited: the INVITE left.
        ringing: the first 180 or 183 came, if any.
        answered: the 200 came; None when the caller gave up ringing or was refused. The timeline begins with it.
        ended: the BYE (or the CANCEL, or the refusal) left or came.
        ended_by: who sent it.
        heard: what the caller was played.
    """

    invited: float
    ringing: float | None
    answered: float | None
    ended: float
    ended_by: EndedBy
    heard: Sound

    @property
    def first_sound_s(self) -> float | None:
        """Seconds from the INVITE to the first sound that the caller heard."""
        first = self.heard.first_audible()
        return None if first is None else first - self.invited


@dataclass(frozen=True, slots=True)
class Message:
    """One line of SIPp's log of messages: when, sent or received, the CSeq's method, the start line."""

    at: float
    sent: bool
    method: str
    start: str

    @property
    def status(self) -> int:
        """The status code of a response, 0 of a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0


async def call(
    pbx: Pbx,
    extension: str,
    timeline: Sequence[rtp.Segment],
    *,
    from_name: str = "",
    from_number: str = "+34600000001",
    headers: Sequence[str] = (),
    hangup_after_ms: int | None = None,
    ring_limit_ms: int = RING_LIMIT_MS,
) -> CallResult:
    """Call `extension` from outside, send `timeline` from the answer on, and hang up.

    Name and number go into the From header exactly as given, whatever they hold, and `headers` into the INVITE; without
    a number From has no user part. The caller hangs up `hangup_after_ms` after the answer, at the timeline's end by
    default, and gives up when nobody has answered within `ring_limit_ms`. A BYE from the PBX ends the call earlier, and
    a 403 before it began.

    Raises:
        TelephonyError: the call went another way (refused, no reply); the text is SIPp's.
        SetupError: SIPp is missing or may not send sound.
    """
    talk_ms = rtp.length_ms(timeline) if hangup_after_ms is None else hangup_after_ms
    with tempfile.TemporaryDirectory(prefix="callguard-caller-") as name, pbx.line() as line:
        folder = Path(name)
        stream = rtp.packets(timeline, ssrc=secrets.randbits(32))
        (folder / "sound.pcap").write_bytes(rtp.capture(list(stream)))
        values = {
            "EXTENSION": extension, "FROM": sender(from_name, from_number), "TOKEN": secrets.token_hex(8),
            "HEADERS": "".join(f"\n{_literal(header)}" for header in headers),
            "CAPTURE": str(folder / "sound.pcap"), "RING_MS": str(ring_limit_ms), "TALK_MS": str(max(1, talk_ms)),
        }  # fmt: skip
        scenario = render(Path(__file__).with_name("caller.xml").read_text(encoding="utf-8"), values)
        (folder / "caller.xml").write_text(scenario, encoding="utf-8")
        async with Ear(line.ear) as ear:
            limit_s = (ring_limit_ms + talk_ms) / 1000 + GRACE_S
            await _run(command(folder, line, pbx.sip_port), folder, limit_s)
            arrivals = list(ear.arrivals)
        log = (folder / "messages").read_text(encoding="utf-8", errors="replace")
    return result(parse(log), sound(arrivals))


def sender(name: str, number: str) -> str:
    """The From header's value, before its tag, with name and number byte for byte as given."""
    user = f"{_literal(number)}@" if number else ""
    address = f"<sip:{user}[local_ip]:[local_port]>"
    return f'"{_literal(name)}" {address}' if name else address


def command(folder: Path, line: Line, sip_port: int) -> list[str]:
    """SIPp for one call, which ends when we do."""
    return [
        "setpriv", "--pdeathsig=KILL", "--",
        PROGRAM, f"127.0.0.1:{sip_port}", "-sf", str(folder / "caller.xml"), "-m", "1",
        "-i", "127.0.0.1", "-p", str(line.sip), "-mi", "127.0.0.1", "-mp", str(line.spare),
        "-max_invite_retrans", "3", "-aa", "-nostdin",
        "-trace_shortmsg", "-shortmessage_file", str(folder / "messages"),
        "-trace_err", "-error_file", str(folder / "errors"),
    ]  # fmt: skip


def parse(log: str) -> list[Message]:
    """SIPp's log of messages (``-trace_shortmsg``)."""
    messages = []
    for line in log.splitlines():
        if len(columns := line.split("\t")) >= 7:
            _, _, epoch, way, _, sequence, start = columns[:7]
            messages.append(Message(float(epoch), way == "S", sequence.split()[-1], start))
    return messages


def result(messages: Sequence[Message], heard: Sound) -> CallResult:
    """What became of a call that went as the scenario says."""
    ending = next(message for message in messages if message.method in ("BYE", "CANCEL") or message.status == REFUSED)
    return CallResult(
        invited=messages[0].at,
        ringing=next((message.at for message in messages if message.status in (180, 183)), None),
        answered=next(
            (message.at for message in messages if (message.method, message.status) == ("INVITE", 200)), None
        ),
        ended=ending.at,
        ended_by=EndedBy.CALLER if ending.sent else EndedBy.PBX,
        heard=heard,
    )


def _literal(text: str) -> str:
    """Every byte that means something to SIPp, and every byte that is no text (surrogate escapes), as ``\\xHH``."""
    return "".join(
        "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
        if character in "[]\\" or not character.isprintable()
        else character
        for character in text
    )


async def _run(arguments: Sequence[str], folder: Path, limit_s: float) -> None:
    with (folder / "screen").open("wb") as screen:
        process = await asyncio.create_subprocess_exec(
            *arguments, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen
        )
        try:
            async with asyncio.timeout(limit_s):
                code = await process.wait()
        except TimeoutError:
            code = -1
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code:
        raise _failure(folder, code)


def _failure(folder: Path, code: int) -> SetupError | TelephonyError:
    if code == NO_SUCH_PROGRAM:
        return SetupError("SIPp is missing: apt-get install --no-install-recommends sip-tester")
    files = [file for file in (folder / "errors", folder / "screen") if file.exists()]
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    # Lines that matter begin with a time; others belong to a message that is quoted.
    text = next((line.split("\t")[-1] for line in lines if line.count("\t") >= 2), "nothing")
    if "raw" in text and "socket" in text:
        return SetupError("SIPp sends sound through a raw socket, which only root may: run this as root")
    return TelephonyError(f"SIPp ended with {code} and said: {text[:300]}")
