"""What callguard itself says of its health: the page that monitors ask, asked once."""

from __future__ import annotations

import asyncio
import json

from callguard.doctor.facts import Answer, Answered, Known, Unknown
from callguard.sections import Http

# Well above what a loaded callguard needs; its watchdog ends it after 2 s without a sign of life.
WITHIN_S = 3.0
LONGEST = 65_536


async def ask(http: Http) -> Known[Answered]:
    """GET /health. A process that is stopped still has its connections accepted, by the kernel."""
    if http.port is None:
        return Unknown("callguard.toml has no [http] port, where callguard would be asked")
    writer = None
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(http.host, http.port)
            writer.write(f"GET /health HTTP/1.1\r\nHost: {http.host}:{http.port}\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while len(data) < LONGEST and (more := await reader.read(LONGEST)):
                data += more
    except TimeoutError:
        return Answered(Answer.NONE)
    except OSError as error:
        return Answered(Answer.NOBODY) if writer is None else Unknown(f"/health broke off: {error.strerror}")
    finally:
        if writer is not None:
            writer.close()
    return read(data)


def read(data: bytes) -> Answered:
    """What an answer means, status line and headers included."""
    try:
        told = json.loads(data.partition(b"\r\n\r\n")[2])
        serving, problem, do = told["serving"], told["problem"] or "", told["do"] or ""
    except (ValueError, KeyError, TypeError):
        return Answered(Answer.ANOTHER)
    return Answered(Answer.SERVING if serving else Answer.ILL, str(problem), str(do))
