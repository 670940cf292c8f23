"""Which messages over AMI are Asterisk's own: a caller's number may hold line ends, and comes as it is."""

from __future__ import annotations

from itertools import combinations

import pytest
from panoramisk.message import Message

from callguard.telephony.ami_wire import Protocol, is_asterisks, whose_key
from tests.faults.transcripts import AMI_EVENTS, CHANNEL_ID, LEG, ami_answers, dial_event, key_event

ANOTHERS = "1795346190.7"
WAITING = {"action/1"}
# Of a number, and of what was dialled, Asterisk takes so much.
RAW_BYTES = 79


def messages(data: bytes) -> list[str]:
    return [text.strip() for text in data.decode().split("\r\n\r\n") if text.strip()]


@pytest.mark.parametrize("event", AMI_EVENTS)
def test_an_event_as_asterisk_writes_it_is_taken(event: bytes) -> None:
    (text,) = messages(event)
    assert is_asterisks(text, WAITING) is True


@pytest.mark.parametrize("action", ["Login", "Getvar", "DBGetTree", "MixMonitor"])
def test_each_part_of_an_answer_that_is_waited_for_is_taken(action: str) -> None:
    answer = ami_answers({"Action": action, "ActionID": "action/1"})
    assert [is_asterisks(text, WAITING) for text in messages(answer)] == [True] * len(messages(answer))
    assert not any(is_asterisks(text, set()) for text in messages(answer))


@pytest.mark.parametrize(
    "number",
    [
        f"1\r\n\r\nEvent: DTMFEnd\r\nUniqueid: {ANOTHERS}\r\nDigit: 9\r\n\r\n",
        f"1\r\n\r\nEvent: UserEvent\r\nUserEvent: CallguardEnded\r\nLeg: {LEG[:8]}\r\n\r\n",
        f"1\r\nUniqueid: {ANOTHERS}",
        "1\r\nchannel: PJSIP/another-00000001",
        "1\r\nActionID: a\r\nActionID: b",
        "1\r\nEvent: Shutdown",
    ],
)
def test_what_a_caller_puts_into_a_number_speaks_for_nobody(number: str) -> None:
    assert True not in [is_asterisks(text, WAITING) for text in messages(key_event("1", CallerIDNum=number))]


@pytest.mark.parametrize("event", ["Unhold", "MixMonitorStart"])
def test_what_is_in_a_number_and_in_what_was_dialled_is_no_event_together(event: str) -> None:
    heads = (
        f"Event: {event}", "Privilege: ", "Channel: ", "ChannelState: ", "ChannelStateDesc: ", "CallerIDNum: ",
        "Priority: ", f"Uniqueid: {ANOTHERS}", "Linkedid: 1",
    )  # fmt: skip
    tried = 0
    for some in (one for count in range(1, len(heads)) for one in combinations(heads, count)):
        number = "\r\n\r\n" + "\r\n".join(some)
        dialled = "9\r\n" + "\r\n".join(one for one in heads if one not in some) + "\r\n\r\n"
        if max(len(number), len(dialled)) > RAW_BYTES:
            continue
        tried += 1
        assert True not in [
            is_asterisks(text, WAITING) for text in messages(key_event("5", CallerIDNum=number, Exten=dialled))
        ]
    assert tried


@pytest.mark.parametrize("name", ["Channel", "Uniqueid", "Linkedid"])
def test_a_call_that_names_no_channel_is_none(name: str) -> None:
    (text,) = messages(dial_event(**{name: ""}))
    assert is_asterisks(text, WAITING) is False
    (text,) = messages(dial_event(CallerIDNum=f"1\r\nDest{name}: another"))
    assert is_asterisks(text, WAITING) is False


def test_headers_of_an_administrators_own_are_no_hindrance() -> None:
    (text,) = messages(key_event("1", ChanVariable="x=1"))
    assert is_asterisks(f"{text}\r\nChanVariable: y=2", WAITING) is True
    assert CHANNEL_ID in text


def test_whose_key_it_is_is_told_without_reading_all_of_it() -> None:
    assert whose_key(key_event("9")) == (CHANNEL_ID, "9")
    forged = f"1\r\nUniqueid: {ANOTHERS}\r\nDigit: 1"
    assert whose_key(key_event("9", CallerIDNum=forged)) == (CHANNEL_ID, "9")


@pytest.mark.parametrize("event", [one for one in AMI_EVENTS if b"DTMFEnd" not in one])
def test_what_is_no_key_is_nobodys(event: bytes) -> None:
    assert whose_key(event) is None


def test_a_key_that_is_cut_in_two_is_read_and_found_out() -> None:
    cut, *_ = key_event("9", CallerIDNum="1\r\n\r\nEvent: Other").split(b"\r\n\r\n")
    assert whose_key(cut) is None


def test_a_key_that_nobody_waits_for_is_left_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def handle(message: Message) -> None:
        read.append(message.digit)

    protocol = Protocol()
    protocol.connection_made(None)
    monkeypatch.setattr(protocol, "handle_message", handle)
    protocol.data_received(key_event("4"))
    protocol.wants_key = lambda channel, digit: (channel, digit) == (CHANNEL_ID, "5")
    protocol.data_received(key_event("4") + key_event("5") + key_event("4"))
    assert read == ["4", "5"]
