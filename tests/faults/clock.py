"""A clock for callguard alone: what it asks its C library for is the machine's time less what stands in a file.

The machine's own clock is left alone, and so are Asterisk's and the callers'. Everything in the process sees it, SQLite
and the library that makes ids as well. Made by the C compiler of this machine (``cc``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from callguard.errors import SetupError

SOURCE: Final = Path(__file__).with_name("clock.c")


class Clock:
    """Set back and put right while a process runs that was started with what `prepared` returns."""

    def __init__(self, folder: Path) -> None:
        self._behind = folder / "behind"
        self._library = folder / "clock.so"

    async def prepared(self) -> dict[str, str]:
        """The environment of such a process.

        Raises:
            SetupError: there is no C compiler.
        """
        self.set_back(0)
        try:
            compiler = await asyncio.create_subprocess_exec(
                "cc", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(SOURCE), "-ldl"
            )
        except OSError as error:
            raise SetupError("a clock of its own for callguard needs a C compiler: install gcc") from error
        if await compiler.wait():
            raise SetupError(f"{SOURCE} does not compile")
        return {"LD_PRELOAD": str(self._library), "CALLGUARD_TEST_CLOCK": str(self._behind)}

    def set_back(self, seconds: int) -> None:
        """By so much behind the machine's, from now on; 0 puts it right."""
        # In place: the process has it mapped.
        with self._behind.open("r+b" if self._behind.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little"))
