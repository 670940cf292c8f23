"""A bar for long work, on standard error, where that is a terminal: anything else would be sent an empty line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar until the work is done.

    Args:
        what: is done first.

    Yields:
        To be called with what is done now, how much of it is done, and of how much; 0 where that is not known.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda now, done, of: bar.update(task, description=now, completed=done, total=of or None)
