"""What evidence and encryption add to a call: ``python -m tests.bench.evidence_cost [FOLDER]``.

A call here is a leg that is saved and whose recording is kept and encrypted. In turn, in one run: without ledger and
keys (entries are neither made nor hashed nor kept), with the ledger, with both. CPU is the whole process's; each
figure is the least of the turns.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from callguard.keys.master import MasterKey, Masters
from callguard.sealing import Sealing
from callguard.sections import Folder, Recording
from callguard.store import Store, ledger, rows
from callguard.store.queries import Transaction
from callguard.store.records import Kept, RecordedFile
from callguard.telephony.recording import Recordings
from tests.bench.sealing import BYTES_A_SECOND, made
from tests.bench.store_cost import RATE, leg, load

CALLS, TURNS, SECONDS_EACH = 200, 3, 60
BUDGET_MS = 0.7


@contextmanager
def without_ledger() -> Iterator[None]:
    """Rows of evidence go nowhere."""

    def no_entry(*_: object, **__: object) -> bytes:
        return b"{}"

    def not_recorded(transaction: Transaction, statement: str, evidence: Sequence[object]) -> None:
        list(evidence)

    with patch.object(rows, "entry", no_entry), patch.object(ledger, "record", not_recorded):
        yield


async def calls_of(folder: Path, masters: Masters | None, seconds: int) -> dict[str, float]:
    """Milliseconds of CPU a call: saving the leg and keeping the recording; and encrypting it."""
    settings = Recording(folder=Folder(path_here=folder))
    opened = Store.open(folder / "s.db", gate="callguard", controllers={"acme": "Acme"}, keys=lambda: masters)
    async with opened as store:
        legs = [leg(number) for number in range(CALLS)]
        made(folder, [one.leg_id for one in legs], seconds)
        began = time.process_time()
        await load(store.save, legs, RATE)
        kept = [
            (one.leg_id, Kept((RecordedFile(f"{one.leg_id}.wav", 44 + BYTES_A_SECOND * seconds, "00" * 32),),
                              1_000 * seconds, datetime.now(UTC)))
            for one in legs
        ]  # fmt: skip
        await asyncio.gather(*(store.recording_kept(leg_id, one, None) for leg_id, one in kept))
        rows_ms = (time.process_time() - began) / CALLS * 1e3
        sealing = Sealing(settings, store, Recordings(settings, store), masters)
        began = time.process_time()
        async with sealing.working():
            await sealing.look()
        return {"rows": rows_ms, "sealing": (time.process_time() - began) / CALLS * 1e3}


def measured(folder: Path, seconds: int = SECONDS_EACH) -> dict[str, float]:
    """Milliseconds of CPU a call, the least of the turns."""
    found: dict[str, list[float]] = {}
    for turn in range(TURNS):
        for name in ("neither", "ledger", "both"):
            place = folder / f"{name}{seconds}-{turn}"
            place.mkdir()
            masters = Masters(MasterKey.new()) if name == "both" else None
            if name == "neither":
                with without_ledger():
                    took = asyncio.run(calls_of(place, None, seconds))
            else:
                took = asyncio.run(calls_of(place, masters, seconds))
            for part, ms in took.items():
                found.setdefault(f"{name}_{part}", []).append(ms)
            for file in place.iterdir():
                file.unlink()
    return {name: min(each) for name, each in found.items()}


def told(found: dict[str, float], seconds: int) -> str:
    """In a line."""
    base = found["neither_rows"]
    entries, columns = found["ledger_rows"] - base, found["both_rows"] - found["ledger_rows"]
    sealing, whole = found["both_sealing"], found["both_rows"] - base + found["both_sealing"]
    return (
        f"a recording of {seconds} s: the ledger {entries:.2f} ms, encrypted columns {columns:.2f}, encrypting the "
        f"recording {sealing:.2f}; together {whole:.2f} beside {base:.2f} for rows without either "
        f"({(base + whole) / base:.2f} times)"
    )


def main(folder: Path) -> None:
    """Print the figures."""
    for seconds in (1, SECONDS_EACH):
        print(told(measured(folder, seconds), seconds))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temporary:
            main(Path(temporary))
