"""Who is with whom: the members of every bridge, as ARI tells them. Pure.

A Local channel is no person: whoever is bridged to its other half is behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from callguard.telephony.ami import LiveChannel
from callguard.telephony.ari_wire import BridgeMembers

# Those who wait in such a bridge (parked calls, a queue's announcements) do not hear each other.
HOLDING = "holding"


class Bridges:
    """Heeds each change; channels are named by their ids."""

    def __init__(self) -> None:
        self._members: dict[str, frozenset[str]] = {}
        self._where: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._halves: dict[str, str] = {}

    def begin(
        self, channels: Iterable[LiveChannel], holding: Collection[str] = (), heard: Sequence[BridgeMembers] = ()
    ) -> None:
        """Start from what there is, as it was before the changes that were heard while it was listed.

        A change may be in the list already, or not yet. So the bridges that one was heard of are taken from the changes
        alone; whoever heeds these next knows of each when it was.

        Args:
            holding: the bridges whose members wait.
        """
        members: dict[str, set[str]] = {}
        self._members, self._where, self._names, self._halves = {}, {}, {}, {}
        first: dict[str, BridgeMembers] = {}
        for change in heard:
            first.setdefault(change.bridge, change)
            self._name(change.channel, change.name)
        for one in channels:
            if one.bridge:
                self._name(one.channel, one.name)
                if one.bridge not in holding and one.bridge not in first:
                    members.setdefault(one.bridge, set()).add(one.channel)
        for bridge, change in first.items():
            if change.kind != HOLDING:
                came_or_went = {change.channel}
                members[bridge] = set(change.members) - came_or_went if change.entered else {
                    *change.members, *came_or_went
                }  # fmt: skip
        for bridge, found in members.items():
            self._members[bridge] = frozenset(found)
            self._where.update(dict.fromkeys(found, bridge))

    def heed(self, change: BridgeMembers) -> frozenset[str]:
        """One channel has come or gone. Returns the channels whose company that may have changed, itself included."""
        before = self._connected(change.channel)
        if change.entered:
            self._name(change.channel, change.name)
        self._set(change)
        if not change.entered and self._where.get(change.channel) == change.bridge:
            del self._where[change.channel]
        after = self._connected(change.channel)
        for member in change.members:
            after |= self._connected(member)
        if not change.entered and change.channel not in self._where:
            self._forget(change.channel)
        return before | after

    def untold(self, change: BridgeMembers) -> frozenset[str]:
        """Before a change is heeded: the channels whose company must have changed earlier, of which nothing was told.

        Asterisk tells of no masquerade, by which a channel takes the place of another in its bridge. It is in the list
        of members when somebody else comes or goes next, or is told to leave where it has never come.
        """
        if change.kind == HOLDING:
            return frozenset()
        there = frozenset(change.members) - {change.channel} if change.entered else {*change.members, change.channel}
        known = self.members(change.bridge)
        if there <= known:
            return frozenset()
        return frozenset().union(*(self._connected(one) for one in there | known))

    def all_members(self) -> dict[str, frozenset[str]]:
        """Who is in each bridge now."""
        return dict(self._members)

    def members(self, bridge: str) -> frozenset[str]:
        """Who is in a bridge and may be heard there."""
        return self._members.get(bridge, frozenset())

    def company(self, channel: str) -> frozenset[str]:
        """The others whom a channel hears and who hear it; those behind Local channels in place of these."""
        return frozenset(
            other for other in self._connected(channel)
            if other != channel and not (other in self._names and self._other_half(other) in self._where)
        )  # fmt: skip

    def name(self, channel: str) -> str:
        """The channel's name; empty for one that is in no bridge."""
        return self._names.get(channel, "")

    def _set(self, bridge: BridgeMembers) -> None:
        members = frozenset() if bridge.kind == HOLDING else frozenset(bridge.members)
        if members:
            self._members[bridge.bridge] = members
        else:
            self._members.pop(bridge.bridge, None)
        for member in members:
            self._where[member] = bridge.bridge

    def _connected(self, channel: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = [channel]
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found.add(one)
            waiting += self._members.get(self._where.get(one, ""), ())
            half = self._other_half(one)
            if half in self._where:
                waiting.append(half)
        return frozenset(found)

    def _other_half(self, channel: str) -> str:
        name = self._names.get(channel, "")
        if not name.startswith("Local/") or name[-2:-1] != ";":
            return ""
        return self._halves.get(name[:-1] + ("2" if name.endswith("1") else "1"), "")

    def _name(self, channel: str, name: str) -> None:
        self._names[channel] = name
        if name.startswith("Local/"):
            self._halves[name] = channel

    def _forget(self, channel: str) -> None:
        self._halves.pop(self._names.pop(channel, ""), None)
