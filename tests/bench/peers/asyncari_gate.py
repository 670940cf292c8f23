"""A bare gate on asyncari, which only the bench installs: ``python asyncari_gate.py URL SOUND``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import anyio
import asyncari


async def serve(channel: Any, sound: str) -> None:
    pressed = anyio.Event()
    channel.on_event("ChannelDtmfReceived", lambda _: pressed.set())
    await channel.answer()
    playback = await channel.play(media=f"sound:{sound}")
    await pressed.wait()
    with suppress(Exception):  # it may just have ended
        await playback.stop()
    await channel.setChannelVar(variable="BENCH_KEY", value="1")
    await channel.continueInDialplan()


async def main(url: str, sound: str) -> None:
    async with (
        asyncari.connect(url, "bench", "callguard", os.environ["BENCH_ARI_SECRET"]) as ari,
        ari.on_channel_event("StasisStart") as started,
    ):
        print("ready", flush=True)
        async for channels, _ in started:
            ari.taskgroup.start_soon(serve, channels["channel"], sound)


anyio.run(main, sys.argv[1], sys.argv[2])
