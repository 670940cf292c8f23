"""Tables for a terminal, as every list prints them."""

from __future__ import annotations

import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

# As long as a UUID is written.
ID_LENGTH = 36
# Of what is read by a program, or copied, no line is broken.
WIDE = 10_000
# The plus sign and 15 digits (ITU-T E.164).
E164_LENGTH = 16


def table(*headings: str, ids: str = "", numbers: str = "") -> Table:
    """A plain table, whose columns `ids` and `numbers` are never folded: half of one names nothing, or another."""
    widths = {ids: ID_LENGTH, numbers: E164_LENGTH}
    made = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        # Not to be wrapped, or what is too much for the screen would be cut off at its right edge.
        made.add_column(heading, min_width=widths.get(heading), no_wrap=heading in widths, overflow="fold")
    return made


def add(to: Table, *cells: object) -> None:
    """Add a row; None is an empty cell. As text, for brackets are markup in a plain string."""
    to.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))


def show(one: Table) -> None:
    """Print it: as wide as it is, but on a terminal."""
    Console(width=None if sys.stdout.isatty() else WIDE).print(one)


def moment(at: datetime | None) -> str:
    """A time in this machine's time zone, to the second; empty for None."""
    return "" if at is None else at.astimezone().isoformat(" ", timespec="seconds")
