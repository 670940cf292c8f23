"""Calls that wait in our application and that no process answers for: their gate died or lost its connection.

Asterisk replays no StasisStart to a new connection, but lists the application's channels, and the channels still
carry what the dialplan set before it handed them over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from callguard.errors import Refused
from callguard.telephony.ari import Client

# Set by the dialplan before it hands a channel over, the same that StasisStart brings as arguments:
# DIRECTION:PROFILE:LINKEDID:NUMBER, and after a lease's renewal :again:TAKEOVERS.
ARGUMENTS = "CG_ARGS"
# How often a call was taken over is one digit: it is left alone after the first time.
COUNTS = frozenset("0123456789")


# The applications by which the dialplan hands a channel over.
IN_STASIS = frozenset({"Stasis", "StasisBroadcast"})


@dataclass(frozen=True, slots=True)
class Orphan:
    """A channel in our application. `args` is empty when it was not our dialplan that sent it."""

    channel: str
    args: tuple[str, ...]
    caller: str
    at: int

    @property
    def taken(self) -> int:
        """How often a process has taken the call over from one that left it."""
        return int(self.args[5]) if len(self.args) > 5 and self.args[5] in COUNTS else 0


async def find_orphans(client: Client) -> list[Orphan]:
    """What waits now. A channel that hangs up meanwhile is left out.

    Raises:
        Disconnected: the connection broke again.
    """
    found = []
    for channel_id in await client.applications.channel_ids():
        channel = client.channels.get(channel_id)
        try:
            # The list also has channels that are only watched.
            if await channel.running() not in IN_STASIS:
                continue
            caller = await channel.get_variable("CALLERID(num)")
        except Refused:
            continue
        try:
            arguments = await channel.get_variable(ARGUMENTS)
        except Refused:  # not set: ARI answers 404
            arguments = ""
        args = tuple(arguments.split(":")) if arguments else ()
        found.append(Orphan(channel_id, args, caller, round(time.time() * 1000)))
    return found
