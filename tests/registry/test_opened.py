"""A file that was replaced: the new one answers at once, however long its predecessor takes to be let go."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from callguard.registry.opened import Opened

LATE_S = 30.0


class Held:
    """A file whose space the file system takes long to free: so that of a large list that nobody else has open."""

    let_go = threading.Event()

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="ascii")
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = self.let_go.wait(LATE_S)


async def test_nobody_waits_until_the_predecessor_of_a_new_file_is_let_go(tmp_path: Path) -> None:
    file, problems = tmp_path / "list", list[str]()
    file.write_text("old", encoding="ascii")
    opened = Opened(Held, problems.append)
    old = await opened.get(file)
    assert old is not None and old.text == "old"
    (tmp_path / "new").write_text("the new one", encoding="ascii")
    (tmp_path / "new").replace(file)
    async with asyncio.timeout(LATE_S / 2):
        while (now := await opened.get(file)) is old:
            await asyncio.sleep(0)
    assert now is not None and (now.text, old.is_closed) == ("the new one", False)
    Held.let_go.set()
    async with asyncio.timeout(LATE_S):
        while not old.is_closed:
            await asyncio.sleep(0)
    opened.close()
    assert (now.is_closed, problems) == (True, [])
