"""Who has taken another's place in a bridge, of which Asterisk tells nothing.

An attended transfer to a call that is just being answered puts whoever is transferred in the place of the
transferer's channel (a masquerade, as Asterisk calls it). Where that channel came into its bridge in the same
milliseconds, nobody is told to have entered it and nobody to have left: seen on Asterisk 22.10, in ARI's events and in
its own log. Of the transfer itself it tells (BridgeAttendedTransfer, destination_type ``application``), so it is looked
where they are then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from callguard.telephony import ami
from callguard.telephony.ari_wire import BridgeMembers, Transferred
from callguard.telephony.bridges import HOLDING, Bridges

# After the transfer is told, and again while they are in no bridge. Later they come into one as anybody does.
LOOK_AFTER_S = (0.0, 0.2, 1.0)


async def found(
    session: ami.Session, bridges: Bridges, transfer: Transferred, all_told: Callable[[], Awaitable[None]]
) -> BridgeMembers | None:
    """The change that was not told, as if it had been; None where there was none.

    What Asterisk lists may be younger than what it has told of. So it counts only for a bridge of which nothing came
    while it was listed and until everything that had happened by then was told. Where the bridge does not come to rest,
    the next change of it shows who was there (`Bridges.untold`).

    Raises:
        Disconnected: the session, or what is told, is over.
    """
    for wait_s in LOOK_AFTER_S:
        await asyncio.sleep(wait_s)
        before = bridges.all_members()
        live, holding = await session.live(), await session.holding()
        await all_told()
        there = next((one for one in live if one.channel == transfer.channel), None)
        if there is None:  # the call is over
            return None
        known = bridges.members(there.bridge)
        if transfer.channel in known:
            return None
        if there.bridge and known == before.get(there.bridge, frozenset()):
            members = {one.channel for one in live if one.bridge == there.bridge} & (known | {transfer.channel})
            return BridgeMembers(
                there.bridge, transfer.at, HOLDING if there.bridge in holding else "mixing", tuple(members),
                there.channel, there.name, entered=True,
            )  # fmt: skip
    return None
