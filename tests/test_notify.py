"""What systemd is told, on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callguard.notify import Notify


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.settimeout(5)
        yield listening


@pytest.mark.parametrize("abstract", [False, True])
def test_each_message_is_one_datagram_of_assignments(tmp_path: Path, abstract: bool) -> None:
    address = f"@callguard-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify")
    with manager(address) as listening:
        notify = Notify.from_environment({"NOTIFY_SOCKET": address})
        notify.ready("serving")
        notify.status("waiting")
        notify.reloading()
        notify.stopping("2 calls may finish")
        assert listening.recv(999) == b"READY=1\nSTATUS=serving"
        assert listening.recv(999) == b"STATUS=waiting"
        first, _, at = listening.recv(999).partition(b"\nMONOTONIC_USEC=")
        assert first == b"RELOADING=1"
        assert abs(int(at) / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 5
        assert listening.recv(999) == b"STOPPING=1\nSTATUS=2 calls may finish"
        notify.close()
        notify.status("unsaid")


async def test_pings_come_twice_as_often_as_the_limit_asks_for_and_at_least_every_half_second(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    for limit, expected in (("2000000", 0.5), ("40000", 0.02)):
        with manager(address) as listening:
            notify = Notify.from_environment(
                {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": limit, "WATCHDOG_PID": str(os.getpid())}
            )
            pinging = asyncio.create_task(notify.keep_pinging())
            began = time.monotonic()
            for _ in range(3):
                assert await asyncio.to_thread(listening.recv, 999) == b"WATCHDOG=1"
            assert 2 * expected <= time.monotonic() - began < 2 * expected + 0.4
            pinging.cancel()
            notify.close()
        Path(address).unlink()


async def test_without_a_manager_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    alone = Notify.from_environment({})
    alone.ready("serving")
    await asyncio.wait_for(alone.keep_pinging(), 1)
    gone = Notify.from_environment({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    gone.ready("serving")
    gone.close()


def test_a_manager_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with manager(address):
        notify = Notify.from_environment({"NOTIFY_SOCKET": address})
        began = time.monotonic()
        for _ in range(2_000):
            notify.status("x" * 500)
        assert time.monotonic() - began < 2
        notify.close()
