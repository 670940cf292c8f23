"""A bare gate by FastAGI on panoramisk: ``python -m tests.bench.peers.fastagi_gate PORT SOUND``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from panoramisk.fast_agi import Application


def gate(sound: str) -> Any:
    async def serve(request: Any) -> None:
        await request.send_command("ANSWER")
        answer = await request.send_command(f'STREAM FILE {sound} "12"')
        if answer["result"][0] == "0":
            answer = await request.send_command("WAIT FOR DIGIT 5000")
        await request.send_command(f'SET VARIABLE BENCH_KEY "{answer["result"][0]}"')

    return serve


async def main(port: int, sound: str) -> None:
    application = Application()
    application.add_route("gate", gate(sound))
    server = await asyncio.start_server(application.handler, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
