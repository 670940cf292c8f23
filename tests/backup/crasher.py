"""Restores a backup and dies at each of its steps: ``crasher.py BASE OUT``. Each step gets a copy of BASE in OUT.

A step is before and after each rename, link, removal, flush of a folder and transaction of what is made ready.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callguard import config
from callguard.backup import archive, restore
from callguard.cli.backup import _keys
from callguard.store import Store


class Steps:
    """Counts them, and ends the process at one."""

    def __init__(self, at: int) -> None:
        self.count, self._at = 0, at

    def step(self) -> None:
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = work(*arguments, **named)
            self.step()
            return result

        return done

    def around_transaction(self, work: Callable[..., Any]) -> Callable[..., Any]:
        async def done(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = await work(*arguments, **named)
            self.step()
            return result

        return done

    def put_in(self) -> None:
        """Into this process, for good."""
        for name in ("replace", "link", "unlink"):
            setattr(os, name, self.around(getattr(os, name)))
        for module, name in ((restore, "sync"),):
            setattr(module, name, self.around(getattr(module, name)))
        for name in ("note_of_ledger", "erase", "opt_out_all"):
            setattr(Store, name, self.around_transaction(getattr(Store, name)))


def put_back(folder: Path) -> None:
    """As the command does it."""
    text = (folder / "callguard.toml").read_text(encoding="utf-8")
    (folder / "here.toml").write_text(text.replace("BASE", str(folder)), encoding="utf-8")
    settings = config.load(folder / "here.toml", {})
    backup = folder / "one.cgbackup"
    with archive.opened(backup, backup.open("rb"), _keys(settings, None)) as found:
        restore.restore(settings, found, force=True, tell=lambda what, done, of: None)


def _in_child(folder: Path, at: int) -> int:
    """The exit code, or the signal that ended it, below 0."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = Steps(at)
    steps.put_in()
    put_back(folder)
    os._exit(0 if at else steps.count)


def main(base: Path, out: Path) -> None:
    shutil.copytree(base, out / "0")
    count = _in_child(out / "0", 0)
    for at in range(1, count + 1):
        shutil.copytree(base, out / str(at))
        ended = _in_child(out / str(at), at)
        assert ended == -signal.SIGKILL, (at, ended)
    print(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
