"""A row look-up in PostgreSQL, asked by FastAGI: ``python postgres_gate.py PORT SOCKET_FOLDER``.

As bare as one can be: one connection, one prepared statement, one variable. After `ready` each line that it is sent is
answered with how long each look-up since the last line took, in microseconds, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import asyncpg

QUERY = "SELECT EXISTS (SELECT 1 FROM optouts WHERE number = $1)"


async def main(port: int, folder: str) -> None:
    connection: Any = await asyncpg.connect(host=folder, user="bench", database="postgres")
    look_up = await connection.prepare(QUERY)
    took: list[float] = []
    turn = asyncio.Lock()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = (await reader.readuntil(b"\n\n")).decode()
        number = next(line.partition(": ")[2] for line in given.splitlines() if line.startswith("agi_arg_1"))
        began = time.perf_counter()
        async with turn:
            found = await look_up.fetchval(number)
        took.append((time.perf_counter() - began) * 1e6)
        writer.write(f"SET VARIABLE FOUND {int(found)}\n".encode())
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(took), flush=True)
            took.clear()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
