"""A trunk's other end: SIPp answers what comes, or sends it elsewhere, and its log shows which INVITEs left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from callguard.demo.sipp import PROGRAM
from tests.asterisk.conftest import PATIENCE_S

INVITE = re.compile(r"INVITE sip:([^@]*)@")
# 302 to the number called, as a phone does whose user has forwarded it there (RFC 3261, 21.3.3).
ELSEWHERE = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="elsewhere">
  <recv request="INVITE"><action>
    <ereg regexp="INVITE (sip:[^ ;]*)" search_in="msg" assign_to="all,uri"/>
    <log message="[$all]"/>
  </action></recv>
  <send><![CDATA[

SIP/2.0 302 Moved Temporarily
[last_Via:]
[last_From:]
[last_To:];tag=elsewhere[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <[$uri]>
Content-Length: 0

]]></send>
  <recv request="ACK"/>
</scenario>
"""


class Trunk:
    """One SIPp.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def invited(self) -> list[str]:
        """The numbers of the INVITEs that came so far, in order: one for each call, though it was sent again."""
        text = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
        calls: dict[str, str] = {}
        for columns in (line.split("\t") for line in text.splitlines()):
            # When, received or sent, the Call-ID, the CSeq, the start line.
            if len(columns) >= 7 and columns[3] == "R" and (found := INVITE.match(columns[6])):
                calls.setdefault(columns[4], found[1])
        return list(calls.values())

    async def left(self, number: str) -> None:
        """Wait for an INVITE to a number."""
        async with asyncio.timeout(PATIENCE_S):
            while number not in self.invited():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def trunk(folder: Path, ports: tuple[int, int], *, elsewhere: bool = False) -> AsyncIterator[Trunk]:
    """Run SIPp in `folder` on the first of these ports; media on the second."""
    folder.mkdir()
    (folder / "elsewhere.xml").write_text(ELSEWHERE, encoding="utf-8")
    scenario = ["-sf", str(folder / "elsewhere.xml")] if elsewhere else ["-sn", "uas"]
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig=KILL", "--", PROGRAM, *scenario, "-i", "127.0.0.1", "-p", str(ports[0]),
        "-mi", "127.0.0.1", "-mp", str(ports[1]), "-nostdin",
        "-trace_shortmsg", "-shortmessage_file", str(folder / "messages"),
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            while process.returncode is None and not _listens(ports[0]):
                await asyncio.sleep(0.02)
        yield Trunk(ports[0], folder / "messages")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    rows = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") for row in rows)
