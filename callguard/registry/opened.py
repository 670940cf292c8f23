"""A file that is opened once, and again when it was replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

from callguard.errors import InputError

# What tells one file from the next of the same name; None where there is none.
_Seen: TypeAlias = tuple[Path, int, int, int, int] | None


class Closes(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closes)


class Opened(Generic[T]):
    """Opens a file beside the event loop. While it is read, its predecessor answers; without one, who asks waits.

    Args:
        opens: reads the file to its end, or raises InputError.
        failed: is told why there is none; once for each file.
    """

    def __init__(self, opens: Callable[[Path], T], failed: Callable[[str], None]) -> None:
        self._opens = opens
        self._failed = failed
        self._held: tuple[_Seen, T | None] | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_missing(self) -> bool:
        """Whether there was no file at the latest look."""
        return self._held is not None and self._held[0] is None

    async def get(self, path: Path) -> T | None:
        """What is in force. To be used before anything else is awaited: after that it may have been closed."""
        seen = _seen(path)
        if self._held is None or self._held[0] != seen:
            if self._opening is None:
                self._opening = asyncio.create_task(self._open(path))
            if self._held is None or self._held[1] is None or seen is None:
                await asyncio.shield(self._opening)
        return None if self._held is None else self._held[1]

    def close(self) -> None:
        before, self._held = self._held, None
        if before is not None and before[1] is not None:
            before[1].close()

    async def _open(self, path: Path) -> None:
        try:
            seen, found = _seen(path), None
            try:
                found = await asyncio.to_thread(self._opens, path)
            except InputError as error:
                self._failed(str(error))
            before, self._held = self._held, (seen, found)
            # The last to let go of a file that was replaced waits until the file system has taken it apart.
            if before is not None and before[1] is not None:
                await asyncio.to_thread(before[1].close)
        finally:
            self._opening = None


def _seen(path: Path) -> _Seen:
    try:
        about = path.stat()
    except OSError:
        return None
    return path, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
