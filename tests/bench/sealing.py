"""What encrypting costs: ``python -m tests.bench.sealing [FOLDER]``.

200 simultaneous recordings of 8 kHz, 16 bits, one channel are 3.2 MB each second, as long as they last; the ratio says
how much more one core could encrypt. CPU is the whole process's, all threads; the disk's own time is not in it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
import wave
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from callguard.keys.beside import seal_file, sync
from callguard.keys.master import MasterKey, Masters
from callguard.keys.names import Shelf
from callguard.sealing import Sealing
from callguard.sections import Folder, Recording
from callguard.store import Store
from callguard.store.records import Kept, RecordedFile
from callguard.telephony.recording import Recordings
from tests.bench.store_cost import leg

BYTES_A_SECOND = 16_000
RECORDINGS = 200
CALLS, SECONDS_EACH = 200, 60
# In one transaction, as `callguard keys rotate` has them.
PEOPLE = 20_000

MASTERS = Masters(MasterKey.new())


def made(folder: Path, names: list[str], seconds: int) -> list[Path]:
    """Recordings, each of other sound."""
    files = []
    for name in names:
        files.append(folder / f"{name}.wav")
        with wave.open(str(files[-1]), "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(8_000)
            audio.writeframes(os.urandom(BYTES_A_SECOND * seconds))
    return files


def encrypted(folder: Path, calls: int, seconds: int) -> tuple[float, float]:
    """Bytes encrypted in a second of CPU, and of the clock, one file after another."""
    files = made(folder, [str(number) for number in range(calls)], seconds)
    key = MASTERS.content_key(MASTERS.new_content_key("somebody"))
    began, cpu = time.perf_counter(), time.process_time()
    for file in files:
        seal_file(Shelf(folder, folder), file.name, key)
        sync(folder)
        file.unlink()
    size = calls * BYTES_A_SECOND * seconds
    return size / (time.process_time() - cpu), size / (time.perf_counter() - began)


async def beside_the_gate(folder: Path, calls: int, seconds: int) -> float:
    """Milliseconds of CPU for each call whose recording is kept: keys, store and all; each call is another person's."""
    settings = Recording(folder=Folder(path_here=folder))
    async with Store.open(folder / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        legs = [leg(number) for number in range(calls)]
        await asyncio.gather(*map(store.save, legs))
        made(folder, [one.leg_id for one in legs], seconds)
        for one in legs:
            # The hash is what is kept without encryption, too.
            file = RecordedFile(f"{one.leg_id}.wav", 44 + BYTES_A_SECOND * seconds, "00" * 32)
            await store.recording_kept(one.leg_id, Kept((file,), 1_000 * seconds, datetime.now(UTC)), None)
        sealing = Sealing(settings, store, Recordings(settings, store), MASTERS)
        cpu = time.process_time()
        async with sealing.working():
            await sealing.look()
        spent = time.process_time() - cpu
        assert await store.count_clear() == 0
    return spent * 1_000 / calls


async def rewrapped(folder: Path, people: int) -> tuple[float, float]:
    """Seconds in which many content keys are wrapped anew, and those of it in which the store is locked."""
    async with Store.open(folder / "s.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        legs = [leg(number) for number in range(people)]
        for first in range(0, people, 1_000):
            await asyncio.gather(*map(store.save, legs[first : first + 1_000]))
        subjects = [one.leg.subject_id for each in legs for one in await store.call(each.call_id)]
        for first in range(0, people, 1_000):
            some = [MASTERS.new_content_key(subject) for subject in subjects[first : first + 1_000]]
            await store.ensure_content_keys(some)
        new = Masters(MasterKey.new(), [MASTERS.current])
        began = time.perf_counter()
        keys = [new.rewrapped(one) for one in await store.content_keys_of_others(new.current.id, people)]
        locks = time.perf_counter()
        await store.rewrap(keys)
        ended = time.perf_counter()
        assert await store.content_keys_by_master() == {new.current.id: people}
    return ended - began, ended - locks


def measured(folder: Path, calls: int = CALLS, seconds: int = SECONDS_EACH, people: int = PEOPLE) -> dict[str, float]:
    """All figures."""
    found = {}
    for name in ("files", "short", "long", "people"):
        (folder / name).mkdir()
    cpu, clock = encrypted(folder / "files", calls, seconds)
    found["mb_per_cpu_s"], found["mb_per_s"] = cpu / 1e6, clock / 1e6
    found["ratio"] = cpu / (RECORDINGS * BYTES_A_SECOND)
    shutil.rmtree(folder / "files")
    found["short_call_ms"] = asyncio.run(beside_the_gate(folder / "short", calls, 1))
    found["call_ms"] = asyncio.run(beside_the_gate(folder / "long", calls, seconds))
    found["rewrap_s"], found["locked_s"] = asyncio.run(rewrapped(folder / "people", people))
    return found


def main(folder: Path) -> None:
    """Print the figures."""
    found = measured(folder)
    print(
        f"encrypted in a second of CPU: {found['mb_per_cpu_s']:.0f} MB, {found['ratio']:.0f} times what {RECORDINGS} "
        f"simultaneous recordings are; by the clock, the disk included: {found['mb_per_s']:.0f} MB"
    )
    print(f"CPU for a call that was recorded for {SECONDS_EACH} s: {found['call_ms']:.2f} ms, for 1 s: "
          f"{found['short_call_ms']:.2f} ms")  # fmt: skip
    print(f"{PEOPLE:,} people's keys by another master key: {found['rewrap_s']:.1f} s, the store locked for "
          f"{found['locked_s']:.2f} s of it")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temporary:
            main(Path(temporary))
