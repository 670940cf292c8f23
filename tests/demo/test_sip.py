"""SIP as the agent's phone reads and writes it."""

from __future__ import annotations

import pytest

from callguard.demo import sip
from callguard.errors import TelephonyError

INVITE = (
    b"INVITE sip:agent@127.0.0.1:10001 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:10000;branch=z9hG4bK1\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK0\r\n"
    b'f: "[NO REC] J\xc3\xb6rg \\"x\\" <y" <sip:+4930@127.0.0.1>;tag=a1\r\n'
    b"t: <sip:agent@127.0.0.1>\r\n"
    b"m: <sip:asterisk@127.0.0.1:10000>\r\n"
    b"i: one@two\r\n"
    b"CSeq: 5 INVITE\r\n"
    b"X-Callguard-Consent: given;\r\n"
    b' purposes="recording.quality"\r\n'
    b"Content-Length: 60\r\n"
    b"\r\n"
    b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 11002 RTP/AVP 0 101\r\na=sendrecv\r\n"
)


def test_request_is_read() -> None:
    message = sip.parse(INVITE)
    assert message.method == "INVITE"
    assert message.get("call-id") == "one@two"
    assert message.get("X-CALLGUARD-CONSENT") == 'given; purposes="recording.quality"', "a folded header"
    assert len(message.all("via")) == 2
    assert sip.media_address(message.body) == ("127.0.0.1", 11_002)


def test_response_has_no_method() -> None:
    assert sip.parse(b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n").method == ""


def test_response_repeats_what_it_must() -> None:
    answer = sip.parse(bytes(sip.respond(sip.parse(INVITE), 200, "OK", tag="b2", body="v=0\r\n")))
    assert answer.start == "SIP/2.0 200 OK"
    assert answer.all("via") == sip.parse(INVITE).all("via")
    assert answer.get("to") == "<sip:agent@127.0.0.1>;tag=b2"
    assert (answer.get("from"), answer.get("call-id")) == (sip.parse(INVITE).get("from"), "one@two")
    assert (answer.get("cseq"), answer.get("content-length")) == ("5 INVITE", "5")
    assert answer.body == "v=0\r\n"


def test_a_tag_is_given_once() -> None:
    again = sip.parse(INVITE.replace(b"t: <sip:agent@127.0.0.1>", b"t: <sip:agent@127.0.0.1>;tag=b2"))
    assert sip.respond(again, 200, "OK", tag="other").get("to") == "<sip:agent@127.0.0.1>;tag=b2"


def test_goodbye_goes_the_other_way() -> None:
    message = sip.bye(sip.parse(INVITE), tag="b2", via="SIP/2.0/UDP 127.0.0.1:10001;branch=z9hG4bK2")
    assert message.start == "BYE sip:asterisk@127.0.0.1:10000 SIP/2.0"
    assert message.get("from") == "<sip:agent@127.0.0.1>;tag=b2"
    assert message.get("to") == sip.parse(INVITE).get("from")
    assert message.get("cseq") == "1 BYE"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('"[NO REC] Ann" <sip:1@x>;tag=1', "[NO REC] Ann"),
        ("Ann <sip:1@x>", "Ann"),
        ("<sip:1@x>", ""),
        ("sip:1@x;tag=1", ""),
        ('"a \\"b\\" <c" <sip:1@x>', 'a "b" <c'),
    ],
)
def test_display_name(value: str, name: str) -> None:
    assert sip.display_name(value) == name


def test_bytes_that_are_no_text_come_back_as_they_were() -> None:
    broken = INVITE.replace(b"J\xc3\xb6rg", b"J\xf6rg")
    answer = bytes(sip.respond(sip.parse(broken), 180, "Ringing", tag="b2"))
    assert b"J\xf6rg" in answer


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"INVITE", b"\xff\xfe\x00", b"OPTIONS sip:a SIP/2.0\r\n\r\n"])
def test_what_is_no_message_has_no_call(data: bytes) -> None:
    with pytest.raises(TelephonyError, match="no call-id"):
        sip.parse(data).need("call-id")


@pytest.mark.parametrize("sdp", ["", "c=IN IP4 127.0.0.1\r\n", "m=audio 0 RTP/AVP 0\r\nc=IN IP4 127.0.0.1\r\n"])
def test_an_offer_without_audio(sdp: str) -> None:
    with pytest.raises(TelephonyError, match="no audio"):
        sip.media_address(sdp)
