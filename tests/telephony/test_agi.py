"""AGI over a peer that misbehaves: whatever comes over a connection, it is that call's matter alone."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from callguard.errors import Disconnected, Refused, TelephonyError
from callguard.telephony import agi
from callguard.telephony import agi_wire as wire
from callguard.telephony.agi import Call, Hangup, Streamed
from tests.telephony.fake_agi import CLOSE, UNIQUEID, Door, FakeAgi, block, door

NUMBER = "+34600000001"
MEDIA = "/prompts/en/essential"

Command = Callable[[Call], Awaitable[object]]
COMMANDS: dict[str, Command] = {
    "answer": lambda call: call.answer(),
    "stream": lambda call: call.stream(MEDIA, "1", 100),
    "wait_for_digit": lambda call: call.wait_for_digit(100),
    "set_variable": lambda call: call.set_variable("CG_STATE", "given"),
    "get_variable": lambda call: call.get_variable("CG_STATE"),
    "get_full_variable": lambda call: call.get_full_variable("${CG_STATE}"),
    "gosub": lambda call: call.gosub("callguard-record", "s", 1),
    "exec": lambda call: call.exec("StoreDTMF", "RX"),
}
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@pytest.fixture
async def opened() -> AsyncIterator[Door]:
    async with door() as listening:
        yield listening


async def over(call: Call, peer: FakeAgi) -> None:
    """Nothing more is sent, whatever is asked."""
    sent = list(peer.commands)
    for command in COMMANDS.values():
        with pytest.raises(Hangup):
            await command(call)
    await asyncio.sleep(0)
    assert peer.commands == sent


# What a session is


async def test_a_session_is_read_from_its_beginning(opened: Door) -> None:
    async with opened.session("service", "t w o", callerid=NUMBER, dnid="1000") as (call, _):
        assert (call.path, call.args) == ("inbound", ("service", "t w o"))
        assert (call.uniqueid, call.channel) == (UNIQUEID, "PJSIP/outside-00000000")
        assert (call.caller, call.dnid) == (NUMBER, "1000")


async def test_no_number_is_an_empty_one(opened: Door) -> None:
    async with opened.session() as (call, _):
        assert (call.caller, call.dnid, call.args) == ("", "", ())


async def test_the_connection_is_closed_when_the_handler_is_done(opened: Door) -> None:
    peer = await opened.knock(block())
    await opened.next()
    opened.leave.set()
    assert await peer.closed() == b""


# What is sent, and how answers are read


async def test_commands_are_one_quoted_line_each(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(*[b"200 result=0\n"] * 4, b"100 result=0 Trying...\n200 result=0 Gosub complete\n", b"200 result=0\n")
        await call.answer()
        await call.wait_for_digit(0)
        await call.set_variable("MASTER_CHANNEL(CG_STATE)", 'a "b" \\ ${EPOCH}')
        await call.set_variable("EMPTY", "")
        await call.gosub("callguard-record", "s", 1, "given", "two words")
        await call.exec("MixMonitor", "a.wav", "bi(CG_MIXMONITOR)")
        assert peer.commands == [
            "ANSWER",
            "WAIT FOR DIGIT 0",
            'SET VARIABLE "MASTER_CHANNEL(CG_STATE)" "a \\"b\\" \\\\ ${EPOCH}"',
            'SET VARIABLE "EMPTY" ""',
            'GOSUB "callguard-record" "s" "1" "given,two words"',
            'EXEC "MixMonitor" "a.wav,bi(CG_MIXMONITOR)"',
        ]


async def test_a_key_and_when_it_stopped_the_file(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.after_ms = 60
        peer.says(b"200 result=42 endpos=320\n", b"200 result=0 endpos=400\n")
        assert await call.stream(MEDIA, "*129", 2_000) == Streamed("*", 40)
        assert await call.stream(MEDIA, "", 50) == Streamed(None, 50)
        assert peer.commands[0] == f'STREAM FILE "{MEDIA}" "*129"'


async def test_a_wideband_file_was_not_heard_faster_than_time_goes_by(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.after_ms = 60
        peer.says(b"200 result=49 endpos=960000\n", b"200 result=0 endpos=1600\n")
        began = time.monotonic()
        streamed = await call.stream(MEDIA, "1", 300_000)
        assert 60 <= streamed.end_ms <= (time.monotonic() - began) * 1000 + 1
        assert (await call.stream(MEDIA, "1", 55)).end_ms == 55


async def test_a_file_that_cannot_be_played_is_not_the_calls_end(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=-1 endpos=0\n", b"200 result=0\n")
        assert await call.stream(MEDIA, "1", 1_000) == Streamed(None, 0)
        await call.answer()


async def test_a_hang_up_before_the_first_sound_is_one(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=-1 endpos=0\nHANGUP\n")
        with pytest.raises(Hangup):
            await call.stream(MEDIA, "1", 1_000)
        await over(call, peer)


async def test_a_digit_or_silence(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=57\n", b"200 result=0\n")
        assert await call.wait_for_digit(500) == "9"
        assert await call.wait_for_digit(500) is None


@pytest.mark.parametrize("value", ["", "x", "hangup", "-1", "a (b) c=d )", "é 中", "result=49", " x "])
async def test_a_variable_may_hold_anything(opened: Door, value: str) -> None:
    async with opened.session() as (call, peer):
        peer.says(f"200 result=1 (={value})\n".encode())
        assert await call.get_variable("CALLERID(name)") == value
        assert peer.commands == ['GET FULL VARIABLE "=${CALLERID(name)}"']


async def test_bytes_that_are_no_text_do_not_end_a_call(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=1 (=\xff\xfe)\n")
        assert await call.get_variable("CALLERID(name)") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "answer", [b"200 result=-1 Gosub label not found\n", b"200 result=0 Gosub complete (abnormal exit)\n"]
)
async def test_a_subroutine_that_does_not_return_is_told(opened: Door, answer: bytes) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"100 result=0 Trying...\n" + answer, b"200 result=0\n")
        with pytest.raises(Refused):
            await call.gosub("callguard-record", "s", 1)
        await call.answer()


async def test_a_hang_up_in_a_subroutine_is_one(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"100 result=0 Trying...\n200 result=0 Gosub complete (abnormal exit)\nHANGUP\n")
        with pytest.raises(Hangup):
            await call.gosub("callguard-record", "s", 1)
        await over(call, peer)


async def test_an_application_that_is_not_there_is_told(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=-2\n", b"200 result=0\n")
        with pytest.raises(Refused):
            await call.exec("StoreDTMF", "RX")
        await call.answer()


@pytest.mark.parametrize("code", ["1", "10", "65536", "-3", "x"])
async def test_what_is_no_key_is_none(opened: Door, code: str) -> None:
    async with opened.session() as (call, peer):
        peer.says(f"200 result={code} endpos=800\n".encode())
        with pytest.raises(Hangup):
            await call.stream(MEDIA, "1", 1_000)
        await over(call, peer)


# What must not be sent

UNFIT: dict[str, Command] = {
    "a line end in a value": lambda call: call.set_variable("X", "a\nHANGUP"),
    "a carriage return": lambda call: call.set_variable("X", "a\rb"),
    "a zero byte": lambda call: call.set_variable("X", "a\0b"),
    "a line end in a name": lambda call: call.get_variable("X\nHANGUP"),
    "an expression in a name": lambda call: call.get_variable("X}${EPOCH"),
    "a line end in a file": lambda call: call.stream("x\nHANGUP", "1", 100),
    "keys that are none": lambda call: call.stream("x", '1" 5', 100),
    "waiting for ever": lambda call: call.wait_for_digit(-1),
    "half a character": lambda call: call.set_variable("X", "\udcff"),
    "too much": lambda call: call.set_variable("X", "x" * wire.MOST_BYTES),
    "another argument": lambda call: call.gosub("callguard-record", "s", 1, "a,b"),
    "a lone parenthesis": lambda call: call.exec("Set", "a(b"),
    "a quote in an argument": lambda call: call.exec("Set", 'a"b'),
    "two applications": lambda call: call.exec("NoOp x", "y"),
    "a line end in a context": lambda call: call.gosub("x\nHANGUP", "s", 1),
}


@pytest.mark.parametrize("command", UNFIT.values(), ids=UNFIT)
async def test_line_ends_and_the_like_are_refused_and_the_call_goes_on(opened: Door, command: Command) -> None:
    async with opened.session() as (call, peer):
        with pytest.raises(ValueError, match=r"\w"):
            await command(call)
        peer.says(b"200 result=0\n")
        await call.answer()
        assert peer.commands == ["ANSWER"]


# Faults of panoramisk 1.4, and what else ends a call

ENDS = {
    "hang-up": b"HANGUP\n",
    "hang-up, then the answer": b"HANGUP\n200 result=49 endpos=800\n",
    "dead channel": b"511 Command Not Permitted on a dead channel or intercept routine\n",
    "unknown command": b"510 Invalid or unknown command\n",
    "usage": b"520-Invalid command syntax.  Proper usage follows:\nUsage\nmore\n520 End of proper usage.\n",
    "result -1": b"200 result=-1\n",
    "result -1 and where": b"200 result=-1 endpos=5760\n",
    "hang-up without result": b"200 result=1 (hangup)\n",
    "rubbish": b"\x00\xff\x1b[2J\n",
    "an empty line": b"\n",
    "no number": b"2x0 result=1\n",
    "half a line": b"200 resu",
    "end": CLOSE,
    "a line without end": b"2" * 3 * agi.LINE_LIMIT,
}


@every_command
@pytest.mark.parametrize("answer", ENDS.values(), ids=ENDS)
async def test_after_a_hang_up_nothing_more_is_sent(opened: Door, command: Command, answer: bytes) -> None:
    async with opened.session() as (call, peer):
        peer.says(answer)
        if answer == ENDS["half a line"]:
            peer.says(CLOSE)
            peer.answers[0:1] = []
            await peer.send(answer)
        with pytest.raises(Hangup) as caught:
            await command(call)
        assert isinstance(caught.value, Disconnected)
        assert isinstance(caught.value, TelephonyError)
        await over(call, peer)


@every_command
async def test_a_hang_up_between_two_commands_is_seen_before_the_next_is_sent(opened: Door, command: Command) -> None:
    async with opened.session() as (call, peer):
        await peer.send(b"HANGUP\n")
        await asyncio.sleep(0.05)
        with pytest.raises(Hangup, match="hung up"):
            await command(call)
        assert peer.commands == []


@every_command
async def test_an_end_between_two_commands_is_seen_before_the_next_is_sent(opened: Door, command: Command) -> None:
    async with opened.session() as (call, peer):
        peer.writer.write_eof()
        await asyncio.sleep(0.05)
        with pytest.raises(Hangup):
            await command(call)
        assert peer.commands == []


async def test_an_answer_that_came_unasked_is_never_a_key(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=0\n200 result=49 endpos=800\n")
        await call.answer()
        with pytest.raises(Hangup, match="nobody had asked"):
            await call.stream(MEDIA, "1", 100)
        await over(call, peer)


async def test_a_caller_cannot_answer_through_a_variable(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=1 (=x)\n200 result=49 endpos=800\n)\n")
        assert await call.get_variable("CALLERID(num)") == "x"
        with pytest.raises(Hangup):
            await call.wait_for_digit(100)


async def test_a_variable_in_pieces_ends_the_call(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"200 result=1 (=x\r\n7)\n")
        with pytest.raises(Hangup):
            await call.get_variable("CALLERID(num)")
        await over(call, peer)


async def test_the_answer_to_a_cancelled_command_is_never_the_next_ones(opened: Door) -> None:
    async with opened.session() as (call, peer):
        asking = asyncio.create_task(call.stream(MEDIA, "1", 5_000))
        while not peer.commands:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await peer.send(b"200 result=49 endpos=800\n")
        await over(call, peer)


async def test_two_commands_at_once_are_refused(opened: Door) -> None:
    async with opened.session() as (call, peer):
        asking = asyncio.create_task(call.wait_for_digit(1_000))
        while not peer.commands:
            await asyncio.sleep(0)
        with pytest.raises(Hangup):
            await call.wait_for_digit(1_000)
        await peer.send(b"200 result=49\n")
        assert await asking == "1"


async def test_an_answer_that_does_not_come_ends_the_call(opened: Door) -> None:
    async def waits(command: Command) -> None:
        async with opened.session() as (call, peer):
            with pytest.raises(Hangup, match="no answer within"):
                await command(call)
            assert len(peer.commands) == 1
            await over(call, peer)

    async with asyncio.timeout(agi.ANSWER_LIMIT_MS / 1000 + 3), asyncio.TaskGroup() as group:
        for command in COMMANDS.values():
            group.create_task(waits(command))


async def test_endless_trying_is_no_answer(opened: Door) -> None:
    async with opened.session() as (call, peer):
        peer.says(b"100 result=0 Trying...\n" * 200)
        with pytest.raises(Hangup, match="no answer within"):
            await call.gosub("callguard-record", "s", 1, limit_ms=100)
        await over(call, peer)


# Who knocks

NO_BEGINNING = {
    "half": block()[:200],
    "rubbish": bytes(range(256)) * 8,
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n",
    "only an end": b"\n\n",
    "no end": b"agi_network: yes\n" * 70_000,
    "a field twice": block().replace(b"agi_priority", b"agi_uniqueid: other\nagi_priority"),
    "a field missing": block().replace(b"agi_priority: unknown\n", b""),
    "an argument before its turn": block().replace(b"agi_context", b"agi_arg_1: x\nagi_context"),
    "a line end in what was dialled": block(dnid="1000\n1"),
    "an end in the caller's number": block(callerid="1\nagi_threadid: 1\n\n200 result=49"),
    "an end after all that matters": block(accountcode="1\n\n200 result=49"),
    "an end in the caller's name": block(calleridname="1\n\n200 result=49\n200 result=49"),
}


@pytest.mark.parametrize("begin", NO_BEGINNING.values(), ids=NO_BEGINNING)
async def test_what_is_no_beginning_costs_its_own_connection_only(opened: Door, begin: bytes) -> None:
    async with opened.session() as (call, peer):
        stranger = await opened.knock(b"")
        try:
            await stranger.send(begin)
            stranger.writer.write_eof()
        except ConnectionError:
            pass
        assert await stranger.closed() == b""
        assert opened.calls.empty()
        peer.says(b"200 result=0\n")
        await call.answer()


async def test_who_connects_and_closes_does_not_spin(opened: Door) -> None:
    for _ in range(20):
        await (await opened.knock(b"")).close()
    async with opened.session() as (call, peer):
        spent = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - spent < 0.1
        peer.says(b"200 result=0\n")
        await call.answer()


async def test_who_says_nothing_is_let_go(opened: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agi, "BLOCK_TIMEOUT_S", 0.05)
    for begin in (b"", block()[:-1]):
        stranger = await opened.knock(begin)
        assert await stranger.closed() == b""


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("1\r\nagi_network_script: evil\r\nX", "x"),
        ("1\nagi_dnid: 7\nagi_callingpres: 0", "y"),
        ("1\nagi_calleridname: me\nagi_dnid: 7", "y"),
        ("1", 'a\\"b (x) y=z ) %0a\tq'),
        ("1\nagi_arg_1: other", "\nagi_uniqueid: other"),
    ],
)
async def test_what_a_caller_puts_into_his_number_is_his_number(opened: Door, number: str, name: str) -> None:
    async with opened.session("service", callerid=number, calleridname=name, dnid="1000") as (call, _):
        assert (call.path, call.args, call.uniqueid, call.dnid) == ("inbound", ("service",), UNIQUEID, "1000")
        assert call.caller.startswith("1")


async def test_a_caller_can_say_his_name_himself_and_nothing_else(opened: Door) -> None:
    for until in range(10, len(wire.FIELDS)):
        fake = "1\n" + "\n".join(f"{name}: 7" for name in wire.FIELDS[9:until])
        stranger = await opened.knock(block(callerid=fake, dnid="1000"))
        if until == 10:  # his name
            assert (await opened.next()).dnid == "1000"
        else:
            assert await stranger.closed() == b""
    assert opened.calls.empty()


async def test_two_calls_at_once_do_not_mix(opened: Door) -> None:
    async with opened.session("a") as (one, asterisk_one), opened.session("b") as (two, asterisk_two):
        assert (one.args, two.args) == (("a",), ("b",))
        asterisk_one.says(b"200 result=49\n", b"200 result=1 (=one)\n")
        asterisk_two.says(b"200 result=50\n", b"200 result=1 (=two)\n")
        assert list(await asyncio.gather(two.wait_for_digit(100), one.wait_for_digit(100))) == ["2", "1"]
        assert list(await asyncio.gather(one.get_variable("X"), two.get_variable("X"))) == ["one", "two"]
        await asterisk_one.close()
        asterisk_two.says(b"200 result=0\n")
        await two.answer()


async def test_one_call_more_than_allowed_is_closed_at_once() -> None:
    async with door(most=2) as full, full.session(), full.session() as (call, peer):
        third = await full.knock(block())
        assert await third.closed() == b""
        peer.says(b"200 result=0\n")
        await call.answer()


async def test_who_says_nothing_makes_room_for_who_calls() -> None:
    async with door(most=20) as full:
        silent = [await full.knock(block()[: 10 * (number % 2)]) for number in range(60)]
        async with full.session() as (call, peer):
            peer.says(b"200 result=0\n")
            await call.answer()
            assert [await one.closed() for one in silent[:40]] == [b""] * 40
            for _ in range(40):
                await full.knock(b"")
            peer.says(b"200 result=1\n")
            await call.set_variable("CG_STATE", "given")  # who has been heard stays


async def test_room_is_made_when_a_call_ends() -> None:
    async with door(most=1) as full:
        first = await full.knock(block())
        await full.next()
        full.leave.set()
        await first.closed()
        async with full.session():
            pass


# The handler


async def test_a_failing_handler_costs_its_own_call_and_its_words_are_not_logged() -> None:
    async def fails(call: Call) -> None:
        if call.args:
            raise RuntimeError(f"no such number: {call.caller}")
        await call.answer()

    async with door(fails) as opened:
        with capture_logs() as logs:
            failing = await opened.knock(block("x", callerid=NUMBER))
            assert await failing.closed() == b""
        assert [entry["problem"] for entry in logs] == ["RuntimeError"]
        assert NUMBER not in str(logs)
        well = await opened.knock(block())
        assert await well.reader.readline() == b"ANSWER\n"


async def test_nothing_of_what_a_stranger_says_is_logged(opened: Door) -> None:
    with capture_logs() as logs:
        stranger = await opened.knock(block(callerid=f"{NUMBER}\n\n"))
        await stranger.closed()
    assert len(logs) == 1
    assert NUMBER not in str(logs)


async def test_a_hang_up_that_a_handler_lets_pass_is_no_fault() -> None:
    async def answers(call: Call) -> None:
        await call.answer()

    async with door(answers) as opened:
        with capture_logs() as logs:
            peer = await opened.knock(block())
            peer.says(b"HANGUP\n")
            await peer.run()
        assert [entry["log_level"] for entry in logs] == ["info"]


async def test_leaving_cancels_what_is_going_on_and_nobody_swallows_it() -> None:
    cancelled = asyncio.Event()

    async def waits(call: Call) -> None:
        try:
            await call.wait_for_digit(60_000)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with asyncio.timeout(5):
        async with door(waits) as opened:
            peer = await opened.knock(block())
            assert await peer.reader.readline() == b"WAIT FOR DIGIT 60000\n"
        assert cancelled.is_set()
        assert await peer.closed() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", opened.port)


async def test_a_handler_that_cancels_itself_costs_its_own_call() -> None:
    async def cancels(call: Call) -> None:
        raise asyncio.CancelledError

    async with door(cancels) as opened:
        for _ in range(2):
            peer = await opened.knock(block())
            assert await peer.closed() == b""


async def test_a_port_that_is_taken_is_told(opened: Door) -> None:
    """By another program; another callguard may listen beside us while it takes over."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="address already in use"):
            async with agi.serve("127.0.0.1", other.getsockname()[1], opened.take):
                pass
    async with agi.serve("127.0.0.1", opened.port, opened.take) as port:
        assert port == opened.port
