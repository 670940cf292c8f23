"""Saves legs without end, eight at a time, and prints each leg's id once it is saved: ``saver.py DATABASE``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from callguard.store import Store

from .legs import CONTROLLERS, given, make_leg


async def main(path: Path) -> None:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store, asyncio.TaskGroup() as group:

        async def keep_saving() -> None:
            while True:
                leg = make_leg(given())
                await store.save(leg)
                print(leg.leg_id, flush=True)

        for _ in range(8):
            group.create_task(keep_saving())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
