"""Calls that wait in our application and that no process answers for: their gate died or lost its connection.

Asterisk replays no StasisStart to a new connection, but lists the application's channels, and the channels still
carry what the dialplan set before it handed them over.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from callguard.errors import Refused
from callguard.telephony.ari import Client

# Set by the dialplan before it hands a channel over, the same that StasisStart brings as arguments:
# DIRECTION:PROFILE:LINKEDID:NUMBER, and after a lease's renewal :again:TAKEOVERS.
ARGUMENTS = "CG_ARGS"
# How often a call was taken over is one digit: it is left alone after the first time.
COUNTS = frozenset("0123456789")
AT_ONCE = 100


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

    Many are asked about at once: one after another, who waits longest would wait for three answers for each of the
    others, and each answer for its turn to be read.

    Raises:
        Disconnected: the connection broke again.
    """
    at_once = asyncio.Semaphore(AT_ONCE)

    async def ask(channel_id: str) -> Orphan | None:
        async with at_once:
            return await _orphan(client, channel_id)

    found = await asyncio.gather(*map(ask, await client.applications.channel_ids()))
    return [one for one in found if one is not None]


async def _orphan(client: Client, channel_id: str) -> Orphan | None:
    channel = client.channels.get(channel_id)
    try:
        # The list also has channels that are only watched.
        if await channel.running() not in IN_STASIS:
            return None
        caller = await channel.get_variable("CALLERID(num)")
    except Refused:
        return None
    try:
        arguments = await channel.get_variable(ARGUMENTS)
    except Refused:  # not set: ARI answers 404
        arguments = ""
    args = tuple(arguments.split(":")) if arguments else ()
    return Orphan(channel_id, args, caller, round(time.time() * 1000))
