"""Who is with whom, from the events of bridges."""

from __future__ import annotations

from callguard.telephony.ami import LiveChannel
from callguard.telephony.ari_wire import BridgeMembers
from callguard.telephony.bridges import HOLDING, Bridges


class Pbx:
    """Moves channels; names are ids but for Local ones."""

    def __init__(self) -> None:
        self.bridges = Bridges()
        self.members: dict[str, tuple[str, ...]] = {}

    def enter(self, bridge: str, channel: str, *, kind: str = "mixing") -> frozenset[str]:
        self.members[bridge] = (*self.members.get(bridge, ()), channel)
        return self._heed(bridge, channel, kind, True)

    def leave(self, bridge: str, channel: str, *, kind: str = "mixing") -> frozenset[str]:
        self.members[bridge] = tuple(one for one in self.members[bridge] if one != channel)
        return self._heed(bridge, channel, kind, False)

    def _heed(self, bridge: str, channel: str, kind: str, entered: bool) -> frozenset[str]:
        return self.bridges.heed(BridgeMembers(bridge, 0, kind, self.members[bridge], channel, channel, entered))


def test_who_took_anothers_place_is_noticed_when_somebody_comes_or_goes_next() -> None:
    for kind, seen in (("mixing", True), (HOLDING, False)):
        for entered, channel, members in (
            (False, "ben", ("ana",)),
            (False, "ana", ("ben",)),
            (True, "eve", ("ben", "ana", "eve")),
        ):
            pbx = Pbx()
            for one in ("ben", "agent"):
                pbx.enter("b", one)
            told = BridgeMembers("b", 0, kind, ("ben",), "agent", "agent", False)
            assert pbx.bridges.untold(told) == frozenset()
            change = BridgeMembers("b", 0, kind, members, channel, channel, entered)
            assert pbx.bridges.untold(change) == (frozenset({"ana", "ben", "agent"}) if seen else frozenset())


def test_two_in_a_bridge_are_each_others_company() -> None:
    pbx = Pbx()
    pbx.enter("b", "ana")
    assert pbx.bridges.company("ana") == frozenset()
    assert pbx.enter("b", "agent") == {"ana", "agent"}
    assert pbx.bridges.company("ana") == {"agent"}
    assert pbx.leave("b", "agent") == {"ana", "agent"}
    assert pbx.bridges.company("ana") == frozenset()
    assert pbx.bridges.name("agent") == ""


def test_behind_a_local_channel_is_who_is_bridged_to_its_other_half() -> None:
    pbx = Pbx()
    one, two = "Local/agent@agents-00000001;1", "Local/agent@agents-00000001;2"
    pbx.enter("b", "ana")
    pbx.enter("b", one)
    # Nobody is behind it yet, and nobody knows what it is: it stands for itself.
    assert pbx.bridges.company("ana") == {one}
    pbx.enter("c", two)
    assert "ana" in pbx.enter("c", "agent")
    assert pbx.bridges.company("ana") == {"agent"}
    assert "ana" in pbx.leave("c", "agent")
    assert pbx.bridges.company("ana") == frozenset()


def test_who_waits_in_a_holding_bridge_hears_nobody() -> None:
    pbx = Pbx()
    pbx.enter("lot", "ana", kind=HOLDING)
    pbx.enter("lot", "ben", kind=HOLDING)
    assert pbx.bridges.company("ana") == frozenset()
    pbx.leave("lot", "ana", kind=HOLDING)
    pbx.enter("b", "ana")
    pbx.enter("b", "agent")
    assert pbx.bridges.company("ana") == {"agent"}


def test_a_channel_that_goes_from_one_bridge_to_another_is_in_the_other() -> None:
    """An attended transfer: it may come into the new bridge before it has left the old one."""
    pbx = Pbx()
    for bridge, channel in (("b", "ana"), ("b", "agent"), ("c", "ben"), ("c", "agent2")):
        pbx.enter(bridge, channel)
    pbx.leave("c", "agent2")
    pbx.enter("c", "ana")
    assert pbx.leave("b", "ana") >= {"ana"}
    assert pbx.bridges.company("ana") == {"ben"}
    assert pbx.bridges.company("ben") == {"ana"}


def test_what_there_is_when_a_session_begins() -> None:
    bridges = Bridges()
    bridges.begin(
        [
            LiveChannel("1", "PJSIP/a-1", "x", "b"),
            LiveChannel("2", "PJSIP/b-1", "x", "b"),
            LiveChannel("3", "c", "x", ""),
        ]
    )
    assert bridges.company("1") == {"2"}
    assert bridges.name("2") == "PJSIP/b-1"
    assert bridges.company("3") == frozenset()


def test_those_who_wait_when_a_session_begins_are_in_nobodys_company() -> None:
    """Two parked calls, and two who talk."""
    bridges = Bridges()
    listed = [LiveChannel(str(one), f"PJSIP/{one}-1", "x", "lot" if one < 3 else "b") for one in (1, 2, 3, 4)]
    bridges.begin(listed, {"lot"})
    assert bridges.company("1") == bridges.company("2") == frozenset()
    assert bridges.company("3") == {"4"}


def test_what_is_told_while_there_is_listed_is_heeded_from_where_it_was() -> None:
    """The list may have the change already, or not yet: it comes to the same."""
    for listed in (("ana", "agent"), ("ana", "agent", "eve"), ("ana", "eve"), ("eve",)):
        pbx, heard = Pbx(), []
        for one in ("ana", "agent"):
            pbx.enter("b", one)
        for entered, one in ((True, "eve"), (False, "agent"), (False, "ana")):
            here = pbx.members["b"]
            pbx.members["b"] = (*here, one) if entered else tuple(two for two in here if two != one)
            heard.append(BridgeMembers("b", 0, "mixing", pbx.members["b"], one, one, entered))
        bridges = Bridges()
        bridges.begin([LiveChannel(one, one, "x", "b") for one in listed], (), heard)
        assert bridges.company("ana") == {"agent"}
        bridges.heed(heard[0])
        assert bridges.company("ana") == {"agent", "eve"}
        for change in heard[1:]:
            bridges.heed(change)
        assert bridges.company("eve") == frozenset()
        assert bridges.name("ana") == ""
