"""Whether calls are really gated: for a monitor, a load balancer, an administrator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from callguard import __version__

NO_ARI = (
    "there is no ARI connection",
    "is Asterisk up, with ARI enabled and the right secret? The log says what it answers",
)
NO_AMI = (
    "there is no manager session",
    "is manager.conf enabled, with the right secret and permit? The log says what it answers",
)
STARTING = ("callguard has just connected", "wait a moment; if it stays so, see the log")
STOPPING = ("callguard is stopping", "calls that are being asked may finish; new ones go on unrecorded")
FULL = ("the gate is full", "more calls at once than [limits] calls_in_gate: is this an attack, or is it set too low?")


@dataclass(frozen=True, slots=True)
class Health:
    """How the gate is. `store` is what is wrong with the store, None for nothing; times are aware."""

    app: str
    started: datetime
    serving_since: datetime | None
    ari_connected: bool
    ami_connected: bool
    store: str | None
    stopping: bool
    calls_in_gate: int
    calls_limit: int

    @property
    def fault(self) -> tuple[str, str] | None:
        """Why calls are not gated, and what to do; None when they are."""
        if self.stopping:
            return STOPPING
        if not self.ari_connected:
            return NO_ARI
        if not self.ami_connected:
            return NO_AMI
        if self.serving_since is None:
            return STARTING
        if self.store is not None:
            return f"the store cannot be written: {self.store}", "see to its folder's disk space, rights and owner"
        return FULL if self.calls_in_gate >= self.calls_limit else None

    def answer(self) -> tuple[int, bytes]:
        """HTTP's status and a JSON body: 200 only while calls are gated, else 503 with what to do."""
        fault = self.fault
        body = {
            "serving": fault is None,
            "problem": fault and fault[0],
            "do": fault and fault[1],
            "app": self.app,
            "ari_connected": self.ari_connected,
            "ami_connected": self.ami_connected,
            "store_writable": self.store is None,
            "calls_in_gate": self.calls_in_gate,
            "calls_limit": self.calls_limit,
            "serving_since": self.serving_since and self.serving_since.isoformat(timespec="seconds"),
            "started": self.started.isoformat(timespec="seconds"),
            "version": __version__,
        }
        return (200 if fault is None else 503), json.dumps(body, indent=1).encode() + b"\n"
