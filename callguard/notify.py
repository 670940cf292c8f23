"""What systemd is told of the service: that it is ready, that it lives, what it does (sd_notify(3)).

A message is one datagram of lines NAME=value to the socket that NOTIFY_SOCKET names; without one, nothing is sent.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

PING_EVERY_S = 0.5


class Notify:
    """Tells the service manager, if there is one.

    Args:
        address: of the socket: a path, or a name in Linux's abstract namespace after an @; None for nobody.
        ping_every_s: how often to say that the event loop turns.
    """

    def __init__(self, address: str | None, ping_every_s: float = PING_EVERY_S) -> None:
        self._ping_every_s = ping_every_s
        self._socket: socket.socket | None = None
        if address:
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A manager that does not read must not hold calls up.
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Notify:
        """As systemd has set it up for this process, WATCHDOG_USEC included (sd_watchdog_enabled(3))."""
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit = environment.get("WATCHDOG_USEC", "")
        every_s = PING_EVERY_S
        if ours and limit.isdecimal() and int(limit):
            every_s = min(every_s, int(limit) / 1e6 / 2)
        return cls(environment.get("NOTIFY_SOCKET"), every_s)

    def ready(self, status: str) -> None:
        """Started, or reloaded."""
        self._say("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """What it does now, as ``systemctl status`` shows it; one line."""
        self._say(f"STATUS={status}")

    def reloading(self) -> None:
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        self._say("STOPPING=1", f"STATUS={status}")

    async def keep_pinging(self) -> None:
        """Say again and again that the event loop turns; when this ends or is held up, the manager ends the process."""
        while self._socket is not None:
            self._say("WATCHDOG=1")
            await asyncio.sleep(self._ping_every_s)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, *lines: str) -> None:
        if self._socket is None:
            return
        # It may not be there just now, or not read: the next ping tells the same.
        with suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), self._address)
