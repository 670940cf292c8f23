"""The faults, each made to happen once by its function and gone when that returns."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from base64 import b64encode
from contextlib import closing
from http.client import HTTPConnection
from typing import Final

from callguard.speech.catalogue import Catalogue
from tests.faults.bed import PATIENCE_S, Bed, full
from tests.faults.callers import Kind
from tests.faults.judge import LONGEST_SLOW_WAIT_S
from tests.faults.steps import LEASES_END_S, killed, killed_for_good
from tests.faults.store_faults import store_damaged, store_read_only
from tests.faults.trial import APART_S, CHANCE, Fault

# What waits in the kernel is megabytes at most.
MUCH_WITHIN_S: Final = 60.0
# Ours finds a half-open connection when the second ping is due.
HALF_OPEN_S: Final = 11.0


async def stopped(bed: Bed) -> float:
    """Stopped for less or more than a lease, and continued; nobody watches."""
    began = time.time()
    bed.signal(signal.SIGSTOP)
    await asyncio.sleep(CHANCE.uniform(0.2, LEASES_END_S))
    bed.signal(signal.SIGCONT)
    return began


async def stopped_for_less(bed: Bed) -> float:
    """Stopped and continued: no lease frees who is called in Dial's U(), so they wait as long."""
    began = time.time()
    bed.signal(signal.SIGSTOP)
    await asyncio.sleep(CHANCE.uniform(0.2, 4.0))
    bed.signal(signal.SIGCONT)
    return began


async def hung(bed: Bed) -> float:
    """Stopped until its watchdog ends it."""
    began = time.time()
    bed.signal(signal.SIGSTOP)
    await bed.serves_after(began + 1.0)
    return began


async def hung_by_agi(bed: Bed) -> float:
    """The same with callers asked by FastAGI."""
    await bed.pbx.cli("dialplan set global CALLGUARD_DOOR agi")
    try:
        await asyncio.sleep(LEASES_END_S)  # those asked now are asked by FastAGI
        return await hung(bed)
    finally:
        await bed.pbx.cli("dialplan set global CALLGUARD_DOOR ari")


async def ari_cut(bed: Bed) -> float:
    began = time.time()
    bed.ari.cut()
    await bed.serves_after(began)
    return began


async def ari_delayed(bed: Bed) -> float:
    began = time.time()
    bed.ari.delay_s = 0.4
    await asyncio.sleep(LEASES_END_S)
    bed.ari.delay_s = 0.0
    return began


async def ari_half_open(bed: Bed) -> float:
    began = time.time()
    bed.ari.swallow()
    await asyncio.sleep(HALF_OPEN_S)
    await bed.serves_after(began)
    return began


async def ami_cut(bed: Bed) -> float:
    began = time.time()
    bed.ami.cut()
    await bed.serves_after(began)
    return began


async def asterisk_killed(bed: Bed) -> float:
    began = time.time()
    await bed.pbx.kill()
    await bed.pbx.start()
    await bed.serves_after(began)
    return began


