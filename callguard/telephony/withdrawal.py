"""`*9` before the recorded call is bridged: while the agent's phone rings, or in the queue.

A feature of Asterisk works only in a bridge. Before it, AMI tells each key that is pressed, and the recording, which
waits for the bridge, is stopped from here. (The dialplan keeps those keys too, and counts them when the call ends.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from callguard.core.keys import Keypad
from callguard.telephony.ami_events import KeyPressed

STOP = ("*9",)
# So many keys the dialplan keeps, which AMI tells in one answer. What is pressed after them only who listens knows.
KEPT_KEYS = 1_000


def withdraws(pressed: str) -> bool:
    """Whether the keys, as the dialplan keeps them, hold a withdrawal."""
    return any(keys in pressed for keys in STOP)


class Withdrawals:
    """The recorded legs, and what has been pressed on each since the gate."""

    def __init__(self) -> None:
        self._followed: dict[str, tuple[str, Keypad]] = {}
        self._loop = asyncio.get_running_loop()

    def follow(self, channel: str, leg_id: str) -> None:
        """From now on; called before the leg leaves the gate."""
        if channel not in self._followed:
            self._followed[channel] = leg_id, Keypad(STOP, STOP)

    def goes_on(self, channel: str, pressed: str) -> None:
        """What was pressed before anybody listened may be the beginning of what comes next."""
        _, keypad = self._followed.get(channel, ("", None))
        if keypad is not None and not keypad.pressed and pressed.endswith(STOP[0][0]):
            keypad.press(STOP[0][0], round(self._loop.time() * 1000))

    def __contains__(self, channel: str) -> bool:
        return channel in self._followed

    def keep_only(self, live_channels: Collection[str]) -> None:
        """Forget the legs whose channels are gone."""
        for channel in self._followed.keys() - set(live_channels):
            del self._followed[channel]

    def pressed(self, key: KeyPressed) -> tuple[str, int] | None:
        """The leg that this key has withdrawn, and for how many milliseconds they have been at it; or None."""
        leg_id, keypad = self._followed.get(key.channel, ("", None))
        now = round(self._loop.time() * 1000)
        if keypad is None or not keypad.press(key.digit, now, key.held_ms):
            return None
        return leg_id, now - keypad.first_down
