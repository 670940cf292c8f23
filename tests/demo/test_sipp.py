"""Callers: what SIPp is told, and how its log is read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from callguard.demo.ear import Sound
from callguard.demo.ports import Ports
from callguard.demo.sipp import EndedBy, command, parse, result, sender

NOTHING = Sound(0.0, np.zeros(0, dtype=np.int16))
ANSWERED = """\
2026-11-22\t02:27:17.601529\t100.500000\tS\t1-9@127.0.0.1\tCSeq:1 INVITE\tINVITE sip:77@127.0.0.1:10000 SIP/2.0
2026-11-22\t02:27:17.602120\t100.510000\tR\t1-9@127.0.0.1\tCSeq:1 INVITE\tSIP/2.0 100 Trying
2026-11-22\t02:27:17.602120\t100.520000\tR\t1-9@127.0.0.1\tCSeq:1 INVITE\tSIP/2.0 180 Ringing
2026-11-22\t02:27:17.602120\t100.525000\tR\t1-9@127.0.0.1\tCSeq:1 INVITE\tSIP/2.0 183 Session Progress
2026-11-22\t02:27:17.603308\t101.000000\tR\t1-9@127.0.0.1\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-22\t02:27:17.603390\t101.001000\tS\t1-9@127.0.0.1\tCSeq:1 ACK\tACK sip:127.0.0.1:10000 SIP/2.0
"""
CALLER_ENDS = """\
2026-11-22\t02:27:19.709777\t103.000000\tS\t1-9@127.0.0.1\tCSeq:2 BYE\tBYE sip:127.0.0.1:10000 SIP/2.0
2026-11-22\t02:27:19.709999\t103.001000\tR\t1-9@127.0.0.1\tCSeq:2 BYE\tSIP/2.0 200 OK
"""
PBX_ENDS = """\
2026-11-22\t02:27:19.709777\t104.000000\tR\t1-9@127.0.0.1\tCSeq:31 BYE\tBYE sip:caller@127.0.0.1 SIP/2.0
2026-11-22\t02:27:19.709999\t104.001000\tS\t1-9@127.0.0.1\tCSeq:31 BYE\tSIP/2.0 200 OK
"""
GIVES_UP = """\
2026-11-22\t02:27:19.709777\t105.000000\tS\t1-9@127.0.0.1\tCSeq:1 CANCEL\tCANCEL sip:77@127.0.0.1 SIP/2.0
2026-11-22\t02:27:19.709999\t105.001000\tR\t1-9@127.0.0.1\tCSeq:1 CANCEL\tSIP/2.0 200 OK
2026-11-22\t02:27:19.709999\t105.002000\tR\t1-9@127.0.0.1\tCSeq:1 INVITE\tSIP/2.0 487 Request Terminated
"""


@pytest.mark.parametrize(
    ("rest", "ended", "by"), [(CALLER_ENDS, 103.0, EndedBy.CALLER), (PBX_ENDS, 104.0, EndedBy.PBX)]
)
def test_times_of_an_answered_call(rest: str, ended: float, by: EndedBy) -> None:
    call = result(parse(ANSWERED + rest), NOTHING)
    assert (call.invited, call.ringing, call.answered) == (100.5, 100.52, 101.0)
    assert (call.ended, call.ended_by) == (ended, by)
    assert call.first_sound_s is None


def test_a_caller_who_gives_up_was_not_answered() -> None:
    call = result(parse("".join(ANSWERED.splitlines(keepends=True)[:3]) + GIVES_UP), NOTHING)
    assert (call.ringing, call.answered, call.ended, call.ended_by) == (100.52, None, 105.0, EndedBy.CALLER)


def test_first_sound_counts_from_the_invite() -> None:
    heard = Sound(101.0, np.concatenate([np.zeros(800), np.full(160, 5_000)]).astype(np.int16))
    assert result(parse(ANSWERED + PBX_ENDS), heard).first_sound_s == pytest.approx(0.6)


def test_lines_that_are_no_messages_are_passed_over() -> None:
    assert parse("\nWARNING\nhalf\ta\tline\n") == []


@pytest.mark.parametrize(
    ("name", "number", "header"),
    [
        ("Ann", "+34600", '"Ann" <sip:+34600@[local_ip]:[local_port]>'),
        ("", "+34600", "<sip:+34600@[local_ip]:[local_port]>"),
        ("", "", "<sip:[local_ip]:[local_port]>"),
        ("[pid] \\x", "1%0d%0aX", '"\\x5bpid\\x5d \\x5cx" <sip:1%0d%0aX@[local_ip]:[local_port]>'),
        ("Jörg ☎", '1" | "1', '"Jörg ☎" <sip:1" | "1@[local_ip]:[local_port]>'),
        ("a\r\nb", "\udcff", '"a\\x0d\\x0ab" <sip:\\xff@[local_ip]:[local_port]>'),
    ],
)
def test_from_header_is_byte_for_byte(name: str, number: str, header: str) -> None:
    assert sender(name, number) == header


def test_sipp_ends_with_us_and_opens_none_of_the_ears_ports() -> None:
    line = Ports(10_000).lines[3]
    words = command(Path("/run/x"), line, 10_000)
    assert words[:4] == ["setpriv", "--pdeathsig=KILL", "--", "sipp"]
    options = dict(itertools.pairwise(words))
    assert options["-p"] == str(line.sip)
    assert line.ear not in (int(options["-mp"]), int(options["-mp"]) + 2, line.sip)
    scenario = (Path(__file__).parents[2] / "callguard" / "demo" / "caller.xml").read_text()
    assert f"[media_port{line.ear - int(options['-mp']):+}]" in scenario