async def store_locked(bed: Bed) -> float:
    """Another program has it for itself for longer than callguard waits."""
    began = time.time()
    connection = sqlite3.connect(bed.store, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        await asyncio.to_thread(connection.execute, "BEGIN EXCLUSIVE")
        await asyncio.sleep(CHANCE.uniform(1.0, 5.0))
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    return began


async def store_full(bed: Bed) -> float:
    began = time.time()
    with full(bed.store.parent):
        await asyncio.sleep(5.0)
    return began


async def recordings_full(bed: Bed) -> float:
    began = time.time()
    with full(bed.recordings):
        await asyncio.sleep(5.0)
    return began


async def recordings_closed(bed: Bed) -> float:
    """Asterisk may not write there."""
    began = time.time()
    mode = bed.recordings.stat().st_mode
    bed.recordings.chmod(0o555)
    try:
        await asyncio.sleep(5.0)
    finally:
        bed.recordings.chmod(mode)
    return began


async def prompt_removed(bed: Bed) -> float:
    """Asterisk cannot find the question any more."""
    began = time.time()
    question = Catalogue.load(bed.gate.config).entry("service", "en", "question-1")
    files = list(bed.gate.config.prompts.folder.path_here.glob(f"{question.played}.*"))
    for file in files:
        file.rename(file.with_suffix(f"{file.suffix}.gone"))
    await asyncio.sleep(5.0)
    for file in files:
        file.with_suffix(f"{file.suffix}.gone").rename(file)
    return began


async def clock_set_back(bed: Bed) -> float:
    """callguard's clock is set back an hour, and put right again."""
    began = time.time()
    bed.clock.set_back(3_600)
    await asyncio.sleep(CHANCE.uniform(3.0, LEASES_END_S))
    bed.clock.set_back(0)
    return began


async def not_read(bed: Bed) -> float:
    """callguard is stopped, and reads nothing; Asterisk, which can write no more, ends the connection."""
    began = time.time()
    bed.ari.stop_reading()
    bed.signal(signal.SIGSTOP)
    await asyncio.to_thread(_send_much, bed)
    await asyncio.sleep(CHANCE.uniform(0.0, 3.0))
    bed.ari.read_on()
    bed.signal(signal.SIGCONT)
    await bed.serves_after(began)
    return began


def _send_much(bed: Bed) -> None:
    """Have Asterisk send callguard more than calls make it send, until it can no more.

    It is told to leave out what it sends else; callguard tells it otherwise when it connects again.
    """
    settings = bed.gate.config.asterisk
    login = b64encode(f"{settings.ari_user}:{bed.pbx.secrets.ari}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", bed.pbx.ports.http, timeout=PATIENCE_S)) as asterisk:

        def ask(method: str, path: str, body: object) -> None:
            asterisk.request(method, f"/ari/{path}", json.dumps(body), headers)
            asterisk.getresponse().read()

        ask("PUT", f"applications/{settings.app}/eventFilter", {"allowed": [{"type": "ChannelUserevent"}]})
        end = time.monotonic() + MUCH_WITHIN_S
        while not bed.ari.ended_there():
            if time.monotonic() > end:
                raise TimeoutError("Asterisk has not ended a connection that nobody reads")
            for _ in range(10):
                ask("POST", f"events/user/much?application={settings.app}", {"variables": {"much": "x" * 3_000}})


async def flooded(bed: Bed) -> float:
    """Nothing but the load itself, which is more than there is room for."""
    began = time.time()
    await asyncio.sleep(8.0)
    return began


FAULTS: Final = (
    Fault("callguard killed, started again", killed),
    Fault("callguard killed for good", killed_for_good, supervised=False),
    # A lease lasts for 5 s more than its prompt, so who is stopped for less goes on later: two stops add up.
    Fault("callguard stopped and continued", stopped, supervised=False, between_s=APART_S, recovers=False),
    Fault(
        "callguard stopped and continued, persons called", stopped_for_less, supervised=False, recovers=False,
        kinds=(Kind.DIALS,), extension="5[field0]", rate=10,
    ),
    Fault("callguard hung, watched", hung),
    Fault("callguard hung, by FastAGI", hung_by_agi, recovers=False),
    Fault("ARI cut", ari_cut),
    Fault(
        "ARI delayed", ari_delayed, rate=10, stays_ms=23_000, longest_wait_s=LONGEST_SLOW_WAIT_S, recovers=False
    ),
    Fault("ARI half open", ari_half_open),
    Fault("ARI not read", not_read, supervised=False, small_socket=True, stays_ms=9_000, recovers=False),
    Fault("AMI cut", ami_cut),
    Fault("Asterisk killed", asterisk_killed, pbx_died=True),
    Fault("store locked", store_locked, recovers=False),
    Fault("store's disk full", store_full, small_disks=True, recovers=False),
    Fault("store read-only", store_read_only, recovers=False),
    Fault("store damaged", store_damaged, supervised=False, recovers=False),
    Fault("recordings' disk full", recordings_full, small_disks=True, no_room=True, recovers=False),
    Fault("recordings' folder closed", recordings_closed, no_room=True, recovers=False),
    Fault("prompts removed", prompt_removed, recovers=False),
    Fault("clock set back an hour", clock_set_back, own_clock=True, recovers=False),
    Fault(
        "more calls than there is room for", flooded,
        environment={"CALLGUARD_LIMITS__CALLS_IN_GATE": "20"}, rate=40, stays_ms=5_000, recovers=False,
    ),
)  # fmt: skip
