"""How long a key was held, for the door that is not told."""

from __future__ import annotations

from callguard.telephony.ami_events import KeyPressed
from callguard.telephony.holds import CHANNELS, UNKNOWN_MS, Holds, Yeses
from callguard.telephony.withdrawal import Withdrawals, withdraws


def key(digit: str, held_ms: int = 60, channel: str = "pbx-1.1") -> KeyPressed:
    return KeyPressed(channel, f"PJSIP/{channel}", digit, held_ms)


async def test_a_key_is_found_among_those_that_ami_told() -> None:
    holds = Holds()
    with holds.following("pbx-1.1"):
        for told in (key("3", 40), key("1", 700), key("1", 80, "pbx-1.2")):
            holds.told(told)
        assert await holds.held_ms("pbx-1.1", "1") == 700


async def test_a_key_that_ami_does_not_tell_of_was_held_for_long() -> None:
    holds = Holds()
    with holds.following("pbx-1.1"):
        assert await holds.held_ms("pbx-1.1", "1") == UNKNOWN_MS


async def test_only_the_recorded_caller_withdraws() -> None:
    withdrawals = Withdrawals()
    withdrawals.follow("pbx-1.1", "leg")
    pressed = [withdrawals.pressed(key(digit, channel=channel)) for channel in ("pbx-1.2", "pbx-1.1") for digit in "*9"]
    assert pressed[:3] == [None, None, None]
    assert pressed[3] is not None
    leg_id, late_ms = pressed[3]
    # From when the first key went down.
    assert leg_id == "leg"
    assert 60 <= late_ms < 1_000
    withdrawals.keep_only(["pbx-1.2"])
    assert [withdrawals.pressed(key(digit)) for digit in "*9"] == [None, None]


async def test_a_withdrawal_that_began_while_nobody_listened_is_one() -> None:
    withdrawals = Withdrawals()
    withdrawals.goes_on("pbx-1.1", "*")  # not followed
    withdrawals.follow("pbx-1.1", "leg")
    withdrawals.goes_on("pbx-1.1", "1*")
    assert (withdrawals.pressed(key("9")) or "")[0] == "leg"
    withdrawals.follow("pbx-1.2", "other")
    withdrawals.goes_on("pbx-1.2", "*1")
    assert withdrawals.pressed(key("9", channel="pbx-1.2")) is None


def test_the_keys_that_the_dialplan_kept() -> None:
    assert withdraws("12*9")
    assert withdraws("**93")
    assert not withdraws("*19")


async def test_the_first_of_the_latest_yeses_is_found_by_its_channel() -> None:
    yeses = Yeses()
    for told in (key("1", 900), key("1", 40), key("2", 500), key("1", 70), key("1", 300, "pbx-1.2")):
        yeses.told(told)
    assert [await yeses.held_ms("PJSIP/pbx-1.1", n) for n in (1, 2)] == [70, 40]
    assert await yeses.held_ms("PJSIP/pbx-1.2", 1) == 300


async def test_a_yes_that_ami_has_not_told_of_is_not_known() -> None:
    assert await Yeses().held_ms("PJSIP/pbx-1.1", 1) is None


async def test_yeses_of_long_ago_are_forgotten() -> None:
    yeses = Yeses()
    yeses.told(key("1"))
    for n in range(CHANNELS):
        yeses.told(key("1", channel=f"pbx-2.{n}"))
    assert await yeses.held_ms("PJSIP/pbx-1.1", 1) is None
    assert await yeses.held_ms("PJSIP/pbx-2.0", 1) == 60
